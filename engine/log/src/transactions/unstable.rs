//! What holds the last stable offset back (rule E20).

use std::collections::{BTreeSet, VecDeque};

/// How many finished transactions are told apart; more are merged, which may hold readers back a little longer.
const FINISHED_MAX: usize = 1024;

/// A transaction whose marker may not be replicated yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Finished {
    first_offset: i64,
    /// Offset of the marker.
    last_offset: i64,
}

/// Ongoing transactions, and finished ones that hold the last stable offset back until the high watermark has passed
/// their marker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unstable {
    /// First offset and producer of each ongoing transaction.
    ongoing: BTreeSet<(i64, i64)>,
    /// In the order of their markers. Only those that matter: one that began later than one that ended later holds
    /// nothing back that the other does not. So first offsets rise too.
    finished: VecDeque<Finished>,
}

impl Unstable {
    /// Notes how a producer's ongoing transaction changed, by its first offset.
    pub(crate) fn change(&mut self, producer_id: i64, before: Option<i64>, after: Option<i64>) {
        if before == after {
            return;
        }
        if let Some(first_offset) = before {
            self.ongoing.remove(&(first_offset, producer_id));
        }
        if let Some(first_offset) = after {
            self.ongoing.insert((first_offset, producer_id));
        }
    }

    /// Where the oldest ongoing transaction began.
    pub(crate) fn first_ongoing(&self) -> Option<i64> {
        self.ongoing.first().map(|(first_offset, _)| *first_offset)
    }

    /// Notes that a transaction ended with the marker at `last_offset`, behind all markers so far.
    pub(crate) fn finish(&mut self, first_offset: i64, last_offset: i64) {
        while self.finished.pop_back_if(|f| f.first_offset >= first_offset).is_some() {}
        self.finished.push_back(Finished { first_offset, last_offset });
        if self.finished.len() > FINISHED_MAX
            && let Some(Finished { first_offset, .. }) = self.finished.pop_front()
            && let Some(oldest) = self.finished.front_mut()
        {
            oldest.first_offset = first_offset;
        }
    }

    /// Takes back what was noted of markers at or behind `end_offset`. Those transactions are ongoing again, or gone.
    pub(crate) fn truncate(&mut self, end_offset: i64) {
        while self.finished.pop_back_if(|f| f.first_offset >= end_offset).is_some() {}
        // Several may have been merged into one, of which only the last is taken back.
        for cut in self.finished.iter_mut().rev().take_while(|f| f.last_offset >= end_offset) {
            cut.last_offset = end_offset.saturating_sub(1);
        }
    }

    /// The first offset that a `read_committed` consumer may not see yet, for lack of a decision or of its replication.
    /// `None` if there is none below `high_watermark`.
    pub(crate) fn first_unstable(&mut self, high_watermark: i64) -> Option<i64> {
        while self.finished.pop_front_if(|f| f.last_offset < high_watermark).is_some() {}
        let unreplicated = self.finished.front().map(|f| f.first_offset);
        unreplicated.into_iter().chain(self.first_ongoing()).min().filter(|first| *first < high_watermark)
    }
}
