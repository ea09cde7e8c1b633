//! A decorator that counts and times every operation, without allocating for any.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::config::{Backend, Preallocation};
use crate::fault::{IoFault, IoOp};
use crate::file::{Done, IoLimits, SegmentFile, SegmentStore, WriteBufs};
use crate::slice::Records;

/// Buckets per power of two: the width of a bucket is an eighth of its value at most.
const STEPS: usize = 8;

/// Enough buckets for every `u64`.
const BUCKETS: usize = STEPS * 62;

/// Counts per operation. Clones of a [`Metered`] store and all its files share one.
#[derive(Debug, Default)]
pub struct Meter {
    operations: [OpMeter; IoOp::ALL.len()],
    slices: AtomicU64,
    sliced_bytes: AtomicU64,
}

struct OpMeter {
    count: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    total_ns: AtomicU64,
    max_ns: AtomicU64,
    buckets: Box<[AtomicU64]>,
}

/// What one kind of operation did so far.
#[derive(Clone, PartialEq, Eq)]
pub struct OpSummary {
    /// Operations that ran to their end. One whose future was dropped is not among them.
    pub count: u64,
    /// How many of them failed.
    pub failed: u64,
    /// Bytes transferred by those that succeeded.
    pub bytes: u64,
    /// Sum of all durations.
    pub total_ns: u64,
    /// The longest duration.
    pub max_ns: u64,
    buckets: Vec<u64>,
}

impl OpSummary {
    /// The duration that the share `quantile` (0 to 1) of operations did not exceed, too high by an eighth at most.
    /// `None` without operations.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let rank = ((self.count as f64 * quantile).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let reached = |(index, count): (usize, &u64)| {
            seen += count;
            (seen >= rank).then(|| bucket_top(index).min(self.max_ns))
        };
        self.buckets.iter().enumerate().find_map(reached)
    }
}

impl fmt::Debug for OpSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpSummary")
            .field("count", &self.count)
            .field("failed", &self.failed)
            .field("bytes", &self.bytes)
            .field("p50_ns", &self.quantile_ns(0.5))
            .field("p99_ns", &self.quantile_ns(0.99))
            .field("max_ns", &self.max_ns)
            .finish_non_exhaustive()
    }
}

impl Default for OpMeter {
    fn default() -> OpMeter {
        let zero = || AtomicU64::new(0);
        let buckets = (0..BUCKETS).map(|_| zero()).collect();
        OpMeter { count: zero(), failed: zero(), bytes: zero(), total_ns: zero(), max_ns: zero(), buckets }
    }
}

impl fmt::Debug for OpMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary().fmt(f)
    }
}

