//! What a follower makes of its leader's answer to a Fetch.

use plimsoll_log::EpochEnd;
use plimsoll_wire::ErrorCode;

/// What the Fetch said, to know whether its answer still means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The leader epoch in which it was sent.
    pub leader_epoch: i32,
    /// The offset it asked for: the log's end then.
    pub fetch_offset: i64,
    /// The log's latest epoch then, -1 for none.
    pub last_fetched_epoch: i32,
}

/// The follower when the answer arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The epoch in which it follows.
    pub leader_epoch: i32,
    /// First offset of its log.
    pub log_start: i64,
    /// The log end offset.
    pub log_end: i64,
    /// The latest epoch in its log, -1 for none.
    pub last_epoch: i32,
}

/// One batch of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first offset.
    pub base_offset: i64,
    /// The offset after its last.
    pub next_offset: i64,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
}

/// The leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched<'a> {
    /// Success or what went wrong.
    pub error: ErrorCode,
    /// Where the logs diverge.
    pub diverging: Option<EpochEnd>,
    /// Its high watermark.
    pub high_watermark: i64,
    /// First offset of its log.
    pub log_start: i64,
    /// Its batches, whole and in order.
    pub batches: &'a [Span],
}

/// What to do. Whatever it is, the next Fetch asks for the log's end then, with the log's latest epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the answer is to a Fetch that no longer counts.
    Ignore,
    /// Append, then take the leader's high watermark ([`of_follower`](super::high_watermark::of_follower)) and start.
    Append {
        /// First throw the empty log away and start at this offset: the leader's start lies inside the first batch
        /// (rule E17, KAFKA-6975).
        restart_at: Option<i64>,
        /// How many of the batches.
        batches: usize,
    },
    /// Cut the log as its epochs say: [`plimsoll_log::Log::truncation_offset`] (rule E27). If the leader named an epoch
    /// that this log does not know, the next answer says where to cut next. Never at the high watermark (KIP-101).
    Truncate(EpochEnd),
    /// Ask the leader for its first and last offset, then [`plimsoll_log::follower_out_of_range`] (rule E28).
    AskForRange,
    /// Ask again after a pause: the leader, or this follower, has old metadata, or the partition is not open yet.
    Retry,
    /// Stop fetching until newer metadata comes: this follower's is older than the leader's.
    AwaitMetadata,
    /// Ask again after a pause, and say so: the leader sent what does not continue this log.
    Refuse(Mismatch),
}

/// Why an answer's batches cannot be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// They begin below the log's end.
    #[error("the leader sent offsets {base_offset} to {next_offset}, but this log ends at {log_end}")]
    Overlap {
        /// First offset of the first.
        base_offset: i64,
        /// The offset after its last.
        next_offset: i64,
        /// Where this log ends.
        log_end: i64,
    },
    /// One is of an epoch later than the one in which it was fetched: metadata comes first (KAFKA-18723).
    #[error("the leader of epoch {current} sent a batch of epoch {leader_epoch}")]
    LaterEpoch {
        /// Its epoch.
        leader_epoch: i32,
        /// The epoch of the Fetch.
        current: i32,
    },
}

/// Decides (Kafka's `AbstractFetcherThread.processFetchRequest`). An answer counts only if the follower still follows in
/// the epoch in which it asked, and its log still ends where it asked and in the same epoch, which makes it the same log:
/// one that was cut and has grown again ends in a later one. Kafka compares offsets only, and relies on there being no
/// second Fetch under way.
pub fn decide(sent: &Sent, own: &Own, fetched: &Fetched<'_>) -> Step {
    let same_log = (sent.fetch_offset, sent.last_fetched_epoch) == (own.log_end, own.last_epoch);
    if sent.leader_epoch != own.leader_epoch || !same_log {
        return Step::Ignore;
    }
    match (fetched.error, fetched.diverging) {
        (ErrorCode::None, Some(diverging)) => Step::Truncate(diverging),
        (ErrorCode::None, None) => append(own, fetched.batches),
        (ErrorCode::OffsetOutOfRange, _) => Step::AskForRange,
        (ErrorCode::FencedLeaderEpoch, _) => Step::AwaitMetadata,
        _ => Step::Retry,
    }
}

