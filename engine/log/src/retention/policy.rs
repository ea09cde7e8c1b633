//! Which segments are to go: a pure function over what is known of them.

use crate::log::SegmentInfo;

/// How much of a log to keep: the `delete` policy's limits. Without either, only what lies below the log start goes,
/// as under `cleanup.policy=compact`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// `retention.ms`: a segment goes once its largest timestamp is older than this, in milliseconds. `None` keeps it
    /// however old (Kafka's -1).
    pub retention_ms: Option<i64>,
    /// `retention.bytes`: the oldest segments go as long as the log without them still holds this many bytes of
    /// batches. `None` keeps them however many (Kafka's -1).
    pub retention_bytes: Option<u64>,
}

/// Where the log and its clock stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionBounds {
    /// The first offset that may be read.
    pub log_start_offset: i64,
    /// What lies at or above it stays whatever the policy says (rule E30).
    pub high_watermark: i64,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

impl RetentionPolicy {
    /// How many of the oldest of `segments` are to go; all of them means that the active one, the last, must be rolled
    /// first. Only a beginning of the log ever goes: it ends at the first segment that no reason covers, or that
    /// reaches the high watermark.
    ///
    /// In Kafka's order: what lies wholly below the log start; then by size; then by time. A segment of unknown age
    /// (`largest_timestamp: None`) does not expire. One with a timestamp in the future does not either, and keeps
    /// those behind it, as in Kafka 4: there `message.timestamp.after.max.ms` refuses such records when they are
    /// produced, and `retention.bytes` still counts.
    pub fn breaches(&self, segments: &[SegmentInfo], bounds: RetentionBounds) -> usize {
        let below_start = by_start(segments, bounds);
        let by_size = below_start + self.by_size(segments.get(below_start..).unwrap_or_default(), bounds);
        by_size + self.by_time(segments.get(by_size..).unwrap_or_default(), bounds)
    }

    fn by_size(&self, segments: &[SegmentInfo], bounds: RetentionBounds) -> usize {
        let Some(retention_bytes) = self.retention_bytes else { return 0 };
        let total_bytes: u64 = segments.iter().map(|s| s.size_bytes).sum();
        let Some(mut over_bytes) = total_bytes.checked_sub(retention_bytes) else { return 0 };
        let goes = |segment: &&SegmentInfo| match over_bytes.checked_sub(segment.size_bytes) {
            Some(rest) => {
                over_bytes = rest;
                may_go(segment, bounds)
            }
            None => false,
        };
        segments.iter().take_while(goes).count()
    }

    fn by_time(&self, segments: &[SegmentInfo], bounds: RetentionBounds) -> usize {
        segments.iter().take_while(|s| may_go(s, bounds) && self.is_expired(s, bounds.now_ms)).count()
    }

    /// Whether a segment's newest record is older than `retention.ms`.
    pub(super) fn is_expired(&self, segment: &SegmentInfo, now_ms: i64) -> bool {
        let age_ms = segment.largest_timestamp.map(|newest| now_ms.saturating_sub(newest));
        age_ms.zip(self.retention_ms).is_some_and(|(age_ms, retention_ms)| age_ms > retention_ms)
    }
}

fn by_start(segments: &[SegmentInfo], bounds: RetentionBounds) -> usize {
    let below = |s: &SegmentInfo| !s.active && s.next_offset <= bounds.log_start_offset;
    segments.iter().take_while(|s| below(s) && may_go(s, bounds)).count()
}

