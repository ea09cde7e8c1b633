//! One mapping of a file and the slices cut from it.

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::open_file::OpenFile;

use super::sigbus::Registration;

pub(super) const PAGE_BYTES: u64 = 4096;

/// A shared mapping of a file from its first byte. May reach past the file's end; nobody touches it there.
///
/// Growing a file makes a new view; this one stays mapped as long as a slice owns it.
#[derive(Debug)]
pub(super) struct MapView {
    // Declared first, so dropped first: the handler must not name a map that is gone.
    _registration: Registration,
    map: MmapRaw,
    /// Pages from here on are private copies of what the file had there before it was cut.
    private_from_bytes: AtomicU64,
    /// Keeps the descriptor, which is what the registration points to.
    _open: Arc<OpenFile>,
}

impl MapView {
    /// Maps at least `len_bytes` of the file.
    pub(super) fn new(open: &Arc<OpenFile>, len_bytes: u64) -> io::Result<MapView> {
        let len_bytes = len_bytes.max(1).checked_next_multiple_of(PAGE_BYTES);
        let len_bytes = len_bytes.and_then(|len| usize::try_from(len).ok());
        let len_bytes = len_bytes.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        let map = MmapOptions::new().len(len_bytes).map_raw(open.file())?;
        let registration = Registration::new(map.as_ptr() as usize, len_bytes, open);
        let private_from_bytes = AtomicU64::new(u64::MAX);
        Ok(MapView { _registration: registration, map, private_from_bytes, _open: Arc::clone(open) })
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Copies `bytes` into the map at `at_bytes`.
    ///
    /// # Safety
    ///
    /// The range lies inside the view and inside the file, and nothing else reads or writes it meanwhile.
    pub(super) unsafe fn store(&self, at_bytes: u64, bytes: &[u8]) {
        debug_assert!(at_bytes + bytes.len() as u64 <= self.len_bytes());
        // SAFETY: inside the map by contract; a source that overlaps would be a slice of the range being written,
        // which the contract excludes.
        unsafe {
            ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.map.as_mut_ptr().add(at_bytes as usize),
                bytes.len(),
            );
        }
    }

    /// `msync` of a range, clipped to the view. Blocks.
    pub(super) fn flush(&self, range: Range<u64>) -> io::Result<()> {
        let end_bytes = range.end.min(self.len_bytes());
        if range.start >= end_bytes {
            return Ok(());
        }
        self.map.flush_range(range.start as usize, (end_bytes - range.start) as usize)
    }

    /// Replaces this view's pages from `from_bytes` to `upto_bytes` by private copies of their present content, so
    /// that slices keep their bytes when the file is cut there. To readers the exchange is atomic.
    ///
    /// The caller keeps writers and other exchanges away, and stores nothing through this view afterwards.
    pub(super) fn detach(&self, from_bytes: u64, upto_bytes: u64) -> io::Result<()> {
        let backed_bytes = self.private_from_bytes.load(Ordering::Relaxed).min(self.len_bytes());
        let start = (from_bytes - from_bytes % PAGE_BYTES).min(backed_bytes) as usize;
        let end = upto_bytes.next_multiple_of(PAGE_BYTES).min(backed_bytes) as usize;
        if start >= end {
            return Ok(());
        }
        let mut copy = MmapOptions::new().len(end - start).map_anon()?;
        // SAFETY: `start..end` lies inside the map; the file still has these pages, as slices of them exist and the
        // cut has not happened; the caller keeps writers away.
        let present = unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(start), end - start) };
        copy.copy_from_slice(present);
        // SAFETY: moves the whole anonymous mapping onto pages that this view owns; both lengths are equal and page
        // aligned, and a failure leaves both as they were or, at worst, the target unmapped, which only a kernel out
        // of mappings does after having checked its count. The content readers see is the same before and after.
        let moved = unsafe {
            libc::mremap(
                copy.as_mut_ptr().cast(),
                end - start,
                end - start,
                libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED,
                self.map.as_mut_ptr().add(start).cast::<libc::c_void>(),
            )
        };
        if moved == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // The pages now belong to this view, which unmaps them with the rest.
        std::mem::forget(copy);
        self.private_from_bytes.store(start as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A range of a view whose bytes never change while it lives.
pub(super) struct MapSlice {
    view: Arc<MapView>,
    range: Range<usize>,
    /// Counted by the file, which refuses to overwrite what a living slice shows.
    _reader: Arc<()>,
}

impl MapSlice {
    /// Cuts `range` out of `view`.
    ///
    /// # Safety
    ///
    /// The range lies inside the view and inside the file, was stored completely, and stays unchanged as long as
    /// `reader` has this clone.
    pub(super) unsafe fn new(view: Arc<MapView>, range: Range<usize>, reader: Arc<()>) -> MapSlice {
        debug_assert!(range.start <= range.end && range.end as u64 <= view.len_bytes());
        MapSlice { view, range, _reader: reader }
    }
}

impl AsRef<[u8]> for MapSlice {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: by the contract of `new`, the range is mapped, backed by the file (or by a private copy) and
        // constant; the view is owned, so it cannot be unmapped.
        unsafe { std::slice::from_raw_parts(self.view.map.as_ptr().add(self.range.start), self.range.len()) }
    }
}
