//! What a committed command brought about.

use serde::{Deserialize, Serialize};

use super::{PartitionId, Refusal};
use crate::image::NodeId;

/// What a committed command brought about. What else it changed is seen by comparing images: [`crate::Changes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The broker's new epoch.
    Registered {
        /// Epoch, one higher than any before.
        broker_epoch: i64,
    },
    /// The broker is fenced, unfenced, shutting down or gone.
    BrokerChanged,
    /// The topic exists now.
    Created,
    /// The topic is gone.
    Deleted {
        /// Its former name.
        name: String,
    },
    /// The topic has this many partitions now.
    Extended {
        /// How many.
        partitions: usize,
    },
    /// For each partition named, in this order, its state now or why it stayed.
    Partitions(Vec<(PartitionId, Result<PartitionState, Refusal>)>),
    /// The configuration is changed.
    Configured,
    /// Ids `first..first + count` belong to the caller.
    ProducerIds {
        /// First id of the block.
        first: i64,
        /// Length of the block.
        count: u32,
    },
}

/// What a leader must know of its partition after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionState {
    /// The leader, or -1.
    pub leader: NodeId,
    /// Its epoch.
    pub leader_epoch: i32,
    /// Replicas in sync.
    pub isr: Vec<NodeId>,
    /// Rises with every change of the partition.
    pub partition_epoch: i32,
}
