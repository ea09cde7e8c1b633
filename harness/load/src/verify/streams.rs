//! The records of each producer in one partition, as seen.

use std::collections::BTreeMap;

use super::ranges::Ranges;

/// A run of sequences that was skipped, and the offsets of the records around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) last: u64,
    pub(super) after_offset: Option<i64>,
    pub(super) before_offset: Option<i64>,
}

/// One producer's records in one partition, as seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    /// One more than the highest sequence seen.
    pub(super) next: u64,
    pub(super) last_offset: Option<i64>,
    /// First sequence of each gap.
    gaps: BTreeMap<u64, Gap>,
}

impl Stream {
    /// The sequences that were seen.
    pub(super) fn seen(&self) -> Ranges {
        let Some(last) = self.next.checked_sub(1) else { return Ranges::default() };
        let gaps = Ranges::of(self.gaps.iter().map(|(first, gap)| (*first, gap.last)));
        Ranges::of([(0, last)]).without(&gaps)
    }

    /// The gap that holds this sequence, or the open end behind the last one seen.
    pub(super) fn gap_of(&self, sequence: u64) -> Gap {
        let open_end = Gap { last: u64::MAX, after_offset: self.last_offset, before_offset: None };
        self.gap_at(sequence).map_or(open_end, |(_, gap)| gap)
    }

    fn gap_at(&self, sequence: u64) -> Option<(u64, Gap)> {
        let (first, gap) = self.gaps.range(..=sequence).next_back()?;
        (sequence <= gap.last).then_some((*first, *gap))
    }

    /// Takes a sequence beyond the next one, and leaves a gap before it. How many sequences are in the gap.
    pub(super) fn skip_to(&mut self, sequence: u64, offset: i64) -> u64 {
        let gap = Gap { last: sequence - 1, after_offset: self.last_offset, before_offset: Some(offset) };
        self.gaps.insert(self.next, gap);
        let skipped = sequence - self.next;
        self.next = sequence.saturating_add(1);
        self.last_offset = Some(offset);
        skipped
    }

    /// Sequences in gaps.
    pub(super) fn missing(&self) -> u64 {
        self.gaps.iter().map(|(first, gap)| gap.last - first + 1).sum()
    }

    /// Takes one sequence out of its gap; false when it is in none.
    pub(super) fn fill(&mut self, sequence: u64) -> bool {
        let Some((first, gap)) = self.gap_at(sequence) else { return false };
        self.gaps.remove(&first);
        if first < sequence {
            self.gaps.insert(first, Gap { last: sequence - 1, ..gap });
        }
        if sequence < gap.last {
            self.gaps.insert(sequence + 1, gap);
        }
        true
    }

    /// Joins what another consumer saw of the same stream; gives what both saw.
    pub(super) fn join(&mut self, other: &Stream) -> Ranges {
        let (mine, theirs) = (self.seen(), other.seen());
        let seen = Ranges::of(mine.runs().iter().chain(theirs.runs()).copied());
        self.next = self.next.max(other.next);
        self.last_offset = self.last_offset.max(other.last_offset);
        let whole = Ranges::of(self.next.checked_sub(1).map(|last| (0, last)));
        let gap = |last| Gap { last, after_offset: None, before_offset: None };
        self.gaps = whole.without(&seen).runs().iter().map(|(first, last)| (*first, gap(*last))).collect();
        mine.and(&theirs)
    }
}

/// The streams of one partition, by producer.
///
/// Records come in batches, and a batch is one producer's: so the stream that was asked for last is asked for again.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams {
    /// Ascending by producer.
    streams: Vec<(u32, Stream)>,
    last: usize,
}

impl Streams {
    /// The stream of a producer, a new one if nothing was seen of it.
    #[inline]
    pub(super) fn of(&mut self, producer: u32) -> &mut Stream {
        if self.streams.get(self.last).is_none_or(|(last, _)| *last != producer) {
            self.last = self.position(producer);
        }
        &mut self.streams[self.last].1
    }

    #[cold]
    fn position(&mut self, producer: u32) -> usize {
        self.find(producer).unwrap_or_else(|at| {
            self.streams.insert(at, (producer, Stream::default()));
            at
        })
    }

    pub(super) fn get(&self, producer: u32) -> Option<&Stream> {
        self.streams.get(self.find(producer).ok()?).map(|(_, stream)| stream)
    }

    pub(super) fn producers(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().map(|(producer, _)| *producer)
    }

    /// Sequences in gaps, over all producers.
    pub(super) fn missing(&self) -> u64 {
        self.streams.iter().map(|(_, stream)| stream.missing()).sum()
    }

    fn find(&self, producer: u32) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&producer, |(producer, _)| *producer)
    }
}

impl IntoIterator for Streams {
    type Item = (u32, Stream);
    type IntoIter = std::vec::IntoIter<(u32, Stream)>;

    fn into_iter(self) -> Self::IntoIter {
        self.streams.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_producer_has_one_stream_whoever_was_asked_for_before() {
        let mut streams = Streams::default();
        for (producer, next) in [(7, 1), (3, 2), (7, 3), (9, 4), (3, 5), (3, 6), (5, 7), (7, 8)] {
            streams.of(producer).next = next;
        }
        assert_eq!(streams.producers().collect::<Vec<_>>(), [3, 5, 7, 9]);
        let next = [3, 5, 7, 9, 4].map(|producer| streams.get(producer).map(|stream| stream.next));
        assert_eq!(next, [Some(6), Some(7), Some(8), Some(4), None]);
    }
}
