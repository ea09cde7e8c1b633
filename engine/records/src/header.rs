//! The fixed 61 bytes in front of every batch.
//!
//! ```text
//!  0 base offset i64 | 8 batch length i32 | 12 leader epoch i32      <- prefix: outside the CRC
//! 16 magic i8 | 17 crc u32                                           <- outside the CRC too
//! 21 attributes u16 | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
//! 43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32 | 57 record count i32 | 61 records
//! ```
//! All numbers are big-endian. `batch length` counts from byte 12 on.

use thiserror::Error;

use crate::attributes::Attributes;
use crate::{MAGIC_V2, NO_PRODUCER_ID, NO_SEQUENCE};

/// Length of the header, up to the first record.
pub const BATCH_HEADER_BYTES: usize = 61;
/// Length of the part that a leader rewrites: base offset, batch length, leader epoch.
pub const BATCH_PREFIX_BYTES: usize = 16;

/// Bytes that `batch_length` does not count: base offset and itself.
pub(crate) const LENGTH_OVERHEAD_BYTES: usize = 12;

// Positions behind the prefix, for those who patch `rest`.
pub(crate) const REST_CRC_AT: usize = 1;
pub(crate) const REST_CRC_COVERS_FROM: usize = 5;
pub(crate) const REST_ATTRIBUTES_AT: usize = 5;
pub(crate) const REST_MAX_TIMESTAMP_AT: usize = 19;
pub(crate) const REST_RECORDS_AT: usize = BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES;

/// The parsed header of a batch.
///
/// Invariants after [`BatchHeader::parse`]: magic is 2; `batch_length`, `last_offset_delta` and
/// `record_count` are not negative and `batch_length` covers the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Bytes that follow this field: the batch's size less 12.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; −1 when not known.
    pub leader_epoch: i32,
    /// Format version: always 2.
    pub magic: i8,
    /// CRC-32C over everything from the attributes on.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Offset of the last record, relative to the base offset. Compaction keeps it when records go.
    pub last_offset_delta: i32,
    /// Timestamp the records' deltas count from, in ms; the delete horizon when that bit is set.
    pub base_timestamp: i64,
    /// Largest timestamp in the batch, in ms; the time of append under log append time.
    pub max_timestamp: i64,
    /// Producer id; −1 for none.
    pub producer_id: i64,
    /// Producer epoch; −1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record; −1 for none.
    pub base_sequence: i32,
    /// Number of records present.
    pub record_count: i32,
}

/// Why 61 bytes are not the header of a version 2 batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    #[error("a batch header has {BATCH_HEADER_BYTES} bytes, only {available} are there")]
    Short {
        /// Bytes given.
        available: usize,
    },
    /// An older or unknown format.
    #[error("batch at offset {base_offset} has format version {magic}; only version 2 is served")]
    Magic {
        /// What the base offset field says.
        base_offset: i64,
        /// What the version field says.
        magic: i8,
    },
    /// A length that cannot hold the header.
    #[error("batch at offset {base_offset} declares a length of {batch_length} bytes, less than its header")]
    Length {
        /// What the base offset field says.
        base_offset: i64,
        /// What the length field says.
        batch_length: i32,
    },
    /// A negative count or last offset.
    #[error(
        "batch at offset {base_offset} declares {record_count} records up to delta {last_offset_delta}; \
         neither may be negative"
    )]
    Counts {
        /// What the base offset field says.
        base_offset: i64,
        /// What the count field says.
        record_count: i32,
        /// What the last-offset-delta field says.
        last_offset_delta: i32,
    },
}

/// Takes fixed-width fields from the front of a header; every field is checked by the array's own length.
struct Fields<'a>(&'a [u8; BATCH_HEADER_BYTES]);

impl Fields<'_> {
    fn at<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.0[at..at + N]);
        field
    }
}

