//! The bytes that were sent: figures on compressible data mean nothing without them.

use serde::{Deserialize, Serialize};

/// Source, size and measured compressibility of the records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct PayloadSummary {
    /// Corpus name, file name or generator, for example `sample:quakes.jsonl`.
    pub source: String,
    /// Records sent.
    pub records: u64,
    /// Different records among them; the rest is repetition of the corpus.
    pub unique_records: u64,
    /// Payload bytes sent, with the stamp.
    pub bytes: u64,
    /// Bytes of the corpus before repetition, without stamps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_bytes: Option<u64>,
    /// Bytes of stamp in front of each record's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_bytes: Option<u32>,
    /// Hash of the corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus_sha256: Option<String>,
    /// Compressibility at the configured batch size.
    #[serde(default)]
    pub ratios: Vec<CodecRatio>,
    /// The corpus is smaller than 8 × the largest batch, so that codecs see the same bytes again.
    #[serde(default)]
    pub too_small: bool,
}

/// Raw bytes divided by compressed bytes of record batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct CodecRatio {
    /// `none`, `gzip:6`, `zstd:3`, …
    pub codec: String,
    /// Batch size it was measured at, in bytes before compression.
    pub batch_bytes: u64,
    /// With the stamp in each record: what this run sent.
    pub with_stamp: Option<f64>,
    /// Without the stamp: what a user's own records would give.
    pub without_stamp: Option<f64>,
}
