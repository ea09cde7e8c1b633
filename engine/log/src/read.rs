//! Reading by offset: whole batches from one segment, zero-copy where the backend can.

use std::ops::Range;
use std::sync::Arc;

use plimsoll_io::{IoFault, Records, SegmentFile, SegmentStore};
use plimsoll_records::BatchHeader;

use crate::error::ReadError;
use crate::layout::{self, LOG_SUFFIX};
use crate::log::Log;
use crate::offset_index::{OffsetEntry, OffsetIndex};
use crate::room::off_thread;
use crate::segment::{Damage, Opened};
use crate::side_file;
use crate::state::{Shared, State};
use crate::time_index::{TimeEntry, TimeIndex};
use crate::transactions::{self, TransactionIndex};
use crate::walk::{Found, Walker};

/// How much is read at once where a zero-copy slice makes reading more than headers a waste.
const HEADER_CHUNK_BYTES: usize = 4 << 10;
/// How much is read at once when a whole segment is walked.
const WALK_CHUNK_BYTES: usize = 256 << 10;

/// What a read found.
#[derive(Clone, Debug, Default)]
pub struct ReadOut {
    /// Whole batches, or nothing.
    pub records: Records,
    /// Base offset of the first batch, which may lie below the offset asked for (rule E17).
    pub first_offset: Option<i64>,
}

/// One segment as a reader sees it.
struct View<F> {
    file: Arc<F>,
    limit_bytes: u64,
    /// Where the first batch starts, and its base offset, if known without reading.
    start: Option<(u64, i64)>,
    /// From where to look for it otherwise; `None`: from the segment's beginning.
    start_hint: Option<OffsetEntry>,
    /// The segment's base offset, below which no batch of it begins.
    base_offset: i64,
    /// A boundary between batches that is a right end of the read, if known without reading.
    end: Option<u64>,
    /// A boundary from which to look for the end otherwise: the limit, or what the index says.
    end_hint: EndHint,
    /// Base offset of the segment that follows.
    next_base: Option<i64>,
    /// What begins at the limit, where that is not the end.
    damage: Option<Damage>,
}

/// From where to look for the end of a read.
#[derive(Clone, Copy)]
enum EndHint {
    /// From the limit: all of it lies below the end.
    Limit,
    /// From a batch that the index names; `None`: from where the read starts.
    Entry(Option<OffsetEntry>),
}

/// Why a segment could not be read.
enum Misread {
    /// The index names a batch at this place, and there is another or none.
    Index(u64),
    Read(ReadError),
}

impl<E: Into<ReadError>> From<E> for Misread {
    fn from(error: E) -> Self {
        Misread::Read(error.into())
    }
}

/// What is asked of one segment.
#[derive(Clone, Copy)]
struct Wish {
    from_offset: i64,
    upto_offset: i64,
    max_bytes: u64,
    at_least_one: bool,
}

/// A sealed segment before it is opened.
enum Outline<F> {
    Open(Arc<Opened<F>>),
    OnDisk { size_bytes: u64, swaps: u64 },
    Gone,
}

enum Place<F> {
    /// The offset is at or behind the end of what may be read.
    Nothing,
    Active(View<F>),
    Sealed(i64),
}

