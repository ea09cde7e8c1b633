//! How long records lie readable before a fetch takes them, and which syncs moved the log on.

use std::collections::VecDeque;
use std::time::Instant;

/// Readable stretches remembered per partition. Beyond it neighbours become one, so that what lies long is known less
/// exactly, in proportion to how much came since.
const STRETCHES_MAX: usize = 128;

/// When which offsets of one partition became readable.
///
/// Records count once, when the foremost reader is known to have them: it asks for what comes behind. So several
/// groups on one partition are measured by the fastest of them. Offsets from before the start are in no stretch.
#[derive(Debug, Default)]
pub(super) struct Residence {
    /// End of each stretch and when it became readable, ascending.
    stretches: VecDeque<(i64, Instant)>,
    /// Where the oldest stretch begins.
    begin: i64,
    /// Where the foremost reader asked last, and when it got records from there.
    taken: Option<(i64, Instant)>,
    /// The durable mark, to tell a sync from a write.
    durable: i64,
}

impl Residence {
    /// Of a log that is readable and durable to these offsets.
    pub(super) fn from(readable: i64, durable: i64) -> Self {
        Self { begin: readable, durable, ..Self::default() }
    }

    /// Offsets below `end` are readable. Says whether that is news.
    pub(super) fn readable_to(&mut self, end: i64, now: impl FnOnce() -> Instant) {
        if end <= self.end() {
            return;
        }
        if self.stretches.len() >= STRETCHES_MAX {
            self.halve();
        }
        self.stretches.push_back((end, now()));
    }

    /// The log is durable to `durable`: true if a sync brought it there.
    pub(super) fn synced_to(&mut self, durable: i64) -> bool {
        let moved = durable > self.durable;
        self.durable = self.durable.max(durable);
        moved
    }

    /// A reader asks for `offset`, so that it has what lies before. Tells `count` of the nanoseconds and the number of
    /// records of each stretch that has gone.
    pub(super) fn asked(&mut self, offset: i64, mut count: impl FnMut(u64, u64)) {
        let Some((from, at)) = self.taken.filter(|(from, _)| *from < offset) else { return };
        self.taken = None;
        self.begin = self.begin.max(from.min(self.end()));
        while let Some(&(end, since)) = self.stretches.front().filter(|_| self.begin < offset) {
            let upto = end.clamp(self.begin, offset);
            let lay = at.saturating_duration_since(since);
            match upto.abs_diff(self.begin) {
                0 => {}
                records => count(u64::try_from(lay.as_nanos()).unwrap_or(u64::MAX), records),
            }
            self.begin = upto;
            if end <= upto {
                self.stretches.pop_front();
            }
        }
    }

    /// A reader that asked for `offset` got records.
    pub(super) fn answered(&mut self, offset: i64, now: impl FnOnce() -> Instant) {
        if self.taken.is_none_or(|(from, _)| from <= offset) {
            self.taken = Some((offset, now()));
        }
    }

    fn end(&self) -> i64 {
        self.stretches.back().map_or(self.begin, |(end, _)| *end)
    }

    /// Two neighbours become one, readable when the later was.
    fn halve(&mut self) {
        let mut later = true;
        self.stretches.retain(|_| {
            later = !later;
            later
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(residence: &mut Residence, offset: i64) -> Vec<(u64, u64)> {
        let mut counted = Vec::new();
        residence.asked(offset, |ns, records| counted.push((ns, records)));
        counted
    }

    #[test]
    fn each_record_counts_once_from_readable_to_the_answer_that_brought_it() {
        let zero = Instant::now();
        let at = |ns| move || zero + Duration::from_nanos(ns);
        let mut log = Residence::from(10, 10);
        log.readable_to(14, at(100));
        log.readable_to(14, || unreachable!("nothing new"));
        log.readable_to(20, at(200));
        log.answered(10, at(1_000));
        assert_eq!(taken(&mut log, 10), [], "asked again, it may not have come");
        assert_eq!(taken(&mut log, 16), [(900, 4), (800, 2)]);
        assert_eq!(taken(&mut log, 16), []);
        log.answered(12, at(1_500));
        log.answered(16, at(2_000));
        log.answered(0, at(3_000));
        assert_eq!(taken(&mut log, 20), [(1_800, 4)], "a slower group changes nothing");
    }

    #[test]
    fn a_reader_that_begins_behind_skips_what_it_never_asked_for() {
        let zero = Instant::now();
        let mut log = Residence::from(0, 0);
        log.readable_to(5, || zero);
        log.readable_to(9, || zero);
        log.answered(7, || zero + Duration::from_nanos(50));
        assert_eq!(taken(&mut log, 9), [(50, 2)]);
    }

    #[test]
    fn what_nobody_reads_takes_bounded_memory_and_the_newest_stays_exact() {
        let zero = Instant::now();
        let mut log = Residence::from(0, 0);
        for n in 1..=10_000u32 {
            log.readable_to(i64::from(n), || zero + Duration::from_nanos(u64::from(n)));
        }
        assert!(log.stretches.len() <= STRETCHES_MAX);
        log.answered(0, || zero + Duration::from_nanos(20_000));
        let counted = taken(&mut log, 10_000);
        assert_eq!(counted.iter().map(|(_, records)| records).sum::<u64>(), 10_000);
        assert_eq!(counted.last(), Some(&(10_000, 1)));
    }

    #[test]
    fn a_sync_is_told_from_a_write() {
        let mut log = Residence::from(3, 3);
        assert_eq!([3, 5, 5, 4, 9].map(|durable| log.synced_to(durable)), [false, true, false, false, true]);
    }
}
