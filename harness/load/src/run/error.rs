//! Why there is no outcome at all. A run that began has one, with its failure inside.

use plimsoll_client::{ClientError, ErrorCode};

use crate::consumer::ReadError;
use crate::corpus::CorpusError;
use crate::producer::ProduceError;

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The values or keys could not be made.
    #[error(transparent)]
    Data(#[from] CorpusError),
    /// The target could not be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A topic could not be created.
    #[error("cannot create topic {topic}: {error}{}", message.as_ref().map_or_else(String::new, |m| format!(" ({m})")))]
    Topic {
        /// The topic.
        topic: String,
        /// The code.
        error: ErrorCode,
        /// The broker's words.
        message: Option<String>,
    },
    /// A producer could not connect.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// A consumer could not connect, or offsets could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A thread or runtime could not be made.
    #[error("cannot start {what}: {source}")]
    Machine {
        /// What was to be started.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread of ours panicked: a defect.
    #[error("{0} panicked; this is a defect of the load generator")]
    Panicked(String),
    /// Stopped before the load began.
    #[error("cancelled before the load began")]
    Cancelled,
}
