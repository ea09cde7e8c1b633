//! The index files of a sealed segment: read, or made anew from its batches.

use std::sync::Arc;

use plimsoll_io::{IoFault, SegmentFile, SegmentStore};

use crate::error::ReadError;
use crate::log::Log;
use crate::offset_index::OffsetIndex;
use crate::room::off_thread;
use crate::side_file;
use crate::state::Shared;
use crate::time_index::{TimeEntry, TimeIndex};
use crate::transactions::{self, TransactionIndex};
use crate::walk::Walker;

/// How much is read at once when a whole segment is walked.
const WALK_CHUNK_BYTES: usize = 256 << 10;

impl<S: SegmentStore> Log<S> {
    /// Makes a sealed segment's indexes anew, and their files if they can be written.
    pub(crate) async fn rebuild_and_keep(
        &self,
        file: &S::File,
        base_offset: i64,
        size_bytes: u64,
        swaps: u64,
    ) -> Result<(OffsetIndex, TimeIndex), ReadError> {
        tracing::info!(path = %file.path().display(), "rebuilding the segment's indexes");
        let (index, times, marked) = self.rebuild_indexes(file, base_offset, size_bytes).await?;
        let (index_bytes, times_bytes) = (index.to_bytes(), times.to_bytes());
        let shared = Arc::clone(&self.shared);
        let write = move || shared.keep_indexes((base_offset, swaps), &index_bytes, &times_bytes, marked);
        if let Err(fault) = off_thread(&self.shared.dir, write).await {
            tracing::warn!(%fault, "could not write rebuilt indexes; they serve from memory");
        }
        Ok((index, times))
    }

    /// Also says whether there are transaction markers.
    async fn rebuild_indexes(
        &self,
        file: &S::File,
        base_offset: i64,
        size_bytes: u64,
    ) -> Result<(OffsetIndex, TimeIndex, bool), ReadError> {
        let interval_bytes = u64::from(self.shared.config.index_interval_bytes);
        let mut walker = Walker::new(file, size_bytes, WALK_CHUNK_BYTES);
        let (mut index, mut times) = (OffsetIndex::new(base_offset), TimeIndex::new(base_offset));
        let (mut newest, mut at_bytes, mut since_bytes, mut marked) = (None::<TimeEntry>, 0, 0, false);
        while let Some(header) = walker.expect_header(at_bytes).await? {
            let entry = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
            newest = Some(newest.filter(|n| n.timestamp >= entry.timestamp).unwrap_or(entry));
            if since_bytes > interval_bytes {
                index.push(header.last_offset(), at_bytes);
                newest.into_iter().for_each(|newest| times.push(newest));
                since_bytes = 0;
            }
            marked |= header.attributes.is_control();
            since_bytes += header.size_bytes() as u64;
            at_bytes += header.size_bytes() as u64;
        }
        newest.into_iter().for_each(|newest| times.push(newest));
        Ok((index, times, marked))
    }
}

impl<S: SegmentStore> Shared<S> {
    /// Writes rebuilt indexes, if nobody changes the log's files at the moment and the segment is sealed: recovery
    /// takes index files for a sign that a segment is whole. They vouch for its transaction index too: where nobody knows
    /// whether that is missing and the segment is `marked`, they must wait for it. Blocks.
    fn keep_indexes(
        &self,
        (base_offset, swaps): (i64, u64),
        index: &[u8],
        times: &[u8],
        marked: bool,
    ) -> Result<(), IoFault> {
        // A truncation reads segments in its own turn, so this must not wait for one.
        let Ok(_turn) = self.room.try_lock() else { return Ok(()) };
        let unknown = {
            let state = self.lock();
            // The segment that has this base since a compaction has indexes of its own.
            if !state.is_sealed(base_offset) || state.compacting.swaps != swaps {
                return Ok(());
            }
            state.aborted.is_unknown(base_offset)
        };
        if unknown && marked {
            return Ok(());
        }
        if unknown {
            transactions::write(&self.dir, base_offset, &TransactionIndex::default())?;
            self.lock().aborted.set(base_offset, None);
        }
        crate::sync_task::write_indexes(&self.dir, base_offset, index, times)
    }
}

/// Both indexes of a segment, if both files are there and whole. Blocks.
pub(crate) fn read_indexes(
    dir: &std::path::Path,
    base_offset: i64,
    size_bytes: u64,
) -> Result<Option<(OffsetIndex, TimeIndex)>, IoFault> {
    let Some(index) = side_file::read_if_present(&OffsetIndex::path(dir, base_offset))? else {
        return Ok(None);
    };
    let Some(times) = side_file::read_if_present(&TimeIndex::path(dir, base_offset))? else {
        return Ok(None);
    };
    let index = OffsetIndex::parse(base_offset, &index, size_bytes);
    Ok(index.zip(TimeIndex::parse(base_offset, &times)))
}
