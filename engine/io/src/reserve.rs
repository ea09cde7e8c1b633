//! Taking space on disk before a batch needs it. Blocking; called from blocking threads only.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::FallocateFlags;

use crate::block::{BLOCK_ALIGN_BYTES, Block};
use crate::config::Preallocation;
use crate::fault::{IoFault, IoOp};

/// One zero-filling write. Large enough for the device, small enough not to hold much memory.
const ZERO_FILL_STEP_BYTES: usize = 1 << 20;

/// What a reservation leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Taken {
    /// Nothing: the room is there.
    Settled,
    /// `fdatasync`, which the caller does: it also flushes what others wrote to this file, so that its failure
    /// means more than a reservation that found no space.
    Unsynced,
}

/// Makes room for `range`, whose start is the end of the room so far. On failure no block behind it stays taken.
///
/// Writes that end below `range.start` may run meanwhile; others may not.
pub(crate) fn take_room(file: &File, preallocation: Preallocation, range: Range<u64>) -> io::Result<Taken> {
    if range.is_empty() {
        return Ok(Taken::Settled);
    }
    match preallocation {
        // Nothing is taken, so there is nothing to cut back; writes may lengthen the file at this very moment.
        Preallocation::None => ask_for_room(file, &range).map(|()| Taken::Settled),
        Preallocation::Fallocate => or_cut_back(file, &range, fallocate).map(|()| Taken::Settled),
        Preallocation::ZeroFill => or_cut_back(file, &range, zero_fill).map(|()| Taken::Unsynced),
        // A recycled file brings its blocks with it; only what goes beyond them is taken here.
        Preallocation::Recycle => or_cut_back(file, &range, fallocate).map(|()| Taken::Settled),
    }
}

/// Blocks taken before a failure must not stay; the first error is the one to report.
fn or_cut_back(
    file: &File,
    range: &Range<u64>,
    take: impl FnOnce(&File, &Range<u64>) -> io::Result<()>,
) -> io::Result<()> {
    // The room may reach past the end of the file by less than a block, and writes there lengthen the file
    // without waiting for a reservation: never cut below the room that was there before.
    let len_bytes = file.metadata()?.len().max(range.start);
    take(file, range).inspect_err(|_| cut_back(file, len_bytes))
}

fn cut_back(file: &File, len_bytes: u64) {
    if let Err(error) = file.set_len(len_bytes) {
        tracing::warn!(%error, len_bytes, "could not cut a file back after a failed reservation");
    }
}

/// Bytes that the file system of `path` has left for this process. Asks the kernel, not the disk.
pub fn free_bytes(path: &Path) -> Result<u64, IoFault> {
    match rustix::fs::statvfs(path) {
        Ok(stat) => Ok(stat.f_bavail.saturating_mul(stat.f_frsize)),
        Err(errno) => Err(IoFault::new(IoOp::Reserve, path, 0, errno.into())),
    }
}