/// Wholly below the high watermark, and not the empty segment that waits for the next batch.
fn may_go(segment: &SegmentInfo, bounds: RetentionBounds) -> bool {
    segment.next_offset <= bounds.high_watermark && !(segment.active && segment.size_bytes == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten offsets and 100 bytes each, with these largest timestamps; the last is active.
    fn segments(timestamps: &[Option<i64>]) -> Vec<SegmentInfo> {
        let last = timestamps.len() - 1;
        let segment = |(i, largest_timestamp): (usize, &Option<i64>)| SegmentInfo {
            base_offset: i as i64 * 10,
            next_offset: (i as i64 + 1) * 10,
            size_bytes: 100,
            largest_timestamp: *largest_timestamp,
            active: i == last,
        };
        timestamps.iter().enumerate().map(segment).collect()
    }

    fn by_time(retention_ms: i64, timestamps: &[Option<i64>], high_watermark: i64) -> usize {
        let policy = RetentionPolicy { retention_ms: Some(retention_ms), retention_bytes: None };
        let bounds = RetentionBounds { log_start_offset: 0, high_watermark, now_ms: 1_000 };
        policy.breaches(&segments(timestamps), bounds)
    }

    #[test]
    fn e30_segments_expire_by_their_largest_timestamp_and_only_below_the_high_watermark() {
        let old = [Some(100), Some(200), Some(300), Some(400)];
        for (retention_ms, high_watermark, expected) in [
            (900, 40, 0), // exactly as old as allowed
            (899, 40, 1),
            (700, 40, 2),
            (0, 40, 4), // the active one too: it is rolled first
            (0, 39, 3), // the high watermark lies in the active segment
            (0, 25, 2),
            (0, 20, 2),
            (0, 0, 0),
        ] {
            assert_eq!(
                by_time(retention_ms, &old, high_watermark),
                expected,
                "{retention_ms} {high_watermark}"
            );
        }
    }

    #[test]
    fn e31_a_future_or_unknown_timestamp_keeps_its_segment_and_those_behind_it() {
        assert_eq!(by_time(10, &[Some(1), Some(5_000), Some(1), Some(1)], 40), 1);
        assert_eq!(by_time(10, &[None, Some(1), Some(1)], 30), 0);
        assert_eq!(by_time(10, &[Some(i64::MIN), Some(i64::MAX), Some(1)], 30), 1);
    }

    #[test]
    fn e30_size_keeps_at_least_what_is_asked_for() {
        for (retention_bytes, high_watermark, expected) in [
            (400, 40, 0),
            (399, 40, 0), // without the oldest there would be 300
            (301, 40, 0),
            (300, 40, 1),
            (200, 40, 2),
            (199, 40, 2),
            (0, 40, 4),
            (0, 15, 1),
            (u64::MAX, 40, 0),
        ] {
            let policy = RetentionPolicy { retention_ms: None, retention_bytes: Some(retention_bytes) };
            let bounds = RetentionBounds { log_start_offset: 0, high_watermark, now_ms: 0 };
            let found = policy.breaches(&segments(&[None; 4]), bounds);
            assert_eq!(found, expected, "{retention_bytes} {high_watermark}");
        }
    }

    #[test]
    fn e30_what_lies_wholly_below_the_log_start_goes_without_any_limit() {
        for (log_start_offset, high_watermark, expected) in
            [(0, 40, 0), (9, 40, 0), (10, 40, 1), (29, 40, 2), (30, 40, 3), (40, 40, 3), (30, 12, 1)]
        {
            let bounds = RetentionBounds { log_start_offset, high_watermark, now_ms: 0 };
            let found = RetentionPolicy::default().breaches(&segments(&[Some(0); 4]), bounds);
            assert_eq!(found, expected, "{log_start_offset} {high_watermark}");
        }
    }

    #[test]
    fn the_reasons_follow_each_other_and_an_empty_active_segment_stays() {
        let policy = RetentionPolicy { retention_ms: Some(500), retention_bytes: Some(300) };
        let bounds = RetentionBounds { log_start_offset: 10, high_watermark: 60, now_ms: 1_000 };
        // One below the start; two by size, of 500 bytes left; then one by time.
        let mut all = segments(&[Some(1), Some(900), Some(900), Some(100), Some(900), Some(100)]);
        assert_eq!(policy.breaches(&all, bounds), 4);
        for segment in &mut all {
            segment.largest_timestamp = Some(1);
        }
        assert_eq!(policy.breaches(&all, bounds), 6);
        if let Some(active) = all.last_mut() {
            (active.size_bytes, active.next_offset) = (0, active.base_offset);
        }
        assert_eq!(policy.breaches(&all, bounds), 5);
        assert_eq!(policy.breaches(&[], bounds), 0);
    }
}
