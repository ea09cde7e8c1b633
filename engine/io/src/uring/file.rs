//! One file reached through rings.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{AtFlags, StatxFlags};

use crate::block::{BLOCK_ALIGN_BYTES, Block};
use crate::config::{RingSync, UringOptions};
use crate::fault::{FaultKind, IoFault, IoOp};
use crate::file::{Chunk, Done, IoLimits, SegmentFile, WriteBufs};
use crate::open_file::OpenFile;
use crate::page_cache::checked_len;
use crate::residency;
use crate::slice::{FileSlice, Records};

use super::build::RingKind;
use super::request::{Body, Finished, Request};
use super::ring;
use super::tail::FileTail;

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
    tail: Option<FileTail>,
}

impl UringFile {
    pub(super) fn new(
        open: Arc<OpenFile>,
        options: &UringOptions,
        tail: Option<FileTail>,
    ) -> Result<UringFile, IoFault> {
        let (align_bytes, bufs_max) =
            if options.direct { (direct_align_bytes(&open)?, BLOCKS_MAX) } else { (1, PIECES_MAX) };
        let limits = IoLimits { align_bytes, bufs_max, in_flight_max: usize::from(options.depth) };
        let ring = if options.sqpoll { RingKind::Sqpoll } else { RingKind::Deferred };
        Ok(UringFile { open, limits, ring, sync: options.sync, tail })
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
        let unsure = Unsure { tail: self.tail.as_ref(), range: at_bytes..at_bytes + bufs.len_bytes() as u64 };
        let request = Request::write(Arc::clone(&self.open), at_bytes, bufs, self.limits.align_bytes);
        let (body, result) = match self.run(IoOp::Write, at_bytes, request).await {
            Ok(Finished { body, result, .. }) => (body, result),
            Err((fault, request)) => (request.body, Err(fault)),
        };
        let bufs = if let Body::Write(bufs) = body { bufs } else { WriteBufs::Blocks(Vec::new()) };
        if result.is_err() {
            return Done { bufs, result };
        }
        unsure.settle();
        Done { bufs: self.keep(at_bytes, bufs), result }
    }

    /// Leaves blocks that were written in the cache, if somebody reads near the end; their bytes come back as pieces that share its memory.
    fn keep(&self, at_bytes: u64, bufs: WriteBufs) -> WriteBufs {
        let Some(tail) = &self.tail else { return bufs };
        if !tail.wants(&(at_bytes..at_bytes + bufs.len_bytes() as u64)) {
            return bufs;
        }
        let WriteBufs::Blocks(blocks) = bufs else { return bufs };
        let mut next_bytes = at_bytes;
        let pieces = blocks.into_iter().map(|block| {
            let block_bytes = next_bytes;
            next_bytes += block.len() as u64;
            Chunk::Shared(tail.put(block_bytes, block))
        });
        WriteBufs::Gather(pieces.collect())
    }

    /// Reads from the device: the enclosing blocks go into a pool block, of which the part asked for is handed out
    /// without copying it. `behind` is appended, in room that the block has for it.
    pub(super) async fn read(&self, range: Range<u64>, behind: &[Bytes]) -> Result<Bytes, IoFault> {
        let len_bytes = (range.end - range.start) as usize;
        let behind_bytes: usize = behind.iter().map(Bytes::len).sum();
        let align_bytes = self.limits.align_bytes;
        let start_bytes = range.start - range.start % align_bytes as u64;
        let skip_bytes = (range.start - start_bytes) as usize;
        let device_bytes = (skip_bytes + len_bytes).next_multiple_of(align_bytes);
        let Some(block) = Block::try_take(device_bytes + behind_bytes) else {
            let text = format!("no block of {} bytes is to be had", device_bytes + behind_bytes);
            return Err(self.open.refuse(IoOp::Read, range.start, FaultKind::NoMemory, text));
        };
        let open = Arc::clone(&self.open);
        let request = Request::read(open, start_bytes, block, device_bytes, align_bytes);
        let finished = self.run(IoOp::Read, range.start, request).await.map_err(|(fault, _)| fault)?;
        finished.result?;
        let Body::Read(mut block) = finished.body else { return Ok(Bytes::new()) };
        if finished.gapless_bytes < skip_bytes + len_bytes {
            return Err(self.open.end_of_file(start_bytes + finished.gapless_bytes as u64, range.end));
        }
        block.set_filled(skip_bytes + len_bytes);
        behind.iter().for_each(|piece| {
            block.extend_from_slice(piece);
        });
        Ok(block.into_bytes().slice(skip_bytes..))
    }
}

/// A write under way: until it has succeeded, the cache must not say what its range holds for longer than the future
/// lives that would correct it.
struct Unsure<'a> {
    tail: Option<&'a FileTail>,
    range: Range<u64>,
}

impl Unsure<'_> {
    fn settle(mut self) {
        self.tail = None;
    }
}

impl Drop for Unsure<'_> {
    fn drop(&mut self) {
        if let Some(tail) = self.tail {
            tail.forget(self.range.clone());
        }
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

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.open.is_alone().await
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

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        checked_len(&self.open, &range)?;
        let Some(tail) = &self.tail else { return self.read(range, &[]).await };
        tail.note_read(&range);
        if let Some(bytes) = tail.slice(&range) {
            return Ok(bytes);
        }
        let behind = tail.end_of(&range);
        let behind_bytes: usize = behind.iter().map(Bytes::len).sum();
        self.read(range.start..range.end - behind_bytes as u64, &behind).await
    }

    /// Direct reads are asynchronous as it is; what is sent from the page cache must be there.
    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        if self.is_direct() { Ok(()) } else { residency::prefetch(&self.open, range).await }
    }

    /// What went through the page cache can be sent from there, unless the file may be recycled: see the page cache's
    /// own. Otherwise a block of the tail cache, shared.
    fn slice(&self, range: Range<u64>) -> Option<Records> {
        let len_bytes = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        if !self.is_direct() {
            let piece = || Records::File(FileSlice::new(self.open.clone(), range.start, len_bytes));
            return (!self.open.is_recyclable()).then(piece);
        }
        let tail = self.tail.as_ref()?;
        tail.note_read(&range);
        tail.slice(&range).map(Records::Bytes)
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
        if let Some(tail) = &self.tail {
            tail.cut(len_bytes);
        }
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
