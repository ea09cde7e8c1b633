//! What a broker's error means for a batch.

use plimsoll_client::ErrorCode;

/// What to do with a batch after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is stored.
    Acked,
    /// Send it again; with `refresh`, ask first who leads now.
    Retry {
        /// Whether the route may be stale.
        refresh: bool,
    },
    /// It never will be stored, and the run cannot mean anything any more.
    Refused,
}

/// Judges an answer. `head` says that no earlier batch of the partition was unsettled when this one was sent.
pub(super) fn fate(error: ErrorCode, idempotent: bool, head: bool) -> Fate {
    match error {
        // A duplicate is one that had been stored and whose answer was lost.
        ErrorCode::None | ErrorCode::DuplicateSequenceNumber => Fate::Acked,
        // Expected while an earlier batch is being sent again; alone at the head it means lost state.
        ErrorCode::OutOfOrderSequenceNumber if idempotent && !head => Fate::Retry { refresh: false },
        ErrorCode::NotLeaderOrFollower
        | ErrorCode::UnknownTopicOrPartition
        | ErrorCode::LeaderNotAvailable
        | ErrorCode::FencedLeaderEpoch
        | ErrorCode::KafkaStorageError
        | ErrorCode::UnknownTopicId => Fate::Retry { refresh: true },
        error if error.is_retriable() => Fate::Retry { refresh: false },
        _ => Fate::Refused,
    }
}

/// Whether an error leaves it open if the batch was stored: it may turn up or not.
pub(super) fn leaves_open(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend | ErrorCode::UnknownServerError
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_order_is_a_retry_only_behind_an_unsettled_batch() {
        let code = ErrorCode::OutOfOrderSequenceNumber;
        assert_eq!(fate(code, true, false), Fate::Retry { refresh: false });
        assert_eq!(fate(code, true, true), Fate::Refused);
        assert_eq!(fate(code, false, false), Fate::Refused);
    }

    #[test]
    fn a_duplicate_is_an_acknowledgement_and_a_lost_leader_a_new_route() {
        assert_eq!(fate(ErrorCode::DuplicateSequenceNumber, true, true), Fate::Acked);
        assert_eq!(fate(ErrorCode::NotLeaderOrFollower, true, true), Fate::Retry { refresh: true });
        assert_eq!(fate(ErrorCode::MessageTooLarge, true, true), Fate::Refused);
    }
}