impl BatchHeader {
    /// Reads the header from the first 61 bytes of `bytes`; later bytes are ignored.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let fixed = bytes.first_chunk().ok_or(HeaderError::Short { available: bytes.len() })?;
        let header = Self::read(&Fields(fixed));
        header.check()?;
        Ok(header)
    }

    fn read(fields: &Fields<'_>) -> Self {
        Self {
            base_offset: i64::from_be_bytes(fields.at(0)),
            batch_length: i32::from_be_bytes(fields.at(8)),
            leader_epoch: i32::from_be_bytes(fields.at(12)),
            magic: i8::from_be_bytes(fields.at(16)),
            crc: u32::from_be_bytes(fields.at(17)),
            attributes: Attributes(u16::from_be_bytes(fields.at(21))),
            last_offset_delta: i32::from_be_bytes(fields.at(23)),
            base_timestamp: i64::from_be_bytes(fields.at(27)),
            max_timestamp: i64::from_be_bytes(fields.at(35)),
            producer_id: i64::from_be_bytes(fields.at(43)),
            producer_epoch: i16::from_be_bytes(fields.at(51)),
            base_sequence: i32::from_be_bytes(fields.at(53)),
            record_count: i32::from_be_bytes(fields.at(57)),
        }
    }

    fn check(&self) -> Result<(), HeaderError> {
        let Self { base_offset, batch_length, magic, record_count, last_offset_delta, .. } = *self;
        if magic != MAGIC_V2 {
            return Err(HeaderError::Magic { base_offset, magic });
        }
        if (batch_length as i64) < (BATCH_HEADER_BYTES - LENGTH_OVERHEAD_BYTES) as i64 {
            return Err(HeaderError::Length { base_offset, batch_length });
        }
        if record_count < 0 || last_offset_delta < 0 {
            return Err(HeaderError::Counts { base_offset, record_count, last_offset_delta });
        }
        Ok(())
    }

    /// Writes the header's 61 bytes, the CRC as the field says.
    pub fn to_bytes(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = [0; BATCH_HEADER_BYTES];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.to_be_bytes());
        out[16..17].copy_from_slice(&self.magic.to_be_bytes());
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// The whole batch's size: header and records.
    pub fn size_bytes(&self) -> usize {
        LENGTH_OVERHEAD_BYTES + self.batch_length as usize
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the record that follows the batch.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// The time in ms from which tombstones and markers may go, if compaction has set one (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.attributes.has_delete_horizon().then_some(self.base_timestamp)
    }

    /// True when a producer id is set, which makes the sequence numbers count.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Sequence number of the last record; −1 when the batch has none. Wraps from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        sequence_add(self.base_sequence, self.last_offset_delta)
    }
}

/// Adds to a sequence number; the one after `i32::MAX` is 0. `delta` must not be negative.
pub fn sequence_add(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta);
    if sum > i64::from(i32::MAX) { (sum - i64::from(i32::MAX) - 1) as i32 } else { sum as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: 7,
            batch_length: 49,
            leader_epoch: 3,
            magic: 2,
            crc: 0xdead_beef,
            attributes: Attributes(0x14),
            last_offset_delta: 4,
            base_timestamp: 1_000,
            max_timestamp: 1_004,
            producer_id: 9,
            producer_epoch: 1,
            base_sequence: i32::MAX - 1,
            record_count: 5,
        }
    }

    #[test]
    fn bytes_round_trip() {
        let header = header();
        assert_eq!(BatchHeader::parse(&header.to_bytes()), Ok(header));
        assert_eq!(header.size_bytes(), 61);
        assert_eq!((header.last_offset(), header.next_offset()), (11, 12));
    }

    #[test]
    fn e14_sequence_wraps_from_max_to_zero() {
        assert_eq!(header().last_sequence(), 2);
        assert_eq!(sequence_add(i32::MAX, 0), i32::MAX);
        assert_eq!(sequence_add(i32::MAX, 1), 0);
        assert_eq!(BatchHeader { base_sequence: -1, ..header() }.last_sequence(), -1);
    }

    #[test]
    fn lies_are_refused() {
        let short = BatchHeader::parse(&header().to_bytes()[..60]);
        assert_eq!(short, Err(HeaderError::Short { available: 60 }));
        for (wrong, part) in [
            (BatchHeader { magic: 1, ..header() }, "version 1"),
            (BatchHeader { batch_length: 48, ..header() }, "48 bytes"),
            (BatchHeader { batch_length: -1, ..header() }, "-1 bytes"),
            (BatchHeader { record_count: -1, ..header() }, "-1 records"),
            (BatchHeader { last_offset_delta: -2, ..header() }, "delta -2"),
        ] {
            let message = BatchHeader::parse(&wrong.to_bytes()).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn offsets_at_the_end_of_the_range_do_not_overflow() {
        assert_eq!(BatchHeader { base_offset: i64::MAX, ..header() }.next_offset(), i64::MAX);
    }
}
