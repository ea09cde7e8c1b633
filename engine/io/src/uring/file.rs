//! One file reached through rings.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{AtFlags, StatxFlags};

use crate::block::{BLOCK_ALIGN_BYTES, Block};
use crate::config::{RingSync, UringOptions};
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Done, IoLimits, SegmentFile, WriteBufs};
use crate::open_file::OpenFile;
use crate::page_cache::checked_len;
use crate::slice::{FileSlice, Records};

use super::request::{Body, Finished, Request};
use super::ring;
use super::state::RingKind;

/// Blocks per direct write: with the larger arena blocks that is 16 MiB.
const BLOCKS_MAX: usize = 64;

/// Pieces per buffered write, as many as one vector takes.
const PIECES_MAX: usize = 1024;

/// A file reached through rings.
#[derive(Debug)]
pub struct UringFile {
    pub(super) open: Arc<OpenFile>,
    limits: IoLimits,
    ring: RingKind,
    sync: RingSync,
}

impl UringFile {
    pub(super) fn new(open: Arc<OpenFile>, options: &UringOptions) -> Result<UringFile, IoFault> {
        let (align_bytes, bufs_max) =
            if options.direct { (direct_align_bytes(&open)?, BLOCKS_MAX) } else { (1, PIECES_MAX) };
        let limits = IoLimits { align_bytes, bufs_max, in_flight_max: usize::from(options.depth) };
        let ring = if options.sqpoll { RingKind::Sqpoll } else { RingKind::Deferred };
        Ok(UringFile { open, limits, ring, sync: options.sync })
    }

    fn is_direct(&self) -> bool {
        self.limits.align_bytes > 1
    }

    async fn run(&self, op: IoOp, at_bytes: u64, request: Request) -> Result<Finished, (IoFault, Request)> {
        match ring::current(self.ring) {
            Ok(ring) => Ok(ring.start(request).await),
            Err(error) => Err((self.open.fault(op, at_bytes, error), request)),
        }
    }

    async fn write(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        if let Err(text) = bufs.check(&self.limits, at_bytes) {
            return Done {
                bufs,
                result: Err(self.open.refuse(IoOp::Write, at_bytes, FaultKind::Misuse, text)),
            };
        }
        let request = Request::write(Arc::clone(&self.open), at_bytes, bufs, self.limits.align_bytes);
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
        self.limits
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
        let align_bytes = self.limits.align_bytes;
        let start_bytes = range.start - range.start % align_bytes as u64;
        let skip_bytes = (range.start - start_bytes) as usize;
        let whole_bytes = (skip_bytes + len_bytes).next_multiple_of(align_bytes);
        let Some(block) = Block::try_take(whole_bytes) else {
            let text = format!("no block of {len_bytes} bytes is to be had");
            return Err(self.open.refuse(IoOp::Read, range.start, FaultKind::NoMemory, text));
        };
        let open = Arc::clone(&self.open);
        let request = Request::read(open, start_bytes, block, whole_bytes, align_bytes);
        let finished = self.run(IoOp::Read, range.start, request).await.map_err(|(fault, _)| fault)?;
        finished.result?;
        let Body::Read(mut block) = finished.body else { return Ok(Bytes::new()) };
        if finished.gapless_bytes < skip_bytes + len_bytes {
            return Err(self.open.end_of_file(start_bytes + finished.gapless_bytes as u64, range.end));
        }
        block.set_filled(finished.gapless_bytes);
        Ok(block.into_bytes().slice(skip_bytes..skip_bytes + len_bytes))
    }

    /// Reads are asynchronous as it is.
    async fn prefetch(&self, _range: Range<u64>) -> Result<(), IoFault> {
        Ok(())
    }

    /// What went through the page cache can be sent from there.
    fn slice(&self, range: Range<u64>) -> Option<Records> {
        let len_bytes = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        if self.is_direct() {
            return None;
        }
        Some(Records::File(FileSlice::new(self.open.clone(), range.start, len_bytes)))
    }

    async fn sync(&self) -> Result<(), IoFault> {
        if self.sync == RingSync::Syscall {
            return self.open.sync_data().await;
        }
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
         backend has {BLOCK_ALIGN_BYTES}; use the page-cache or mmap backend, or a buffered ring"
    );
    Err(open.refuse(IoOp::Open, 0, FaultKind::Other, text))
}
