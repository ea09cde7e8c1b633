//! What can go wrong on the way to a broker and back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_wire::{ApiKey, ErrorCode, WireError};

/// A call that failed. Every message names the address and the request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The name has no address.
    #[error("cannot resolve {address}: {source}; give host:port of a broker")]
    Resolve {
        /// As given.
        address: String,
        /// The resolver's word.
        source: Arc<io::Error>,
    },
    /// No address of the name accepted a connection.
    #[error("cannot connect to {address}: {source}; is a broker listening there?")]
    Connect {
        /// As given.
        address: String,
        /// The last address's error.
        source: Arc<io::Error>,
    },
    /// Nobody answered the connection attempt.
    #[error("no connection to {address} within {after:?}")]
    ConnectTimeout {
        /// As given.
        address: String,
        /// The limit.
        after: Duration,
    },
    /// The connection ended before the answer.
    #[error("connection to {address} lost, {request} unanswered: {loss}")]
    Lost {
        /// The peer.
        address: Arc<str>,
        /// The request that got no answer. It may or may not have been carried out.
        request: ApiKey,
        /// How it ended.
        loss: Loss,
    },
    /// No answer in time. It may still have been carried out; the connection stays usable.
    #[error("no answer from {address} to {request} within {after:?}")]
    Timeout {
        /// The peer.
        address: Arc<str>,
        /// The request.
        request: ApiKey,
        /// The limit.
        after: Duration,
    },
    /// The broker answered with an error.
    #[error("{address} answered {request} for {subject} with {error}{}", with_message(.message))]
    Broker {
        /// The peer.
        address: Arc<str>,
        /// The request.
        request: ApiKey,
        /// What it was about, such as a topic and partition.
        subject: String,
        /// The code.
        error: ErrorCode,
        /// The broker's words, if any.
        message: Option<String>,
    },
    /// No version of the request that both sides speak.
    #[error(
        "{address} does not speak {request} in a version we do (ours {ours_min}-{ours_max}, theirs {})",
        range(.theirs)
    )]
    NoCommonVersion {
        /// The peer.
        address: Arc<str>,
        /// The request.
        request: ApiKey,
        /// Our lowest version.
        ours_min: i16,
        /// Our highest version for this call.
        ours_max: i16,
        /// The peer's range, `None` if it does not name the key.
        theirs: Option<(i16, i16)>,
    },
    /// A message that cannot be written or read.
    #[error("{address}: {source}")]
    Wire {
        /// The peer.
        address: Arc<str>,
        /// What is wrong with it.
        source: WireError,
    },
    /// An answer that lacks what was asked for.
    #[error("the answer of {address} to {request} says nothing about {subject}")]
    Incomplete {
        /// The peer.
        address: Arc<str>,
        /// The request.
        request: ApiKey,
        /// What is missing.
        subject: String,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Loss {
    /// The peer closed it.
    #[error("closed by the peer")]
    ClosedByPeer,
    /// We closed it.
    #[error("closed on this side")]
    ClosedHere,
    /// The socket failed.
    #[error("{0}")]
    Io(Arc<io::Error>),
    /// An answer that is no frame, or larger than allowed.
    #[error("{0}")]
    Frame(WireError),
    /// An answer to something else than the oldest request: order is broken.
    #[error("expected the answer with correlation id {expected}, got {got:?}")]
    OutOfStep {
        /// Of the oldest request in flight.
        expected: i32,
        /// Of the answer; `None` if it is too short to have one.
        got: Option<i32>,
    },
    /// An answer although nothing was asked.
    #[error("an answer came although no request was in flight")]
    Unsolicited,
}

impl From<io::Error> for Loss {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl ClientError {
    /// The broker's error code, if that is what failed.
    pub fn broker_error(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { error, .. } => Some(*error),
            _ => None,
        }
    }

    /// Whether the connection is gone, so that only a new one can help.
    pub fn is_connection_lost(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Resolve { .. }
        )
    }
}

fn with_message(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

fn range(range: &Option<(i16, i16)>) -> String {
    range.map_or_else(|| "none".to_owned(), |(min, max)| format!("{min}-{max}"))
}
