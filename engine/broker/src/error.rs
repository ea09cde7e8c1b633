//! Why a broker cannot start or go on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_controller::{ControlError, Lost};
use plimsoll_io::{FaultKind, IoFault, IoOp, Unavailable};
use plimsoll_log::{LogError, SideError};

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
    /// The directory belongs to another cluster.
    #[error(
        "{} belongs to cluster {found}, but the first log directory to {expected}; take it out of `log.dirs`, or give it an empty one",
        path.display()
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster it was formatted for.
        found: String,
        /// The first directory's.
        expected: String,
    },
    /// The first directory belongs to another cluster than the configuration.
    #[error(
        "{} belongs to cluster {found}, but this node is configured as `plimsoll.cluster.id={configured}`; use its own directory or id",
        path.display()
    )]
    OtherClusterId {
        /// The directory.
        path: PathBuf,
        /// The cluster it was formatted for.
        found: String,
        /// The one that is configured.
        configured: String,
    },
    /// An empty directory is to belong to a cluster of several nodes, and nobody says which.
    #[error(
        "{} is empty, and a node that joins others cannot make up a cluster: set `plimsoll.cluster.id` to the same on all of them",
        path.display()
    )]
    NoClusterId {
        /// The directory.
        path: PathBuf,
    },
    /// Two log directories hold the same partition, and nobody can tell which is the right one.
    #[error(
        "partition {partition} lies in {} and in {}; move the wrong one away",
        one.display(), other.display()
    )]
    FoundTwice {
        /// `topic-index`.
        partition: String,
        /// One directory.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A partition is nowhere, and a log directory is empty.
    #[error(
        "partition {partition} is in no log directory, and {} is empty: if that is the mount point of a disk, mount it; if the directory is new, leave it out of `log.dirs` until the partition is found or its topic deleted",
        path.display()
    )]
    Unmounted {
        /// `topic-index`.
        partition: String,
        /// The empty directory.
        path: PathBuf,
    },
    /// The disk of the first log directory failed, which also holds the metadata log.
    #[error("the first log directory {} failed, without which nothing can go on: {fault}", path.display())]
    FirstDirectoryFailed {
        /// The directory.
        path: PathBuf,
        /// The first fault.
        fault: Arc<IoFault>,
    },
    /// The metadata log.
    #[error(transparent)]
    Controller(#[from] ControlError),
    /// This node cannot take part in the quorum any more.
    #[error("the metadata log in the first log directory {} failed, without which nothing can go on: {reason}", path.display())]
    QuorumFailed {
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The registration was taken from this broker, or never given.
    #[error("the cluster does not take this node as broker {node_id}: {reason}")]
    NotRegistered {
        /// This node.
        node_id: i32,
        /// Why.
        reason: Lost,
    },
    /// A partition's log.
    #[error("partition {partition} cannot be opened or closed: {source}")]
    Partition {
        /// `topic-index`.
        partition: String,
        /// Why.
        source: PartitionError,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; stop the program that uses it, or set `{key}` to another port (0 takes any free one)"
    )]
    Listen {
        /// The address.
        address: String,
        /// The key that names it.
        key: &'static str,
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

impl BrokerError {
    /// The failed file operation behind it, if that is what it is.
    pub(crate) fn fault(&self) -> Option<&IoFault> {
        match self {
            Self::Fault(fault)
            | Self::Side(SideError::File(fault))
            | Self::Partition {
                source: PartitionError::Log(LogError::Fault(fault) | LogError::Side(SideError::File(fault))),
                ..
            } => Some(fault),
            Self::Partition { source: PartitionError::Log(LogError::Poisoned(fault)), .. } => Some(fault),
            _ => None,
        }
    }

    /// Whether a disk refused, rather than that something is in use, damaged, or somebody else's.
    pub(crate) fn is_io(&self) -> bool {
        match self.fault() {
            Some(fault) => fault.kind != FaultKind::Busy,
            None => matches!(self, Self::LogDir { .. }),
        }
    }

    /// The failed file operation, or one that stands for it, at `path`.
    pub(crate) fn to_fault(&self, path: &Path) -> IoFault {
        let other = || IoFault::with_kind(IoOp::Open, path, 0, FaultKind::Other, self.to_string());
        self.fault().cloned().unwrap_or_else(other)
    }
}
