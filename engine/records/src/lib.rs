//! Kafka record batches, version 2: what the log stores and the wire carries, byte for byte.
//!
//! A [`Batch`] is opaque: a 16-byte prefix that a leader may rewrite (base offset, leader epoch) and a
//! shared `rest` that nobody touches, because the CRC-32C covers it. [`BatchHeader`] is the parsed view of
//! both. [`Batch::records`] walks the records without allocating per record; compressed ones are first
//! inflated by a reused [`Decompressor`] that never exceeds its cap. [`BatchBuilder`] makes batches with a
//! reused [`Compressor`]; [`validate_batch`] is what a leader asks of a client's batch (rules E9–E12).
//! [`marker`] holds the control batches that end transactions.
//!
//! Bytes from outside never panic here and never make memory be taken before their lengths are checked.
//!
//! This crate must not know I/O, tokio, or Kafka's requests and responses.

mod attributes;
mod batch;
mod builder;
mod codec;
mod compress;
mod crc;
mod header;
pub mod marker;
mod rebuild;
mod recompress;
mod record;
mod records;
mod validate;
mod varint;
mod walk;

pub use attributes::{Attributes, TimestampType};
pub use batch::{Batch, BatchError};
pub use builder::{BatchBuilder, BuildError, ProducerStamp};
pub use codec::{Codec, CodecId, ParseCodecError};
pub use compress::{CompressError, Compressor, DecompressError, Decompressor, inflate_cap};
pub use crc::crc32c;
pub use header::{BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, BatchHeader, HeaderError, sequence_add};
pub use rebuild::{rebuild, shell};
pub use recompress::{RecompressError, recompress};
pub use record::{Header, Headers, Record, RecordFormatError};
pub use records::{RecordError, RecordIter, RecordLimits};
pub use validate::{
    FaultReason, RecordFault, Rejection, ShapeFault, Validated, ValidationRules, validate_batch,
};
pub use varint::{
    VarintError, read_varint, read_varlong, varint_len, varlong_len, write_varint, write_varlong,
};

/// A producer id that means "none".
pub const NO_PRODUCER_ID: i64 = -1;
/// A producer epoch that means "none".
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// A sequence number that means "none".
pub const NO_SEQUENCE: i32 = -1;
/// A timestamp that means "none".
pub const NO_TIMESTAMP: i64 = -1;
/// A leader epoch that means "not known".
pub const NO_LEADER_EPOCH: i32 = -1;
/// The only record format this crate reads and writes.
pub const MAGIC_V2: i8 = 2;
