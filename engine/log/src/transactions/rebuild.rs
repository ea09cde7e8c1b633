//! Making a sealed segment's transaction index anew from the log.

use std::sync::Arc;

use plimsoll_io::SegmentStore;

use super::{TransactionIndex, sealed::Slot, write};
use crate::error::ReadError;
use crate::log::Log;
use crate::offset_index::OffsetIndex;
use crate::producers::Producers;
use crate::room::off_thread;
use crate::scan::replay_producers;
use crate::state::{Shared, now_ms};

impl<S: SegmentStore> Log<S> {
    /// Producer state from the nearest snapshot not beyond `upto_offset`, and of the batches behind it in segments
    /// before the one at `before_base`. Says where the snapshot was taken.
    pub(crate) async fn sealed_producers(
        &self,
        before_base: i64,
        upto_offset: i64,
    ) -> Result<(i64, Producers), ReadError> {
        let now_ms = now_ms();
        let snapshots = self.shared.snapshots.clone();
        let load = move || snapshots.load_newest(upto_offset, now_ms);
        let loaded = off_thread(&self.shared.dir, load).await?;
        let (from_offset, mut producers) = loaded.unwrap_or((i64::MIN, Producers::default()));
        let older = self.segments().into_iter().filter(|s| s.base_offset < before_base);
        for segment in older.filter(|s| s.next_offset > from_offset) {
            let Some(opened) = self.open_sealed(segment.base_offset).await? else { continue };
            let bytes = (replay_start(&opened.index, from_offset), opened.size_bytes);
            let range = (from_offset, upto_offset);
            replay_producers(&*opened.file, bytes, range, &mut producers, now_ms, drop).await?;
        }
        Ok((from_offset, producers))
    }

    /// The aborted transactions of a sealed segment, read off its markers. `None` if the segment is gone.
    pub(super) async fn rebuild_index(
        &self,
        base_offset: i64,
    ) -> Result<Option<TransactionIndex>, ReadError> {
        tracing::info!(dir = %self.shared.dir.display(), base_offset, "rebuilding a segment's transaction index");
        let (from_offset, mut producers) = self.sealed_producers(base_offset, base_offset).await?;
        let Some(opened) = self.open_sealed(base_offset).await? else { return Ok(None) };
        let (bytes, range) = ((0, opened.size_bytes), (from_offset, i64::MAX));
        let mut index = TransactionIndex::default();
        let note = |aborted| index.push(aborted);
        replay_producers(&*opened.file, bytes, range, &mut producers, now_ms(), note).await?;
        Ok(Some(index))
    }
}

/// A batch from which a replay must begin to see all batches behind `from_offset`.
pub(crate) fn replay_start(index: &OffsetIndex, from_offset: i64) -> u64 {
    index.floor(from_offset).map_or(0, |e| u64::from(e.at_bytes))
}

/// Writes a rebuilt index, if nobody changes the log's files at the moment and the segment is sealed; otherwise, or if
/// that fails, it serves from memory. Blocks.
pub(super) fn keep_index<S: SegmentStore>(
    shared: &Shared<S>,
    (base_offset, swaps): (i64, u64),
    index: &Arc<TransactionIndex>,
) {
    // A truncation may ask in its own turn, so this must not wait for one.
    let Ok(_turn) = shared.room.try_lock() else { return };
    {
        let state = shared.lock();
        if !state.is_sealed(base_offset) || state.compacting.swaps != swaps {
            return;
        }
    }
    let written = write(&shared.dir, base_offset, index);
    let mut state = shared.lock();
    match written {
        Ok(()) if index.is_empty() => state.aborted.set(base_offset, None),
        Ok(()) => {
            state.aborted.set(base_offset, Some(Slot::OnDisk));
            state.aborted.keep(base_offset, Arc::clone(index));
        }
        Err(fault) => {
            tracing::warn!(%fault, "could not write a rebuilt transaction index; it serves from memory");
            state.aborted.hold(base_offset, index);
        }
    }
}
