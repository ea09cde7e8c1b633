//! What producers were told: runs of records with one outcome.

use std::collections::BTreeMap;

use super::PartitionId;
use super::ranges::Ranges;

/// Runs that are held unsorted before they are merged.
const LOOSE_RUNS: usize = 1024;

/// What a producer knows of a record that it numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Never sent, or refused by the broker before anything was stored: must not be there.
    Refused,
    /// No answer, an answer that leaves it open (a timeout, not enough replicas after the append), or acks=0:
    /// may be there or not. Every doubt is this.
    Unknown,
    /// Acknowledged: must be there.
    Acked,
}

/// Consecutive records of one producer in one partition with one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) outcome: Outcome,
    /// Offsets of the first and the last record, if the broker said.
    offsets: Option<(i64, i64)>,
}

impl Run {
    /// Whether `next` can be told of in one run with this one.
    fn take(&mut self, next: &Run) -> bool {
        let follows = self.last.checked_add(1) == Some(next.first);
        let told = self.offsets.is_some() == next.offsets.is_some();
        if !(follows && told && self.outcome == next.outcome) {
            return false;
        }
        self.last = next.last;
        self.offsets = self.offsets.zip(next.offsets).map(|(mine, theirs)| (mine.0, theirs.1));
        true
    }

    /// Offset of the first record, where no other producer's records lie between this run's.
    fn exact_base(&self) -> Option<i64> {
        let (first, last) = self.offsets?;
        (last.checked_sub(first)?.try_into() == Ok(self.last - self.first)).then_some(first)
    }

    /// Offset of a record of this run, if it is certain.
    pub(super) fn offset_of(&self, sequence: u64) -> Option<i64> {
        match self.offsets {
            Some((first, _)) if sequence == self.first => Some(first),
            Some((_, last)) if sequence == self.last => Some(last),
            _ => self.exact_base()?.checked_add_unsigned(sequence.checked_sub(self.first)?),
        }
    }

    /// The record at an offset, if it is certain.
    pub(super) fn sequence_at(&self, offset: i64) -> Option<u64> {
        match self.offsets {
            Some((first, _)) if offset == first => Some(self.first),
            Some((_, last)) if offset == last => Some(self.last),
            _ => {
                let ahead = u64::try_from(offset.checked_sub(self.exact_base()?)?).ok()?;
                self.first.checked_add(ahead).filter(|sequence| *sequence <= self.last)
            }
        }
    }

    /// Offsets between which the run's records lie.
    pub(super) fn offsets(&self) -> Option<(i64, i64)> {
        self.offsets
    }
}

/// All sends of a producer thread, or after [`SendLog::absorb`] of the whole run.
#[derive(Debug, Clone, Default)]
pub struct SendLog {
    streams: BTreeMap<(PartitionId, u32), Vec<Run>>,
}

impl SendLog {
    /// An empty log.
    pub fn new() -> SendLog {
        SendLog::default()
    }

    /// Notes the outcome of `count` records from `first_sequence`, usually one batch. `base_offset` is what the
    /// broker answered. A record told of twice keeps its best outcome: an acknowledgement is never taken back.
    pub fn record(
        &mut self,
        partition: PartitionId,
        producer: u32,
        first_sequence: u64,
        count: u64,
        outcome: Outcome,
        base_offset: Option<i64>,
    ) {
        let Some(ahead) = count.checked_sub(1) else { return };
        let offsets =
            base_offset.filter(|base| *base >= 0).map(|base| (base, base.saturating_add_unsigned(ahead)));
        let run = Run { first: first_sequence, last: first_sequence.saturating_add(ahead), outcome, offsets };
        let runs = self.streams.entry((partition, producer)).or_default();
        if runs.last_mut().is_some_and(|last| last.take(&run)) {
            return;
        }
        runs.push(run);
        // Only answers out of order leave many loose runs; merging at powers of two keeps the cost small.
        if runs.len() >= LOOSE_RUNS && runs.len().is_power_of_two() {
            merge(runs);
        }
    }

    /// Takes over another thread's log.
    pub fn absorb(&mut self, other: SendLog) {
        for (stream, runs) in other.streams {
            self.streams.entry(stream).or_default().extend(runs);
        }
    }

    /// Records with this outcome so far. Sorts runs, so it is for the end of a run or once a second.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.streams.keys().map(|stream| self.stream(*stream).with(outcome).len()).sum()
    }

    /// Every partition and producer told of.
    pub(super) fn keys(&self) -> impl Iterator<Item = (PartitionId, u32)> {
        self.streams.keys().copied()
    }

    /// Every producer told of in one partition.
    pub(super) fn producers_of(&self, id: PartitionId) -> impl Iterator<Item = u32> {
        self.streams.range((id, 0)..=(id, u32::MAX)).map(|((_, producer), _)| *producer)
    }

    /// One producer's records in one partition.
    pub(super) fn stream(&self, stream: (PartitionId, u32)) -> Stream<'_> {
        Stream(self.streams.get(&stream).map_or(&[], Vec::as_slice))
    }

    /// The acknowledged record of any producer at this offset, if it is certain.
    pub(super) fn acked_at(&self, partition: PartitionId, offset: i64) -> Option<(u32, u64)> {
        self.streams.range((partition, 0)..=(partition, u32::MAX)).find_map(|((_, producer), runs)| {
            let acked = runs.iter().filter(|run| run.outcome == Outcome::Acked);
            acked.filter_map(|run| run.sequence_at(offset)).next().map(|sequence| (*producer, sequence))
        })
    }
}

