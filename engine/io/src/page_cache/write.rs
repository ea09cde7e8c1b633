//! Writing through the cache, and how soon the kernel is to carry it on to the device.

use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::{Errno, ReadWriteFlags as Flags};
use tokio::sync::OwnedMutexGuard;

use crate::config::PageCacheOptions;
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Done, WriteBufs};
use crate::open_file::OpenFile;

/// Buffers per `pwritev2` call; a longer gather takes several calls.
const IOVECS_PER_CALL: usize = 256;

/// `RWF_DONTCACHE`, Linux 6.14.
const DONTCACHE: Flags = Flags::from_bits_retain(0x80);

/// The writing side of one file, shared with the lane.
#[derive(Debug)]
pub(super) struct Writer {
    open: Arc<OpenFile>,
    flags: Flags,
    /// Begin write-back each time so many bytes are dirty.
    writeback_bytes: Option<u64>,
    writeback: Mutex<Writeback>,
}

#[derive(Debug)]
struct Writeback {
    begun_upto_bytes: u64,
    /// A call is under way. The next begins where it ended.
    running: bool,
}

impl Writer {
    pub(super) fn new(open: Arc<OpenFile>, options: PageCacheOptions, len_bytes: u64) -> Writer {
        let flags = if options.dontcache { DONTCACHE } else { Flags::empty() };
        let writeback = Mutex::new(Writeback { begun_upto_bytes: len_bytes, running: false });
        Writer { open, flags, writeback_bytes: options.writeback_bytes, writeback }
    }

    pub(super) fn open(&self) -> &Arc<OpenFile> {
        &self.open
    }

    /// Writes all of `bufs`; `beyond` is the turn of a write that takes room by itself.
    pub(super) fn write(
        &self,
        at_bytes: u64,
        bufs: WriteBufs,
        beyond: Option<OwnedMutexGuard<()>>,
    ) -> Done<WriteBufs> {
        let result = write_all(&self.open, self.flags, at_bytes, &bufs);
        if beyond.is_some() && result.is_ok() {
            self.open.room_taken(at_bytes + bufs.len_bytes() as u64);
        }
        Done { bufs, result }
    }

    pub(super) fn lane_died(&self, at_bytes: u64) -> IoFault {
        let text = "the directory's lane has died; whether the bytes were written is unknown";
        self.open.refuse(IoOp::Write, at_bytes, FaultKind::Poisoned, text)
    }

    /// Has write-back begun on a blocking thread, if enough is dirty: the call waits while the device's queue is full.
    pub(super) fn begin_writeback(self: &Arc<Self>, written_upto_bytes: u64) {
        if let Some(range) = self.writeback_due(written_upto_bytes) {
            let writer = Arc::clone(self);
            tokio::task::spawn_blocking(move || writer.write_back(range));
        }
    }

    /// As [`Writer::begin_writeback`], on this thread.
    pub(super) fn writeback_here(&self, written_upto_bytes: u64) {
        if let Some(range) = self.writeback_due(written_upto_bytes) {
            self.write_back(range);
        }
    }

    fn writeback_due(&self, written_upto_bytes: u64) -> Option<Range<u64>> {
        let every_bytes = self.writeback_bytes?;
        let mut writeback = self.writeback.lock().unwrap_or_else(PoisonError::into_inner);
        // After a truncation the file grows again from further below.
        let begun_upto_bytes = writeback.begun_upto_bytes.min(written_upto_bytes);
        writeback.begun_upto_bytes = begun_upto_bytes;
        if writeback.running || written_upto_bytes - begun_upto_bytes < every_bytes {
            return None;
        }
        *writeback = Writeback { begun_upto_bytes: written_upto_bytes, running: true };
        Some(begun_upto_bytes..written_upto_bytes)
    }

