//! Why a broker cannot start or go on.

use std::io;
use std::path::PathBuf;

use plimsoll_controller::ControlError;
use plimsoll_io::{IoFault, Unavailable};
use plimsoll_log::SideError;

use crate::config::ConfigError;
use crate::partition::PartitionError;

/// A failure of the broker as a process. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The backend does not work here.
    #[error("the storage backend cannot run here: {0}")]
    Storage(#[from] Unavailable),
    /// The log directory cannot be made or read.
    #[error("the log directory {}: {source}", path.display())]
    LogDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the log directory, or its lock.
    #[error("the log directory cannot be used: {0}")]
    Fault(#[from] IoFault),
    /// A side file of the log directory.
    #[error("the log directory cannot be read: {0}")]
    Side(#[from] SideError),
    /// The directory belongs to another node.
    #[error(
        "{} belongs to node {found}, but this node is configured as `node.id={configured}`; use its own directory or id",
        path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// The node it was formatted for.
        found: i32,
        /// The node that wants it.
        configured: i32,
    },
    /// The metadata log.
    #[error(transparent)]
    Controller(#[from] ControlError),
    /// A partition's log.
    #[error("partition {partition} cannot be opened: {source}")]
    Partition {
        /// `topic-index`.
        partition: String,
        /// Why.
        source: PartitionError,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; stop the program that uses it, or set `listeners` to another port (0 takes any free one)"
    )]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A thread or runtime could not be started, or died.
    #[error("{what}: {source}")]
    Runtime {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}