impl OpMeter {
    fn note(&self, bytes: u64, failed: bool, ns: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.bytes.fetch_add(if failed { 0 } else { bytes }, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
        self.max_ns.fetch_max(ns, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(ns)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn summary(&self) -> OpSummary {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OpSummary {
            count: get(&self.count),
            failed: get(&self.failed),
            bytes: get(&self.bytes),
            total_ns: get(&self.total_ns),
            max_ns: get(&self.max_ns),
            buckets: self.buckets.iter().map(get).collect(),
        }
    }
}

impl Meter {
    /// What `op` did so far. Counters are read one by one, so under load they may differ by the latest operations.
    pub fn summary(&self, op: IoOp) -> OpSummary {
        self.operations.get(op.index()).map(OpMeter::summary).unwrap_or_else(|| OpMeter::default().summary())
    }

    /// How many slices were handed out, and how many bytes they show.
    pub fn slices(&self) -> (u64, u64) {
        (self.slices.load(Ordering::Relaxed), self.sliced_bytes.load(Ordering::Relaxed))
    }

    async fn timed<T>(
        &self,
        op: IoOp,
        work: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> (u64, bool),
    ) -> T {
        let start = Instant::now();
        let output = work.await;
        let ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (bytes, failed) = outcome(&output);
        if let Some(meter) = self.operations.get(op.index()) {
            meter.note(bytes, failed, ns);
        }
        output
    }
}

/// Index of the bucket that `ns` falls into: exact below eight, then eight per power of two.
fn bucket_of(ns: u64) -> usize {
    let Some(power) = ns.checked_ilog2().filter(|power| *power >= 3) else { return ns as usize };
    let step = (ns >> (power - 3)) as usize - STEPS;
    (power as usize - 2) * STEPS + step
}

/// The largest value of a bucket.
fn bucket_top(index: usize) -> u64 {
    let (power, step) = (index / STEPS, (index % STEPS) as u64);
    match power {
        0 => step,
        _ => (((STEPS as u128 + u128::from(step) + 1) << (power - 1)) - 1).min(u128::from(u64::MAX)) as u64,
    }
}

/// A store whose operations are counted and timed.
#[derive(Clone, Debug)]
pub struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    /// Counts what happens to `inner` from now on.
    pub fn new(inner: S) -> Metered<S> {
        Metered { inner, meter: Arc::default() }
    }

    /// The counts.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }
}

/// A file whose operations are counted and timed.
#[derive(Debug)]
pub struct MeteredFile<F> {
    inner: F,
    meter: Arc<Meter>,
}

fn failed<T>(result: &Result<T, IoFault>) -> (u64, bool) {
    (0, result.is_err())
}

impl<S: SegmentStore> SegmentStore for Metered<S> {
    type File = MeteredFile<S::File>;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<Self::File, IoFault> {
        let inner = self.meter.timed(IoOp::Create, self.inner.create(path, reserve_bytes), failed).await?;
        Ok(MeteredFile { inner, meter: Arc::clone(&self.meter) })
    }

    async fn open(&self, path: &Path) -> Result<(Self::File, u64), IoFault> {
        let (inner, len_bytes) = self.meter.timed(IoOp::Open, self.inner.open(path), failed).await?;
        Ok((MeteredFile { inner, meter: Arc::clone(&self.meter) }, len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        self.inner.lengths(paths).await
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        self.meter.timed(IoOp::Remove, self.inner.remove(path), failed).await
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        self.meter.timed(IoOp::Sync, self.inner.sync_directory(path), failed).await
    }

    fn backend(&self) -> Backend {
        self.inner.backend()
    }

    fn preallocation(&self) -> Preallocation {
        self.inner.preallocation()
    }
}

impl<F: SegmentFile> SegmentFile for MeteredFile<F> {
    fn limits(&self) -> IoLimits {
        self.inner.limits()
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.meter.timed(IoOp::Rename, self.inner.rename(to), failed).await
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.inner.is_alone().await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.meter.timed(IoOp::Reserve, self.inner.reserve(upto_bytes), failed).await
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        let bytes = bufs.len_bytes() as u64;
        let outcome = |done: &Done<WriteBufs>| (bytes, done.result.is_err());
        self.meter.timed(IoOp::Write, self.inner.write_at(at_bytes, bufs), outcome).await
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        let outcome =
            |read: &Result<Bytes, IoFault>| (read.as_ref().map_or(0, |b| b.len() as u64), read.is_err());
        self.meter.timed(IoOp::Read, self.inner.read_at(range), outcome).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        self.inner.prefetch(range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        let records = self.inner.slice(range)?;
        self.meter.slices.fetch_add(1, Ordering::Relaxed);
        self.meter.sliced_bytes.fetch_add(records.len() as u64, Ordering::Relaxed);
        Some(records)
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.meter.timed(IoOp::Sync, self.inner.sync(), failed).await
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.meter.timed(IoOp::Truncate, self.inner.truncate(len_bytes), failed).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Chunk;
    use crate::sim::SimStore;

    #[test]
    fn buckets_cover_all_values_in_order_and_are_an_eighth_wide_at_most() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_top(BUCKETS - 1), u64::MAX);
        for index in 1..BUCKETS {
            let bottom = bucket_top(index - 1) + 1;
            assert_eq!((bucket_of(bottom), bucket_of(bucket_top(index))), (index, index));
            assert!(bucket_top(index) - bottom <= bottom / 8);
        }
    }

    #[test]
    fn quantiles_come_from_the_right_bucket() {
        let meter = OpMeter::default();
        (1..=100).for_each(|ns| meter.note(0, false, ns * 1000));
        let summary = meter.summary();
        let p50_ns = summary.quantile_ns(0.5).unwrap();
        assert!((50_000..=56_250).contains(&p50_ns), "{p50_ns}");
        assert_eq!(summary.quantile_ns(1.0), Some(100_000));
        assert_eq!(OpMeter::default().summary().quantile_ns(0.5), None);
    }

    #[tokio::test]
    async fn counts_bytes_and_failures_apart() {
        let store = Metered::new(SimStore::default());
        let file = store.create(Path::new("/m"), 0).await.unwrap();
        let bufs = WriteBufs::Gather(vec![Chunk::Inline([1; 16])]);
        file.write_at(0, bufs).await.result.unwrap();
        file.read_at(0..16).await.unwrap();
        file.read_at(8..32).await.unwrap_err();
        file.slice(0..10).unwrap();
        let (write, read) = (store.meter().summary(IoOp::Write), store.meter().summary(IoOp::Read));
        assert_eq!((write.count, write.failed, write.bytes), (1, 0, 16));
        assert_eq!((read.count, read.failed, read.bytes), (2, 1, 16));
        assert_eq!(store.meter().slices(), (1, 10));
    }
}
