//! What a leader asks of a batch that a client sent: rules E9 to E12.

use std::fmt;

use thiserror::Error;

use crate::NO_TIMESTAMP;
use crate::attributes::TimestampType;
use crate::batch::{Batch, BatchError};
use crate::codec::CodecId;
use crate::compress::{DecompressError, Decompressor, inflate_cap};
use crate::header::{BATCH_HEADER_BYTES, BatchHeader};
use crate::walk::{RecordShape, WalkError, Walker};

/// A topic's rules for batches of its producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationRules {
    /// The broker's clock, ms since the epoch.
    pub now_ms: i64,
    /// `max.message.bytes`: the largest batch, as stored.
    pub message_max_bytes: usize,
    /// `message.timestamp.type` of the topic. Under log append time the producer's times are not looked at.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far in the past a record may lie.
    pub before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far in the future a record may lie.
    pub after_max_ms: i64,
    /// True on compacted topics: records without a key are refused.
    pub require_key: bool,
    /// Never inflate a batch beyond this; [`inflate_cap`] tightens it for small batches.
    pub decompressed_max_bytes: usize,
}

/// What validation learned of an accepted batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validated {
    /// The largest timestamp among the records, ms. When the header says otherwise, the leader corrects it
    /// with [`Batch::set_max_timestamp`].
    pub max_timestamp: i64,
    /// Which record has it: the first of them, relative to the base offset.
    pub max_timestamp_offset_delta: i32,
    /// Size of the records after inflation.
    pub decompressed_bytes: u64,
}

/// How many faults of single records are kept; the rest is only counted.
const FAULTS_KEPT: usize = 1000;

/// Why a client's batch is refused. Nothing of it may be appended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// The CRC does not match (E10).
    #[error(transparent)]
    Corrupt(BatchError),
    /// Larger than the topic allows.
    #[error("the batch has {size_bytes} bytes, the topic's max.message.bytes is {max_bytes}")]
    TooLarge {
        /// Size of the batch as sent.
        size_bytes: usize,
        /// The topic's limit.
        max_bytes: usize,
    },
    /// The batch as a whole breaks a rule (E9).
    #[error("{0}")]
    Shape(ShapeFault),
    /// The records cannot be inflated, or only beyond the cap.
    #[error("the records cannot be decompressed: {0}")]
    Decompress(#[from] DecompressError),
    /// The records cannot be parsed (E11).
    #[error("record {index} is malformed: {detail}")]
    Malformed {
        /// Which record, from 0.
        index: i32,
        /// What is wrong with it.
        detail: String,
    },
    /// Single records break a rule (E12).
    #[error(
        "{total} records were refused, among them {}",
        faults.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Records {
        /// The faults by record, in order; at most a thousand.
        faults: Vec<RecordFault>,
        /// How many there are.
        total: usize,
    },
}

impl Rejection {
    /// Kafka's error code for this refusal.
    pub fn error_code(&self) -> i16 {
        const CORRUPT_MESSAGE: i16 = 2;
        const MESSAGE_TOO_LARGE: i16 = 10;
        const INVALID_TIMESTAMP: i16 = 32;
        const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
        const INVALID_RECORD: i16 = 87;
        match self {
            Rejection::Corrupt(_) => CORRUPT_MESSAGE,
            Rejection::TooLarge { .. } | Rejection::Decompress(DecompressError::TooLarge { .. }) => {
                MESSAGE_TOO_LARGE
            }
            Rejection::Decompress(DecompressError::UnknownCodec { .. }) => UNSUPPORTED_COMPRESSION_TYPE,
            // Not CORRUPT_MESSAGE: the CRC matched, so sending the same bytes again cannot help.
            Rejection::Decompress(_) | Rejection::Malformed { .. } => INVALID_RECORD,
            Rejection::Shape(ShapeFault::LogAppendTime) => INVALID_TIMESTAMP,
            Rejection::Shape(_) => INVALID_RECORD,
            Rejection::Records { faults, .. } if faults.iter().any(|fault| fault.reason.is_timestamp()) => {
                INVALID_TIMESTAMP
            }
            Rejection::Records { .. } => INVALID_RECORD,
        }
    }
}

