//! Segments: the active one that grows, and sealed ones that only age.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::sync::Arc;

use plimsoll_records::BatchHeader;

use crate::offset_index::{self, OffsetIndex};
use crate::time_index::{self, TimeEntry, TimeIndex};
use crate::transactions::TransactionIndex;

/// How many of the active segment's last batches are known exactly, so that reads at the tail find both ends
/// without touching the file.
const RECENT_BATCHES_MAX: usize = 128;

/// A sealed segment, of which only the outline is in memory.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) base_offset: i64,
    /// One past its last offset.
    pub(crate) next_offset: i64,
    pub(crate) size_bytes: u64,
    /// Its largest timestamp, once somebody has looked: `Some(None)` for a segment without timestamps.
    pub(crate) newest: Option<Option<TimeEntry>>,
    /// From where it is not served any more, once a scrub has found a bad batch.
    pub(crate) damage: Option<Damage>,
}

/// The first bad batch of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub(crate) at_bytes: u64,
    pub(crate) problem: String,
}

/// The sealed segments, oldest first, and what they hold together. Reads as a slice.
#[derive(Debug, Default)]
pub(crate) struct SealedSegments {
    list: Vec<Sealed>,
    size_bytes: u64,
}

impl From<Vec<Sealed>> for SealedSegments {
    fn from(list: Vec<Sealed>) -> Self {
        let size_bytes = list.iter().map(|s| s.size_bytes).sum();
        Self { list, size_bytes }
    }
}

impl Deref for SealedSegments {
    type Target = [Sealed];

    fn deref(&self) -> &[Sealed] {
        &self.list
    }
}

impl SealedSegments {
    /// Bytes of batches in all of them.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Adds one behind the others.
    pub(crate) fn push(&mut self, sealed: Sealed) {
        self.size_bytes += sealed.size_bytes;
        self.list.push(sealed);
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Keeps those that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Sealed) -> bool) {
        self.list.retain(keep);
        self.size_bytes = self.list.iter().map(|s| s.size_bytes).sum();
    }

    /// Puts `sealed` in the place of those with these bases.
    pub(crate) fn replace(&mut self, bases: &Range<i64>, sealed: Sealed) {
        let from = self.list.partition_point(|s| s.base_offset < bases.start);
        let upto = self.list.partition_point(|s| s.base_offset < bases.end);
        self.list.splice(from..upto, [sealed]);
        self.size_bytes = self.list.iter().map(|s| s.size_bytes).sum();
    }

    /// Takes out the first `count`.
    pub(crate) fn take_oldest(&mut self, count: usize) -> Vec<Sealed> {
        let old: Vec<Sealed> = self.list.drain(..count.min(self.list.len())).collect();
        self.size_bytes -= old.iter().map(|s| s.size_bytes).sum::<u64>();
        old
    }

    /// Which of them begins at `base_offset`.
    pub(crate) fn position(&self, base_offset: i64) -> Option<usize> {
        self.list.binary_search_by_key(&base_offset, |s| s.base_offset).ok()
    }

    /// The one that begins at `base_offset`.
    pub(crate) fn find(&self, base_offset: i64) -> Option<&Sealed> {
        self.list.get(self.position(base_offset)?)
    }

    /// Notes the largest timestamp of the one that begins at `base_offset`. False if there is none.
    pub(crate) fn remember_newest(&mut self, base_offset: i64, newest: Option<TimeEntry>) -> bool {
        let sealed = self.position(base_offset).and_then(|i| self.list.get_mut(i));
        sealed.map(|sealed| sealed.newest = Some(newest)).is_some()
    }

    /// Notes from where the one that begins at `base_offset` is not to be served.
    pub(crate) fn remember_damage(&mut self, base_offset: i64, damage: Damage) {
        let sealed = self.position(base_offset).and_then(|i| self.list.get_mut(i));
        sealed.into_iter().for_each(|sealed| sealed.damage = Some(damage.clone()));
    }
}

/// A sealed segment with its file and indexes at hand.
#[derive(Debug)]
pub(crate) struct Opened<F> {
    pub(crate) file: Arc<F>,
    pub(crate) base_offset: i64,
    pub(crate) size_bytes: u64,
    pub(crate) index: OffsetIndex,
    pub(crate) times: TimeIndex,
}

impl<F> Opened<F> {
    /// What its indexes take in memory.
    pub(crate) fn index_bytes(&self) -> usize {
        self.index.len() * offset_index::ENTRY_BYTES + self.times.len() * time_index::ENTRY_BYTES
    }
}

