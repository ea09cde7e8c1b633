//! Reading through the cache: inline what it has, on a blocking thread what it has not.

use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use bytes::Bytes;

use crate::fault::{FaultKind, IoFault, IoOp};
use crate::open_file::{OpenFile, blocking};

/// Reads longer than this are checked against the file's length before memory is taken.
pub(crate) const UNCHECKED_READ_MAX_BYTES: u64 = 1 << 20;

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
