//! Raft entries as records: one entry a batch, JSON in the value, the entry's index as the offset, its term as the
//! leader epoch.

use plimsoll_log::records::{Batch, BatchBuilder, Codec, Compressor, Decompressor, RecordLimits};

use super::types::Entry;
use crate::{Command, ControlError};

/// A batch of one entry, not yet at its offset.
pub(super) fn encode(
    entry: &Entry,
    timestamp_ms: i64,
    compressor: &mut Compressor,
) -> Result<Batch, ControlError> {
    let unwritable = |error: &dyn std::fmt::Display| ControlError::Unwritable(error.to_string());
    let value = serde_json::to_vec(entry).map_err(|error| unwritable(&error))?;
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(timestamp_ms, None, Some(&value), &[]).map_err(|error| unwritable(&error))?;
    builder.finish(compressor).map_err(|error| unwritable(&error))
}

/// The entries of a batch, each at the index that its offset says.
pub(super) fn decode(
    batch: &Batch,
    decompressor: &mut Decompressor,
    entries: &mut Vec<Entry>,
) -> Result<(), ControlError> {
    for record in batch.records(decompressor, RecordLimits::default()) {
        let record = record.map_err(|error| corrupt(batch.header().base_offset, error.to_string()))?;
        let value = record.value.unwrap_or_default();
        let entry: Entry =
            serde_json::from_slice(value).map_err(|error| not_ours(record.offset, value, &error))?;
        if i64::try_from(entry.log_id.index) != Ok(record.offset) {
            return Err(corrupt(record.offset, format!("it holds entry {}", entry.log_id)));
        }
        entries.push(entry);
    }
    Ok(())
}

/// A value that is no entry: damage, or what a version wrote whose log held the commands themselves.
fn not_ours(offset: i64, value: &[u8], error: &serde_json::Error) -> ControlError {
    match serde_json::from_slice::<Command>(value) {
        Ok(_) => ControlError::WithoutQuorum { offset },
        Err(_) => corrupt(offset, error.to_string()),
    }
}

/// The log is not what was written.
pub(super) fn corrupt(offset: i64, reason: String) -> ControlError {
    ControlError::Corrupt { offset, reason }
}