fn append(own: &Own, batches: &[Span]) -> Step {
    let known = batches.iter().take_while(|batch| batch.leader_epoch <= own.leader_epoch).count();
    let Some(first) = batches.first() else { return Step::Append { restart_at: None, batches: 0 } };
    let Span { base_offset, next_offset, leader_epoch } = *first;
    if known == 0 {
        return Step::Refuse(Mismatch::LaterEpoch { leader_epoch, current: own.leader_epoch });
    }
    let amid = base_offset < own.log_end && own.log_end < next_offset;
    let restart_at = (amid && own.log_start == own.log_end).then_some(base_offset);
    match restart_at {
        None if base_offset < own.log_end => {
            Step::Refuse(Mismatch::Overlap { base_offset, next_offset, log_end: own.log_end })
        }
        restart_at => Step::Append { restart_at, batches: known },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Sent = Sent { leader_epoch: 4, fetch_offset: 50, last_fetched_epoch: 3 };
    const OWN: Own = Own { leader_epoch: 4, log_start: 10, log_end: 50, last_epoch: 3 };
    const EMPTY: Own = Own { log_start: 50, ..OWN };
    const EMPTY_ANSWER: Fetched<'_> =
        Fetched { error: ErrorCode::None, diverging: None, high_watermark: 40, log_start: 10, batches: &[] };

    fn batch(base_offset: i64, next_offset: i64, leader_epoch: i32) -> Span {
        Span { base_offset, next_offset, leader_epoch }
    }

    fn appended(batches: usize) -> Step {
        Step::Append { restart_at: None, batches }
    }

    #[test]
    fn e27_an_answer_counts_only_where_and_when_it_was_asked_for() {
        let cases = [
            (SENT, appended(0)),
            (Sent { leader_epoch: 3, ..SENT }, Step::Ignore),
            (Sent { leader_epoch: 5, ..SENT }, Step::Ignore),
            (Sent { fetch_offset: 49, ..SENT }, Step::Ignore),
            (Sent { fetch_offset: 51, ..SENT }, Step::Ignore),
            // Cut at 40 and grown again, or not yet cut.
            (Sent { last_fetched_epoch: 2, ..SENT }, Step::Ignore),
            (Sent { last_fetched_epoch: 4, ..SENT }, Step::Ignore),
        ];
        for (sent, expected) in cases {
            assert_eq!(decide(&sent, &OWN, &EMPTY_ANSWER), expected, "{sent:?}");
        }
    }

    #[test]
    fn e26_e28_what_an_error_asks_for() {
        let cases = [
            (ErrorCode::OffsetOutOfRange, Step::AskForRange),
            (ErrorCode::FencedLeaderEpoch, Step::AwaitMetadata),
            (ErrorCode::UnknownLeaderEpoch, Step::Retry),
            (ErrorCode::NotLeaderOrFollower, Step::Retry),
            (ErrorCode::UnknownTopicId, Step::Retry),
            (ErrorCode::CorruptMessage, Step::Retry),
            (ErrorCode::KafkaStorageError, Step::Retry),
        ];
        for (error, expected) in cases {
            assert_eq!(decide(&SENT, &OWN, &Fetched { error, ..EMPTY_ANSWER }), expected, "{error:?}");
        }
    }

    #[test]
    fn e27_a_diverging_epoch_cuts_the_log() {
        let end = EpochEnd { epoch: 3, end_offset: 45 };
        let answer = Fetched { diverging: Some(end), ..EMPTY_ANSWER };
        assert_eq!(decide(&SENT, &OWN, &answer), Step::Truncate(end));
    }

    #[test]
    fn e17_batches_continue_the_log() {
        let overlap = |base_offset, next_offset| {
            Step::Refuse(Mismatch::Overlap { base_offset, next_offset, log_end: 50 })
        };
        let restarted = Step::Append { restart_at: Some(45), batches: 1 };
        let later = Step::Refuse(Mismatch::LaterEpoch { leader_epoch: 5, current: 4 });
        let cases: [(Own, &[Span], Step, &str); 8] = [
            (OWN, &[batch(50, 52, 3), batch(52, 53, 4)], appended(2), "where it ends"),
            (OWN, &[batch(58, 60, 4)], appended(1), "compaction left a gap"),
            (OWN, &[batch(45, 52, 4)], overlap(45, 52), "it has the first half of the batch already"),
            (OWN, &[batch(40, 45, 4)], overlap(40, 45), "it has all of it"),
            (EMPTY, &[batch(45, 52, 4)], restarted, "the leader's start lies inside the batch"),
            (EMPTY, &[batch(45, 50, 4)], overlap(45, 50), "below the start"),
            (OWN, &[batch(50, 52, 4), batch(52, 53, 5)], appended(1), "the rest is of a later leader"),
            (OWN, &[batch(50, 52, 5)], later, "all of it is"),
        ];
        for (own, batches, expected, why) in cases {
            assert_eq!(decide(&SENT, &own, &Fetched { batches, ..EMPTY_ANSWER }), expected, "{why}");
        }
    }
}