/// What grows with each batch and must shrink when batches are cut off again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tail {
    /// Bytes accepted, which is where the next batch starts.
    pub(crate) size_bytes: u64,
    /// Bytes since the last index entry.
    pub(crate) since_index_bytes: u64,
    /// Largest timestamp so far.
    pub(crate) newest: Option<TimeEntry>,
    /// Largest timestamp of the first batch, from which `segment.ms` counts.
    pub(crate) first_timestamp: Option<i64>,
}

/// One of the last batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) at_bytes: u64,
}

/// The segment that takes new batches.
#[derive(Debug)]
pub(crate) struct Active<F> {
    pub(crate) file: Arc<F>,
    pub(crate) base_offset: i64,
    pub(crate) created_ms: i64,
    pub(crate) tail: Tail,
    /// Bytes of whole batches whose write completed.
    pub(crate) written_bytes: u64,
    /// Up to here space is reserved.
    pub(crate) reserved_bytes: u64,
    /// Size of the next reservation.
    pub(crate) step_bytes: u64,
    pub(crate) index: OffsetIndex,
    pub(crate) times: TimeIndex,
    pub(crate) aborted: TransactionIndex,
    pub(crate) recent: VecDeque<Recent>,
}

impl<F> Active<F> {
    /// A segment without batches.
    pub(crate) fn empty(
        file: Arc<F>,
        base_offset: i64,
        created_ms: i64,
        reserved_bytes: u64,
        step_bytes: u64,
    ) -> Self {
        Self {
            file,
            base_offset,
            created_ms,
            tail: Tail::default(),
            written_bytes: 0,
            reserved_bytes,
            step_bytes,
            index: OffsetIndex::new(base_offset),
            times: TimeIndex::new(base_offset),
            aborted: TransactionIndex::default(),
            recent: VecDeque::new(),
        }
    }

    /// Notes a batch that starts at the tail: grows it and keeps the indexes (rule E31).
    pub(crate) fn note(&mut self, header: &BatchHeader, index_interval_bytes: u64) {
        let (at_bytes, last_offset) = (self.tail.size_bytes, header.last_offset());
        let timestamp = header.max_timestamp;
        if timestamp > self.tail.newest.map_or(-1, |e| e.timestamp) {
            self.tail.newest = Some(TimeEntry { timestamp, offset: last_offset });
        }
        if self.tail.since_index_bytes > index_interval_bytes {
            self.index.push(last_offset, at_bytes);
            self.tail.newest.into_iter().for_each(|newest| self.times.push(newest));
            self.tail.since_index_bytes = 0;
        }
        self.tail.first_timestamp.get_or_insert(timestamp);
        self.tail.since_index_bytes += header.size_bytes() as u64;
        self.tail.size_bytes += header.size_bytes() as u64;
        if self.recent.len() == RECENT_BATCHES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { base_offset: header.base_offset, last_offset, at_bytes });
    }

    /// Goes back to an earlier tail, at which the log ended at `end_offset`.
    pub(crate) fn cut_back(&mut self, tail: Tail, end_offset: i64) {
        self.tail = tail;
        self.index.truncate(tail.size_bytes);
        self.times.truncate(end_offset);
        self.aborted.truncate(end_offset);
        while self.recent.back().is_some_and(|r| r.at_bytes >= tail.size_bytes) {
            self.recent.pop_back();
        }
    }

    /// Adds the entry that a segment's time index ends with.
    pub(crate) fn finish_times(&mut self) {
        self.tail.newest.into_iter().for_each(|newest| self.times.push(newest));
    }

    /// Where the batch that holds `offset` (or the next one) starts, if that is known without reading.
    pub(crate) fn recent_start(&self, offset: i64) -> Option<Recent> {
        let i = self.recent.partition_point(|r| r.last_offset < offset);
        // The first known batch may not be the first that reaches the offset, unless it is the segment's first.
        self.recent.get(i).copied().filter(|r| i > 0 || r.at_bytes == 0)
    }

    /// The last known boundary between batches that is not above `at_bytes`, with only batches below
    /// `upto_offset` before it.
    pub(crate) fn recent_boundary(&self, at_bytes: u64, upto_offset: i64) -> Option<u64> {
        let by_offset = self.recent.partition_point(|r| r.last_offset < upto_offset);
        let end =
            self.recent.get(by_offset).map_or(self.tail.size_bytes, |r| r.at_bytes).min(self.written_bytes);
        if end <= at_bytes {
            return Some(end);
        }
        let by_size = self.recent.partition_point(|r| r.at_bytes <= at_bytes);
        self.recent.get(by_size.checked_sub(1)?).map(|r| r.at_bytes)
    }
}
