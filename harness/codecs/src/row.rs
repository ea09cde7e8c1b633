//! What is reported for each codec.

use serde::{Deserialize, Serialize};

use crate::Sizes;

/// One codec on one set of records at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What the records are called.
    pub corpus: String,
    /// `none`, `gzip:6`, `snappy`, `lz4`, `zstd:3`, …
    pub codec: String,
    /// How far batches were filled, in words: `1 record`, `16 KiB`.
    pub batch: String,
    /// The same in bytes before compression; for batches of one record, what such a batch has on average.
    pub batch_bytes: u64,
    /// Records in a batch, on average.
    pub batch_records: f64,
    /// The records fill eight batches of this size. If not, the figures are those of fewer or smaller batches.
    pub batches_suffice: bool,
    /// Every record came back as it was, checked before anything was timed. Without this there is no row.
    pub round_trip_ok: bool,
    /// Sizes, exact.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// Speeds.
    #[serde(flatten)]
    pub speed: Speed,
    /// No codec compresses both better and faster.
    pub compress_front: bool,
    /// No codec has a better ratio and also decompresses faster.
    pub decompress_front: bool,
}

/// Speed of the codec alone: building and reading records is the same for all.
///
/// MB are 10^6 uncompressed bytes, per second of wall time on one thread. Low and high are quartiles: half of the
/// rounds lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Timed passes over all batches.
    pub rounds: u64,
    /// Compression, median of the rounds. The codec `none` copies.
    pub compress_mb_per_s: f64,
    /// First quartile.
    pub compress_low_mb_per_s: f64,
    /// Third quartile.
    pub compress_high_mb_per_s: f64,
    /// Decompression, median of the rounds.
    pub decompress_mb_per_s: f64,
    /// First quartile.
    pub decompress_low_mb_per_s: f64,
    /// Third quartile.
    pub decompress_high_mb_per_s: f64,
    /// CPU time per record to compress, median of the rounds.
    pub compress_cpu_ns_per_record: f64,
    /// CPU time per record to decompress, median of the rounds.
    pub decompress_cpu_ns_per_record: f64,
    /// Both together: what a record costs that is compressed once and read once.
    pub cpu_ns_per_record: f64,
}
