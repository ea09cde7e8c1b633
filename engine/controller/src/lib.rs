//! The cluster's metadata: which topics, partitions, brokers and producer ids exist, and who decides that.
//!
//! Read in this order. [`Command`]s go in, a new [`Image`] comes out: [`Image::apply`] (`image`) is pure and decides
//! everything, so it is tested with plain function calls; each change of a partition ends in its `election`.
//! [`placement`] says where new replicas go, [`Changes`] what differs between two images. A [`Controller`] makes commands
//! durable before it acts on them; [`RaftController`] (`quorum`) does so by a majority of voters, of which a single node is
//! the smallest: `raft` is openraft over the project's own segment log, `__cluster_metadata-0`, with entries and vote
//! synced before each answer; `net` is what nodes say to each other on the listener `CONTROLLER`; `lead` is what the active
//! controller alone does, with its decisions pure and its loop dull. [`BrokerSession`] keeps a process's broker registered
//! there.
//!
//! Only committed state is acted on. Signs of life are soft: a new controller begins with none and gives everyone time.
//! Without a majority nothing changes, proposals fail within a bounded time, and the image stays readable.
//!
//! This crate must not know partitions' data, or how brokers use what is here.

mod command;
mod damage;
mod image;
mod lead;
mod net;
pub mod placement;
mod quorum;
mod raft;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

pub use command::{
    Command, ConfigResource, IsrChange, Outcome, PartitionId, PartitionState, Reassignment, Refusal,
};
pub use image::{
    BrokerRecord, BrokerState, Changes, Endpoint, Image, NO_LEADER, NodeId, PartitionRecord, TopicRecord,
};
pub use net::frame::{FrameError, reread_frame};
pub use net::hello::Stranger;
pub use net::message::{Heartbeat, HeartbeatAnswer};
use plimsoll_io::IoFault;
use plimsoll_log::{AppendError, LogError, WaitError};
pub use quorum::{
    BrokerSession, BrokerStatus, Lost, QuorumConfig, QuorumStatus, RaftController, Registration, Role,
};
pub use raft::types::Member;
pub use raft::{METADATA_LOG, reread_log};

/// Proposes metadata changes and shows the committed state.
pub trait Controller: Send + Sync + 'static {
    /// The committed metadata. Cheap; never blocks.
    fn image(&self) -> Arc<Image>;

    /// Checks `command` against the committed state, makes it durable, applies it.
    ///
    /// Returns once the change is committed and visible in [`Controller::image`].
    /// Cancel safety: a dropped proposal may or may not take effect.
    fn propose(&self, command: Command) -> impl Future<Output = Result<Outcome, ControlError>>;
}

/// Why a proposal or the opening of the metadata log failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The command contradicts the committed state; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The metadata log cannot be opened.
    #[error("the metadata log cannot be opened: {0}")]
    Open(#[from] LogError),
    /// The metadata log refused the record.
    #[error("the metadata log refused a command: {0}")]
    Append(#[from] AppendError),
    /// The command is in the log but could not be made durable.
    #[error("a metadata command could not be made durable: {0}")]
    Durable(#[from] WaitError),
    /// The command cannot be written as a record, for instance because it is too large.
    #[error("the command cannot be written as a record: {0}")]
    Unwritable(String),
    /// The metadata log holds something that is no command, or lost commands that were answered.
    #[error(
        "the metadata log holds no valid command at offset {offset}: {reason}; restore the log directory from a backup"
    )]
    Corrupt {
        /// Offset of the record.
        offset: i64,
        /// What is wrong there; names the file and byte if the log is damaged. Nothing was changed then.
        reason: String,
    },
    /// The metadata log was written before there was a quorum. Nothing was changed.
    #[error(
        "the metadata log holds a plain command at offset {offset}: it was written by a version without a controller quorum, which this one cannot read; go on with that version, or start with empty log directories"
    )]
    WithoutQuorum {
        /// Offset of the record.
        offset: i64,
    },
    /// A small file beside the log cannot be read or written.
    #[error(transparent)]
    Side(IoFault),
    /// A small file beside the log, or a snapshot, is not what was written.
    #[error("{} is damaged: {reason}; restore the log directory from a backup, or let the node join under a new id", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The quorum does not know this node as who it says it is.
    #[error(transparent)]
    Stranger(#[from] Stranger),
    /// No controller answered for a majority in time. The change may still take effect.
    #[error("no controller could be reached or answer for a majority within {waited_ms} ms: {reason}")]
    Unavailable {
        /// How long was waited.
        waited_ms: u128,
        /// What the last try met.
        reason: String,
    },
    /// A change of the quorum was refused, or this node's settings for it.
    #[error("the quorum does not take that: {0}")]
    Quorum(String),
    /// The metadata log is closed, or what serves it ended.
    #[error("the metadata log is not served: {0}")]
    Stopped(String),
}
