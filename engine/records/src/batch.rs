//! One opaque batch: a prefix of its own and a rest shared with the frame or file it came from.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::attributes::TimestampType;
use crate::compress::Decompressor;
use crate::crc::crc32c;
use crate::header::{
    BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, BatchHeader, HeaderError, LENGTH_OVERHEAD_BYTES,
    REST_ATTRIBUTES_AT, REST_CRC_AT, REST_CRC_COVERS_FROM, REST_MAX_TIMESTAMP_AT, REST_RECORDS_AT,
};
use crate::records::{RecordIter, RecordLimits};

/// A record batch whose records nobody has looked at.
///
/// The first 16 bytes are owned, so that base offset and leader epoch are patched in place; the rest is a
/// slice of the frame it arrived in and is never copied, except where a method says so. Cloning is cheap.
///
/// Invariant: header, prefix and rest describe the same batch, and `rest` is as long as the header says. The
/// CRC is checked only by [`Batch::verify_crc`].
#[derive(Debug, Clone)]
pub struct Batch {
    header: BatchHeader,
    prefix: [u8; BATCH_PREFIX_BYTES],
    rest: Bytes,
}

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// The header is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The bytes end inside the batch.
    #[error("batch at offset {base_offset} is {size_bytes} bytes long, only {available} are there")]
    Truncated {
        /// The batch's base offset.
        base_offset: i64,
        /// What its header says.
        size_bytes: usize,
        /// Bytes given.
        available: usize,
    },
    /// Exactly one batch was expected.
    #[error("{surplus} bytes follow the batch at offset {base_offset}; exactly one batch is allowed here")]
    Trailing {
        /// The batch's base offset.
        base_offset: i64,
        /// Bytes behind it.
        surplus: usize,
    },
    /// The contents do not match the checksum.
    #[error(
        "batch at offset {base_offset} is corrupt: its CRC-32C is {computed:#010x}, its header says {stored:#010x}"
    )]
    Crc {
        /// The batch's base offset.
        base_offset: i64,
        /// What the header says.
        stored: u32,
        /// What the bytes give.
        computed: u32,
    },
}

impl Batch {
    /// Takes exactly one batch; fewer or more bytes are an error. Shares `bytes`, copies 16 of them.
    pub fn from_bytes(mut bytes: Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        let size_bytes = header.size_bytes();
        if bytes.len() < size_bytes {
            let available = bytes.len();
            return Err(BatchError::Truncated { base_offset: header.base_offset, size_bytes, available });
        }
        if bytes.len() > size_bytes {
            let surplus = bytes.len() - size_bytes;
            return Err(BatchError::Trailing { base_offset: header.base_offset, surplus });
        }
        Ok(Self::cut(header, &mut bytes))
    }

    /// Cuts the next batch off the front of `bytes`.
    ///
    /// `None` when nothing is left, or only the cut-off beginning of a batch: fetch answers end so. `bytes` is
    /// then left as it is. A length field that no batch can have is an error.
    pub fn split_from(bytes: &mut Bytes) -> Result<Option<Self>, BatchError> {
        if bytes.len() < BATCH_HEADER_BYTES {
            return Ok(None);
        }
        let header = BatchHeader::parse(bytes)?;
        if bytes.len() < header.size_bytes() {
            return Ok(None);
        }
        Ok(Some(Self::cut(header, bytes)))
    }

    /// `bytes` holds the whole batch that `header` describes.
    fn cut(header: BatchHeader, bytes: &mut Bytes) -> Self {
        let mut rest = bytes.split_to(header.size_bytes());
        let mut prefix = [0; BATCH_PREFIX_BYTES];
        prefix.copy_from_slice(&rest.split_to(BATCH_PREFIX_BYTES));
        Self { header, prefix, rest }
    }

