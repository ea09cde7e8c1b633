//! Removing segments from the log's beginning, and the files of any.

use std::path::Path;

use plimsoll_io::{IoFault, SegmentStore};

use super::{Retained, RetentionBounds, RetentionPolicy};
use crate::error::LogError;
use crate::layout::{self, LOG_SUFFIX, TXN_INDEX_SUFFIX};
use crate::log::Log;
use crate::offset_index::OffsetIndex;
use crate::room::off_thread;
use crate::segment::Sealed;
use crate::side_file;
use crate::time_index::TimeIndex;

impl<S: SegmentStore> Log<S> {
    /// Removes sealed segments that lie wholly below the log start offset, with their indexes. Slices already
    /// read stay valid. Returns the bytes freed.
    pub async fn remove_old_segments(&self) -> Result<u64, LogError> {
        let _turn = self.shared.room.lock().await;
        let (segments, log_start_offset) = (self.segments(), self.marks().start_offset);
        let bounds = RetentionBounds { log_start_offset, high_watermark: log_start_offset, now_ms: 0 };
        let count = RetentionPolicy::default().breaches(&segments, bounds);
        Ok(self.remove_oldest(count).await?.removed_bytes)
    }

    /// Removes the `count` oldest segments, as far as they are sealed: those that still are being sealed are syncing,
    /// and go with the next call. The caller has the room lock.
    pub(super) async fn remove_oldest(&self, count: usize) -> Result<Retained, LogError> {
        let (old, put_out, log_start_offset): (Vec<Sealed>, _, i64) = self.shared.update(|state, _| {
            let unsealed = state.sealing.front().map_or(i64::MAX, |s| s.opened.base_offset);
            let sealed = state.sealed.partition_point(|s| s.base_offset < unsealed);
            let old = state.sealed.take_oldest(if state.deleted { 0 } else { count.min(sealed) });
            let first_base = state.sealed.first().map_or(state.active.base_offset, |s| s.base_offset);
            if !old.is_empty() && first_base > state.marks.start_offset {
                state.marks.start_offset = first_base;
                state.epochs.truncate_from_start(first_base);
            }
            state.aborted.forget_if(|base| base < first_base);
            state.compacting.interruptions += u64::from(!old.is_empty());
            (old, state.open.forget_if(|base| base < first_base), state.marks.start_offset)
        });
        drop(put_out);
        let bases: Vec<i64> = old.iter().map(|s| s.base_offset).collect();
        self.remove_files(bases).await?;
        let removed_bytes = old.iter().map(|s| s.size_bytes).sum();
        Ok(Retained { removed_segments: old.len(), removed_bytes, log_start_offset })
    }

    /// Removes the files of the log's oldest segments, in order, and makes that durable.
    async fn remove_files(&self, bases: Vec<i64>) -> Result<(), IoFault> {
        let Some(last) = bases.last().copied() else { return Ok(()) };
        let shared = &self.shared;
        let mut retired = Vec::new();
        for base_offset in &bases {
            retired.extend(self.retire_file(*base_offset).await?);
        }
        let (dir, snapshots) = (shared.dir.clone(), shared.snapshots.clone());
        off_thread(&shared.dir, move || {
            bases.iter().try_for_each(|base_offset| remove_indexes(&dir, *base_offset))?;
            snapshots.cut_before(last.saturating_add(1))
        })
        .await?;
        shared.store.sync_directory(&shared.dir).await?;
        self.keep_retired(retired).await
    }

    /// Removes a segment's files, the data first: an index without a log is harmless.
    pub(crate) async fn remove_segment(&self, base_offset: i64) -> Result<(), IoFault> {
        let dir = self.shared.dir.clone();
        self.shared.store.remove(&layout::segment_path(&dir, base_offset, LOG_SUFFIX)).await?;
        off_thread(&self.shared.dir, move || remove_indexes(&dir, base_offset)).await
    }
}

/// Blocks.
fn remove_indexes(dir: &Path, base_offset: i64) -> Result<(), IoFault> {
    side_file::remove_if_present(&OffsetIndex::path(dir, base_offset))?;
    side_file::remove_if_present(&TimeIndex::path(dir, base_offset))?;
    side_file::remove_if_present(&layout::segment_path(dir, base_offset, TXN_INDEX_SUFFIX))
}
