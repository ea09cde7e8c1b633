//! Why a bench could not go on.

use std::io;

use plimsoll_io::Unavailable;
use plimsoll_log::records::BuildError;
use plimsoll_log::{AppendError, LogError, ReadError, WaitError};
use thiserror::Error;

/// A bench that could not go on.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The backend does not run here.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The engine refused a batch.
    #[error("the engine refused a batch: {0}")]
    Append(#[from] AppendError),
    /// A batch was not written or not made durable.
    #[error("the engine did not finish a batch: {0}")]
    Wait(#[from] WaitError),
    /// A log could not be opened or closed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log could not be read back.
    #[error("a log could not be read back: {0}")]
    Read(#[from] ReadError),
    /// Batches could not be built.
    #[error("batches could not be built: {0}")]
    Build(#[from] BuildError),
    /// [`Sabotage::FailAfter`](super::Sabotage::FailAfter).
    #[error("it was made to fail")]
    Sabotage,
    /// A trial's thread panicked, which stderr says more about.
    #[error("a trial panicked: that is a defect of this program")]
    Panicked,
    /// The file system refused the bench itself or its floor.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Cause.
        source: io::Error,
    },
}

impl From<io::Error> for BenchError {
    fn from(source: io::Error) -> BenchError {
        BenchError::Io { what: "reading or writing failed", source }
    }
}

/// Adds what was tried.
pub(crate) fn io_error(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::Io { what, source }
}
