//! What clients may see of a partition, and from which replica they should read.

use plimsoll_wire::ErrorCode;

use super::leader::Leader;
use super::metadata::ReplicaId;

/// From this version of ListOffsets on a client knows OFFSET_NOT_AVAILABLE.
const OFFSET_NOT_AVAILABLE_FROM_VERSION: i16 = 5;

/// Whether a client may be told `offset`, or an end (`None`), by a leader whose epoch began at `epoch_start` (rule E29,
/// Kafka's `Partition.fetchOffsetForTimestamp`). Until the high watermark is there, the leader before this one may have
/// shown more than this one knows to be committed. A record below what clients may see anyway is no risk.
pub fn offset_available(
    epoch_start: i64,
    high_watermark: i64,
    offset: Option<i64>,
    version: i16,
) -> Result<(), ErrorCode> {
    let below = offset.is_some_and(|offset| offset < high_watermark);
    match () {
        () if high_watermark >= epoch_start || below => Ok(()),
        () if version < OFFSET_NOT_AVAILABLE_FROM_VERSION => Err(ErrorCode::LeaderNotAvailable),
        () => Err(ErrorCode::OffsetNotAvailable),
    }
}

/// The replica that a consumer in `rack` should read from `fetch_offset`, if not the leader (KIP-392, Kafka's
/// `RackAwareReplicaSelector`): of those in sync, in its rack, whose logs hold the offset, the one that is furthest, then
/// most recently caught up. `None` if the consumer names no rack, or the leader is in it, or nobody else is.
pub fn preferred_read_replica<'a>(
    leader: &Leader,
    rack: &str,
    fetch_offset: i64,
    rack_of: impl Fn(ReplicaId) -> Option<&'a str>,
) -> Option<ReplicaId> {
    if rack.is_empty() || rack_of(leader.id()) == Some(rack) {
        return None;
    }
    let in_sync = leader.followers().iter().filter(|(id, _)| leader.isr().committed().contains(id));
    let near = in_sync.filter(|(id, _)| rack_of(**id) == Some(rack));
    let holding = near.filter_map(|(id, follower)| {
        let said = follower.reported()?;
        let holds = said.log_start <= fetch_offset && fetch_offset <= said.log_end;
        holds.then_some(((said.log_end, follower.caught_up_at()), *id))
    });
    holding.max().map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::partition::replication::leader::{FollowerFetch, Rules};
    use crate::partition::replication::metadata::{OwnLog, PartitionState, View};
    use crate::partition::replication::serve::{Asked, Range};

    #[test]
    fn e29_no_end_is_told_before_the_high_watermark_has_reached_the_epoch() {
        let not_yet = Err(ErrorCode::OffsetNotAvailable);
        let cases = [
            (50, None, 5, Ok(()), "it is there"),
            (49, None, 5, not_yet, "a former leader may have shown 50"),
            (49, None, 4, Err(ErrorCode::LeaderNotAvailable), "a client that does not know the error"),
            (49, Some(48), 5, Ok(()), "a record that may be seen anyway"),
            (49, Some(49), 5, not_yet, "a record that may not"),
            (99, Some(99), 5, Ok(()), "limits by isolation are another matter"),
        ];
        for (high_watermark, offset, version, expected, why) in cases {
            assert_eq!(offset_available(50, high_watermark, offset, version), expected, "{why}");
        }
    }

    /// Replica 1 leads in rack a; 2, 3 and 4 are in b; 4 is not in sync. 2 ends at 90, 3 at 80, 4 at 99.
    fn preferred(rack: &str, fetch_offset: i64) -> Option<ReplicaId> {
        let state = PartitionState {
            replicas: vec![1, 2, 3, 4],
            isr: vec![1, 2, 3],
            leader: Some(1),
            leader_epoch: 4,
            partition_epoch: 7,
        };
        let now = Instant::now();
        let rules = Rules { min_isr: 1, lag_max: Duration::from_secs(30) };
        let mut leader = Leader::new(1, &state, 50, 50, rules, now);
        let view = View { now, log: OwnLog { start: 0, end: 100, reached: 100 }, brokers: &|_| None };
        for (replica_id, log_start, log_end) in [(2, 60, 90), (3, 10, 80), (4, 0, 99)] {
            let asked = Asked { current_leader_epoch: 4, fetch_offset: log_end, last_fetched_epoch: -1 };
            let range = Range { start: 0, end: 100, epoch_end: plimsoll_log::UNKNOWN_EPOCH_END };
            let fetch = FollowerFetch { replica_id, broker_epoch: -1, asked, log_start, reached: log_end };
            leader.fetch(&fetch, &range, &view);
        }
        preferred_read_replica(&leader, rack, fetch_offset, |id| Some(if id == 1 { "a" } else { "b" }))
    }

    #[test]
    fn kip_392_a_consumer_reads_in_its_own_rack() {
        let cases = [
            ("b", 70, Some(2), "the furthest"),
            ("b", 30, Some(3), "2 begins later"),
            ("b", 95, None, "neither has it yet, and 4 is not in sync"),
            ("b", 5, None, "both begin later"),
            ("a", 70, None, "the leader is there"),
            ("c", 70, None, "nobody is there"),
            ("", 70, None, "no rack"),
        ];
        for (rack, fetch_offset, expected, why) in cases {
            assert_eq!(preferred(rack, fetch_offset), expected, "{why}");
        }
    }
}
