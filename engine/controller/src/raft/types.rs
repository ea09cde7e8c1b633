//! What openraft is told about us.

use std::io::Cursor;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::{Command, Outcome, Refusal};
use crate::image::NodeId;

/// A node's id as openraft wants it.
pub(crate) type RaftId = u64;

/// A member of the quorum, voter or learner: where its `CONTROLLER` listener is, and which disk it votes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `directory.id` of the directory with the metadata log. A node that comes back with another one has lost its log
    /// and its vote, and must take a new node id.
    pub directory_id: Uuid,
}

/// What applying an entry answers; `None` for entries that are not commands.
pub(crate) type Answer = Option<Result<Outcome, Refusal>>;

openraft::declare_raft_types!(
    /// Commands in a log of entries, images in snapshots.
    pub(crate) TypeConfig:
        D = Command,
        R = Answer,
        NodeId = RaftId,
        Node = Member,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
);

pub(crate) type Raft = openraft::Raft<TypeConfig>;
pub(crate) type Entry = openraft::Entry<TypeConfig>;
pub(crate) type LogId = openraft::LogId<RaftId>;
pub(crate) type Vote = openraft::Vote<RaftId>;
pub(crate) type StorageError = openraft::StorageError<RaftId>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<RaftId, Member>;
pub(crate) type StoredMembership = openraft::StoredMembership<RaftId, Member>;

/// Openraft's name for a node.
pub(crate) fn raft_id(node_id: NodeId) -> RaftId {
    u64::from(node_id.unsigned_abs())
}

/// Our name for a node.
pub(crate) fn node_id(raft_id: RaftId) -> NodeId {
    NodeId::try_from(raft_id).unwrap_or(NodeId::MAX)
}