/// What is wrong with a batch as a whole (E9, E12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShapeFault {
    /// A client numbers its records from 0.
    #[error("a client's batch starts at offset 0, not at {0}")]
    BaseOffset(i64),
    /// No records.
    #[error("the batch has no records")]
    Empty,
    /// Count and last offset disagree.
    #[error("the batch declares {record_count} records but a last offset delta of {last_offset_delta}")]
    Count {
        /// Records the header declares.
        record_count: i32,
        /// Offset delta of the last, by the header.
        last_offset_delta: i32,
    },
    /// Only brokers write control records.
    #[error("clients may not write control records")]
    Control,
    /// A producer id without a sequence.
    #[error("the batch has producer id {producer_id} but sequence number {base_sequence}")]
    Sequence {
        /// The producer id.
        producer_id: i64,
        /// The sequence number.
        base_sequence: i32,
    },
    /// Only brokers stamp records with the time of append.
    #[error("a producer may not set the timestamp type to LogAppendTime")]
    LogAppendTime,
    /// Fewer bytes than the smallest records would take.
    #[error("{record_count} records do not fit into {available} bytes")]
    CountBeyondBytes {
        /// Records the header declares.
        record_count: i32,
        /// Bytes of records there are.
        available: usize,
    },
    /// Bytes follow the last record.
    #[error("bytes follow the last of {record_count} records")]
    Surplus {
        /// Records the header declares.
        record_count: i32,
    },
}

/// A record that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordFault {
    /// Which record of the batch, from 0: `batch_index` of the produce answer.
    pub index: i32,
    /// Which rule.
    pub reason: FaultReason,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}: {}", self.index, self.reason)
    }
}

/// The rules for single records. Displays as the message of the produce answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FaultReason {
    /// A compacted topic needs keys.
    #[error("a compacted topic accepts no record without a key")]
    NoKey,
    /// Offsets inside a batch run from 0 without gaps.
    #[error("its offset delta is {found} where {expected} is due")]
    Offset {
        /// What the record says.
        found: i32,
        /// What it has to be.
        expected: i32,
    },
    /// Too old or too far in the future.
    #[error("its timestamp {timestamp} is outside {earliest} to {latest}")]
    Timestamp {
        /// The record's, ms.
        timestamp: i64,
        /// The earliest allowed, ms.
        earliest: i64,
        /// The latest allowed, ms.
        latest: i64,
    },
}

impl FaultReason {
    fn is_timestamp(self) -> bool {
        matches!(self, FaultReason::Timestamp { .. })
    }
}

/// Checks a client's batch against E9–E12: shape, CRC, and every record. Neither copies nor keeps it.
///
/// Compressed records are inflated piece by piece and never beyond the cap; keys and values are passed over.
/// Zstd needs Produce version 7, which the caller knows.
pub fn validate_batch(
    batch: &Batch,
    rules: &ValidationRules,
    decompressor: &mut Decompressor,
) -> Result<Validated, Rejection> {
    let size_bytes = batch.size_bytes();
    if size_bytes > rules.message_max_bytes {
        return Err(Rejection::TooLarge { size_bytes, max_bytes: rules.message_max_bytes });
    }
    batch.verify_crc().map_err(Rejection::Corrupt)?;
    check_shape(batch).map_err(Rejection::Shape)?;
    let mut walker = open(batch, rules, decompressor)?;
    let mut check = Check::new(batch.header(), rules);
    for index in 0..batch.header().record_count {
        let shape = walker.record().map_err(|error| refuse(error, index))?;
        check.record(index, shape);
    }
    let record_count = batch.header().record_count;
    if !walker.at_end().map_err(|error| refuse(error, record_count))? {
        return Err(Rejection::Shape(ShapeFault::Surplus { record_count }));
    }
    check.finish(walker.position())
}

