//! Segments, batch by batch and record by record.

use std::path::Path;

use bytes::Bytes as Shared;
use plimsoll_records::marker::{Control, EndTxn};
use plimsoll_records::{Batch, BatchHeader, Decompressor, Record, RecordLimits, sequence_add};

use super::faults::Faults;
use super::item::{BatchLine, Bytes, Item, RecordLine, RecordMetadata, timestamp_type};
use super::sink::Sink;
use super::{DumpError, DumpOptions};
use crate::inspect::batches::{Batches, Found};
use crate::inspect::files;

/// Prints a segment.
pub(crate) fn dump(
    path: &Path,
    options: &DumpOptions,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    if let Some(offset) = files::base_offset(path) {
        sink.item(&Item::LogStart { offset })?;
    }
    let mut batches = Batches::open(path, options.max_bytes.unwrap_or(u64::MAX))?;
    let mut records = Records { path, options, decompressor: Decompressor::new(), last_offset: None };
    loop {
        match batches.next()? {
            Found::Batch(stored) => {
                let is_valid = stored.is_valid();
                sink.item(&Item::Batch(BatchLine::new(&stored.header, stored.at_bytes, is_valid)))?;
                if !is_valid {
                    let (offset, at_bytes) = (stored.header.base_offset, stored.at_bytes);
                    faults.invalid(
                        path,
                        format!("the CRC of the batch at byte {at_bytes}, offset {offset}, is wrong"),
                    );
                }
                if options.deep_iteration || options.print_data_log {
                    records.dump(Shared::copy_from_slice(stored.bytes), sink, faults)?;
                }
            }
            Found::End => return Ok(()),
            // A limit that cuts a batch is no fault of the file.
            Found::Bad(_) if options.max_bytes.is_some() => return Ok(()),
            Found::Bad(problem) => return dump_tail(path, &problem, &mut batches, sink, faults),
        }
    }
}

fn dump_tail(
    path: &Path,
    problem: &str,
    batches: &mut Batches,
    sink: &mut Sink<'_>,
    faults: &mut Faults,
) -> Result<(), DumpError> {
    let zeroes = batches.only_zeroes_left()?;
    let bytes = batches.limit() - batches.position();
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    sink.item(&Item::Trailing { bytes, zeroes, file })?;
    if !zeroes {
        faults.invalid(path, format!("no valid batch at byte {}: {problem}", batches.position()));
    }
    Ok(())
}

/// The records of one file's batches.
struct Records<'a> {
    path: &'a Path,
    options: &'a DumpOptions,
    decompressor: Decompressor,
    last_offset: Option<i64>,
}

impl Records<'_> {
    fn dump(&mut self, bytes: Shared, sink: &mut Sink<'_>, faults: &mut Faults) -> Result<(), DumpError> {
        let batch = match Batch::from_bytes(bytes) {
            Ok(batch) => batch,
            Err(error) => {
                faults.invalid(self.path, error.to_string());
                return Ok(());
            }
        };
        for record in batch.records(&mut self.decompressor, RecordLimits::default()) {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    faults.invalid(self.path, error.to_string());
                    break;
                }
            };
            if let Some(last) = self.last_offset.replace(record.offset).filter(|l| *l != record.offset - 1) {
                faults.non_consecutive(self.path, last, record.offset);
            }
            sink.item(&Item::Record(line(&record, batch.header(), self.options)))?;
        }
        Ok(())
    }
}

fn line(record: &Record<'_>, header: &BatchHeader, options: &DumpOptions) -> RecordLine {
    let metadata = (!options.skip_record_metadata).then(|| metadata(record, header));
    if !options.print_data_log || header.attributes.is_control() {
        return RecordLine { metadata, ..RecordLine::default() };
    }
    let (key, payload) = options.decoder.decode(record);
    RecordLine { metadata, key, payload }
}

fn metadata(record: &Record<'_>, header: &BatchHeader) -> RecordMetadata {
    let size = |field: Option<&[u8]>| field.map_or(-1, |bytes| bytes.len() as i64);
    let delta = i32::try_from(record.offset.saturating_sub(header.base_offset)).unwrap_or(0);
    RecordMetadata {
        offset: record.offset,
        timestamp_type: timestamp_type(header.attributes.timestamp_type()),
        timestamp: record.timestamp,
        key_size: size(record.key),
        value_size: size(record.value),
        sequence: if header.base_sequence >= 0 {
            sequence_add(header.base_sequence, delta.max(0))
        } else {
            -1
        },
        header_keys: record.headers.map(|header| Bytes(header.key.to_vec())).collect(),
        control: header.attributes.is_control().then(|| control(record)),
    }
}

fn control(record: &Record<'_>) -> String {
    match Control::parse(record) {
        Ok(Control::EndTxn { end, coordinator_epoch }) => {
            let end = match end {
                EndTxn::Abort => "ABORT",
                EndTxn::Commit => "COMMIT",
            };
            format!("endTxnMarker: {end} coordinatorEpoch: {coordinator_epoch}")
        }
        Ok(Control::Other { kind }) => {
            let name = match kind {
                2 => "LEADER_CHANGE",
                3 => "SNAPSHOT_HEADER",
                4 => "SNAPSHOT_FOOTER",
                5 => "KRAFT_VERSION",
                6 => "KRAFT_VOTERS",
                _ => "UNKNOWN",
            };
            format!("controlType: {name}({kind})")
        }
        Err(error) => format!("controlType: {error}"),
    }
}
