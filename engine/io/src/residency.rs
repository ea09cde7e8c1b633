//! Whether a file's bytes are in memory, and bringing them there without stalling a runtime.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::fault::{IoFault, IoOp};
use crate::open_file::{OpenFile, blocking};

pub(crate) const PAGE_BYTES: u64 = 4096;

/// How much is read at once on the way into the cache: large enough to keep the kernel's readahead busy.
const PREFETCH_STEP_BYTES: usize = 256 << 10;

/// Sees to it that `range` is in the page cache, as far as it exists: at once where it is, and on a blocking thread
/// where the device must be waited for. The kernel may drop pages again before they are used; that is seldom and
/// costs no more than not having asked.
pub(crate) async fn prefetch(open: &Arc<OpenFile>, range: Range<u64>) -> Result<(), IoFault> {
    if range.is_empty() || is_resident(open.file(), &range) {
        return Ok(());
    }
    let task_open = Arc::clone(open);
    blocking(IoOp::Read, open.path(), move || {
        read_through(task_open.file(), &range)
            .map_err(|(at_bytes, error)| task_open.fault(IoOp::Read, at_bytes, error))
    })
    .await
}

/// Whether every page of the range is cached.
pub(crate) fn is_resident(file: &File, range: &Range<u64>) -> bool {
    let first_page = range.start / PAGE_BYTES;
    let pages = range.end.div_ceil(PAGE_BYTES) - first_page;
    match cached_pages(file, first_page * PAGE_BYTES, pages.saturating_mul(PAGE_BYTES)) {
        Some(cached) => cached >= pages,
        // Before Linux 6.5: both ends stand for the whole.
        None => readable_now(file, range.start) && readable_now(file, range.end - 1),
    }
}

#[repr(C)]
struct CachestatRange {
    off: u64,
    len: u64,
}

/// `struct cachestat` of Linux 6.5.
#[repr(C)]
#[derive(Default)]
struct Cachestat {
    cache: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

const SYS_CACHESTAT: libc::c_long = 451;

/// `cachestat(2)`: how many pages of the range are cached; `None` where the kernel or file system cannot tell.
pub(crate) fn cached_pages(file: &File, off: u64, len: u64) -> Option<u64> {
    let range = CachestatRange { off, len };
    let mut stat = Cachestat::default();
    // SAFETY: both structures have the layout of the system call and live through it; the kernel writes only `stat`.
    let result =
        unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), &raw const range, &raw mut stat, 0_u32) };
    (result == 0).then_some(stat.cache)
}

/// Whether one byte can be read without waiting. A file system that cannot tell counts as one that need not wait.
fn readable_now(file: &File, at_bytes: u64) -> bool {
    let mut byte = [0];
    let mut buffers = [io::IoSliceMut::new(&mut byte)];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    !matches!(rustix::io::preadv2(file, &mut buffers, at_bytes, flags), Err(rustix::io::Errno::AGAIN))
}

/// Reads the range and forgets it. The end of the file ends it early: whoever reads in earnest will say so.
fn read_through(file: &File, range: &Range<u64>) -> Result<(), (u64, io::Error)> {
    let mut scratch = vec![0; PREFETCH_STEP_BYTES];
    let mut at_bytes = range.start;
    while at_bytes < range.end {
        let step_bytes = (range.end - at_bytes).min(PREFETCH_STEP_BYTES as u64) as usize;
        match file.read_at(scratch.get_mut(..step_bytes).unwrap_or_default(), at_bytes) {
            Ok(0) => return Ok(()),
            Ok(count) => at_bytes += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((at_bytes, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preallocation;

    #[tokio::test]
    async fn cold_bytes_become_resident_and_the_files_end_is_no_error() {
        // Beside the sources, since the directory for temporary files may be one in memory.
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("0.log");
        std::fs::write(&path, vec![7; 3_000_000]).unwrap();
        crate::drop_cached(&path).unwrap();
        let (open, _) = OpenFile::open(&path, Preallocation::None.into()).await.unwrap();
        let cold = !is_resident(open.file(), &(100..2_900_000));
        prefetch(&open, 100..2_900_000).await.unwrap();
        assert!(is_resident(open.file(), &(100..2_900_000)), "cold before: {cold}");
        prefetch(&open, 2_999_000..9_000_000).await.unwrap();
        prefetch(&open, 5..5).await.unwrap();
    }

    #[test]
    fn what_was_just_written_is_resident_and_what_was_dropped_is_not() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("0.log");
        std::fs::write(&path, vec![7; 1_000_000]).unwrap();
        let file = File::open(&path).unwrap();
        assert!(is_resident(&file, &(0..1_000_000)));
        crate::drop_cached(&path).unwrap();
        // Counted first: the probe for older kernels starts a readahead of its own.
        match cached_pages(&file, 0, 1_000_000) {
            Some(0) => assert!(!is_resident(&file, &(0..1_000_000))),
            Some(pages) => println!("skipped: cold residency: this file system kept {pages} pages"),
            None => println!("skipped: cold residency: this kernel has no cachestat"),
        }
    }
}
