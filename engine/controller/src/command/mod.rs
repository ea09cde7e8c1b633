//! Every change of the metadata, as a closed set: what may be asked for, what came of it, why not.

mod outcome;
mod refusal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::image::{Endpoint, NodeId};

pub use outcome::{Outcome, PartitionState};
pub use refusal::Refusal;

/// A change of the metadata. Serialised as JSON, one command a record, so that the log can be read with
/// any Kafka dump tool; a new field needs a default, a variant is never reused.
///
/// A command that was retried after its answer got lost does no harm: it is guarded by an epoch, an incarnation or an
/// id, or, as [`Command::AllocateProducerIds`], wastes what nobody misses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// A broker starts: it gets a new broker epoch and is fenced until [`Command::UnfenceBroker`]. What it led is led by
    /// others, and it leaves every ISR that has another member: it may have lost its tail.
    RegisterBroker {
        /// The broker.
        node_id: NodeId,
        /// Random per process start. The same one again is a retry and changes nothing.
        incarnation: Uuid,
        /// Where it listens.
        #[serde(default)]
        endpoints: Vec<Endpoint>,
        /// `broker.rack`.
        #[serde(default)]
        rack: Option<String>,
        /// Ids of its log directories (KIP-858).
        #[serde(default)]
        log_dirs: Vec<Uuid>,
        /// The broker epoch in its clean-shutdown marker, if it found one.
        #[serde(default)]
        clean_shutdown_epoch: Option<i64>,
    },
    /// A broker is fit to lead: it has caught up with the metadata and heartbeats.
    UnfenceBroker {
        /// The broker.
        node_id: NodeId,
        /// Of the registration that is meant.
        broker_epoch: i64,
    },
    /// A broker is gone, or says so: it leads nothing any more and leaves every ISR that has another member.
    FenceBroker {
        /// The broker.
        node_id: NodeId,
        /// Of the registration that is meant.
        broker_epoch: i64,
    },
    /// A broker wants to stop: as fencing, but it goes on following until its leaderships have moved.
    BeginControlledShutdown {
        /// The broker.
        node_id: NodeId,
        /// Of the registration that is meant.
        broker_epoch: i64,
    },
    /// A broker leaves the cluster for good. Its replicas stay assigned until they are reassigned.
    UnregisterBroker {
        /// The broker.
        node_id: NodeId,
    },
    /// A topic comes to be. With the name and id of one that is there already it is a retry and changes nothing.
    CreateTopic {
        /// Name, already checked by [`crate::Image::check_topic_name`].
        name: String,
        /// Id, unique for ever.
        topic_id: Uuid,
        /// Replicas of each partition, the preferred leader first.
        assignment: Vec<Vec<NodeId>>,
        /// Topic-level configuration, only what differs from the defaults.
        configs: BTreeMap<String, String>,
    },
    /// A topic and its data go.
    DeleteTopic {
        /// Its id.
        topic_id: Uuid,
    },
    /// A topic gets more partitions. It never gets fewer.
    AddPartitions {
        /// The topic.
        topic_id: Uuid,
        /// How many partitions it has now, so that a retry adds nothing.
        existing: usize,
        /// Replicas of each new partition.
        assignment: Vec<Vec<NodeId>>,
    },
    /// A leader changes the ISRs of its partitions (Kafka's AlterPartition). What is granted raises the partition epoch also
    /// where the ISR is what it was, so that every earlier proposal is void.
    AlterPartition {
        /// The leader.
        node_id: NodeId,
        /// Its broker epoch.
        broker_epoch: i64,
        /// One a partition.
        changes: Vec<IsrChange>,
    },
    /// A broker's disk failed under these replicas: they lead nothing and leave every ISR that has another member, until the
    /// broker registers again.
    TakeReplicasOffline {
        /// The broker.
        node_id: NodeId,
        /// Its broker epoch.
        broker_epoch: i64,
        /// Whose replicas.
        partitions: Vec<PartitionId>,
    },
    /// The preferred leaders of these partitions take over where they can.
    ElectPreferredLeaders {
        /// Which.
        partitions: Vec<PartitionId>,
    },
    /// Partitions move to other brokers, or stop moving.
    AlterReassignments {
        /// One a partition.
        changes: Vec<Reassignment>,
    },
    /// Configuration entries are set or removed.
    AlterConfigs {
        /// Whose.
        resource: ConfigResource,
        /// The new value of each entry; `None` removes it.
        changes: BTreeMap<String, Option<String>>,
    },
    /// A block of producer ids is handed to a broker and never handed out again.
    AllocateProducerIds {
        /// Who asks.
        node_id: NodeId,
        /// How many.
        count: u32,
    },
}

/// A partition of a topic, also of one that had its name before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionId {
    /// The topic.
    pub topic_id: Uuid,
    /// Index of the partition.
    pub partition: i32,
}

/// The ISR that a leader wants for one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IsrChange {
    /// The partition.
    pub partition: PartitionId,
    /// The leader epoch the leader leads in.
    pub leader_epoch: i32,
    /// The partition epoch it knows.
    pub partition_epoch: i32,
    /// The new ISR with it in, each with its broker epoch as its last fetch told it; -1 is not checked (KIP-903).
    pub new_isr: Vec<(NodeId, i64)>,
}

/// Where one partition is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reassignment {
    /// The partition.
    pub partition: PartitionId,
    /// Its new replicas, the preferred leader first; `None` cancels the reassignment under way.
    pub replicas: Option<Vec<NodeId>>,
}

/// Whose configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigResource {
    /// A topic's.
    Topic(Uuid),
    /// One broker's.
    Broker(NodeId),
    /// Every broker's that has no entry of its own.
    BrokerDefault,
}
