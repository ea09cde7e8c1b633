//! The walk over a batch's records.

use thiserror::Error;

use crate::attributes::TimestampType;
use crate::batch::Batch;
use crate::compress::{DecompressError, Decompressor, inflate_cap};
use crate::record::{Record, RecordBase, RecordFormatError};

/// What reading records may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// Never inflate a batch beyond this; [`inflate_cap`] tightens it for small batches.
    pub decompressed_max_bytes: usize,
}

impl Default for RecordLimits {
    /// 128 MiB: above any batch that default brokers accept, below what hurts.
    fn default() -> Self {
        Self { decompressed_max_bytes: 128 << 20 }
    }
}

/// Why a batch's records could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The records could not be inflated.
    #[error("records of the batch at offset {base_offset} cannot be decompressed: {source}")]
    Decompress {
        /// The batch's base offset.
        base_offset: i64,
        /// What went wrong.
        source: DecompressError,
    },
    /// A record is malformed.
    #[error("record {index} of the batch at offset {base_offset} is malformed: {source}")]
    Format {
        /// The batch's base offset.
        base_offset: i64,
        /// Which record, from 0.
        index: i32,
        /// What is wrong with it.
        source: RecordFormatError,
    },
    /// Bytes are left behind the last record.
    #[error("{surplus} bytes follow the {record_count} records of the batch at offset {base_offset}")]
    Surplus {
        /// The batch's base offset.
        base_offset: i64,
        /// Records the header declares.
        record_count: i32,
        /// Bytes behind them.
        surplus: usize,
    },
}

/// Iterator over the records of one batch; see [`Batch::records`]. A clone begins where it stands, without inflating
/// the batch again.
#[derive(Debug, Clone)]
pub struct RecordIter<'a> {
    bytes: &'a [u8],
    base: RecordBase,
    next: i32,
    record_count: i32,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Walking,
    Failed(RecordError),
    Done,
}

impl<'a> RecordIter<'a> {
    pub(crate) fn new(batch: &'a Batch, decompressor: &'a mut Decompressor, limits: RecordLimits) -> Self {
        let header = batch.header();
        let stored = batch.records_bytes();
        let cap = inflate_cap(stored.len(), limits.decompressed_max_bytes);
        let (bytes, state) = match decompressor.decompress(header.attributes.codec_id(), stored, cap) {
            Ok(bytes) => (bytes, State::Walking),
            Err(source) => {
                let base_offset = header.base_offset;
                (&[][..], State::Failed(RecordError::Decompress { base_offset, source }))
            }
        };
        let append_time = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(header.max_timestamp),
        };
        let base = RecordBase { offset: header.base_offset, timestamp: header.base_timestamp, append_time };
        Self { bytes, base, next: 0, record_count: header.record_count, state }
    }

    fn read_next(&mut self) -> Option<Result<Record<'a>, RecordError>> {
        if self.next == self.record_count {
            return self.check_end().err().map(Err);
        }
        let index = self.next;
        self.next += 1;
        let base_offset = self.base.offset;
        Some(Record::read(&mut self.bytes, self.base).map_err(|source| RecordError::Format {
            base_offset,
            index,
            source,
        }))
    }

    fn check_end(&self) -> Result<(), RecordError> {
        let (base_offset, record_count) = (self.base.offset, self.record_count);
        match self.bytes.len() {
            0 => Ok(()),
            surplus => Err(RecordError::Surplus { base_offset, record_count, surplus }),
        }
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Done => None,
            State::Failed(error) => Some(Err(error)),
            State::Walking => {
                let item = self.read_next();
                if matches!(item, Some(Ok(_))) {
                    self.state = State::Walking;
                }
                item
            }
        }
    }
}

impl std::iter::FusedIterator for RecordIter<'_> {}
