//! Reading by offset: whole batches from one segment, zero-copy where the backend can.
//!
//! A segment is looked at under the log's lock ([`view`]), opened if it is sealed ([`sealed`], [`indexes`]), the read's ends are
//! found by headers ([`find`]), and what lies between is fetched. [`committed`] adds what a `read_committed` consumer needs.

mod committed;
mod cursors;
mod find;
mod indexes;
mod sealed;
mod view;

use std::ops::Range;
use std::sync::Arc;

use plimsoll_io::{IoFault, Records, SegmentFile, SegmentStore};

use crate::error::ReadError;
use crate::log::Log;
use crate::walk::Walker;
pub use committed::CommittedRead;
use cursors::Cursor;
pub(crate) use cursors::{Cursors, Version};
pub(crate) use find::batch_at;
use find::{Misread, ReadEnd, find_end, find_start};
pub(crate) use indexes::read_indexes;
use view::{EndHint, View, Wish, upto_hint};

/// How much is read at once where a zero-copy slice makes reading more than headers a waste.
const HEADER_CHUNK_BYTES: usize = 4 << 10;

/// What a read found.
#[derive(Clone, Debug, Default)]
pub struct ReadOut {
    /// Whole batches, or nothing.
    pub records: Records,
    /// Base offset of the first batch, which may lie below the offset asked for (rule E17).
    pub first_offset: Option<i64>,
    /// Segment and end of the records in it.
    end: Option<(i64, u64)>,
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
        let mut state = self.shared.lock();
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
        let mut state = self.shared.lock();
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
        let version = state.version();
        let start = state.cursors.take(base_offset, wish.from_offset, version);
        let mut view = View {
            file,
            limit_bytes,
            start: start.filter(|(at_bytes, _)| *at_bytes < limit_bytes),
            start_hint,
            base_offset,
            end: None,
            end_hint,
            next_base: Some(next_base),
            damage,
            version,
        };
        view.bound_end(&opened.index, wish);
        Ok(Some(view))
    }

    async fn read_view(&self, view: View<S::File>, wish: &Wish) -> Result<Option<ReadOut>, Misread> {
        let probe = view.limit_bytes.min(1);
        let verify = self.shared.config.verify_on_read;
        let zero_copy = !verify && matches!(view.file.slice(0..probe), Some(Records::File(_)));
        let mut walker = Walker::new(&*view.file, view.limit_bytes, HEADER_CHUNK_BYTES);
        let Some((start_bytes, first_offset)) = find_start(&mut walker, &view, wish).await? else {
            return Ok(None);
        };
        if !zero_copy && view.end.is_none() {
            // The bytes must be read anyway: one large read serves headers and data.
            let wanted = wish.max_bytes.min(view.limit_bytes) as usize + HEADER_CHUNK_BYTES;
            walker.hold(start_bytes, wanted).await?;
        }
        let end = find_end(&mut walker, &view, wish, start_bytes).await?;
        let ReadEnd { at_bytes: end_bytes, next_offset } = end;
        if end_bytes <= start_bytes {
            return Ok(Some(ReadOut::default()));
        }
        if let Some(offset) = next_offset {
            let (segment, at_bytes, version) = (view.base_offset, end_bytes, view.version);
            self.shared.lock().cursors.note(Cursor { segment, at_bytes, offset, version });
        }
        let range = start_bytes..end_bytes;
        let mut records = match walker.cached(&range) {
            Some(bytes) if !zero_copy => Records::Bytes(bytes),
            _ if verify => Records::Bytes(view.file.read_at(range).await?),
            _ => fetch(&*view.file, range).await?,
        };
        if let (true, Records::Bytes(bytes)) = (verify, &mut records) {
            let chain = self.chain(first_offset.min(wish.from_offset));
            match chain.in_the_middle(start_bytes > 0).link_all(bytes) {
                Ok(()) => {}
                Err((0, problem)) => return Err(walker.corrupt(start_bytes, problem).into()),
                // What is whole before the bad batch is served; who goes on from there meets it first.
                Err((at_bytes, _)) => bytes.truncate(at_bytes as usize),
            }
        }
        let end = Some((view.base_offset, end_bytes));
        Ok(Some(ReadOut { records, first_offset: Some(first_offset), end }))
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
