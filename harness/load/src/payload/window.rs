//! How much must lie between two uses of one record.

use serde::Serialize;

/// Batches that a corpus must fill before it starts over.
const BATCHES: u64 = 8;

/// The stretch of a stream in which no record may come twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Largest batch in bytes, before compression.
    pub largest_batch_bytes: u64,
    /// Batches that one producer fills side by side: the partitions its keys spread over, 1 without keys.
    pub open_batches: u32,
}

impl Window {
    /// Bytes between two uses of a record: eight times the largest batch, more when more batches are open.
    pub fn need_bytes(self) -> u64 {
        self.largest_batch_bytes.saturating_mul(BATCHES.max(u64::from(self.open_batches)))
    }
}

/// Whether a pool of records is large enough for its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum CorpusVerdict {
    /// No record is repeated within the window.
    Fits,
    /// Records are repeated within the window, so ratios flatter: refuse, or mark the result.
    TooSmall {
        /// Bytes of records there are.
        have_bytes: u64,
        /// Bytes the window needs.
        need_bytes: u64,
    },
    /// A made-up pattern: a control, never a result.
    Control,
}