impl<S: SegmentStore> Log<S> {
    /// Reads whole batches from the one that holds `from_offset` (rule E17), up to but excluding
    /// `upto_offset`, and never beyond what is written. At most `max_bytes`, or one larger batch if
    /// `at_least_one`. Answers from one segment; empty at the end (rule E18).
    pub async fn read(
        &self,
        from_offset: i64,
        upto_offset: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<ReadOut, ReadError> {
        let mut wish = Wish { from_offset, upto_offset, max_bytes: max_bytes as u64, at_least_one };
        self.check_range(from_offset)?;
        loop {
            let view = match self.locate(&mut wish) {
                Place::Nothing => return Ok(ReadOut::default()),
                Place::Active(view) => view,
                Place::Sealed(base_offset) => match self.sealed_view(base_offset, &wish).await? {
                    Some(view) => view,
                    // It was removed between the two steps: look again, or find that the offset is gone.
                    None => {
                        self.check_range(wish.from_offset)?;
                        continue;
                    }
                },
            };
            let (base_offset, next_base) = (view.base_offset, view.next_base);
            let damaged = view.damaged();
            let found = match self.read_view(view, &wish).await {
                Ok(found) => found,
                Err(Misread::Read(error)) => return Err(error),
                Err(Misread::Index(at_bytes)) => {
                    self.mend_index(base_offset, at_bytes).await?;
                    continue;
                }
            };
            match found {
                Some(out) => return Ok(out),
                None if damaged.is_some() => return damaged.map_or(Ok(ReadOut::default()), Err),
                None => match next_base.filter(|next| *next > wish.from_offset) {
                    // The offset lies in a gap behind the segment's last batch.
                    Some(next) => wish.from_offset = next,
                    None => return Ok(ReadOut::default()),
                },
            }
        }
    }

    fn check_range(&self, offset: i64) -> Result<(), ReadError> {
        let marks = &self.shared.lock().marks;
        let (start_offset, log_end_offset) = (marks.start_offset, marks.accepted);
        if (start_offset..=log_end_offset).contains(&offset) {
            return Ok(());
        }
        Err(ReadError::OutOfRange { offset, start_offset, log_end_offset })
    }

    fn locate(&self, wish: &mut Wish) -> Place<S::File> {
        let state = self.shared.lock();
        wish.upto_offset = wish.upto_offset.min(state.marks.written);
        if wish.from_offset >= wish.upto_offset {
            return Place::Nothing;
        }
        if wish.from_offset >= state.active.base_offset {
            return Place::Active(state.active_view(wish));
        }
        let after = state.sealed.partition_point(|s| s.base_offset <= wish.from_offset);
        let first = state.sealed.first().map(|s| s.base_offset);
        match after.checked_sub(1).and_then(|i| state.sealed.get(i)).map(|s| s.base_offset).or(first) {
            Some(base_offset) => Place::Sealed(base_offset),
            None => Place::Active(state.active_view(wish)),
        }
    }

    async fn sealed_view(&self, base_offset: i64, wish: &Wish) -> Result<Option<View<S::File>>, ReadError> {
        let swaps = self.shared.lock().compacting.swaps;
        let Some(opened) = self.open_sealed(base_offset).await? else { return Ok(None) };
        let state = self.shared.lock();
        // What was opened may end earlier than the segment that has its base by now.
        if state.compacting.swaps != swaps {
            return Ok(None);
        }
        let Some(i) = state.sealed.position(base_offset) else { return Ok(None) };
        let next_base = state.sealed.get(i + 1).map_or(state.active.base_offset, |s| s.base_offset);
        let damage = state.sealed.get(i).and_then(|s| s.damage.clone());
        let limit_bytes = damage.as_ref().map_or(opened.size_bytes, |damage| damage.at_bytes);
        let start_hint = opened.index.floor(wish.from_offset);
        let end_hint = match state.sealed.get(i).is_some_and(|s| wish.upto_offset >= s.next_offset) {
            true => EndHint::Limit,
            false => upto_hint(&opened.index, wish),
        };
        let file = Arc::clone(&opened.file);
        let (start, end) = (None, None);
        let mut view = View {
            file,
            limit_bytes,
            start,
            start_hint,
            base_offset,
            end,
            end_hint,
            next_base: Some(next_base),
            damage,
        };
        view.bound_end(&opened.index, wish, at_bytes_of(start_hint));
        Ok(Some(view))
    }

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

    async fn read_view(&self, view: View<S::File>, wish: &Wish) -> Result<Option<ReadOut>, Misread> {
        // Without slices the bytes must be read anyway: one large read serves headers and data.
        let probe = view.limit_bytes.min(1);
        let verify = self.shared.config.verify_on_read;
        let zero_copy = !verify && matches!(view.file.slice(0..probe), Some(Records::File(_)));
        let wanted = wish.max_bytes.min(view.limit_bytes) as usize + HEADER_CHUNK_BYTES;
        let chunk_bytes = if zero_copy { HEADER_CHUNK_BYTES } else { wanted };
        let mut walker = Walker::new(&*view.file, view.limit_bytes, chunk_bytes);
        let Some((start_bytes, first_offset)) = find_start(&mut walker, &view, wish).await? else {
            return Ok(None);
        };
        let end_bytes = find_end(&mut walker, &view, wish, start_bytes).await?;
        if end_bytes <= start_bytes {
            return Ok(Some(ReadOut::default()));
        }
        let range = start_bytes..end_bytes;
        let mut records = match walker.cached(&range) {
            Some(bytes) if !zero_copy => Records::Bytes(bytes),
            _ if verify => Records::Bytes(view.file.read_at(range).await?),
            _ => fetch(&*view.file, range).await?,
        };
        if let (true, Records::Bytes(bytes)) = (verify, &mut records) {
            match self.chain(first_offset.min(wish.from_offset)).link_all(bytes) {
                Ok(()) => {}
                Err((0, problem)) => return Err(walker.corrupt(start_bytes, problem).into()),
                // What is whole before the bad batch is served; who goes on from there meets it first.
                Err((at_bytes, _)) => bytes.truncate(at_bytes as usize),
            }
        }
        Ok(Some(ReadOut { records, first_offset: Some(first_offset) }))
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

async fn fetch<F: SegmentFile>(file: &F, range: Range<u64>) -> Result<Records, IoFault> {
    // Whoever sends the slice must not wait for the device: other connections share that thread.
    file.prefetch(range.clone()).await?;
    match file.slice(range.clone()) {
        Some(records) => Ok(records),
        None => Ok(Records::Bytes(file.read_at(range).await?)),
    }
}

impl<F> State<F> {
    fn active_view(&self, wish: &Wish) -> View<F> {
        let active = &self.active;
        let start = active.recent_start(wish.from_offset);
        let end = start.and_then(|s| {
            active.recent_boundary(s.at_bytes.saturating_add(wish.max_bytes), wish.upto_offset)
        });
        let start_hint = active.index.floor(wish.from_offset);
        let whole = wish.upto_offset >= self.marks.written;
        let mut view = View {
            file: Arc::clone(&active.file),
            limit_bytes: active.written_bytes,
            start: start.map(|s| (s.at_bytes, s.base_offset)),
            start_hint,
            base_offset: active.base_offset,
            end,
            end_hint: if whole { EndHint::Limit } else { upto_hint(&active.index, wish) },
            next_base: None,
            damage: None,
        };
        let from_bytes = start.map_or_else(|| at_bytes_of(start_hint), |s| s.at_bytes);
        view.bound_end(&active.index, wish, from_bytes);
        view
    }
}

impl<F: SegmentFile> View<F> {
    fn damaged(&self) -> Option<ReadError> {
        let Damage { at_bytes, problem } = self.damage.clone()?;
        Some(ReadError::Corrupt { path: self.file.path().to_owned(), at_bytes, problem })
    }
}

impl<F> View<F> {
    /// Lowers the end's hint to a boundary within `max_bytes` of the start, as far as the index knows.
    fn bound_end(&mut self, index: &OffsetIndex, wish: &Wish, from_bytes: u64) {
        let target_bytes = from_bytes.saturating_add(wish.max_bytes);
        if target_bytes >= self.limit_bytes {
            return;
        }
        let boundary = index.floor_position(target_bytes);
        self.end_hint = EndHint::Entry(match self.end_hint {
            EndHint::Limit => boundary,
            EndHint::Entry(entry) => {
                entry.zip(boundary).map(|(a, b)| if a.at_bytes < b.at_bytes { a } else { b })
            }
        });
    }
}

/// The start of a batch before which everything lies below `upto_offset`.
fn upto_hint(index: &OffsetIndex, wish: &Wish) -> EndHint {
    EndHint::Entry(index.floor(wish.upto_offset - 1))
}

fn at_bytes_of(entry: Option<OffsetEntry>) -> u64 {
    entry.map_or(0, |e| u64::from(e.at_bytes))
}

/// The batch that an index entry names.
async fn entry_header<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    entry: OffsetEntry,
) -> Result<BatchHeader, Misread> {
    let at_bytes = u64::from(entry.at_bytes);
    match walker.header(at_bytes).await? {
        Found::Some(header) if entry.names(&header, at_bytes) => Ok(header),
        Found::Some(_) | Found::End | Found::Bad(_) => Err(Misread::Index(at_bytes)),
    }
}

/// Start and base offset of the first batch that reaches the offset.
async fn find_start<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    view: &View<F>,
    wish: &Wish,
) -> Result<Option<(u64, i64)>, Misread> {
    if view.start.is_some() {
        return Ok(view.start);
    }
    // Behind the limit lies what is not written yet, or damaged: that says nothing about the index.
    if let Some(entry) = view.start_hint.filter(|entry| u64::from(entry.at_bytes) < view.limit_bytes) {
        entry_header(walker, entry).await?;
    }
    let (mut at_bytes, mut end_offset) = (at_bytes_of(view.start_hint), view.base_offset);
    while let Some(header) = walker.expect_header(at_bytes).await? {
        // The CRC does not cover the offset, and one that fell would pass for one that was read already.
        if header.base_offset < end_offset {
            let problem = format!("batch at offset {} follows offset {end_offset}", header.base_offset);
            return Err(walker.corrupt(at_bytes, problem).into());
        }
        if header.last_offset() >= wish.from_offset {
            return Ok(Some((at_bytes, header.base_offset)));
        }
        at_bytes += header.size_bytes() as u64;
        end_offset = header.next_offset();
    }
    Ok(None)
}

/// The boundary at which the read ends: whole batches, all below `upto_offset`, within the size.
async fn find_end<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    view: &View<F>,
    wish: &Wish,
    start_bytes: u64,
) -> Result<u64, Misread> {
    if let Some(end_bytes) = view.end.filter(|end| *end > start_bytes || !wish.at_least_one) {
        return Ok(end_bytes);
    }
    let target_bytes = start_bytes.saturating_add(wish.max_bytes);
    let mut at_bytes = start_bytes.max(match view.end_hint {
        EndHint::Limit => view.limit_bytes,
        EndHint::Entry(entry) => at_bytes_of(entry),
    });
    if let EndHint::Entry(Some(entry)) = view.end_hint
        && u64::from(entry.at_bytes) > start_bytes
        && at_bytes < view.limit_bytes
    {
        entry_header(walker, entry).await?;
    }
    while let Some(header) = walker.expect_header(at_bytes).await? {
        let next_bytes = at_bytes + header.size_bytes() as u64;
        let first = at_bytes == start_bytes && wish.at_least_one;
        if header.last_offset() >= wish.upto_offset || (next_bytes > target_bytes && !first) {
            break;
        }
        at_bytes = next_bytes;
    }
    Ok(at_bytes)
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

/// Looks for the batch that holds `offset` in `file`, from `at_bytes` on.
pub(crate) async fn batch_at<F: SegmentFile>(
    walker: &mut Walker<'_, F>,
    mut at_bytes: u64,
    mut wanted: impl FnMut(&plimsoll_records::BatchHeader) -> bool,
) -> Result<Option<(u64, plimsoll_records::Batch)>, ReadError> {
    while let Some(header) = walker.expect_header(at_bytes).await? {
        if wanted(&header) {
            return match walker.batch(at_bytes).await? {
                Found::Some(batch) => Ok(Some((at_bytes, batch))),
                Found::End => Ok(None),
                Found::Bad(problem) => Err(walker.corrupt(at_bytes, problem)),
            };
        }
        at_bytes += header.size_bytes() as u64;
    }
    Ok(None)
}
