//! How the leader answers a Fetch, before it reads.

use plimsoll_log::{EpochEnd, UNKNOWN_EPOCH_END};
use plimsoll_wire::ErrorCode;

/// What a Fetch asks of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The leader epoch that the fetcher knows; -1 for none.
    pub current_leader_epoch: i32,
    /// First offset wanted.
    pub fetch_offset: i64,
    /// Epoch of the last record that the fetcher holds; -1 for none (before version 12).
    pub last_fetched_epoch: i32,
}

/// The leader's log, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First offset that may be read.
    pub start: i64,
    /// The log end offset.
    pub end: i64,
    /// Where [`Asked::last_fetched_epoch`] ends: [`plimsoll_log::EpochCache::end_offset_for`]. Not looked at without one.
    pub epoch_end: EpochEnd,
}

/// What to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Read from the offset asked for. Nothing is there if it is the end.
    Read,
    /// No records, but where the fetcher's log leaves the leader's. The fetcher's progress is not recorded (rule E23).
    Diverging(EpochEnd),
    /// No records, but this.
    Refuse(ErrorCode),
}

/// Rule E26: an epoch that is not the leader's own says that one of the two has old metadata.
pub fn fence(asked: i32, current: i32) -> Result<(), ErrorCode> {
    match asked {
        -1 => Ok(()),
        older if older < current => Err(ErrorCode::FencedLeaderEpoch),
        newer if newer > current => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

/// Judges a Fetch, of a follower or a consumer, in the order of Kafka's `Partition.readRecords`: epoch (E26), then where
/// the logs diverge (E27), then the offset (E18).
pub fn judge(asked: &Asked, leader_epoch: i32, log: &Range) -> Verdict {
    if let Err(code) = fence(asked.current_leader_epoch, leader_epoch) {
        return Verdict::Refuse(code);
    }
    let unknown = asked.last_fetched_epoch >= 0 && log.epoch_end == UNKNOWN_EPOCH_END;
    if unknown || asked.fetch_offset < log.start {
        return Verdict::Refuse(ErrorCode::OffsetOutOfRange);
    }
    let EpochEnd { epoch, end_offset } = log.epoch_end;
    if asked.last_fetched_epoch >= 0 && (epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset)
    {
        return Verdict::Diverging(log.epoch_end);
    }
    if asked.fetch_offset > log.end {
        return Verdict::Refuse(ErrorCode::OffsetOutOfRange);
    }
    Verdict::Read
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_log::EpochCache;

    const LEADER_EPOCH: i32 = 7;

    /// The answer of a log 10..50 with epochs 2 from 10, 4 from 20 and 7 from 35.
    fn verdict(current_leader_epoch: i32, last_fetched_epoch: i32, fetch_offset: i64) -> Verdict {
        let mut epochs = EpochCache::default();
        for (epoch, start) in [(2, 10), (4, 20), (LEADER_EPOCH, 35)] {
            epochs.assign(epoch, start);
        }
        let asked = Asked { current_leader_epoch, fetch_offset, last_fetched_epoch };
        let log = Range { start: 10, end: 50, epoch_end: epochs.end_offset_for(last_fetched_epoch, 50) };
        judge(&asked, LEADER_EPOCH, &log)
    }

    #[test]
    fn e26_a_fetch_of_another_epoch_is_refused_before_all_else() {
        let cases = [
            (6, 99, Verdict::Refuse(ErrorCode::FencedLeaderEpoch)),
            (8, 99, Verdict::Refuse(ErrorCode::UnknownLeaderEpoch)),
            (7, 20, Verdict::Read),
            (-1, 20, Verdict::Read),
        ];
        for (current_leader_epoch, fetch_offset, expected) in cases {
            assert_eq!(verdict(current_leader_epoch, -1, fetch_offset), expected, "{current_leader_epoch}");
        }
    }

    #[test]
    fn e27_a_fetch_says_where_the_logs_diverge() {
        let diverging = |epoch, end_offset| Verdict::Diverging(EpochEnd { epoch, end_offset });
        let cases = [
            (7, 50, Verdict::Read, "at the end of the leader's own epoch"),
            (4, 35, Verdict::Read, "at the end of a former one"),
            (4, 25, Verdict::Read, "amid it"),
            (4, 36, diverging(4, 35), "more of a former epoch than the leader has"),
            (5, 30, diverging(4, 35), "an epoch the leader never heard of"),
            (7, 51, diverging(7, 50), "more than the leader has"),
            (1, 12, diverging(1, 10), "before the leader's first epoch"),
        ];
        for (last_fetched_epoch, fetch_offset, expected, why) in cases {
            assert_eq!(verdict(LEADER_EPOCH, last_fetched_epoch, fetch_offset), expected, "{why}");
        }
    }

    #[test]
    fn e18_out_of_range_is_before_the_start_or_behind_the_end() {
        let refused = Verdict::Refuse(ErrorCode::OffsetOutOfRange);
        let cases = [
            (-1, 9, refused, "before the start"),
            (-1, 51, refused, "behind the end"),
            (-1, 10, Verdict::Read, "the start"),
            (-1, 50, Verdict::Read, "the end"),
            (5, 9, refused, "before the start, whatever the epochs say"),
            (8, 30, refused, "an epoch above the leader's own"),
        ];
        for (last_fetched_epoch, fetch_offset, expected, why) in cases {
            assert_eq!(verdict(LEADER_EPOCH, last_fetched_epoch, fetch_offset), expected, "{why}");
        }
    }
}
