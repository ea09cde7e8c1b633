//! A mapped file: what is stored, what slices show, and how both stay out of each other's way.
//!
//! What makes slices sound: bytes below `stored_upto` are complete and constant, slices stay below it, a store
//! below it is refused while a slice shows what it would change, and truncation gives living slices a private copy.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::WriteBufs;
use crate::open_file::{OpenFile, blocking};

use super::view::{MapSlice, MapView};

/// By how much a file grows when a write finds no reservation.
const GROW_STEP_BYTES: u64 = 1 << 20;

/// Views of files that are written are this long or a multiple, so that growth seldom needs a new one.
pub(super) const VIEW_STEP_BYTES: u64 = 64 << 20;

/// A file and its map, shared with the lane.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) open: Arc<OpenFile>,
    /// End of what has been stored. Grows with stores, falls with truncation.
    stored_upto_bytes: AtomicU64,
    /// Set when blocks below the room may be missing: files of unknown making, or extended ones.
    may_have_holes: AtomicBool,
    /// Held while storing: what is being stored and what the next sync must flush.
    writing: Mutex<Writing>,
    /// Held while slices are cut or their bytes change hands. Taken after `writing`.
    reading: Mutex<Reading>,
}

#[derive(Debug)]
struct Writing {
    dirty: Range<u64>,
}

#[derive(Debug)]
struct Reading {
    view: Arc<MapView>,
    /// Views replaced by longer ones, which slices may still own.
    older: Vec<Weak<MapView>>,
    /// One clone per living slice.
    readers: Arc<()>,
    /// The highest end of any slice cut since there last was none.
    sliced_upto_bytes: u64,
}

impl Reading {
    /// The highest byte that a living slice may show.
    fn live_upto_bytes(&mut self) -> u64 {
        // `get_mut` rather than a count: it also orders the readers' last accesses before what follows.
        if Arc::get_mut(&mut self.readers).is_some() {
            self.sliced_upto_bytes = 0;
        }
        self.sliced_upto_bytes
    }

    fn replace_view(&mut self, view: MapView) {
        self.older.retain(|view| view.strong_count() > 0);
        let old = std::mem::replace(&mut self.view, Arc::new(view));
        self.older.push(Arc::downgrade(&old));
    }
}

impl Mapped {
    pub(super) fn new(
        open: Arc<OpenFile>,
        stored_upto_bytes: u64,
        view_bytes: u64,
    ) -> Result<Mapped, IoFault> {
        let view = MapView::new(&open, view_bytes).map_err(|error| open.fault(IoOp::Open, 0, error))?;
        let reading = Reading {
            view: Arc::new(view),
            older: Vec::new(),
            readers: Arc::default(),
            sliced_upto_bytes: 0,
        };
        Ok(Mapped {
            open,
            stored_upto_bytes: AtomicU64::new(stored_upto_bytes),
            may_have_holes: AtomicBool::new(false),
            writing: Mutex::new(Writing { dirty: 0..0 }),
            reading: Mutex::new(reading),
        })
    }

    /// Blocks below the room may be missing, as in a file of unknown making.
    pub(super) fn expect_holes(&self) {
        self.may_have_holes.store(true, Ordering::Release);
    }

    #[cfg(test)]
    pub(super) fn view_len_bytes(&self) -> u64 {
        locked(&self.reading).view.len_bytes()
    }

    /// Sees to it that every block up to `end_bytes` exists, so that storing there cannot fail for want of space.
    pub(super) async fn take_room(&self, end_bytes: u64) -> Result<(), IoFault> {
        if self.may_have_holes.load(Ordering::Acquire) {
            self.open.fill_holes().await?;
            self.may_have_holes.store(false, Ordering::Release);
        }
        if end_bytes <= self.open.room_upto_bytes() {
            return Ok(());
        }
        let rounded_bytes = end_bytes.checked_next_multiple_of(GROW_STEP_BYTES).unwrap_or(end_bytes);
        self.open.reserve(rounded_bytes).await
    }