    /// A batch from its header and encoded records; sets length and CRC.
    pub(crate) fn assemble(mut header: BatchHeader, mut whole: Vec<u8>) -> Self {
        debug_assert!(whole.len() >= BATCH_HEADER_BYTES && whole.len() <= i32::MAX as usize);
        header.batch_length = (whole.len() - LENGTH_OVERHEAD_BYTES) as i32;
        whole[..BATCH_HEADER_BYTES].copy_from_slice(&header.to_bytes());
        header.crc = crc32c(&whole[BATCH_PREFIX_BYTES + REST_CRC_COVERS_FROM..]);
        whole[BATCH_PREFIX_BYTES + REST_CRC_AT..][..4].copy_from_slice(&header.crc.to_be_bytes());
        Self::cut(header, &mut Bytes::from(whole))
    }

    /// The parsed header; follows every change made through this type.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Size of the whole batch.
    pub fn size_bytes(&self) -> usize {
        self.header.size_bytes()
    }

    /// Compares the stored CRC-32C with the contents.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32c(&self.rest[REST_CRC_COVERS_FROM..]);
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::Crc { base_offset: self.header.base_offset, stored: self.header.crc, computed })
    }

    /// Sets the base offset. Lies outside the CRC (E10): 8 bytes are written, nothing is hashed.
    pub fn set_base_offset(&mut self, offset: i64) {
        self.header.base_offset = offset;
        self.prefix[0..8].copy_from_slice(&offset.to_be_bytes());
    }

    /// Sets the leader epoch. Lies outside the CRC (E10): 4 bytes are written, nothing is hashed.
    pub fn set_leader_epoch(&mut self, epoch: i32) {
        self.header.leader_epoch = epoch;
        self.prefix[12..16].copy_from_slice(&epoch.to_be_bytes());
    }

    /// Marks the batch as stamped by the broker at `ms`: sets the timestamp type and the max timestamp.
    ///
    /// Inside the CRC (E10), so the batch is copied and hashed anew.
    pub fn set_log_append_time(&mut self, ms: i64) {
        self.restamp(TimestampType::LogAppendTime, ms);
    }

    /// Corrects the max timestamp, for producers that set it wrongly. Copies and hashes the batch (E10).
    pub fn set_max_timestamp(&mut self, ms: i64) {
        self.restamp(self.header.attributes.timestamp_type(), ms);
    }

    fn restamp(&mut self, kind: TimestampType, max_timestamp: i64) {
        let mut rest = BytesMut::from(&self.rest[..]);
        let attributes = self.header.attributes.with_timestamp_type(kind);
        rest[REST_ATTRIBUTES_AT..][..2].copy_from_slice(&attributes.0.to_be_bytes());
        rest[REST_MAX_TIMESTAMP_AT..][..8].copy_from_slice(&max_timestamp.to_be_bytes());
        let crc = crc32c(&rest[REST_CRC_COVERS_FROM..]);
        rest[REST_CRC_AT..][..4].copy_from_slice(&crc.to_be_bytes());
        self.header = BatchHeader { attributes, max_timestamp, crc, ..self.header };
        self.rest = rest.freeze();
    }

    /// The first 16 bytes, as they go to disk and wire.
    pub fn prefix(&self) -> &[u8; BATCH_PREFIX_BYTES] {
        &self.prefix
    }

    /// Everything behind the prefix, shared with where the batch came from.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// The records as stored: encoded, and compressed if the attributes say so.
    pub fn records_bytes(&self) -> &[u8] {
        &self.rest[REST_RECORDS_AT..]
    }

    /// The whole batch in one piece. Copies; prefer `prefix` and `rest` as two buffers.
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.size_bytes());
        whole.extend_from_slice(&self.prefix);
        whole.extend_from_slice(&self.rest);
        whole.freeze()
    }

    /// Walks the records in order; nothing is allocated per record.
    ///
    /// Compressed batches are first inflated into `decompressor`, which holds the records as long as the
    /// iterator lives. The CRC is not checked here. The first error ends the iteration; a batch that cannot be
    /// inflated yields that error as its only item.
    pub fn records<'a>(&'a self, decompressor: &'a mut Decompressor, limits: RecordLimits) -> RecordIter<'a> {
        RecordIter::new(self, decompressor, limits)
    }
}
