//! What a follower decides about its log from what its leader says. Pure: nothing is cut here.

use crate::epochs::{EpochCache, EpochEnd, UNKNOWN};

/// What a follower makes of its leader's answer to "where does this epoch end?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Where to cut the log.
    pub offset: i64,
    /// Log and leader agree below it. Otherwise ask again, for the epoch that is the latest after the cut.
    pub complete: bool,
}

/// What a follower does whose fetch offset its leader finds out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfRange {
    /// Cut the log here, and fetch on from here.
    Truncate(i64),
    /// Throw everything away, and fetch on from here.
    RestartAt(i64),
    /// The leader has the offset by now: fetch again.
    Retry,
}

/// What a follower does whose log is `own_start..own_end` when the leader's, `leader_start..leader_end`, does not reach
/// where it fetches (rule E28, Kafka's `fetchOffsetAndTruncate`). Never looks at a high watermark.
pub fn follower_out_of_range(leader_start: i64, leader_end: i64, own_start: i64, own_end: i64) -> OutOfRange {
    match () {
        () if leader_end < own_start => OutOfRange::RestartAt(leader_end),
        () if leader_end < own_end => OutOfRange::Truncate(leader_end),
        () if leader_start > own_end => OutOfRange::RestartAt(leader_start),
        () => OutOfRange::Retry,
    }
}

impl EpochCache {
    /// Where a follower whose log ends at `log_end_offset` cuts it after its leader said that the epoch asked for ends
    /// with `leader` (rule E27, Kafka's `getOffsetTruncationState`): at the lower of both ends of that epoch. If the leader
    /// named an epoch that this log does not know, at the end of the largest known below it, to ask again. Never at the
    /// high watermark (KIP-101).
    pub fn truncation_offset(&self, leader: EpochEnd, log_end_offset: i64) -> Truncation {
        if leader.end_offset == UNKNOWN.end_offset {
            // The leader knows no epochs; where logs differ its answer to the fetch says so.
            return Truncation { offset: log_end_offset, complete: true };
        }
        let own = self.end_offset_for(leader.epoch, log_end_offset);
        let both = own.end_offset.min(leader.end_offset).min(log_end_offset);
        match own {
            UNKNOWN => Truncation { offset: leader.end_offset.min(log_end_offset), complete: true },
            own if own.epoch == leader.epoch => Truncation { offset: both, complete: true },
            own => Truncation { offset: own.end_offset.min(log_end_offset), complete: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epochs::tests::cache;
    use proptest::prelude::*;

    #[test]
    fn e27_a_follower_cuts_at_the_lower_end_of_an_epoch_that_both_know() {
        let own = cache(&[(2, 10), (4, 20), (7, 35)]);
        let cases = [
            ((7, 60), (50, true), "the leader's latest epoch goes further"),
            ((7, 40), (40, true), "the leader has less of it"),
            ((4, 30), (30, true), "the leader's epoch ended earlier"),
            ((4, 99), (35, true), "ours ended earlier"),
            ((5, 33), (35, false), "an epoch only the leader knows: our floor, and ask again"),
            ((3, 12), (20, false), "the same, below"),
            ((1, 8), (8, true), "below our first: what the leader has"),
            ((8, 45), (45, true), "above our latest: nothing is known of it"),
            ((-1, 40), (40, true), "no epoch but an end"),
            ((-1, -1), (50, true), "nothing known"),
        ];
        for ((epoch, end_offset), (offset, complete), why) in cases {
            let found = own.truncation_offset(EpochEnd { epoch, end_offset }, 50);
            assert_eq!(found, Truncation { offset, complete }, "{why}");
        }
        let without = EpochCache::default().truncation_offset(EpochEnd { epoch: 3, end_offset: 40 }, 50);
        assert_eq!(without, Truncation { offset: 40, complete: true }, "a log without epochs");
    }

    #[test]
    fn e28_a_follower_out_of_range() {
        use OutOfRange::{RestartAt, Retry, Truncate};
        let cases = [
            ((0, 40), (10, 50), Truncate(40), "the leader lost its end, as in an unclean election"),
            ((0, 10), (10, 50), Truncate(10), "all of it"),
            ((0, 5), (10, 50), RestartAt(5), "before our start"),
            ((60, 90), (10, 50), RestartAt(60), "the leader dropped what we lack"),
            ((50, 90), (10, 50), Retry, "its log begins where ours ends"),
            ((0, 90), (10, 50), Retry, "it has come so far by now"),
            ((0, 50), (10, 50), Retry, "both ends are the same"),
        ];
        for ((leader_start, leader_end), (own_start, own_end), expected, why) in cases {
            let found = follower_out_of_range(leader_start, leader_end, own_start, own_end);
            assert_eq!(found, expected, "{why}");
        }
    }

    proptest! {
        /// Leader and follower share a history and went apart; asking and cutting ends where they did, and not before.
        #[test]
        fn e27_asking_until_complete_finds_where_two_logs_went_apart(
            shared in proptest::collection::vec((1i32..3, 1i64..20), 1..6),
            ours in proptest::collection::vec((1i32..4, 1i64..20), 0..4),
            theirs in proptest::collection::vec((1i32..4, 1i64..20), 1..4),
        ) {
            let (mut epoch, mut offset, mut common) = (0, 0, EpochCache::default());
            for (step, records) in shared {
                epoch += step;
                common.assign(epoch, offset);
                offset += records;
            }
            let (apart, shared_epoch) = (offset, epoch);
            // No epoch has two leaders, so the branches use different ones.
            let branch = |steps: Vec<(i32, i64)>, parity: i32| {
                let (mut cache, mut epoch, mut offset) = (common.clone(), shared_epoch, apart);
                for (step, records) in steps {
                    epoch = (epoch + step) * 2 + parity;
                    cache.assign(epoch, offset);
                    offset += records;
                }
                (cache, offset)
            };
            let ((mut own, mut own_end), (mut leader, leader_end)) = (branch(ours, 0), branch(theirs, 1));
            // Whoever leads now has an epoch above all others, from its log's end on.
            leader.assign(1_000, leader_end);
            for _ in 0..20 {
                let Some(latest) = own.latest() else { break };
                let answer = leader.end_offset_for(latest.epoch, leader_end);
                let Truncation { offset, complete } = own.truncation_offset(answer, own_end);
                prop_assert!(offset <= own_end);
                own.truncate_from_end(offset);
                own_end = offset;
                if complete {
                    break;
                }
            }
            prop_assert_eq!((own_end, own), (apart, common));
        }
    }
}
