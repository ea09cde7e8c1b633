//! A decorator that fails on purpose: by script, by seeded rate, or when an imagined disk is full; and one that holds
//! operations back until they are let go.
//!
//! A failed write may leave a prefix behind, as a real one does. A failed sync makes nothing durable. Faults carry
//! real errnos, so that what is above cannot tell them from true ones.

mod gate;
mod plan;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::block::Block;
use crate::config::{Backend, Preallocation};
use crate::fault::{IoFault, IoOp};
use crate::file::{Chunk, Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::slice::Records;

pub use gate::Held;
pub use plan::Faults;
use plan::Verdict;

/// A store whose operations fail as planned.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S> Faulty<S> {
    /// Puts `faults` between the caller and `inner`.
    pub fn new(inner: S, faults: Faults) -> Faulty<S> {
        Faulty { inner, faults }
    }
}

/// A file whose operations fail as planned.
#[derive(Debug)]
pub struct FaultyFile<F> {
    inner: F,
    faults: Faults,
    /// Space already taken from the imagined disk.
    room_upto_bytes: AtomicU64,
}

impl<S: SegmentStore> Faulty<S> {
    fn file(&self, inner: S::File, room_upto_bytes: u64) -> FaultyFile<S::File> {
        FaultyFile { inner, faults: self.faults.clone(), room_upto_bytes: AtomicU64::new(room_upto_bytes) }
    }
}

fn no_space(op: IoOp, path: &Path, at_bytes: u64) -> IoFault {
    IoFault::new(op, path, at_bytes, io::Error::from_raw_os_error(libc::ENOSPC))
}

impl<S: SegmentStore> SegmentStore for Faulty<S> {
    type File = FaultyFile<S::File>;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<Self::File, IoFault> {
        self.faults.check(IoOp::Create, path, 0).await?;
        if self.faults.take_space(reserve_bytes, true) < reserve_bytes {
            return Err(no_space(IoOp::Create, path, 0));
        }
        Ok(self.file(self.inner.create(path, reserve_bytes).await?, reserve_bytes))
    }

    async fn open(&self, path: &Path) -> Result<(Self::File, u64), IoFault> {
        self.faults.check(IoOp::Open, path, 0).await?;
        let (inner, len_bytes) = self.inner.open(path).await?;
        Ok((self.file(inner, len_bytes), len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        self.inner.lengths(paths).await
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        self.faults.check(IoOp::Remove, path, 0).await?;
        self.inner.remove(path).await
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        self.faults.check(IoOp::Sync, path, 0).await?;
        self.inner.sync_directory(path).await
    }

    fn backend(&self) -> Backend {
        self.inner.backend()
    }

    fn preallocation(&self) -> Preallocation {
        self.inner.preallocation()
    }
}

impl<F: SegmentFile> FaultyFile<F> {
    /// Writes the first `keep_bytes` only, and returns how many those are after rounding to the alignment.
    async fn write_prefix(&self, at_bytes: u64, bufs: &WriteBufs, keep_bytes: usize) -> Result<u64, IoFault> {
        let align_bytes = self.inner.limits().align_bytes.max(1);
        let keep_bytes = keep_bytes - keep_bytes % align_bytes;
        if keep_bytes == 0 {
            return Ok(0);
        }
        self.inner.write_at(at_bytes, prefix(bufs, keep_bytes)).await.result?;
        Ok(keep_bytes as u64)
    }

    async fn torn(&self, at_bytes: u64, bufs: &WriteBufs, verdict: Verdict) -> IoFault {
        let len_bytes = bufs.len_bytes();
        let keep_bytes =
            verdict.keep_bytes.unwrap_or_else(|| self.faults.chance_below(len_bytes)).min(len_bytes);
        match self.write_prefix(at_bytes, bufs, keep_bytes).await {
            Ok(kept_bytes) => verdict.fault(IoOp::Write, self.inner.path(), at_bytes + kept_bytes),
            Err(true_fault) => true_fault,
        }
    }

    /// How much of a write up to `end_bytes` the imagined disk has no room for.
    fn lacking_bytes(&self, end_bytes: u64) -> u64 {
        let room_upto_bytes = self.room_upto_bytes.load(Ordering::Relaxed);
        let want_bytes = end_bytes.saturating_sub(room_upto_bytes);
        let taken_bytes = self.faults.take_space(want_bytes, false);
        self.room_upto_bytes.fetch_max(room_upto_bytes + taken_bytes, Ordering::Relaxed);
        want_bytes - taken_bytes
    }
}

impl<F: SegmentFile> SegmentFile for FaultyFile<F> {
    fn limits(&self) -> IoLimits {
        self.inner.limits()
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.faults.check(IoOp::Rename, self.inner.path(), 0).await?;
        self.inner.rename(to).await
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.inner.is_alone().await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.faults.check(IoOp::Reserve, self.inner.path(), upto_bytes).await?;
        let room_upto_bytes = self.room_upto_bytes.load(Ordering::Relaxed);
        let want_bytes = upto_bytes.saturating_sub(room_upto_bytes);
        if self.faults.take_space(want_bytes, true) < want_bytes {
            return Err(no_space(IoOp::Reserve, self.inner.path(), room_upto_bytes));
        }
        self.inner.reserve(upto_bytes).await?;
        self.room_upto_bytes.fetch_max(upto_bytes, Ordering::Relaxed);
        Ok(())
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        if let Some(verdict) = self.faults.enter(IoOp::Write, self.inner.path()).await {
            let result = Err(self.torn(at_bytes, &bufs, verdict).await);
            return Done { bufs, result };
        }
        let lacking_bytes = self.lacking_bytes(at_bytes.saturating_add(bufs.len_bytes() as u64));
        if lacking_bytes > 0 {
            let keep_bytes = bufs.len_bytes().saturating_sub(lacking_bytes as usize);
            let full = Verdict { errno: libc::ENOSPC, keep_bytes: Some(keep_bytes) };
            let result = Err(self.torn(at_bytes, &bufs, full).await);
            return Done { bufs, result };
        }
        self.inner.write_at(at_bytes, bufs).await
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        self.faults.check(IoOp::Read, self.inner.path(), range.start).await?;
        self.inner.read_at(range).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        self.inner.prefetch(range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        self.inner.slice(range)
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.faults.check(IoOp::Sync, self.inner.path(), 0).await?;
        self.inner.sync().await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.faults.check(IoOp::Truncate, self.inner.path(), len_bytes).await?;
        self.inner.truncate(len_bytes).await?;
        self.room_upto_bytes.fetch_min(len_bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// The first `keep_bytes` of a write, in memory of their own.
fn prefix(bufs: &WriteBufs, keep_bytes: usize) -> WriteBufs {
    let mut left_bytes = keep_bytes;
    let mut kept: Vec<u8> = Vec::with_capacity(keep_bytes);
    bufs.for_each(|piece| {
        let piece = piece.get(..left_bytes).unwrap_or(piece);
        kept.extend_from_slice(piece);
        left_bytes -= piece.len();
    });
    match bufs {
        WriteBufs::Gather(_) => WriteBufs::Gather(vec![Chunk::Shared(kept.into())]),
        WriteBufs::Blocks(_) => {
            let mut block = Block::take(keep_bytes);
            block.extend_from_slice(&kept);
            WriteBufs::Blocks(vec![block])
        }
    }
}

#[cfg(test)]
mod tests;
