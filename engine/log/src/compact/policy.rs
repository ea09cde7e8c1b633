//! Which part of a log is to be cleaned, and how urgently: pure functions of what is known about its segments.

use crate::offset_index::relative;

/// A topic's settings for compaction. The defaults are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionPolicy {
    /// `min.compaction.lag.ms`: records younger than this stay as they are.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: clean at the latest when a dirty segment is this old, however little is dirty (KIP-354).
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: clean when more than this part of the log is dirty.
    pub min_cleanable_dirty_ratio: f64,
    /// `delete.retention.ms`: how long tombstones and markers stay once nothing older of theirs is left (KIP-534).
    pub delete_retention_ms: i64,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            delete_retention_ms: 24 * 3_600_000,
        }
    }
}

/// What of a log could be cleaned now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionCandidate {
    /// Below it everything is clean.
    pub first_dirty_offset: i64,
    /// Cleaning ends before it: the base of the first segment that must stay.
    pub upto_offset: i64,
    /// Bytes of segments that were cleaned.
    pub clean_bytes: u64,
    /// Bytes of segments that may be cleaned.
    pub cleanable_bytes: u64,
    /// A dirty segment is older than `max.compaction.lag.ms`.
    pub overdue: bool,
    /// The checkpoint lay outside the log; write [`first_dirty_offset`](Self::first_dirty_offset) there instead.
    pub checkpoint_reset: bool,
}

impl CompactionCandidate {
    /// The dirty part of what a cleaning would go through, 0 to 1. Among several logs that are due, the one with the
    /// largest goes first.
    pub fn dirty_ratio(&self) -> f64 {
        match self.clean_bytes + self.cleanable_bytes {
            0 => 0.0,
            total_bytes => self.cleanable_bytes as f64 / total_bytes as f64,
        }
    }

    /// Whether a cleaning is called for.
    pub fn is_due(&self, policy: &CompactionPolicy) -> bool {
        self.cleanable_bytes > 0 && (self.overdue || self.dirty_ratio() > policy.min_cleanable_dirty_ratio)
    }
}

/// What selection needs to know of one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: i64,
    /// Base of the segment behind it.
    pub(crate) next_offset: i64,
    pub(crate) size_bytes: u64,
    /// Largest timestamp of its first batch, if it was asked for.
    pub(crate) first_timestamp: Option<i64>,
    /// Its largest timestamp, if it was asked for.
    pub(crate) largest_timestamp: Option<i64>,
}

/// The log around the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// What the checkpoint says, if there is one.
    pub(crate) checkpoint: Option<i64>,
    pub(crate) start_offset: i64,
    pub(crate) log_end_offset: i64,
    /// Decided and replicated up to here: the lower of high watermark and first unstable offset.
    pub(crate) stable_offset: i64,
}

impl Bounds {
    /// Where the dirty part begins, and whether that is not where the checkpoint says.
    pub(crate) fn first_dirty(&self) -> (i64, bool) {
        match self.checkpoint {
            Some(offset) if (self.start_offset..=self.log_end_offset).contains(&offset) => (offset, false),
            Some(_) => (self.start_offset, true),
            None => (self.start_offset, false),
        }
    }
}

/// Selects among `sealed`, the segments that are complete and synced, oldest first; the active one is not among them.
pub(crate) fn select(
    sealed: &[SegmentFacts],
    bounds: &Bounds,
    policy: &CompactionPolicy,
    now_ms: i64,
) -> CompactionCandidate {
    let (first_dirty_offset, checkpoint_reset) = bounds.first_dirty();
    let is_dirty = |s: &&SegmentFacts| s.next_offset > first_dirty_offset;
    let too_young = |s: &&SegmentFacts| {
        let lag_ms = policy.min_compaction_lag_ms;
        lag_ms > 0 && s.largest_timestamp.is_some_and(|t| t > now_ms.saturating_sub(lag_ms))
    };
    // Whole segments only: the one that holds the first offset which must stay is left alone.
    let cleanable = |s: &&SegmentFacts| s.next_offset <= bounds.stable_offset;
    let dirty = sealed.iter().filter(is_dirty).take_while(|s| cleanable(s) && !too_young(s));
    let (mut upto_offset, mut cleanable_bytes) = (first_dirty_offset, 0);
    let mut oldest = None;
    for segment in dirty {
        upto_offset = segment.next_offset;
        cleanable_bytes += segment.size_bytes;
        oldest = [oldest, segment.first_timestamp.filter(|t| *t > 0)].into_iter().flatten().min();
    }
    let clean = sealed.iter().take_while(|s| s.next_offset <= first_dirty_offset);
    CompactionCandidate {
        first_dirty_offset,
        upto_offset,
        clean_bytes: clean.map(|s| s.size_bytes).sum(),
        cleanable_bytes,
        overdue: oldest.is_some_and(|t| t < now_ms.saturating_sub(policy.max_compaction_lag_ms.max(0))),
        checkpoint_reset,
    }
}