    /// Stores all buffers. The room has been taken.
    pub(super) fn store(&self, at_bytes: u64, bufs: &WriteBufs) -> Result<(), IoFault> {
        let end_bytes = at_bytes + bufs.len_bytes() as u64;
        let mut writing = locked(&self.writing);
        let mut reading = locked(&self.reading);
        if end_bytes > self.open.room_upto_bytes() {
            let text = "the file was cut while it was being written";
            return Err(self.open.refuse(IoOp::Write, at_bytes, FaultKind::Busy, text));
        }
        if end_bytes > reading.view.len_bytes() {
            let longer = MapView::new(&self.open, end_bytes.next_multiple_of(VIEW_STEP_BYTES));
            reading.replace_view(longer.map_err(|error| self.open.fault(IoOp::Write, at_bytes, error))?);
        }
        let stored_upto_bytes = self.stored_upto_bytes.load(Ordering::Relaxed);
        let overwrites = at_bytes < stored_upto_bytes;
        if overwrites && reading.live_upto_bytes() > at_bytes {
            let text = "a reader still holds bytes that this write would change";
            return Err(self.open.refuse(IoOp::Write, at_bytes, FaultKind::Busy, text));
        }
        let view = Arc::clone(&reading.view);
        // Behind everything stored there can be no slice, so readers need not wait for the copy (and its faults).
        let excluded = overwrites.then_some(reading);
        let mut to_bytes = at_bytes;
        bufs.for_each(|piece| {
            // SAFETY: `end_bytes` was checked against the view and against the file's room. Other writers wait for
            // `writing`; slices end below `stored_upto` and those above `at_bytes` were excluded just now, with
            // `reading` held so that none is cut meanwhile.
            unsafe { view.store(to_bytes, piece) };
            to_bytes += piece.len() as u64;
        });
        drop(excluded);
        writing.mark_dirty(at_bytes..end_bytes);
        self.stored_upto_bytes.fetch_max(end_bytes, Ordering::Release);
        Ok(())
    }

    /// Cuts a slice out of what has been stored.
    pub(super) fn cut(&self, range: &Range<u64>) -> Option<MapSlice> {
        let indexes = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        let mut reading = locked(&self.reading);
        let upto_bytes = self.stored_upto_bytes.load(Ordering::Acquire).min(reading.view.len_bytes());
        if range.start > range.end || range.end > upto_bytes {
            return None;
        }
        reading.sliced_upto_bytes = reading.live_upto_bytes().max(range.end);
        let (view, readers) = (Arc::clone(&reading.view), Arc::clone(&reading.readers));
        // SAFETY: the range ends below `stored_upto` and inside the view; `readers` makes writers and truncation
        // respect it from now on, as they ask under `reading`.
        Some(unsafe { MapSlice::new(view, indexes, readers) })
    }

    /// Lets living slices keep their bytes behind `len_bytes` and keeps stores away from there, so that the file may
    /// be cut. The caller holds the file's room.
    pub(super) fn let_go_behind(&self, len_bytes: u64) -> Result<(), IoFault> {
        let _writing = locked(&self.writing);
        let mut reading = locked(&self.reading);
        let stored_upto_bytes = self.stored_upto_bytes.load(Ordering::Relaxed);
        if reading.live_upto_bytes() > len_bytes {
            let fault = |error| self.open.fault(IoOp::Truncate, len_bytes, error);
            let fresh = MapView::new(&self.open, reading.view.len_bytes()).map_err(fault)?;
            reading.replace_view(fresh);
            for view in reading.older.iter().filter_map(Weak::upgrade) {
                view.detach(len_bytes, stored_upto_bytes).map_err(fault)?;
            }
            reading.sliced_upto_bytes = len_bytes;
        }
        self.stored_upto_bytes.store(stored_upto_bytes.min(len_bytes), Ordering::Release);
        self.open.room_given_up(len_bytes);
        Ok(())
    }

    /// `msync` of what was stored since the last sync, then `fdatasync` for the length and the device's cache.
    pub(super) async fn sync(&self) -> Result<(), IoFault> {
        let turn = self.open.lock_sync().await?;
        let dirty = std::mem::replace(&mut locked(&self.writing).dirty, 0..0);
        let view = Arc::clone(&locked(&self.reading).view);
        let open = Arc::clone(&self.open);
        blocking(IoOp::Sync, self.open.path(), move || {
            let _turn = turn;
            let fault = |error| open.fault(IoOp::Sync, dirty.start, error);
            view.flush(dirty.clone()).map_err(fault)?;
            open.sync_data_blocking()
        })
        .await
    }

    pub(super) async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        let guard = self.open.lock_room().await;
        let extends = len_bytes > self.open.room_upto_bytes();
        self.let_go_behind(len_bytes)?;
        self.open.truncate_locked(guard, len_bytes).await?;
        if extends {
            self.expect_holes();
        }
        Ok(())
    }
}

impl Writing {
    fn mark_dirty(&mut self, range: Range<u64>) {
        self.dirty = match self.dirty.is_empty() {
            true => range,
            false => self.dirty.start.min(range.start)..self.dirty.end.max(range.end),
        };
    }
}
/// A panic while holding one of these locks leaves the file's state whole: fields change together or not at all.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
