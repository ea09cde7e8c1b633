//! Proposals of leaders, taken to the controller as a command.

use plimsoll_controller::{
    Command, ControlError, Controller, IsrChange, Outcome, PartitionId, PartitionState, Refusal,
};
use plimsoll_wire::ErrorCode;

use super::isr::AlterIsr;
use crate::partition::replication::isr::{AlterPartition, Answer};
use crate::partition::replication::metadata::ReplicaId;
use crate::partition::{PartitionKey, Surroundings};

/// The controller of this node's quorum.
#[derive(Debug)]
pub(crate) struct ThroughController<'a, C> {
    pub(crate) controller: &'a C,
    pub(crate) around: &'a Surroundings,
}

impl<C: Controller> AlterIsr for ThroughController<'_, C> {
    async fn alter(&self, changes: Vec<(PartitionKey, AlterPartition)>) -> Vec<Answer> {
        let count = changes.len();
        let command = Command::AlterPartition {
            node_id: self.around.id(),
            broker_epoch: self.around.broker_epoch(),
            changes: changes.into_iter().map(|(key, change)| isr_change(key, change)).collect(),
        };
        match self.controller.propose(command).await {
            Ok(Outcome::Partitions(partitions)) => {
                let answer =
                    |outcome: Result<_, Refusal>| outcome.map_or_else(|error| refused(&error), committed);
                partitions.into_iter().map(|(_, outcome)| answer(outcome)).collect()
            }
            Err(ControlError::Refused(refusal)) => vec![refused(&refusal); count],
            // It may be committed all the same.
            Ok(_) | Err(_) => vec![Answer::Lost; count],
        }
    }
}

fn isr_change(key: PartitionKey, change: AlterPartition) -> IsrChange {
    let AlterPartition { leader_epoch, partition_epoch, isr } = change;
    let partition = PartitionId { topic_id: key.topic_id, partition: key.index };
    let new_isr: Vec<(ReplicaId, i64)> = isr.into_iter().collect();
    IsrChange { partition, leader_epoch, partition_epoch, new_isr }
}

fn committed(state: PartitionState) -> Answer {
    let PartitionState { leader_epoch, isr, partition_epoch, .. } = state;
    Answer::Committed { isr, leader_epoch, partition_epoch }
}

/// What a leader makes of a refusal goes by Kafka's errors.
fn refused(refusal: &Refusal) -> Answer {
    Answer::Refused(match refusal {
        Refusal::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        Refusal::InvalidPartitionEpoch { .. } => ErrorCode::InvalidUpdateVersion,
        Refusal::InvalidIsr(_) => ErrorCode::InvalidRequest,
        Refusal::IneligibleReplicas(_) => ErrorCode::IneligibleReplica,
        Refusal::NewLeaderElected(_) => ErrorCode::NewLeaderElected,
        Refusal::UnknownTopicId(_) => ErrorCode::UnknownTopicId,
        Refusal::UnknownPartition(_) => ErrorCode::UnknownTopicOrPartition,
        Refusal::StaleBrokerEpoch { .. } | Refusal::UnknownBroker(_) => ErrorCode::StaleBrokerEpoch,
        // This one may know better soon, or another one does.
        _ => ErrorCode::NotController,
    })
}
