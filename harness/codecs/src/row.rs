//! What is reported for each codec.

use serde::{Deserialize, Serialize};

/// One codec on one set of records at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodecRow {
    /// `none`, `gzip:6`, `snappy`, `lz4`, `zstd:3`, …
    pub codec: String,
    /// Size up to which batches were filled, before compression.
    pub batch_bytes: u64,
    /// The records as they are.
    pub plain: Side,
    /// The same with the measuring stamp in front of each value, when the caller gave them.
    pub stamped: Option<Side>,
}

/// Sizes and speeds for one form of the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Sizes, exact.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Speeds; none for the codec `none`, which does nothing, and when the plan asks for sizes only.
    #[serde(flatten)]
    pub speed: Option<Speed>,
}

/// What batches come to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sizes {
    /// Number of records.
    pub records: u64,
    /// Number of batches.
    pub batches: u64,
    /// Bytes of keys and values alone.
    pub payload_bytes: u64,
    /// Bytes of the batches without compression, headers included.
    pub uncompressed_bytes: u64,
    /// Bytes of the batches as sent and stored, headers included.
    pub stored_bytes: u64,
    /// `uncompressed_bytes / stored_bytes`.
    pub ratio: f64,
}

/// Speed of the codec alone: building and reading records is the same for all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Passes over all batches that were timed.
    pub rounds: u64,
    /// Uncompressed MB (10^6 bytes) per second of wall time, median of the rounds.
    pub compress_mb_per_s: f64,
    /// The same for decompression.
    pub decompress_mb_per_s: f64,
    /// CPU time per record to compress, median of the rounds.
    pub compress_cpu_ns_per_record: f64,
    /// CPU time per record to decompress, median of the rounds.
    pub decompress_cpu_ns_per_record: f64,
}

impl CodecRow {
    /// Bytes that the stamp adds to each stored record with this codec.
    pub fn stamp_stored_bytes_per_record(&self) -> Option<f64> {
        let stamped = self.stamped.as_ref()?.sizes;
        let more = stamped.stored_bytes as f64 / stamped.records as f64;
        Some(more - self.plain.sizes.stored_bytes as f64 / self.plain.sizes.records as f64)
    }
}
