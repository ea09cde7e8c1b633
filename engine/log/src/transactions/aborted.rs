//! What a `read_committed` fetch asks: how far it may read, and what it must skip.

use std::sync::Arc;

use plimsoll_io::SegmentStore;

use super::rebuild::keep_index;
use super::{AbortedTxn, TransactionIndex, read_beside_indexes};
use crate::error::ReadError;
use crate::log::Log;
use crate::room::off_thread;

/// The next segment to look into.
enum Next {
    Sealed(i64, Option<Arc<TransactionIndex>>),
    /// The active one was looked into; there is none behind it.
    End,
}

/// Where a sealed segment's index is.
enum Place {
    Gone,
    Memory(Arc<TransactionIndex>),
    /// In its file, or nowhere. Counts exchanges of files by compaction.
    File {
        on_disk: bool,
        swaps: u64,
    },
}

impl<S: SegmentStore> Log<S> {
    /// The last stable offset when the high watermark is `high_watermark`: `read_committed` consumers read below it
    /// (rule E20). It is the high watermark, or where the first transaction below it began that is ongoing, or whose
    /// marker lies at or above the high watermark; never below the log start offset. Costs the logarithm of the
    /// ongoing transactions. Forgets finished transactions below the high watermark, so ask whenever that moves.
    pub fn last_stable_offset(&self, high_watermark: i64) -> i64 {
        let mut state = self.shared.lock();
        let start_offset = state.marks.start_offset;
        match state.producers.first_unstable(high_watermark) {
            Some(first) => first.max(start_offset).min(high_watermark),
            None => high_watermark,
        }
    }

    /// The aborted transactions that overlap `from_offset..upto_offset`, in the order of their markers (rule E19).
    /// `upto_offset` is one past the last offset that the fetch returns, or any bound above it, and at most the last
    /// stable offset: transactions without a marker are not in the answer. Loads the indexes of few segments: only
    /// those in which something was aborted, from the one that holds `from_offset` to the first that knows that no later
    /// one matters.
    pub async fn aborted_transactions(
        &self,
        from_offset: i64,
        upto_offset: i64,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        let mut found = Vec::new();
        let mut from_base = self.segment_of(from_offset).min(from_offset);
        loop {
            let (base_offset, index) =
                match self.next_index(from_base, (from_offset, upto_offset), &mut found) {
                    Next::Sealed(base_offset, Some(index)) => (base_offset, Some(index)),
                    Next::Sealed(base_offset, None) => (base_offset, self.sealed_index(base_offset).await?),
                    Next::End => return Ok(found),
                };
            if index.is_some_and(|index| index.collect(from_offset, upto_offset, &mut found)) {
                return Ok(found);
            }
            from_base = base_offset.saturating_add(1);
        }
    }

    fn next_index(&self, from_base: i64, range: (i64, i64), found: &mut Vec<AbortedTxn>) -> Next {
        let state = self.shared.lock();
        match state.aborted.next_from(from_base) {
            Some(base_offset) => Next::Sealed(base_offset, state.aborted.in_memory(base_offset)),
            None => {
                state.active.aborted.collect(range.0, range.1, found);
                Next::End
            }
        }
    }

    /// The index of a sealed segment, loaded or made anew from the log where it is damaged or lost. `None` if the
    /// segment is gone.
    pub(crate) async fn sealed_index(
        &self,
        base_offset: i64,
    ) -> Result<Option<Arc<TransactionIndex>>, ReadError> {
        loop {
            let (on_disk, swaps) = match self.locate_index(base_offset)? {
                Place::Gone => return Ok(None),
                Place::Memory(index) => return Ok(Some(index)),
                Place::File { on_disk, swaps } => (on_disk, swaps),
            };
            let loaded = if on_disk { self.load_index(base_offset).await? } else { None };
            let rebuilt = loaded.is_none();
            let index = match loaded {
                Some(index) => index,
                // Waits for compaction, if that is exchanging the files.
                None => match self.rebuild_index(base_offset).await? {
                    Some(index) => index,
                    None => return Ok(None),
                },
            };
            let index = Arc::new(index);
            if rebuilt {
                let (shared, kept) = (Arc::clone(&self.shared), Arc::clone(&index));
                let keep = move || {
                    keep_index(&shared, (base_offset, swaps), &kept);
                    Ok(())
                };
                off_thread(&self.shared.dir, keep).await?;
            }
            let mut state = self.shared.lock();
            // Otherwise it may be that of another segment of the same base.
            if state.compacting.swaps == swaps && !state.is_swapping(base_offset) {
                if !rebuilt {
                    state.aborted.keep(base_offset, Arc::clone(&index));
                }
                return Ok(Some(index));
            }
        }
    }

    fn locate_index(&self, base_offset: i64) -> Result<Place, ReadError> {
        let mut state = self.shared.lock();
        state.check_deleted(&self.shared.dir)?;
        if state.sealed.binary_search_by_key(&base_offset, |s| s.base_offset).is_err() {
            state.aborted.set(base_offset, None);
            return Ok(Place::Gone);
        }
        let on_disk = state.aborted.is_on_disk(base_offset) && !state.is_swapping(base_offset);
        let file = Place::File { on_disk, swaps: state.compacting.swaps };
        Ok(state.aborted.in_memory(base_offset).map_or(file, Place::Memory))
    }

    /// `None` if there is no readable file: it was there when the log was opened.
    async fn load_index(&self, base_offset: i64) -> Result<Option<TransactionIndex>, ReadError> {
        let dir = self.shared.dir.clone();
        let read = off_thread(&self.shared.dir, move || read_beside_indexes(&dir, base_offset)).await?;
        Ok(read.filter(|index| !index.is_empty()))
    }
}