/// Sorts by sequence and joins neighbours.
fn merge(runs: &mut Vec<Run>) {
    runs.sort_by_key(|run| run.first);
    runs.dedup_by(|next, open| open.take(next));
}

/// Runs of one producer in one partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream<'a>(&'a [Run]);

impl Stream<'_> {
    /// The records whose best outcome is this one.
    pub(super) fn with(&self, outcome: Outcome) -> Ranges {
        let told = |wanted: Outcome| {
            Ranges::of(self.0.iter().filter(|run| run.outcome == wanted).map(|run| (run.first, run.last)))
        };
        let better = [Outcome::Acked, Outcome::Unknown].into_iter().filter(|other| *other > outcome);
        better.fold(told(outcome), |left, other| left.without(&told(other)))
    }

    /// The run that acknowledged this record.
    pub(super) fn acked_run(&self, sequence: u64) -> Option<&Run> {
        let acked = self.0.iter().filter(|run| run.outcome == Outcome::Acked);
        acked.into_iter().find(|run| (run.first..=run.last).contains(&sequence))
    }

    /// The acknowledged records whose offsets all lie below `start`, as far as that is certain.
    pub(super) fn acked_below(&self, start: i64) -> Ranges {
        Ranges::of(self.0.iter().filter(|run| run.outcome == Outcome::Acked).filter_map(|run| {
            let (first, last) = run.offsets()?;
            if last < start {
                return Some((run.first, run.last));
            }
            let below = u64::try_from(start.checked_sub(first)?).ok()?.checked_sub(1)?;
            run.exact_base().map(|_| (run.first, run.first.saturating_add(below)))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P0: PartitionId = PartitionId { topic: 0, partition: 0 };

    #[test]
    fn answers_in_order_make_one_run() {
        let mut log = SendLog::new();
        for batch in 0..10_000u64 {
            log.record(P0, 1, batch * 10, 10, Outcome::Acked, Some(batch as i64 * 10));
        }
        assert_eq!(log.streams[&(P0, 1)].len(), 1);
        assert_eq!(log.count(Outcome::Acked), 100_000);
        assert_eq!(log.acked_at(P0, 12_345), Some((1, 12_345)));
        assert_eq!(log.acked_at(P0, 100_000), None);
    }

    #[test]
    fn answers_out_of_order_are_joined_in_time() {
        let mut log = SendLog::new();
        for batch in 0..10_000u64 {
            // Pairs of batches are answered the wrong way round.
            let batch = batch ^ 1;
            log.record(P0, 1, batch * 10, 10, Outcome::Acked, Some(batch as i64 * 10));
        }
        assert!(log.streams[&(P0, 1)].len() < 2 * LOOSE_RUNS);
        assert_eq!(log.count(Outcome::Acked), 100_000);
    }

    #[test]
    fn another_producers_records_in_between_make_offsets_uncertain_except_at_the_ends() {
        let mut log = SendLog::new();
        log.record(P0, 1, 0, 5, Outcome::Acked, Some(0));
        log.record(P0, 1, 5, 5, Outcome::Acked, Some(100));
        let run = log.stream((P0, 1)).acked_run(4).copied().unwrap();
        assert_eq!((run.offset_of(0), run.offset_of(4), run.offset_of(9)), (Some(0), None, Some(104)));
        assert_eq!(run.sequence_at(104), Some(9));
    }

    #[test]
    fn an_acknowledgement_is_never_taken_back() {
        let mut log = SendLog::new();
        log.record(P0, 1, 0, 10, Outcome::Unknown, None);
        log.record(P0, 1, 3, 2, Outcome::Acked, Some(3));
        log.record(P0, 1, 0, 10, Outcome::Refused, None);
        assert_eq!(log.stream((P0, 1)).with(Outcome::Acked).runs(), [(3, 4)]);
        assert_eq!(log.count(Outcome::Unknown), 8);
        assert_eq!(log.count(Outcome::Refused), 0);
    }

    #[test]
    fn what_retention_has_removed_is_known_by_offset() {
        let mut log = SendLog::new();
        log.record(P0, 1, 0, 10, Outcome::Acked, Some(50));
        assert_eq!(log.stream((P0, 1)).acked_below(50).len(), 0);
        assert_eq!(log.stream((P0, 1)).acked_below(53).runs(), [(0, 2)]);
        assert_eq!(log.stream((P0, 1)).acked_below(99).runs(), [(0, 9)]);
    }
}
