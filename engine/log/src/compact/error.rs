//! Why a cleaning ended without effect.

use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_io::{FaultKind, IoFault};
use plimsoll_records::marker::ControlError;
use plimsoll_records::{BatchError, BuildError, RecordError};

use crate::error::ReadError;

/// A cleaning ended early. Groups of segments that were replaced before stay so; of the one at hand the log is as it was,
/// and the checkpoint must not move.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CompactError {
    /// Segments are written anew when they retire, and recovery then takes a gap between offsets for the end.
    #[error("a log whose preallocation is `recycle` cannot be compacted: use fallocate or zero-fill")]
    Recycling,
    /// Another cleaning of the same log is under way.
    #[error("the log is being cleaned already")]
    Busy,
    /// The log was truncated, or lost segments to retention. Clean again later.
    #[error("segments changed during the cleaning: it was given up")]
    Interrupted,
    /// The log was closed or deleted.
    #[error("the log was closed")]
    Closed,
    /// The device failed; the log is offline for good.
    #[error("the log is offline after a device fault: {0}")]
    Poisoned(Arc<IoFault>),
    /// A file operation failed, on the new files or on those read.
    #[error(transparent)]
    Fault(#[from] IoFault),
    /// A stored batch cannot be cleaned. It will not get better: the log must be left out from then on.
    #[error("{} at byte {at_bytes} cannot be cleaned: {problem}", path.display())]
    Uncleanable {
        /// The segment file.
        path: PathBuf,
        /// Where the batch starts.
        at_bytes: u64,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong with a batch.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// There is no batch.
    #[error("no valid batch: {0}")]
    NotABatch(String),
    /// It is damaged.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its records are damaged, or inflate beyond the cap.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// Its marker is damaged.
    #[error(transparent)]
    Marker(#[from] ControlError),
    /// A record lies outside its batch.
    #[error("the record at offset {offset} lies outside its batch, {first} to {last}")]
    Offset {
        /// The record's offset.
        offset: i64,
        /// The batch's base offset.
        first: i64,
        /// The batch's last offset.
        last: i64,
    },
    /// A compacted topic cannot hold records without a key.
    #[error("the record at offset {offset} has no key")]
    NoKey {
        /// The record's offset.
        offset: i64,
    },
    /// It could not be encoded again.
    #[error(transparent)]
    Rebuild(#[from] BuildError),
}

impl From<ReadError> for CompactError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Fault(fault) if fault.kind == FaultKind::NotFound => Self::Interrupted,
            ReadError::Fault(fault) => Self::Fault(fault),
            ReadError::Corrupt { path, at_bytes, problem } => {
                Self::Uncleanable { path, at_bytes, problem: Problem::NotABatch(problem) }
            }
            ReadError::OutOfRange { .. } => Self::Interrupted,
        }
    }
}
