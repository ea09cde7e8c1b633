//! What the image consists of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A node's id, as `node.id` configures it; never negative.
pub type NodeId = i32;

/// Stands for "none" where a leader is named.
pub const NO_LEADER: NodeId = -1;

/// One of a broker's listeners, as it advertises it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The listener's name.
    pub listener: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What a registered broker may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokerState {
    /// It is gone or not ready: it leads nothing and joins no ISR.
    Fenced,
    /// It may lead and follow.
    Active,
    /// It wants to stop: it may follow, but leads nothing and joins no ISR.
    ControlledShutdown,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerRecord {
    /// Rises with each registration, over the whole cluster.
    pub broker_epoch: i64,
    /// Random per process start.
    pub incarnation: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub log_dirs: Vec<Uuid>,
    /// What it may do.
    pub state: BrokerState,
    /// It brought the marker of a clean stop of its registration before this one. Shown to operators; it decides nothing,
    /// because every registration begins outside all ISRs that have another member.
    pub stopped_cleanly: bool,
}

/// One partition.
///
/// Invariants: replicas are distinct and never none; the ISR is a part of them and never none; the leader is in the ISR
/// and active and not offline, or [`NO_LEADER`]; `adding` and `removing` are disjoint parts of the replicas, `offline` is
/// another; epochs never fall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionRecord {
    /// Assigned replicas, the preferred leader first; during a reassignment the old ones too, at the end.
    pub replicas: Vec<NodeId>,
    /// Replicas that a reassignment brings in.
    pub adding: Vec<NodeId>,
    /// Replicas that a reassignment takes out.
    pub removing: Vec<NodeId>,
    /// Replicas in sync.
    pub isr: Vec<NodeId>,
    /// Replicas whose disk failed: they neither lead nor join the ISR before their broker registers again.
    #[serde(default)]
    pub offline: Vec<NodeId>,
    /// The leader, or [`NO_LEADER`].
    pub leader: NodeId,
    /// Rises at every election, also when nobody could be elected, and when replicas are taken away.
    pub leader_epoch: i32,
    /// Rises with every change of this record.
    pub partition_epoch: i32,
}

impl PartitionRecord {
    /// Whether replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replica that leads when all are well.
    pub fn preferred_leader(&self) -> NodeId {
        self.replicas.first().copied().unwrap_or(NO_LEADER)
    }
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicRecord {
    /// Its name.
    pub name: String,
    /// Its id, unique for ever.
    pub topic_id: Uuid,
    /// Its partitions, by index; shared with other images where they are the same.
    pub partitions: Vec<Arc<PartitionRecord>>,
    /// Topic-level configuration.
    pub configs: BTreeMap<String, String>,
}

impl TopicRecord {
    /// The partition of this index.
    pub fn partition(&self, index: i32) -> Option<&PartitionRecord> {
        usize::try_from(index).ok().and_then(|index| self.partitions.get(index)).map(|partition| &**partition)
    }
}
