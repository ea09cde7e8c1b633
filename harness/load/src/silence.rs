//! When a partition acknowledged nothing: what an outage looks like from outside.

use std::collections::BTreeMap;

use crate::clock::Nanos;
use crate::verify::PartitionId;

/// Shorter ones are the pace of batches and not kept.
const SHORTEST_NS: Nanos = 20_000_000;
/// A partition that says nothing for so long until the end of the load is not heard of any more.
const UNHEARD_NS: Nanos = 1_000_000_000;

/// A time in which no record of a partition was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// The acknowledgement before it, or the begin of the run.
    pub from: Nanos,
    /// The acknowledgement after it, or the end of the load.
    pub to: Nanos,
    /// Whether an acknowledgement ended it.
    pub ended: bool,
}

impl Silence {
    /// How long it was from `at` on.
    fn length_from(&self, at: Nanos) -> Nanos {
        self.to.saturating_sub(self.from.max(at))
    }
}

/// Notes acknowledgements of one producer, by the position of the partition.
#[derive(Debug)]
pub(crate) struct Listener {
    start: Nanos,
    heard: Vec<(Nanos, Vec<Silence>)>,
}

impl Listener {
    /// For so many partitions, from `start` on. Without any partition nothing is noted.
    pub(crate) fn new(start: Nanos, partitions: usize) -> Listener {
        Listener { start, heard: vec![(start, Vec::new()); partitions] }
    }

    /// Something of the partition at this position was acknowledged.
    pub(crate) fn acked(&mut self, partition: usize, at: Nanos) {
        let Some((last, silences)) = self.heard.get_mut(partition) else { return };
        if at > *last + SHORTEST_NS {
            silences.push(Silence { from: *last, to: at, ended: true });
        }
        *last = at.max(*last);
    }

    /// What was heard by the end of the load; `ids` are the partitions in their positions.
    pub(crate) fn end(self, ids: &[PartitionId], end: Nanos) -> Silences {
        let start = self.start;
        let of = |(id, (last, mut silences)): (&PartitionId, (Nanos, Vec<Silence>))| {
            let to = end.max(start);
            if to > last + SHORTEST_NS {
                silences.push(Silence { from: last, to, ended: false });
            }
            (*id, silences)
        };
        Silences { by_partition: ids.iter().zip(self.heard).map(of).collect() }
    }
}

/// The silences of every partition in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silences {
    by_partition: BTreeMap<PartitionId, Vec<Silence>>,
}

impl Silences {
    /// Those of another producer of the same run: a partition is silent while all are.
    #[must_use]
    pub(crate) fn and(mut self, other: &Silences) -> Silences {
        for (id, silences) in &mut self.by_partition {
            let others = other.by_partition.get(id).map(Vec::as_slice).unwrap_or_default();
            *silences = silences.iter().flat_map(|one| common(*one, others)).collect();
        }
        self
    }

    /// The longest silence of the partitions that begins before `until` and lasts beyond `at`, counted from `at` on. Of
    /// those that never ended the longest comes before any other. `None` when all were heard all the time.
    pub fn longest(
        &self,
        wanted: impl Fn(PartitionId) -> bool,
        at: Nanos,
        until: Nanos,
    ) -> Option<(Nanos, bool)> {
        let of = self.by_partition.iter().filter(|(id, _)| wanted(**id)).flat_map(|(_, silences)| silences);
        let after = of.filter(|silence| silence.to > at && silence.from < until);
        let told = after.map(|silence| {
            let length = silence.length_from(at);
            (length, silence.ended || length < UNHEARD_NS)
        });
        told.max_by_key(|(length, ended)| (!ended, *length))
    }
}

/// The parts of a silence that lie in another one as well.
fn common(one: Silence, others: &[Silence]) -> impl Iterator<Item = Silence> {
    others.iter().filter_map(move |other| {
        let (from, to) = (one.from.max(other.from), one.to.min(other.to));
        // Who was heard first ended it for both.
        let ended = one.ended || other.ended;
        (to > from + SHORTEST_NS).then_some(Silence { from, to, ended })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    const P0: PartitionId = PartitionId { topic: 0, partition: 0 };
    const P1: PartitionId = PartitionId { topic: 0, partition: 1 };

    fn heard(by_partition: &[&[Nanos]], end: Nanos) -> Silences {
        let mut listener = Listener::new(0, by_partition.len());
        for (partition, times) in by_partition.iter().enumerate() {
            times.iter().for_each(|at| listener.acked(partition, *at));
        }
        listener.end(&[P0, P1][..by_partition.len()], end)
    }

    /// An acknowledgement every ten milliseconds, but for a silence.
    fn steady(end: Nanos, silent: std::ops::Range<Nanos>) -> Vec<Nanos> {
        (0..end).step_by(10_000_000).filter(|at| !silent.contains(at)).collect()
    }

    #[test]
    fn an_outage_counts_from_the_injection_to_the_next_acknowledgement() {
        let silences = heard(&[&steady(10 * SECOND, 4 * SECOND..6 * SECOND)], 10 * SECOND);
        let at = 4 * SECOND + SECOND / 2;
        assert_eq!(silences.longest(|_| true, at, 10 * SECOND), Some((3 * SECOND / 2, true)));
        assert_eq!(silences.longest(|_| true, 7 * SECOND, 10 * SECOND), None, "over by then");
        assert_eq!(silences.longest(|_| true, SECOND, 3 * SECOND), None, "the next fault's, not this one's");
    }

    #[test]
    fn who_is_never_heard_again_is_silent_to_the_end() {
        let gone = steady(10 * SECOND, 4 * SECOND..10 * SECOND);
        let silences = heard(&[&steady(10 * SECOND, 2 * SECOND..9 * SECOND), &gone], 10 * SECOND);
        let (length, recovered) = silences.longest(|_| true, 4 * SECOND, 10 * SECOND).unwrap();
        assert!(!recovered && length > 5 * SECOND, "{length}");
        let other = silences.longest(|id| id == P0, 4 * SECOND, 10 * SECOND).unwrap();
        assert_eq!(other, (5 * SECOND, true));
    }

    #[test]
    fn the_last_batch_before_the_end_is_no_outage() {
        let silences = heard(&[&steady(2 * SECOND, SECOND + SECOND / 2..2 * SECOND)], 2 * SECOND);
        let (_, recovered) = silences.longest(|_| true, 0, 2 * SECOND).unwrap();
        assert!(recovered, "half a second of silence at the end is not yet an outage");
    }

    #[test]
    fn a_partition_is_silent_while_all_producers_are() {
        let one = heard(&[&steady(10 * SECOND, 2 * SECOND..5 * SECOND)], 10 * SECOND);
        let two = heard(&[&steady(10 * SECOND, 4 * SECOND..8 * SECOND)], 10 * SECOND);
        let (length, recovered) = one.clone().and(&two).longest(|_| true, 0, 10 * SECOND).unwrap();
        assert!(recovered && length.abs_diff(SECOND) <= 10_000_000, "{length}");
        let nobody = heard(&[&steady(10 * SECOND, 0..10 * SECOND)], 10 * SECOND);
        assert_eq!(one.and(&nobody).longest(|_| true, 0, 10 * SECOND).map(|(_, ended)| ended), Some(true));
    }
}
