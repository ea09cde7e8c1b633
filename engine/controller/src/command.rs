//! Every change of the metadata, as a closed set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::image::NodeId;

/// A change of the metadata. Serialised as JSON, one command a record, so that the log can be read with
/// any Kafka dump tool; a new field needs a default, a variant is never reused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// A broker starts: it gets a new broker epoch, and each partition it leads a new leader epoch, so
    /// that nothing written before the restart can be mistaken for what comes after.
    RegisterBroker {
        /// The broker.
        node_id: NodeId,
        /// Random per process start.
        incarnation: Uuid,
    },
    /// A topic comes to be.
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
    /// A block of producer ids is handed to a broker and never handed out again.
    AllocateProducerIds {
        /// Who asks.
        node_id: NodeId,
        /// How many.
        count: u32,
    },
}

/// What a committed command brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker's new epoch.
    Registered {
        /// Epoch, one higher than any before.
        broker_epoch: i64,
    },
    /// The topic exists now.
    Created,
    /// The topic is gone.
    Deleted {
        /// Its former name.
        name: String,
    },
    /// Ids `first..first + count` belong to the caller.
    ProducerIds {
        /// First id of the block.
        first: i64,
        /// Length of the block.
        count: u32,
    },
}

/// Why a command cannot be applied to the present state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is taken.
    #[error("topic `{0}` already exists")]
    TopicExists(String),
    /// The name breaks Kafka's rules.
    #[error("`{name}` is no topic name: {reason}")]
    InvalidTopicName {
        /// The name.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// No topic has this id.
    #[error("no topic has id {0}")]
    UnknownTopicId(Uuid),
    /// A topic needs at least one partition.
    #[error("a topic needs at least one partition")]
    NoPartitions,
    /// A partition needs distinct, registered replicas.
    #[error("partition {partition} names replicas {replicas:?}, which are not distinct registered brokers")]
    InvalidReplicas {
        /// Index of the partition.
        partition: usize,
        /// What was asked for.
        replicas: Vec<NodeId>,
    },
    /// The caller is not registered.
    #[error("broker {0} is not registered")]
    UnknownBroker(NodeId),
    /// A block must hold at least one id and leave the id space whole.
    #[error("{0} producer ids cannot be handed out")]
    ProducerIdsExhausted(u32),
}