fn check_shape(batch: &Batch) -> Result<(), ShapeFault> {
    let BatchHeader { base_offset, record_count, last_offset_delta, attributes, .. } = *batch.header();
    let BatchHeader { producer_id, base_sequence, .. } = *batch.header();
    if base_offset != 0 {
        return Err(ShapeFault::BaseOffset(base_offset));
    }
    if record_count == 0 {
        return Err(ShapeFault::Empty);
    }
    if i64::from(last_offset_delta) + 1 != i64::from(record_count) {
        return Err(ShapeFault::Count { record_count, last_offset_delta });
    }
    if attributes.is_control() {
        return Err(ShapeFault::Control);
    }
    if batch.header().has_producer_id() && base_sequence < 0 {
        return Err(ShapeFault::Sequence { producer_id, base_sequence });
    }
    if attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(ShapeFault::LogAppendTime);
    }
    check_count(batch)
}

/// The smallest record has seven bytes; a count that cannot fit is refused before walking.
fn check_count(batch: &Batch) -> Result<(), ShapeFault> {
    const RECORD_MIN_BYTES: usize = 7;
    let available = batch.size_bytes() - BATCH_HEADER_BYTES;
    let record_count = batch.header().record_count;
    let plain = batch.header().attributes.codec() == Some(CodecId::None);
    if plain && (record_count as usize).saturating_mul(RECORD_MIN_BYTES) > available {
        return Err(ShapeFault::CountBeyondBytes { record_count, available });
    }
    Ok(())
}

fn open<'a>(
    batch: &'a Batch,
    rules: &ValidationRules,
    decompressor: &'a mut Decompressor,
) -> Result<Walker<'a>, DecompressError> {
    let stored = batch.records_bytes();
    let codec_id = batch.header().attributes.codec_id();
    if codec_id == CodecId::None.id() {
        return Ok(Walker::plain(stored));
    }
    let cap = inflate_cap(stored.len(), rules.decompressed_max_bytes);
    Ok(Walker::inflating(decompressor.pieces(codec_id, stored, cap)?))
}

fn refuse(error: WalkError, index: i32) -> Rejection {
    match error {
        WalkError::Decompress(error) => Rejection::Decompress(error),
        WalkError::Format(error) => Rejection::Malformed { index, detail: error.to_string() },
    }
}

/// Gathers what the walk finds.
struct Check<'a> {
    rules: &'a ValidationRules,
    base_timestamp: i64,
    max: Option<(i64, i32)>,
    faults: Vec<RecordFault>,
    total: usize,
}

impl<'a> Check<'a> {
    fn new(header: &BatchHeader, rules: &'a ValidationRules) -> Self {
        Self { rules, base_timestamp: header.base_timestamp, max: None, faults: Vec::new(), total: 0 }
    }

    fn record(&mut self, index: i32, shape: RecordShape) {
        let timestamp = self.base_timestamp.saturating_add(shape.timestamp_delta);
        if self.max.is_none_or(|(max, _)| timestamp > max) {
            self.max = Some((timestamp, index));
        }
        if let Some(reason) = self.fault(index, timestamp, shape) {
            self.total += 1;
            if self.faults.len() < FAULTS_KEPT {
                self.faults.push(RecordFault { index, reason });
            }
        }
    }

    fn fault(&self, index: i32, timestamp: i64, shape: RecordShape) -> Option<FaultReason> {
        if self.rules.require_key && !shape.has_key {
            return Some(FaultReason::NoKey);
        }
        if shape.offset_delta != index {
            return Some(FaultReason::Offset { found: shape.offset_delta, expected: index });
        }
        let (now, rules) = (self.rules.now_ms, self.rules);
        let earliest = now.saturating_sub(rules.before_max_ms);
        let latest = now.saturating_add(rules.after_max_ms);
        let timed = rules.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP;
        let outside = timed && !(earliest..=latest).contains(&timestamp);
        outside.then_some(FaultReason::Timestamp { timestamp, earliest, latest })
    }

    fn finish(self, decompressed_bytes: u64) -> Result<Validated, Rejection> {
        if self.total > 0 {
            return Err(Rejection::Records { faults: self.faults, total: self.total });
        }
        let (max_timestamp, max_timestamp_offset_delta) = self.max.unwrap_or((NO_TIMESTAMP, 0));
        Ok(Validated { max_timestamp, max_timestamp_offset_delta, decompressed_bytes })
    }
}
