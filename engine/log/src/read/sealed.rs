//! Opening sealed segments: from the few that are kept open, or by their files.

use std::sync::Arc;

use plimsoll_io::SegmentStore;

use super::read_indexes;
use crate::error::ReadError;
use crate::layout::{self, LOG_SUFFIX};
use crate::log::Log;
use crate::room::off_thread;
use crate::segment::Opened;

/// A sealed segment before it is opened.
enum Outline<F> {
    Open(Arc<Opened<F>>),
    OnDisk { size_bytes: u64, swaps: u64 },
    Gone,
}

impl<S: SegmentStore> Log<S> {
    /// The sealed segment with its file and indexes, from the few that are kept open or opened now. `None` if
    /// it is gone.
    pub(crate) async fn open_sealed(
        &self,
        base_offset: i64,
    ) -> Result<Option<Arc<Opened<S::File>>>, ReadError> {
        loop {
            let (size_bytes, swaps) = match self.outline(base_offset).await? {
                Outline::Open(opened) => return Ok(Some(opened)),
                Outline::Gone => return Ok(None),
                Outline::OnDisk { size_bytes, swaps } => (size_bytes, swaps),
            };
            let opened = self.open_segment(base_offset, size_bytes, swaps).await;
            // Declared before the lock, so that what is put out is closed after it.
            let _put_out;
            let mut state = self.shared.lock();
            // Compaction exchanges files meanwhile: the path may have led to either, or to none.
            if state.compacting.swaps != swaps || state.is_swapping(base_offset) {
                continue;
            }
            let opened = Arc::new(opened?);
            // What was opened may be another log's, if this one was deleted meanwhile.
            state.check_deleted(&self.shared.dir)?;
            if state.sealed.find(base_offset).is_none() {
                return Ok(None);
            }
            _put_out = state.open.put(Arc::clone(&opened));
            return Ok(Some(opened));
        }
    }

    /// What is known of a sealed segment, once its files are not being exchanged.
    async fn outline(&self, base_offset: i64) -> Result<Outline<S::File>, ReadError> {
        let dir = &self.shared.dir;
        let outline = self.shared.until(|state| {
            if let Some(opened) = state.open.get(base_offset) {
                return Some(Ok(Outline::Open(opened)));
            }
            if state.is_swapping(base_offset) {
                return state.marks.fault.as_ref().map(|fault| Err((**fault).clone()));
            }
            let Some(sealed) = state.sealed.find(base_offset) else {
                return Some(Ok(Outline::Gone));
            };
            let outline = Outline::OnDisk { size_bytes: sealed.size_bytes, swaps: state.compacting.swaps };
            Some(state.check_deleted(dir).map(|()| outline))
        });
        Ok(outline.await?)
    }

    /// Opens a segment's file and reads its indexes, rebuilding what is missing or damaged.
    pub(crate) async fn open_segment(
        &self,
        base_offset: i64,
        size_bytes: u64,
        swaps: u64,
    ) -> Result<Opened<S::File>, ReadError> {
        let dir = &self.shared.dir;
        let path = layout::segment_path(dir, base_offset, LOG_SUFFIX);
        let (file, _) = self.shared.store.open(&path).await?;
        let of = dir.clone();
        let indexes = off_thread(dir, move || read_indexes(&of, base_offset, size_bytes)).await?;
        if let Some((index, times)) = indexes {
            return Ok(Opened { file: Arc::new(file), base_offset, size_bytes, index, times });
        }
        let (index, times) = self.rebuild_and_keep(&file, base_offset, size_bytes, swaps).await?;
        Ok(Opened { file: Arc::new(file), base_offset, size_bytes, index, times })
    }
}
