//! A decorator that fails on purpose: by script, by seeded rate, or when an imagined disk is full.
//!
//! A failed write may leave a prefix behind, as a real one does. A failed sync makes nothing durable. Faults carry
//! real errnos, so that what is above cannot tell them from true ones.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::block::Block;
use crate::config::{Backend, Preallocation};
use crate::dice::Dice;
use crate::fault::{IoFault, IoOp};
use crate::file::{Chunk, Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::slice::Records;

/// What is to fail. Clones share it, so a test keeps one while the store uses another.
#[derive(Clone, Debug)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
struct Plan {
    dice: Dice,
    seen: [u64; IoOp::ALL.len()],
    rates: [Option<Rate>; IoOp::ALL.len()],
    script: Vec<Scripted>,
    free_bytes: Option<u64>,
    injected: u64,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    probability: f64,
    errno: i32,
}

#[derive(Clone, Copy, Debug)]
struct Scripted {
    op: IoOp,
    /// Counted over the life of the plan.
    at_count: u64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
struct Verdict {
    errno: i32,
    /// Bytes of a write that still reach the file; `None` lets chance decide.
    keep_bytes: Option<usize>,
}

impl Faults {
    /// A plan without faults. `seed` decides what rates hit and how much of a write survives.
    pub fn new(seed: u64) -> Faults {
        let plan = Plan {
            dice: Dice::new(seed),
            seen: [0; IoOp::ALL.len()],
            rates: [None; IoOp::ALL.len()],
            script: Vec::new(),
            free_bytes: None,
            injected: 0,
        };
        Faults { plan: Arc::new(Mutex::new(plan)) }
    }

    /// Lets each `op` fail with `errno` at the given probability; zero switches it off.
    pub fn set_rate(&self, op: IoOp, probability: f64, errno: i32) {
        if let Some(rate) = self.locked().rates.get_mut(op.index()) {
            *rate = (probability > 0.0).then_some(Rate { probability, errno });
        }
    }

    /// Fails the `nth` `op` from now (1 is the next) with `errno`. A failed write leaves nothing behind.
    pub fn fail_nth(&self, op: IoOp, nth: u64, errno: i32) {
        self.schedule(op, nth, Verdict { errno, keep_bytes: Some(0) });
    }

    /// Fails the `nth` write from now with `errno` after its first `keep_bytes` reached the file (rounded down to
    /// the file's alignment).
    pub fn tear_nth_write(&self, nth: u64, keep_bytes: usize, errno: i32) {
        self.schedule(IoOp::Write, nth, Verdict { errno, keep_bytes: Some(keep_bytes) });
    }

    /// Leaves room for `free_bytes` more in all files together, then answers ENOSPC; `None` lifts the limit.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.locked().free_bytes = free_bytes;
    }

    /// How many faults were injected so far.
    pub fn injected(&self) -> u64 {
        self.locked().injected
    }

    fn schedule(&self, op: IoOp, nth: u64, verdict: Verdict) {
        let mut plan = self.locked();
        let at_count = plan.seen.get(op.index()).copied().unwrap_or(0) + nth;
        plan.script.push(Scripted { op, at_count, verdict });
    }

    fn locked(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and says whether it fails.
    fn decide(&self, op: IoOp) -> Option<Verdict> {
        let mut plan = self.locked();
        let seen = plan.seen.get_mut(op.index())?;
        *seen += 1;
        let count = *seen;
        let scripted = plan.script.iter().position(|entry| entry.op == op && entry.at_count == count);
        let verdict = match scripted {
            Some(index) => Some(plan.script.swap_remove(index).verdict),
            None => plan.roll(op),
        };
        plan.injected += u64::from(verdict.is_some());
        verdict
    }

    /// Fails an operation that has no bytes to tear.
    fn check(&self, op: IoOp, path: &Path, at_bytes: u64) -> Result<(), IoFault> {
        match self.decide(op) {
            Some(verdict) => Err(verdict.fault(op, path, at_bytes)),
            None => Ok(()),
        }
    }

    /// Takes up to `want_bytes` from the imagined disk and returns how many there were; all or none if `whole`.
    fn take_space(&self, want_bytes: u64, whole: bool) -> u64 {
        let mut plan = self.locked();
        let Some(free_bytes) = plan.free_bytes else { return want_bytes };
        let taken_bytes = if whole && free_bytes < want_bytes { 0 } else { free_bytes.min(want_bytes) };
        plan.free_bytes = Some(free_bytes - taken_bytes);
        plan.injected += u64::from(taken_bytes < want_bytes);
        taken_bytes
    }

    fn chance_below(&self, bound: usize) -> usize {
        self.locked().dice.below(bound as u64) as usize
    }
}

impl Plan {
    fn roll(&mut self, op: IoOp) -> Option<Verdict> {
        let rate = (*self.rates.get(op.index())?)?;
        self.dice.hits(rate.probability).then_some(Verdict { errno: rate.errno, keep_bytes: None })
    }
}

impl Verdict {
    fn fault(&self, op: IoOp, path: &Path, at_bytes: u64) -> IoFault {
        IoFault::new(op, path, at_bytes, io::Error::from_raw_os_error(self.errno))
    }
}

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
        self.faults.check(IoOp::Create, path, 0)?;
        if self.faults.take_space(reserve_bytes, true) < reserve_bytes {
            return Err(no_space(IoOp::Create, path, 0));
        }
        Ok(self.file(self.inner.create(path, reserve_bytes).await?, reserve_bytes))
    }

    async fn open(&self, path: &Path) -> Result<(Self::File, u64), IoFault> {
        self.faults.check(IoOp::Open, path, 0)?;
        let (inner, len_bytes) = self.inner.open(path).await?;
        Ok((self.file(inner, len_bytes), len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        self.inner.lengths(paths).await
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        self.faults.check(IoOp::Remove, path, 0)?;
        self.inner.remove(path).await
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        self.faults.check(IoOp::Sync, path, 0)?;
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
        self.faults.check(IoOp::Rename, self.inner.path(), 0)?;
        self.inner.rename(to).await
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.inner.is_alone().await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.faults.check(IoOp::Reserve, self.inner.path(), upto_bytes)?;
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
        if let Some(verdict) = self.faults.decide(IoOp::Write) {
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
        self.faults.check(IoOp::Read, self.inner.path(), range.start)?;
        self.inner.read_at(range).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        self.inner.prefetch(range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        self.inner.slice(range)
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.faults.check(IoOp::Sync, self.inner.path(), 0)?;
        self.inner.sync().await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.faults.check(IoOp::Truncate, self.inner.path(), len_bytes)?;
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
mod tests {
    use super::*;
    use crate::fault::FaultKind;
    use crate::sim::SimStore;

    fn gather(bytes: &'static [u8]) -> WriteBufs {
        WriteBufs::Gather(vec![Chunk::Shared(Bytes::from_static(bytes))])
    }

    async fn file(faults: &Faults) -> (SimStore, FaultyFile<crate::SimFile>) {
        let sim = SimStore::default();
        let file = Faulty::new(sim.clone(), faults.clone()).create(Path::new("/f"), 0).await.unwrap();
        (sim, file)
    }

    #[tokio::test]
    async fn the_nth_sync_fails_with_its_errno_and_makes_nothing_durable() {
        let faults = Faults::new(1);
        let (sim, file) = file(&faults).await;
        file.write_at(0, gather(b"first")).await.result.unwrap();
        faults.fail_nth(IoOp::Sync, 2, libc::EIO);
        file.sync().await.unwrap();
        file.write_at(5, gather(b"second")).await.result.unwrap();
        let fault = file.sync().await.unwrap_err();
        assert_eq!(
            (fault.kind, fault.errno(), fault.is_poison()),
            (FaultKind::DeviceError, Some(libc::EIO), true)
        );
        assert_eq!(sim.durable_bytes(Path::new("/f")).unwrap(), b"first");
        assert_eq!(faults.injected(), 1);
    }

    #[tokio::test]
    async fn a_torn_write_leaves_its_prefix_and_says_where_it_ends() {
        let faults = Faults::new(1);
        let (sim, file) = file(&faults).await;
        faults.tear_nth_write(1, 4, libc::EIO);
        let done = file.write_at(0, gather(b"abcdefgh")).await;
        assert_eq!(done.result.unwrap_err().at_bytes, 4);
        assert_eq!(done.bufs.len_bytes(), 8);
        assert_eq!(sim.live_bytes(Path::new("/f")).unwrap(), b"abcd");
    }

    #[tokio::test]
    async fn a_full_disk_takes_what_fits_refuses_reservations_whole_and_recovers() {
        let faults = Faults::new(1);
        let (sim, file) = file(&faults).await;
        faults.set_free_bytes(Some(10));
        assert_eq!(file.reserve(11).await.unwrap_err().kind, FaultKind::NoSpace);
        file.write_at(0, gather(b"12345678")).await.result.unwrap();
        let fault = file.write_at(8, gather(b"abcdef")).await.result.unwrap_err();
        assert_eq!((fault.kind, fault.at_bytes), (FaultKind::NoSpace, 10));
        assert_eq!(sim.live_bytes(Path::new("/f")).unwrap(), b"12345678ab");
        faults.set_free_bytes(None);
        file.write_at(8, gather(b"abcdef")).await.result.unwrap();
    }

    #[tokio::test]
    async fn reserved_room_is_there_when_the_disk_is_full() {
        let faults = Faults::new(1);
        let (_sim, file) = file(&faults).await;
        faults.set_free_bytes(Some(8));
        file.reserve(8).await.unwrap();
        file.write_at(0, gather(b"12345678")).await.result.unwrap();
    }

    #[tokio::test]
    async fn equal_seeds_fail_alike() {
        let mut runs = Vec::new();
        for _ in 0..2 {
            let faults = Faults::new(42);
            faults.set_rate(IoOp::Write, 0.3, libc::EIO);
            let (_sim, file) = file(&faults).await;
            let mut failed = Vec::new();
            for at_bytes in 0..100 {
                failed.push(file.write_at(at_bytes, gather(b"x")).await.result.is_err());
            }
            runs.push(failed);
        }
        assert_eq!(runs[0], runs[1]);
        assert!(runs[0].contains(&true) && runs[0].contains(&false));
    }
}