    /// Starts the device on a range and does not wait for it. Nothing is durable by this.
    fn write_back(&self, range: Range<u64>) {
        let (at, count) = (range.start as libc::off64_t, (range.end - range.start) as libc::off64_t);
        // SAFETY: the descriptor is open as long as `self.open`; the call takes no memory.
        let result = unsafe {
            libc::sync_file_range(self.open.file().as_raw_fd(), at, count, libc::SYNC_FILE_RANGE_WRITE)
        };
        if result != 0 {
            // Bytes that were accepted may be lost, and the kernel may tell nobody else.
            self.open.lose(self.open.fault(IoOp::Sync, range.start, io::Error::last_os_error()));
        }
        self.writeback.lock().unwrap_or_else(PoisonError::into_inner).running = false;
    }
}

/// Whether kernel and file system know the flags that the options ask for.
pub(super) fn check_flags(open: &OpenFile, options: PageCacheOptions) -> Result<(), IoFault> {
    if !options.dontcache {
        return Ok(());
    }
    let mut byte = [0];
    let flags = DONTCACHE | Flags::NOWAIT;
    match rustix::io::preadv2(open.file(), &mut [IoSliceMut::new(&mut byte)], 0, flags) {
        Err(Errno::OPNOTSUPP | Errno::INVAL) => {
            let text = "this kernel or file system has no RWF_DONTCACHE (Linux 6.14, on ext4, XFS or btrfs): \
                        switch the option off";
            Err(open.refuse(IoOp::Open, 0, FaultKind::Other, text))
        }
        // What it read, or that it would have to wait, does not matter.
        _ => Ok(()),
    }
}

/// Writes every buffer in order, however often the kernel takes less than all.
fn write_all(open: &OpenFile, flags: Flags, at_bytes: u64, bufs: &WriteBufs) -> Result<(), IoFault> {
    match bufs {
        WriteBufs::Gather(chunks) => {
            write_pieces(open, flags, at_bytes, chunks.iter().map(|chunk| chunk.as_slice()))
        }
        WriteBufs::Blocks(blocks) => {
            write_pieces(open, flags, at_bytes, blocks.iter().map(|block| block.as_slice()))
        }
    }
}

fn write_pieces<'a>(
    open: &OpenFile,
    flags: Flags,
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
        at_bytes = write_group(open, flags, at_bytes, group)?;
    }
}

/// Writes one group of buffers and returns the offset behind it.
fn write_group(
    open: &OpenFile,
    flags: Flags,
    mut at_bytes: u64,
    mut group: &mut [IoSlice<'_>],
) -> Result<u64, IoFault> {
    // Leading empty buffers would look like a write of nothing.
    IoSlice::advance_slices(&mut group, 0);
    while !group.is_empty() {
        match rustix::io::pwritev2(open.file(), group, at_bytes, flags) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Preallocation;

    #[tokio::test]
    async fn write_back_is_due_per_so_many_bytes_and_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        let open = OpenFile::create(&path, Preallocation::None.into(), 0).await.unwrap();
        let options = PageCacheOptions { writeback_bytes: Some(1000), ..PageCacheOptions::default() };
        let writer = Writer::new(open, options, 500);
        assert_eq!(writer.writeback_due(1499), None);
        assert_eq!(writer.writeback_due(1600), Some(500..1600));
        assert_eq!(writer.writeback_due(9000), None, "one is under way");
        writer.write_back(500..1600);
        assert_eq!(writer.writeback_due(2600), Some(1600..2600));
        writer.write_back(1600..2600);
        assert_eq!(writer.writeback_due(700), None, "cut back: counts from there again");
        assert_eq!(writer.writeback_due(1700), Some(700..1700));
    }

    #[tokio::test]
    async fn after_a_failed_write_back_no_sync_succeeds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        let open = OpenFile::create(&path, Preallocation::None.into(), 0).await.unwrap();
        let writer = Writer::new(Arc::clone(&open), PageCacheOptions::default(), 0);
        open.sync_data().await.unwrap();
        // An impossible range stands for a device that refuses.
        writer.write_back(u64::MAX - 10..u64::MAX);
        let fault = open.sync_data().await.unwrap_err();
        assert!(fault.is_poison(), "{fault}");
    }
}
