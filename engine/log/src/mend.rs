//! An index that does not fit its segment: seen when a batch that it names is not there, and made anew.
//!
//! Index files have no checksum. One that changed on the device and whose entries no longer rise is seen when it is
//! read; one whose entries still do, only where an entry is used.

use std::sync::Arc;

use plimsoll_io::SegmentStore;

use crate::error::ReadError;
use crate::log::Log;
use crate::segment::Opened;

impl<S: SegmentStore> Log<S> {
    /// Has the segment's entry for the batch at `at_bytes` not believed again. A sealed segment's indexes are rebuilt;
    /// where that is impossible, because the segment itself is damaged, and in the active segment, the entry goes.
    /// Afterwards reads begin at an earlier one.
    pub(crate) async fn mend_index(&self, base_offset: i64, at_bytes: u64) -> Result<(), ReadError> {
        let dir = self.shared.dir.display();
        tracing::warn!(%dir, base_offset, at_bytes, "a segment's index names a batch that is not there");
        {
            let mut state = self.shared.lock();
            if state.active.base_offset == base_offset {
                state.active.index.forget(at_bytes);
                return Ok(());
            }
        }
        self.replace_indexes(base_offset, Some(at_bytes)).await
    }

    /// Makes the indexes of a sealed segment anew.
    pub(crate) async fn renew_indexes(&self, base_offset: i64) -> Result<(), ReadError> {
        let dir = self.shared.dir.display();
        tracing::warn!(%dir, base_offset, "a segment's time index does not end with its largest timestamp");
        self.replace_indexes(base_offset, None).await
    }

    /// Rebuilds them, or where that is impossible has the entry for the batch at `at_bytes` forgotten.
    async fn replace_indexes(&self, base_offset: i64, at_bytes: Option<u64>) -> Result<(), ReadError> {
        let swaps = self.shared.lock().compacting.swaps;
        let Some(opened) = self.open_sealed(base_offset).await? else { return Ok(()) };
        let Opened { file, size_bytes, .. } = &*opened;
        let (index, times) = match self.rebuild_and_keep(file, base_offset, *size_bytes, swaps).await {
            Ok(rebuilt) => rebuilt,
            Err(ReadError::Corrupt { .. }) => {
                let mut index = opened.index.clone();
                at_bytes.into_iter().for_each(|at_bytes| index.forget(at_bytes));
                (index, opened.times.clone())
            }
            Err(error) => return Err(error),
        };
        let (file, size_bytes) = (Arc::clone(file), *size_bytes);
        let mended = Arc::new(Opened { file, base_offset, size_bytes, index, times });
        // Declared before the lock, so that what is put out is closed after it.
        let _put_out;
        let mut state = self.shared.lock();
        if state.compacting.swaps == swaps && state.sealed.find(base_offset).is_some() {
            _put_out = state.open.put(mended);
        }
        Ok(())
    }
}
