//! The page-cache backend: `pwritev` straight from the request, `preadv`, `sendfile`, `fdatasync`.
//!
//! Writes run inline, since copying into the cache is cheaper than waking another thread. Reads run inline as
//! long as the cache has the pages (`RWF_NOWAIT`) and continue on a blocking thread where it has not.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::config::{Backend, Preallocation};
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::open_file::{OpenFile, blocking};
use crate::residency;
use crate::slice::{FileSlice, Records};

/// Buffers per `pwritev` call; a longer gather takes several calls.
const IOVECS_PER_CALL: usize = 256;

/// Reads longer than this are checked against the file's length before memory is taken.
pub(crate) const UNCHECKED_READ_MAX_BYTES: u64 = 1 << 20;

/// Files reached through the page cache.
#[derive(Clone, Debug, Default)]
pub struct PageCacheStore {
    preallocation: Preallocation,
}

impl PageCacheStore {
    /// A store that reserves space in the given manner.
    pub fn new(preallocation: Preallocation) -> PageCacheStore {
        PageCacheStore { preallocation }
    }
}

impl SegmentStore for PageCacheStore {
    type File = PageCacheFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<PageCacheFile, IoFault> {
        Ok(PageCacheFile { open: OpenFile::create(path, self.preallocation.into(), reserve_bytes).await? })
    }