/// Whether no other descriptor of this or any process, and no map, refers to the file: the kernel grants a write lease
/// only then (`fcntl(2)`). The lease is given back at once.
pub(crate) fn is_only_open_file(file: &File) -> io::Result<bool> {
    let lease = |kind: i32| {
        // SAFETY: an open descriptor and a command without pointers.
        match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    match lease(libc::F_WRLCK) {
        Ok(()) => lease(libc::F_UNLCK).map(|()| true),
        Err(error) => match error.raw_os_error() {
            // Somebody else has it open; no leases on this file system; not the file's owner.
            Some(libc::EAGAIN | libc::EINVAL | libc::EACCES) => Ok(false),
            _ => Err(error),
        },
    }
}

/// Without preallocation the best answer is whether the file system has room right now.
fn ask_for_room(file: &File, range: &Range<u64>) -> io::Result<()> {
    let stat = rustix::fs::fstatvfs(file)?;
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free_bytes < range.end - range.start {
        return Err(io::Error::from_raw_os_error(libc::ENOSPC));
    }
    Ok(())
}

fn fallocate(file: &File, range: &Range<u64>) -> io::Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), range.start, range.end - range.start) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Writes zeroes, so that later writes find initialised blocks and, once these are synced, a settled length.
/// Whole blocks of memory at aligned places, so that it also works on a file opened for direct I/O.
fn zero_fill(file: &File, range: &Range<u64>) -> io::Result<()> {
    let mut zeroes = Block::take(ZERO_FILL_STEP_BYTES);
    zeroes.extend_with_zeroes(ZERO_FILL_STEP_BYTES);
    match fallocate(file, range) {
        // Taking all blocks first finds a full disk early; where the file system cannot, the zeroes will.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        other => other?,
    }
    let align = BLOCK_ALIGN_BYTES as u64;
    let mut at_bytes = range.start;
    while at_bytes < range.end {
        let step_bytes = (range.end - at_bytes).min(ZERO_FILL_STEP_BYTES as u64 - at_bytes % align);
        let step = zeroes.get(..step_bytes as usize).ok_or(io::ErrorKind::InvalidInput)?;
        file.write_all_at(step, at_bytes)?;
        at_bytes += step_bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{SeekFrom, seek};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// Where the first initialised block is; unwritten extents count as holes once nothing is dirty.
    fn first_data(file: &File) -> Option<u64> {
        seek(file, SeekFrom::Data(0)).ok()
    }

    fn new_file() -> File {
        tempfile::tempfile_in(crate::testing::directory().path()).unwrap()
    }

    #[test]
    fn zero_fill_initialises_blocks_and_leaves_what_was_written() {
        let file = new_file();
        file.write_all_at(b"kept", 0).unwrap();
        let taken = take_room(&file, Preallocation::ZeroFill, 4..3_000_000).unwrap();
        assert_eq!(taken, Taken::Unsynced);
        let mut bytes = vec![1; 3_000_000];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes[..4], b"kept");
        assert!(bytes[4..].iter().all(|byte| *byte == 0));
        assert_eq!(seek(&file, SeekFrom::Hole(0)).unwrap(), 3_000_000);
    }

    #[test]
    fn fallocate_lengthens_the_file_and_none_does_not() {
        let file = new_file();
        assert_eq!(take_room(&file, Preallocation::None, 0..1 << 20).unwrap(), Taken::Settled);
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert_eq!(take_room(&file, Preallocation::Fallocate, 0..1 << 20).unwrap(), Taken::Settled);
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
        assert_eq!(first_data(&file), None);
    }

    #[test]
    fn impossible_room_is_refused_in_every_manner_and_leaves_the_length() {
        for manner in [Preallocation::None, Preallocation::Fallocate, Preallocation::ZeroFill] {
            let file = new_file();
            file.write_all_at(b"kept", 0).unwrap();
            let error = take_room(&file, manner, 4..1 << 50).unwrap_err();
            assert!(matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG)), "{manner}: {error}");
            assert_eq!(file.metadata().unwrap().len(), 4);
        }
    }

    #[test]
    fn a_reservation_that_fails_halfway_keeps_what_was_written_below_the_room_meanwhile() {
        let file = new_file();
        let refused = or_cut_back(&file, &(8192..1 << 20), |file, range| {
            file.write_all_at(&[7; 4096], 4096)?;
            file.set_len(range.start + 5000)?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        });
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert_eq!(file.metadata().unwrap().len(), 8192);
        let mut bytes = [0; 4096];
        file.read_exact_at(&mut bytes, 4096).unwrap();
        assert_eq!(bytes, [7; 4096]);
    }

    #[test]
    fn refused_reservations_cut_off_nothing_that_is_written_below_the_room_meanwhile() {
        const WRITTEN_BYTES: usize = 4096;
        for manner in [Preallocation::None, Preallocation::Fallocate, Preallocation::ZeroFill] {
            let file = new_file();
            let over = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        take_room(&file, manner, WRITTEN_BYTES as u64..1 << 50).unwrap_err();
                    }
                });
                let written =
                    (0..WRITTEN_BYTES as u64).try_for_each(|at_bytes| file.write_all_at(&[7], at_bytes));
                over.store(true, Ordering::Relaxed);
                written.unwrap();
            });
            let mut bytes = [0; WRITTEN_BYTES];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 7), "{manner} lost written bytes");
        }
    }
}
