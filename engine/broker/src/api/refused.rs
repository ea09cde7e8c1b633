//! Which of Kafka's errors a refusal of the controllers is.

use plimsoll_controller::{ControlError, Refusal};
use plimsoll_wire::ErrorCode;

/// An error and what to say about it.
pub(super) type Refusing = (ErrorCode, String);

/// Why a change of the metadata did not come to be, or is not known to have.
pub(super) fn refusing(error: ControlError) -> Refusing {
    (code_of(&error), error.to_string())
}

fn code_of(error: &ControlError) -> ErrorCode {
    match error {
        ControlError::Refused(refusal) => refusal_code(refusal),
        // As Kafka's brokers, which give up forwarding.
        ControlError::Unavailable { .. } => ErrorCode::RequestTimedOut,
        ControlError::Unwritable(_) => ErrorCode::InvalidRequest,
        _ => ErrorCode::KafkaStorageError,
    }
}

pub(super) fn refusal_code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::TopicExists(_) => ErrorCode::TopicAlreadyExists,
        Refusal::InvalidTopicName { .. } => ErrorCode::InvalidTopicException,
        Refusal::UnknownTopicId(_) => ErrorCode::UnknownTopicId,
        Refusal::UnknownPartition(_) => ErrorCode::UnknownTopicOrPartition,
        Refusal::NoPartitions | Refusal::PartitionsChanged { .. } => ErrorCode::InvalidPartitions,
        Refusal::InvalidReplicas { .. } | Refusal::UnevenReplicas { .. } | Refusal::NoReplicaInSync(_) => {
            ErrorCode::InvalidReplicaAssignment
        }
        Refusal::InvalidReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
        Refusal::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
        Refusal::DuplicateBroker(_) => ErrorCode::DuplicateBrokerRegistration,
        Refusal::StaleBrokerEpoch { .. } => ErrorCode::StaleBrokerEpoch,
        Refusal::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        Refusal::ControllerBehind => ErrorCode::NotController,
        Refusal::InvalidPartitionEpoch { .. } => ErrorCode::InvalidUpdateVersion,
        Refusal::IneligibleReplicas(_) => ErrorCode::IneligibleReplica,
        Refusal::NewLeaderElected(_) => ErrorCode::NewLeaderElected,
        Refusal::ElectionNotNeeded => ErrorCode::ElectionNotNeeded,
        Refusal::PreferredLeaderNotAvailable(_) => ErrorCode::PreferredLeaderNotAvailable,
        Refusal::NoReassignment => ErrorCode::NoReassignmentInProgress,
        Refusal::InvalidNodeId(_) | Refusal::InvalidIsr(_) => ErrorCode::InvalidRequest,
        Refusal::ProducerIdsExhausted(_) => ErrorCode::UnknownServerError,
    }
}
