//! The io_uring backend: direct I/O, several writes in flight, memory registered with each ring.
//!
//! A file is an ordinary descriptor and belongs to no ring, so that every thread may use it through its own.
//! Descriptors are deliberately not registered: a registered slot pins the file in each ring that ever used it, so
//! an unlinked segment would keep its space until every idle thread had noticed, to save one reference count per
//! operation. Syncs go through the ring too: the kernel runs them on a worker of its own, which costs the same
//! wake-up as a blocking thread of the runtime and needs no second way for completions to come back.

mod probe;
mod request;
mod ring;
mod state;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{AtFlags, StatxFlags};

use crate::block::{BLOCK_ALIGN_BYTES, Block};
use crate::config::{Backend, Preallocation};
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::open_file::{OpenFile, OpenHow};
use crate::page_cache::checked_len;
use crate::slice::Records;

pub use probe::{Unavailable, probe_io_uring};
use request::{Body, Finished, Request};

/// Blocks per write: with the larger arena blocks that is 16 MiB.
const BUFS_MAX: usize = 64;

/// Writes worth having in flight: with 64 KiB each this is the 1 MiB that a disk needs to run at full speed.
const IN_FLIGHT_MAX: usize = 16;

/// Files reached through rings, around the page cache.
#[derive(Clone, Debug)]
pub struct UringStore {
    preallocation: Preallocation,
}

impl UringStore {
    /// A store that reserves space in the given manner, or the reason why this machine has no usable io_uring.
    ///
    /// Without preallocation each write also grows the file, which the kernel serialises.
    pub fn new(preallocation: Preallocation) -> Result<UringStore, Unavailable> {
        probe_io_uring()?;
        Ok(UringStore { preallocation })
    }

    fn how(&self) -> OpenHow {
        let align_bytes = BLOCK_ALIGN_BYTES as u64;
        OpenHow { preallocation: self.preallocation, flags: libc::O_DIRECT, align_bytes }
    }
}

impl SegmentStore for UringStore {
    type File = UringFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<UringFile, IoFault> {
        let open = OpenFile::create(path, self.how(), reserve_bytes).await.map_err(without_direct_io)?;
        UringFile::new(open)
    }

    async fn open(&self, path: &Path) -> Result<(UringFile, u64), IoFault> {
        let (open, len_bytes) = OpenFile::open(path, self.how()).await.map_err(without_direct_io)?;
        Ok((UringFile::new(open)?, len_bytes))
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        OpenFile::remove(path).await
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        OpenFile::sync_directory(path).await
    }

    fn backend(&self) -> Backend {
        Backend::IoUring
    }

    fn preallocation(&self) -> Preallocation {
        self.preallocation
    }
}

/// `open` answers EINVAL where the file system has no direct I/O; says so and keeps the errno in the text.
fn without_direct_io(fault: IoFault) -> IoFault {
    if fault.errno() != Some(libc::EINVAL) {
        return fault;
    }
    let text =
        format!("{}: this file system has no O_DIRECT; use another directory or backend", fault.source);
    IoFault::with_kind(fault.op, fault.path, fault.at_bytes, FaultKind::Other, text)
}

/// A file reached through rings.
#[derive(Debug)]
pub struct UringFile {
    open: Arc<OpenFile>,
    align_bytes: usize,
}

impl UringFile {
    fn new(open: Arc<OpenFile>) -> Result<UringFile, IoFault> {
        let align_bytes = direct_align_bytes(&open)?;
        Ok(UringFile { open, align_bytes })
    }

    async fn run(&self, op: IoOp, at_bytes: u64, request: Request) -> Result<Finished, (IoFault, Request)> {
        match ring::current() {
            Ok(ring) => Ok(ring.start(request).await),
            Err(error) => Err((self.open.fault(op, at_bytes, error), request)),
        }
    }

