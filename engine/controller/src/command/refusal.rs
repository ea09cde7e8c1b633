//! Why a command cannot be applied to the present state.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PartitionId;
use crate::image::NodeId;

/// Why a command cannot be applied to the present state. Each says which of Kafka's errors it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The name is taken. TOPIC_ALREADY_EXISTS.
    #[error("topic `{0}` already exists")]
    TopicExists(String),
    /// The name breaks Kafka's rules. INVALID_TOPIC_EXCEPTION.
    #[error("`{name}` is no topic name: {reason}")]
    InvalidTopicName {
        /// The name.
        name: String,
        /// Which rule it breaks.
        reason: Cow<'static, str>,
    },
    /// No topic has this id. UNKNOWN_TOPIC_ID.
    #[error("no topic has id {0}")]
    UnknownTopicId(Uuid),
    /// The topic has no such partition. UNKNOWN_TOPIC_OR_PARTITION.
    #[error("topic {} has no partition {}", .0.topic_id, .0.partition)]
    UnknownPartition(PartitionId),
    /// A topic needs at least one partition. INVALID_PARTITIONS.
    #[error("a topic needs at least one partition")]
    NoPartitions,
    /// Partitions can only be added, and to the number that the caller knew. INVALID_PARTITIONS.
    #[error("the topic has {existing} partitions, not {expected} to add to")]
    PartitionsChanged {
        /// How many there are.
        existing: usize,
        /// How many the caller knew.
        expected: usize,
    },
    /// A partition needs distinct, registered replicas, at least one of them in service. INVALID_REPLICA_ASSIGNMENT.
    #[error(
        "partition {partition} names replicas {replicas:?}, which are not distinct registered brokers with one in service"
    )]
    InvalidReplicas {
        /// Index of the partition.
        partition: usize,
        /// What was asked for.
        replicas: Vec<NodeId>,
    },
    /// All partitions of a topic have equally many replicas. INVALID_REPLICA_ASSIGNMENT.
    #[error("partition {partition} has another number of replicas than the others")]
    UnevenReplicas {
        /// Index of the partition.
        partition: usize,
    },
    /// More replicas than brokers in service, or none. INVALID_REPLICATION_FACTOR.
    #[error("replication factor {replication_factor} cannot be met: {live_brokers} brokers are in service")]
    InvalidReplicationFactor {
        /// What was asked for.
        replication_factor: i16,
        /// How many there are.
        live_brokers: usize,
    },
    /// No broker has this id. BROKER_ID_NOT_REGISTERED.
    #[error("broker {0} is not registered")]
    UnknownBroker(NodeId),
    /// No broker may have this id. INVALID_REQUEST.
    #[error("{0} is no node id")]
    InvalidNodeId(NodeId),
    /// The broker id is in use by another process. DUPLICATE_BROKER_REGISTRATION.
    #[error("broker {0} is registered by another process, which is alive")]
    DuplicateBroker(NodeId),
    /// The broker has registered anew since. STALE_BROKER_EPOCH.
    #[error("broker {node_id} has epoch {current}, not {given}")]
    StaleBrokerEpoch {
        /// The broker.
        node_id: NodeId,
        /// The caller's.
        given: i64,
        /// The registration's.
        current: i64,
    },
    /// Another leader was elected since. FENCED_LEADER_EPOCH.
    #[error("leader epoch {given} is over, {current} has begun")]
    FencedLeaderEpoch {
        /// The caller's.
        given: i32,
        /// The partition's.
        current: i32,
    },
    /// The caller has seen what this state has not: it is behind. NOT_CONTROLLER.
    #[error("the caller knows a later epoch of the partition than this controller")]
    ControllerBehind,
    /// The partition changed since the caller looked. INVALID_UPDATE_VERSION.
    #[error("partition epoch {given} is over, {current} has begun")]
    InvalidPartitionEpoch {
        /// The caller's.
        given: i32,
        /// The partition's.
        current: i32,
    },
    /// Only the leader, with itself in it, names an ISR of distinct replicas. INVALID_REQUEST.
    #[error("{0:?} is no ISR of this partition by its leader")]
    InvalidIsr(Vec<NodeId>),
    /// These are fenced, shutting down, or have restarted since they fetched. INELIGIBLE_REPLICA.
    #[error("brokers {0:?} may not be in an ISR now")]
    IneligibleReplicas(Vec<NodeId>),
    /// The completion of a reassignment took the caller's leadership. NEW_LEADER_ELECTED.
    #[error("the partition is reassigned and led by {0} now")]
    NewLeaderElected(NodeId),
    /// The preferred leader leads. ELECTION_NOT_NEEDED.
    #[error("the preferred leader leads already")]
    ElectionNotNeeded,
    /// The preferred leader is fenced or not in sync. PREFERRED_LEADER_NOT_AVAILABLE.
    #[error("the preferred leader {0} is not in service or not in sync")]
    PreferredLeaderNotAvailable(NodeId),
    /// There is nothing to cancel. NO_REASSIGNMENT_IN_PROGRESS.
    #[error("no reassignment is in progress")]
    NoReassignment,
    /// None of the replicas that would stay is in sync. INVALID_REPLICA_ASSIGNMENT.
    #[error("none of the replicas {0:?} that would remain is in sync")]
    NoReplicaInSync(Vec<NodeId>),
    /// A block must hold at least one id and leave the id space whole.
    #[error("{0} producer ids cannot be handed out")]
    ProducerIdsExhausted(u32),
}