/// What a cleaned segment may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupLimits {
    pub(crate) segment_bytes: u64,
    pub(crate) index_max_bytes: u64,
    pub(crate) index_interval_bytes: u64,
}

impl GroupLimits {
    /// The most that the indexes of `size_bytes` of batches take: entries lie an interval apart, and the time index
    /// gets one more at its end.
    fn fits(&self, size_bytes: u64) -> bool {
        let entries = size_bytes / self.index_interval_bytes.max(1) + 1;
        let time_index_bytes = entries * crate::time_index::ENTRY_BYTES as u64;
        size_bytes <= self.segment_bytes && time_index_bytes <= self.index_max_bytes
    }
}

/// Puts neighbouring segments together, each group to become one segment: as many as fit by bytes, by indexes and by
/// the 32 bits of a relative offset. Returns how many segments each group has.
pub(crate) fn group(segments: &[SegmentFacts], limits: &GroupLimits) -> Vec<usize> {
    let mut counts = Vec::new();
    let (mut count, mut size_bytes, mut base_offset) = (0, 0, 0);
    for segment in segments {
        let together = size_bytes + segment.size_bytes;
        let spans =
            relative(base_offset, segment.next_offset.saturating_sub(1)).is_some() || segment.size_bytes == 0;
        if count > 0 && limits.fits(together) && spans {
            (count, size_bytes) = (count + 1, together);
            continue;
        }
        counts.extend((count > 0).then_some(count));
        (count, size_bytes, base_offset) = (1, segment.size_bytes, segment.base_offset);
    }
    counts.extend((count > 0).then_some(count));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten offsets and 100 bytes each, stamped with their base offset.
    fn segments(count: i64) -> Vec<SegmentFacts> {
        let facts = |i| SegmentFacts {
            base_offset: 10 * i,
            next_offset: 10 * i + 10,
            size_bytes: 100,
            first_timestamp: Some(10 * i + 1),
            largest_timestamp: Some(10 * i + 9),
        };
        (0..count).map(facts).collect()
    }

    fn bounds(checkpoint: Option<i64>, stable_offset: i64) -> Bounds {
        Bounds { checkpoint, start_offset: 0, log_end_offset: 55, stable_offset }
    }

    #[test]
    fn e33_only_whole_segments_below_the_stable_offset_are_cleaned() {
        let policy = CompactionPolicy::default();
        for (checkpoint, stable, first_dirty, upto, clean, cleanable) in [
            (None, 55, 0, 50, 0, 500),
            (Some(0), 50, 0, 50, 0, 500),
            (Some(0), 49, 0, 40, 0, 400),
            (Some(20), 55, 20, 50, 200, 300),
            // Inside a segment, where a full map ended: that one is gone through again.
            (Some(25), 55, 25, 50, 200, 300),
            (Some(50), 55, 50, 50, 500, 0),
            (Some(55), 55, 55, 55, 500, 0),
            (Some(30), 20, 30, 30, 300, 0),
            (Some(0), 5, 0, 0, 0, 0),
        ] {
            let found = select(&segments(5), &bounds(checkpoint, stable), &policy, 1_000);
            let expected = (first_dirty, upto, clean, cleanable);
            let got = (found.first_dirty_offset, found.upto_offset, found.clean_bytes, found.cleanable_bytes);
            assert_eq!(got, expected, "checkpoint {checkpoint:?}, stable up to {stable}");
            assert!(!found.checkpoint_reset && !found.overdue);
        }
    }

    #[test]
    fn e33_a_checkpoint_outside_the_log_starts_over_at_the_log_start() {
        let policy = CompactionPolicy::default();
        for (checkpoint, first_dirty, reset) in
            [(19, 20, true), (20, 20, false), (55, 55, false), (56, 20, true)]
        {
            let bounds = Bounds { start_offset: 20, ..bounds(Some(checkpoint), 55) };
            let found = select(&segments(5)[2..], &bounds, &policy, 1_000);
            assert_eq!(
                (found.first_dirty_offset, found.checkpoint_reset),
                (first_dirty, reset),
                "{checkpoint}"
            );
        }
    }

    #[test]
    fn e33_young_segments_wait_and_old_ones_do_not_wait_for_the_ratio() {
        let lag = |min, max| CompactionPolicy {
            min_compaction_lag_ms: min,
            max_compaction_lag_ms: max,
            ..CompactionPolicy::default()
        };
        let upto = |policy, now| select(&segments(5), &bounds(Some(30), 55), &policy, now).upto_offset;
        assert_eq!(upto(lag(5, i64::MAX), 100), 50);
        assert_eq!(upto(lag(5, i64::MAX), 53), 40, "49 is 4 ms old");
        assert_eq!(upto(lag(5, i64::MAX), 54), 50, "49 is 5 ms old");
        assert_eq!(upto(lag(5, i64::MAX), 40), 30, "nothing is old enough");
        let found = |policy, now| select(&segments(5), &bounds(Some(30), 55), &policy, now);
        for (max, now, overdue) in
            [(69, 100, false), (68, 100, true), (i64::MAX, i64::MAX, false), (-5, 32, true)]
        {
            let (policy, found) = (lag(0, max), found(lag(0, max), now));
            assert_eq!(found.overdue, overdue, "the oldest dirty batch is of 31; {max} at {now}");
            assert_eq!(found.is_due(&policy), overdue, "two of five segments are dirty");
        }
    }

    #[test]
    fn e33_the_dirty_ratio_must_be_passed_and_something_must_be_dirty() {
        let policy = CompactionPolicy::default();
        let due = |checkpoint| {
            let found = select(&segments(4), &bounds(Some(checkpoint), 55), &policy, 1_000);
            (found.dirty_ratio(), found.is_due(&policy))
        };
        assert_eq!(due(0), (1.0, true));
        assert_eq!(due(10), (0.75, true));
        assert_eq!(due(20), (0.5, false), "not above");
        assert_eq!(due(40), (0.0, false));
        let none = select(&[], &bounds(None, 55), &policy, 1_000);
        assert_eq!((none.dirty_ratio(), none.is_due(&policy)), (0.0, false));
    }

    #[test]
    fn e33_groups_fit_by_bytes_by_indexes_and_by_offsets() {
        let limits = GroupLimits { segment_bytes: 250, index_max_bytes: 1 << 20, index_interval_bytes: 50 };
        assert_eq!(group(&[], &limits), []);
        assert_eq!(group(&segments(5), &limits), [2, 2, 1]);
        assert_eq!(
            group(&segments(2), &GroupLimits { segment_bytes: 50, ..limits }),
            [1, 1],
            "too large alone"
        );
        assert_eq!(
            group(&segments(5), &GroupLimits { index_max_bytes: 59, ..limits }),
            [1; 5],
            "five entries"
        );
        assert_eq!(group(&segments(5), &GroupLimits { index_max_bytes: 60, ..limits }), [2, 2, 1]);
        let mut far = segments(3);
        (far[1].next_offset, far[2].base_offset) = (i64::from(u32::MAX), i64::from(u32::MAX));
        let wide = GroupLimits { segment_bytes: 1_000, ..limits };
        assert_eq!(group(&far, &wide), [1, 2], "offsets of a segment span 31 bits");
        far[1].size_bytes = 0;
        far[2].size_bytes = 0;
        assert_eq!(group(&far, &wide), [3], "empty segments have no offsets");
    }
}