    async fn write(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        if let Err(text) = bufs.check(&self.limits(), at_bytes) {
            return Done {
                bufs,
                result: Err(self.open.refuse(IoOp::Write, at_bytes, FaultKind::Misuse, text)),
            };
        }
        let request = Request::write(Arc::clone(&self.open), at_bytes, bufs);
        let (body, result) = match self.run(IoOp::Write, at_bytes, request).await {
            Ok(Finished { body, result, .. }) => (body, result),
            Err((fault, request)) => (request.body, Err(fault)),
        };
        let bufs = if let Body::Write(bufs) = body { bufs } else { WriteBufs::Blocks(Vec::new()) };
        Done { bufs, result }
    }
}

impl SegmentFile for UringFile {
    fn limits(&self) -> IoLimits {
        IoLimits { align_bytes: self.align_bytes, bufs_max: BUFS_MAX, in_flight_max: IN_FLIGHT_MAX }
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
            return self.write(at_bytes, bufs).await;
        }
        let _guard = self.open.lock_room().await;
        let done = self.write(at_bytes, bufs).await;
        if done.result.is_ok() {
            self.open.room_taken(end_bytes);
        }
        done
    }

    /// Reads the enclosing blocks into a pool block and hands out the part asked for, without copying it.
    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        let len_bytes = checked_len(&self.open, &range)?;
        let align_bytes = self.align_bytes as u64;
        let start_bytes = range.start - range.start % align_bytes;
        let skip_bytes = (range.start - start_bytes) as usize;
        let block = Block::try_take((skip_bytes + len_bytes).next_multiple_of(self.align_bytes));
        let Some(block) = block else {
            let text = format!("no block of {len_bytes} bytes is to be had");
            return Err(self.open.refuse(IoOp::Read, range.start, FaultKind::NoMemory, text));
        };
        let request = Request::read(Arc::clone(&self.open), start_bytes, block);
        let finished = self.run(IoOp::Read, range.start, request).await.map_err(|(fault, _)| fault)?;
        finished.result?;
        let Body::Read(mut block) = finished.body else { return Ok(Bytes::new()) };
        if finished.gapless_bytes < skip_bytes + len_bytes {
            return Err(self.open.end_of_file(start_bytes + finished.gapless_bytes as u64, range.end));
        }
        block.set_filled(finished.gapless_bytes);
        Ok(block.into_bytes().slice(skip_bytes..skip_bytes + len_bytes))
    }

    fn slice(&self, _range: Range<u64>) -> Option<Records> {
        None
    }

    async fn sync(&self) -> Result<(), IoFault> {
        let _turn = self.open.lock_sync().await?;
        let request = Request::sync(Arc::clone(&self.open));
        self.run(IoOp::Sync, 0, request).await.map_err(|(fault, _)| fault)?.result
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.open.truncate(len_bytes).await
    }
}

/// The alignment that direct I/O on this file needs, at least a physical sector.
fn direct_align_bytes(open: &OpenFile) -> Result<usize, IoFault> {
    let wanted = StatxFlags::from_bits_retain(libc::STATX_DIOALIGN);
    let stat = rustix::fs::statx(open.file(), "", AtFlags::EMPTY_PATH, wanted)
        .map_err(|errno| open.fault(IoOp::Open, 0, errno))?;
    if stat.stx_mask & libc::STATX_DIOALIGN == 0 {
        // Before Linux 6.1 nobody says; the page size satisfies every disk it knows.
        return Ok(BLOCK_ALIGN_BYTES);
    }
    let (offset_bytes, memory_bytes) = (stat.stx_dio_offset_align as usize, stat.stx_dio_mem_align as usize);
    let fits = |bytes: usize| bytes > 0 && BLOCK_ALIGN_BYTES.is_multiple_of(bytes);
    if fits(offset_bytes) && fits(memory_bytes) {
        return Ok(BLOCK_ALIGN_BYTES);
    }
    let text = format!(
        "direct I/O on this file needs alignment {offset_bytes} (offset) and {memory_bytes} (memory), and this \
         backend has {BLOCK_ALIGN_BYTES}; use the page-cache or mmap backend"
    );
    Err(open.refuse(IoOp::Open, 0, FaultKind::Other, text))
}

#[cfg(test)]
mod tests;
