//! The largest timestamp of a segment: when retention gives it up, and whether a lookup by time passes it over.
//!
//! A time index has no checksum, and one whose last entry changed on the device may still look like one. So the entry
//! is believed only if the batch that it names is there and carries it; otherwise the batches are asked.

use plimsoll_io::{IoFault, SegmentFile, SegmentStore};

use crate::error::ReadError;
use crate::log::Log;
use crate::segment::Opened;
use crate::state::State;
use crate::time_index::TimeEntry;
use crate::walk::{Found, Walker};

/// One read where a batch is looked for from an index entry on.
const NEAR_CHUNK_BYTES: usize = 64 << 10;
/// One read when a whole segment is checked.
const WALK_CHUNK_BYTES: usize = 256 << 10;

impl<S: SegmentStore> Log<S> {
    /// The largest timestamp of a segment, reading of its files what is needed to be sure. `None` if it has none or is
    /// gone.
    pub async fn largest_timestamp(&self, base_offset: i64) -> Result<Option<i64>, ReadError> {
        Ok(self.newest_of(base_offset).await?.map(|e| e.timestamp))
    }

    /// The batch that carries a segment's largest timestamp. Looked for once, then remembered.
    pub(crate) async fn newest_of(&self, base_offset: i64) -> Result<Option<TimeEntry>, ReadError> {
        let (known, swaps) = {
            let state = self.shared.lock();
            (state.newest_known(base_offset), state.compacting.swaps)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let Some(opened) = self.open_sealed(base_offset).await? else { return Ok(None) };
        let newest = self.newest_in(&opened).await?;
        let mut state = self.shared.lock();
        state.check_deleted(&self.shared.dir)?;
        // Compaction put another segment in its place meanwhile, and knows that one's.
        if state.compacting.swaps != swaps {
            return Ok(state.newest_known(base_offset).flatten());
        }
        Ok(newest.filter(|_| state.sealed.remember_newest(base_offset, newest)))
    }

    async fn newest_in(&self, opened: &Opened<S::File>) -> Result<Option<TimeEntry>, ReadError> {
        let Some(entry) = opened.times.last() else { return Ok(None) };
        let mut walker = Walker::new(&*opened.file, opened.size_bytes, NEAR_CHUNK_BYTES);
        let near_bytes = opened.index.floor(entry.offset).map_or(0, |e| u64::from(e.at_bytes));
        if carrier_of(&mut walker, near_bytes, entry).await?.is_some() {
            return Ok(Some(entry));
        }
        let (newest, whole) = newest_of_batches(opened).await?;
        if whole {
            self.renew_indexes(opened.base_offset).await?;
            return Ok(newest);
        }
        // It is not the index alone that changed: of the two that remain, the later one gives nothing up too early.
        Ok(newest.into_iter().chain([entry]).max_by_key(|e| e.timestamp))
    }
}

impl<F> State<F> {
    /// The largest timestamp of a segment as far as it is known without reading.
    pub(crate) fn newest_known(&self, base_offset: i64) -> Option<Option<TimeEntry>> {
        if self.active.base_offset == base_offset {
            return Some(self.active.tail.newest);
        }
        match self.sealed.find(base_offset) {
            Some(sealed) => sealed.newest,
            None => Some(None),
        }
    }
}

/// Where the batch begins that carries the entry, looked for from the batch at `at_bytes` on. `None` if it is not there
/// or carries another timestamp.
pub(crate) async fn carrier_of<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    mut at_bytes: u64,
    entry: TimeEntry,
) -> Result<Option<u64>, IoFault> {
    while let Found::Some(header) = walker.header(at_bytes).await? {
        if header.last_offset() >= entry.offset {
            let carried = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
            return Ok((carried == entry).then_some(at_bytes));
        }
        at_bytes += header.size_bytes() as u64;
    }
    Ok(None)
}

/// The largest timestamp of the batches before the first bad one, and whether there is none.
async fn newest_of_batches<F: SegmentFile>(opened: &Opened<F>) -> Result<(Option<TimeEntry>, bool), IoFault> {
    let mut walker = Walker::new(&*opened.file, opened.size_bytes, WALK_CHUNK_BYTES);
    let (mut newest, mut at_bytes) = (None::<TimeEntry>, 0);
    loop {
        let batch = match walker.batch(at_bytes).await? {
            Found::Some(batch) if batch.verify_crc().is_ok() => batch,
            Found::End => return Ok((newest, true)),
            Found::Some(_) | Found::Bad(_) => return Ok((newest, false)),
        };
        let header = batch.header();
        if header.max_timestamp > newest.map_or(-1, |n| n.timestamp) {
            newest = Some(TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() });
        }
        at_bytes += batch.size_bytes() as u64;
        // A segment is long, and others share the thread.
        tokio::task::yield_now().await;
    }
}
