//! Which sealed segments have aborted transactions. A log of 20,000 segments loads none of their indexes to know that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::TransactionIndex;

/// How many loaded indexes are kept per log.
const LOADED_MAX: usize = 8;

/// Where the index of a sealed segment is.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// In its file.
    OnDisk,
    /// In memory, because its file is not written yet.
    Held(Arc<TransactionIndex>),
    /// Nobody knows whether there should be a file, because the files that vouch for it are missing.
    Unknown,
}

/// The segments with a transaction index, and the few last loaded. Segments that are not in it have none. Those that are
/// no longer sealed are forgotten when somebody meets them.
#[derive(Debug, Default)]
pub(crate) struct SealedTransactions {
    slots: BTreeMap<i64, Slot>,
    /// Newest last.
    loaded: VecDeque<(i64, Arc<TransactionIndex>)>,
}

impl SealedTransactions {
    /// Notes what a listing of the directory says of a segment.
    pub(crate) fn found(&mut self, base_offset: i64, has_indexes: bool, has_file: bool) {
        let slot = match (has_indexes, has_file) {
            (true, true) => Some(Slot::OnDisk),
            (true, false) => None,
            (false, _) => Some(Slot::Unknown),
        };
        self.set(base_offset, slot);
    }

    /// Notes a segment's index, whose file is to be written.
    pub(crate) fn hold(&mut self, base_offset: i64, index: &Arc<TransactionIndex>) {
        self.set(base_offset, (!index.is_empty()).then(|| Slot::Held(Arc::clone(index))));
    }

    /// Notes that the segment's file is written. It is loaded when it is needed.
    pub(crate) fn written(&mut self, base_offset: i64) {
        if let Some(slot) = self.slots.get_mut(&base_offset) {
            *slot = Slot::OnDisk;
        }
    }

    /// Keeps an index for the next fetch that asks.
    pub(crate) fn keep(&mut self, base_offset: i64, index: Arc<TransactionIndex>) {
        self.loaded.push_back((base_offset, index));
        if self.loaded.len() > LOADED_MAX {
            self.loaded.pop_front();
        }
    }

    pub(crate) fn set(&mut self, base_offset: i64, slot: Option<Slot>) {
        self.loaded.retain(|(base, _)| *base != base_offset);
        match slot {
            Some(slot) => self.slots.insert(base_offset, slot),
            None => self.slots.remove(&base_offset),
        };
    }

    /// The first segment from `base_offset` on that has an index or may have one.
    pub(crate) fn next_from(&self, base_offset: i64) -> Option<i64> {
        self.slots.range(base_offset..).next().map(|(base, _)| *base)
    }

    /// A segment's index, if it is in memory.
    pub(crate) fn in_memory(&self, base_offset: i64) -> Option<Arc<TransactionIndex>> {
        if let Some(Slot::Held(index)) = self.slots.get(&base_offset) {
            return Some(Arc::clone(index));
        }
        self.loaded.iter().find(|(base, _)| *base == base_offset).map(|(_, index)| Arc::clone(index))
    }

    /// Whether the segment's index has a file that may be believed.
    pub(crate) fn is_on_disk(&self, base_offset: i64) -> bool {
        matches!(self.slots.get(&base_offset), Some(Slot::OnDisk))
    }

    /// Whether it is open if transactions were aborted in the segment. Its other indexes must not be written then: they
    /// would vouch for a file that may be missing.
    pub(crate) fn is_unknown(&self, base_offset: i64) -> bool {
        matches!(self.slots.get(&base_offset), Some(Slot::Unknown))
    }

    /// Forgets the segments for which `gone` says so.
    pub(crate) fn forget_if(&mut self, gone: impl Fn(i64) -> bool) {
        self.slots.retain(|base, _| !gone(*base));
        self.loaded.retain(|(base, _)| !gone(*base));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transactions::AbortedTxn;

    #[test]
    fn e32_a_missing_file_means_none_only_beside_the_files_that_vouch_for_it() {
        let mut sealed = SealedTransactions::default();
        sealed.found(0, true, false);
        sealed.found(10, true, true);
        sealed.found(20, false, false);
        sealed.found(30, false, true);
        assert_eq!(sealed.next_from(0), Some(10), "nothing was aborted in the first");
        assert!(sealed.is_on_disk(10));
        assert!(
            sealed.is_unknown(20) && sealed.is_unknown(30),
            "a file that nothing vouches for is not believed"
        );
    }

    #[test]
    fn few_loaded_indexes_are_kept() {
        let mut sealed = SealedTransactions::default();
        let mut index = TransactionIndex::default();
        index.push(AbortedTxn { producer_id: 1, first_offset: 0, last_offset: 1, last_stable_offset: 2 });
        let index = Arc::new(index);
        for base_offset in 0..20 {
            sealed.hold(base_offset, &index);
            assert!(sealed.in_memory(base_offset).is_some(), "its file is not written yet");
            sealed.written(base_offset);
            assert!(sealed.in_memory(base_offset).is_none());
            sealed.keep(base_offset, Arc::clone(&index));
        }
        assert_eq!((0..20).filter(|base| sealed.in_memory(*base).is_some()).count(), LOADED_MAX);
        sealed.forget_if(|base| base > 3);
        assert_eq!((sealed.next_from(3), sealed.next_from(4)), (Some(3), None));
        assert_eq!((0..20).find(|base| sealed.in_memory(*base).is_some()), None);
    }
}
