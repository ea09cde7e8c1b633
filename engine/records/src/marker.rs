//! Control batches: the markers that end a producer's transaction on a partition.
//!
//! A control record's key is `version i16 | type i16`; the value of an end marker is
//! `version i16 | coordinator epoch i32`. Later versions append fields, which readers skip.

use thiserror::Error;

use crate::NO_SEQUENCE;
use crate::batch::Batch;
use crate::builder::{BatchBuilder, BuildError, ProducerStamp};
use crate::codec::Codec;
use crate::compress::Compressor;
use crate::record::Record;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndTxn {
    /// Its records must not be delivered to `read_committed` consumers.
    Abort,
    /// Its records count.
    Commit,
}

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The end of a transaction.
    EndTxn {
        /// How it ended.
        end: EndTxn,
        /// Epoch of the transaction coordinator that wrote the marker.
        coordinator_epoch: i32,
    },
    /// A control record of another type: leader changes and snapshot marks of metadata logs.
    Other {
        /// Its type number.
        kind: i16,
    },
}

/// Why a record of a control batch could not be read as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ControlError {
    /// The key is missing, short, or has a negative version.
    #[error("control record at offset {offset} has no valid key")]
    Key {
        /// Its offset.
        offset: i64,
    },
    /// The value of an end marker is missing, short, or has a negative version.
    #[error("transaction marker at offset {offset} has no valid value")]
    Value {
        /// Its offset.
        offset: i64,
    },
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;
const VERSION: i16 = 0;

impl Control {
    /// Reads a record of a control batch.
    pub fn parse(record: &Record<'_>) -> Result<Self, ControlError> {
        let offset = record.offset;
        let kind = record.key.and_then(parse_key).ok_or(ControlError::Key { offset })?;
        let end = match kind {
            ABORT => EndTxn::Abort,
            COMMIT => EndTxn::Commit,
            kind => return Ok(Control::Other { kind }),
        };
        let coordinator_epoch = record.value.and_then(parse_end).ok_or(ControlError::Value { offset })?;
        Ok(Control::EndTxn { end, coordinator_epoch })
    }
}

fn parse_key(key: &[u8]) -> Option<i16> {
    let (version, behind) = key.split_first_chunk()?;
    let (kind, _) = behind.split_first_chunk()?;
    (i16::from_be_bytes(*version) >= VERSION).then(|| i16::from_be_bytes(*kind))
}

fn parse_end(value: &[u8]) -> Option<i32> {
    let (version, behind) = value.split_first_chunk()?;
    let (epoch, _) = behind.split_first_chunk()?;
    (i16::from_be_bytes(*version) >= VERSION).then(|| i32::from_be_bytes(*epoch))
}

/// The batch that ends the transaction of producer `id` in its `epoch`, stamped `timestamp_ms`.
///
/// One record, never compressed (E11), transactional and control bits set, no sequence number.
pub fn end_txn(
    end: EndTxn,
    coordinator_epoch: i32,
    id: i64,
    epoch: i16,
    timestamp_ms: i64,
) -> Result<Batch, BuildError> {
    let kind = match end {
        EndTxn::Abort => ABORT,
        EndTxn::Commit => COMMIT,
    };
    let mut key = [0; 4];
    key[..2].copy_from_slice(&VERSION.to_be_bytes());
    key[2..].copy_from_slice(&kind.to_be_bytes());
    let mut value = [0; 6];
    value[..2].copy_from_slice(&VERSION.to_be_bytes());
    value[2..].copy_from_slice(&coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new(Codec::None);
    builder.set_transactional(true).set_control(true);
    builder.set_producer(ProducerStamp { id, epoch, base_sequence: NO_SEQUENCE });
    builder.push(timestamp_ms, Some(&key), Some(&value), &[])?;
    builder.finish(&mut Compressor::new())
}