    async fn open(&self, path: &Path) -> Result<(PageCacheFile, u64), IoFault> {
        let (open, len_bytes) = OpenFile::open(path, self.preallocation.into()).await?;
        Ok((PageCacheFile { open }, len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        OpenFile::lengths(paths).await
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        OpenFile::remove(path).await
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        OpenFile::sync_directory(path).await
    }

    fn backend(&self) -> Backend {
        Backend::PageCache
    }

    fn preallocation(&self) -> Preallocation {
        self.preallocation
    }
}

/// A file reached through the page cache.
#[derive(Debug)]
pub struct PageCacheFile {
    open: Arc<OpenFile>,
}

impl SegmentFile for PageCacheFile {
    fn limits(&self) -> IoLimits {
        IoLimits { align_bytes: 1, bufs_max: 1024, in_flight_max: 1 }
    }

    fn path(&self) -> &Path {
        self.open.path()
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.open.rename(to).await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.open.reserve(upto_bytes).await
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        let end_bytes = at_bytes.saturating_add(bufs.len_bytes() as u64);
        if end_bytes <= self.open.room_upto_bytes() {
            return Done { result: write_all(&self.open, at_bytes, &bufs), bufs };
        }
        let _guard = self.open.lock_room().await;
        let result = write_all(&self.open, at_bytes, &bufs);
        if result.is_ok() {
            self.open.room_taken(end_bytes);
        }
        Done { result, bufs }
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        read_exactly(&self.open, range).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        residency::prefetch(&self.open, range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        let len_bytes = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        Some(Records::File(FileSlice::new(self.open.clone(), range.start, len_bytes)))
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.open.sync_data().await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.open.truncate(len_bytes).await
    }
}

/// Writes every buffer in order, however often the kernel takes less than all.
fn write_all(open: &OpenFile, at_bytes: u64, bufs: &WriteBufs) -> Result<(), IoFault> {
    match bufs {
        WriteBufs::Gather(chunks) => {
            write_pieces(open, at_bytes, chunks.iter().map(|chunk| chunk.as_slice()))
        }
        WriteBufs::Blocks(blocks) => {
            write_pieces(open, at_bytes, blocks.iter().map(|block| block.as_slice()))
        }
    }
}

fn write_pieces<'a>(
    open: &OpenFile,
    mut at_bytes: u64,
    mut pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<(), IoFault> {
    let mut slots = [IoSlice::new(&[]); IOVECS_PER_CALL];
    loop {
        let mut filled = 0;
        for (slot, piece) in slots.iter_mut().zip(&mut pieces) {
            *slot = IoSlice::new(piece);
            filled += 1;
        }
        let Some(group) = slots.get_mut(..filled).filter(|group| !group.is_empty()) else { return Ok(()) };
        at_bytes = write_group(open, at_bytes, group)?;
    }
}

/// Writes one group of buffers and returns the offset behind it.
fn write_group(open: &OpenFile, mut at_bytes: u64, mut group: &mut [IoSlice<'_>]) -> Result<u64, IoFault> {
    // Leading empty buffers would look like a write of nothing.
    IoSlice::advance_slices(&mut group, 0);
    while !group.is_empty() {
        match rustix::io::pwritev(open.file(), group, at_bytes) {
            Ok(0) => return Err(open.fault(IoOp::Write, at_bytes, io::ErrorKind::WriteZero)),
            Ok(written) => {
                at_bytes += written as u64;
                IoSlice::advance_slices(&mut group, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(open.fault(IoOp::Write, at_bytes, errno)),
        }
    }
    Ok(at_bytes)
}

/// Reads exactly `range`: inline what is cached, on a blocking thread what is not.
pub(crate) async fn read_exactly(open: &Arc<OpenFile>, range: Range<u64>) -> Result<Bytes, IoFault> {
    let len_bytes = checked_len(open, &range)?;
    let mut buffer = Vec::with_capacity(len_bytes);
    if fill(open, range.start, &mut buffer, len_bytes, ReadManner::CachedOnly)? {
        return Ok(buffer.into());
    }
    let task_open = Arc::clone(open);
    blocking(IoOp::Read, open.path(), move || {
        fill(&task_open, range.start, &mut buffer, len_bytes, ReadManner::Waiting)?;
        Ok(buffer.into())
    })
    .await
}

/// The length of a read range, checked before memory is taken for it.
pub(crate) fn checked_len(open: &OpenFile, range: &Range<u64>) -> Result<usize, IoFault> {
    let len_bytes = range.end.checked_sub(range.start).and_then(|len| usize::try_from(len).ok());
    let Some(len_bytes) = len_bytes.filter(|_| i64::try_from(range.end).is_ok()) else {
        let text = format!("{}..{} is no range of a file", range.start, range.end);
        return Err(open.refuse(IoOp::Read, range.start, FaultKind::Misuse, text));
    };
    if len_bytes as u64 > UNCHECKED_READ_MAX_BYTES {
        open.check_within(range.end)?;
    }
    Ok(len_bytes)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ReadManner {
    /// Stop where the page cache has a hole.
    CachedOnly,
    /// Wait for the device.
    Waiting,
}

/// Reads into `buffer` until it holds `len_bytes` (true) or the cache has no more (false).
fn fill(
    open: &OpenFile,
    start_bytes: u64,
    buffer: &mut Vec<u8>,
    len_bytes: usize,
    manner: ReadManner,
) -> Result<bool, IoFault> {
    let mut manner = manner;
    while buffer.len() < len_bytes {
        let at_bytes = start_bytes + buffer.len() as u64;
        match read_some(open, at_bytes, buffer, len_bytes - buffer.len(), manner) {
            Ok(0) => return Err(open.end_of_file(at_bytes, start_bytes + len_bytes as u64)),
            Ok(_) => {}
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) if manner == ReadManner::CachedOnly => return Ok(false),
                // A file system that cannot tell what is cached: read it here and now.
                Some(libc::EOPNOTSUPP) if manner == ReadManner::CachedOnly => manner = ReadManner::Waiting,
                _ => return Err(open.fault(IoOp::Read, at_bytes, error)),
            },
        }
    }
    Ok(true)
}

/// One `preadv2` into the spare capacity of `buffer`.
fn read_some(
    open: &OpenFile,
    at_bytes: u64,
    buffer: &mut Vec<u8>,
    want_bytes: usize,
    manner: ReadManner,
) -> io::Result<usize> {
    let spare = buffer.spare_capacity_mut();
    let iovec = libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: spare.len().min(want_bytes) };
    let flags = if manner == ReadManner::CachedOnly { libc::RWF_NOWAIT } else { 0 };
    // SAFETY: the iovec covers only `buffer`'s spare capacity, which is exclusively borrowed during the call.
    let read = unsafe { libc::preadv2(open.file().as_raw_fd(), &iovec, 1, at_bytes as libc::off_t, flags) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel filled `read` bytes behind the old length, at most the capacity offered.
    unsafe { buffer.set_len(buffer.len() + read) };
    Ok(read)
}
