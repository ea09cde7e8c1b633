//! What the integration tests share: batches, a runtime, and a simulated disk with scripted faults.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use plimsoll_io::{
    Backend, Done, IoFault, IoLimits, IoOp, Preallocation, Records, SegmentFile, SegmentStore, SimConfig,
    SimFile, SimStore, WriteBufs,
};
use plimsoll_log::{
    AppendError, AppendRequest, Appended, Log, LogConfig, OpenHints, Origin, ReadOut, RecoveryReport,
};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor, ProducerStamp};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use uuid::Uuid;

pub(crate) const TOPIC_ID: Uuid = Uuid::from_u128(0x00c0_ffee);

/// Runs `test` as the data path runs: one thread, local tasks, virtual time.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    LocalSet::new().block_on(&runtime.expect("runtime"), test)
}

/// A batch of `records` values of `value_bytes`, stamped from `timestamp` on, one millisecond apart.
pub(crate) fn batch_at(timestamp: i64, records: usize, value_bytes: usize) -> Batch {
    stamped(ProducerStamp::NONE, timestamp, records, value_bytes)
}

pub(crate) fn batch(records: usize, value_bytes: usize) -> Batch {
    batch_at(1_000, records, value_bytes)
}

/// A batch of an idempotent producer.
pub(crate) fn produced(id: i64, epoch: i16, base_sequence: i32, records: usize) -> Batch {
    stamped(ProducerStamp { id, epoch, base_sequence }, 1_000, records, 20)
}

pub(crate) fn stamped(stamp: ProducerStamp, timestamp: i64, records: usize, value_bytes: usize) -> Batch {
    thread_local! {
        static SALT: RefCell<u8> = const { RefCell::new(0) };
    }
    let salt = SALT.with_borrow_mut(|s| {
        *s = s.wrapping_add(1);
        *s
    });
    let mut builder = BatchBuilder::new(Codec::None);
    builder.set_producer(stamp);
    for i in 0..records {
        let value = vec![salt ^ i as u8; value_bytes];
        builder.push(timestamp + i as i64, Some(b"key"), Some(&value), &[]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

pub(crate) async fn append<S: SegmentStore>(log: &Log<S>, batch: Batch) -> Result<Appended, AppendError> {
    log.append(AppendRequest { batch, leader_epoch: 0, origin: Origin::Client }).await
}

pub(crate) async fn replicate<S: SegmentStore>(log: &Log<S>, batch: Batch) -> Result<Appended, AppendError> {
    log.append(AppendRequest { batch, leader_epoch: -1, origin: Origin::Replica }).await
}

pub(crate) async fn open<S: SegmentStore>(
    store: S,
    dir: &Path,
    config: LogConfig,
    recovery_point: Option<i64>,
    clean: bool,
) -> (Log<S>, RecoveryReport) {
    let hints = OpenHints { recovery_point, clean, ..OpenHints::default() };
    Log::open(store, dir, TOPIC_ID, config, hints).await.expect("open")
}

/// All batches of the log, read in steps of `max_bytes`.
pub(crate) async fn read_all<S: SegmentStore>(log: &Log<S>, max_bytes: usize) -> Vec<Batch> {
    let marks = log.marks();
    let (mut offset, mut batches) = (marks.start_offset, Vec::new());
    while offset < marks.written {
        let out = log.read(offset, i64::MAX, max_bytes, true).await.expect("read");
        let found = batches_of(&out);
        offset = found.last().expect("a read below `written` finds a batch").header().next_offset();
        batches.extend(found);
    }
    batches
}

/// What a read found, every batch whole.
pub(crate) fn batches_of(out: &ReadOut) -> Vec<Batch> {
    let (mut bytes, mut batches) = (out.records.to_bytes().expect("bytes"), Vec::new());
    while let Some(batch) = Batch::split_from(&mut bytes).expect("batch") {
        batch.verify_crc().expect("crc");
        batches.push(batch);
    }
    assert!(bytes.is_empty(), "reads return whole batches");
    batches
}

/// Changes one bit of a file of the segment at 0.
pub(crate) fn flip_bit(dir: &Path, suffix: &str, bit: usize) {
    let path = dir.join(format!("{:020}.{suffix}", 0));
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[bit / 8] ^= 1 << (bit % 8);
    std::fs::write(&path, bytes).expect("write");
}

/// Small segments and indexes, so that a few batches reach every corner.
pub(crate) fn small_config() -> LogConfig {
    LogConfig {
        segment_bytes: 16 << 10,
        index_interval_bytes: 512,
        reserve_step_min_bytes: 4096,
        reserve_step_max_bytes: 16384,
        // Small, so that small batches are several writes in flight.
        write_max_bytes: 4096,
        ..LogConfig::default()
    }
}

/// A count that is never reached by default.
#[derive(Debug)]
pub(crate) struct FailAt(AtomicU32);

impl Default for FailAt {
    fn default() -> Self {
        Self(AtomicU32::new(u32::MAX))
    }
}

impl std::ops::Deref for FailAt {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

/// What the simulated disk is told to do wrong, and what it counts.
#[derive(Debug, Default)]
pub(crate) struct Script {
    /// Errnos for the next operations of each kind; 0 lets one pass.
    pub(crate) next: Mutex<Vec<(IoOp, i32)>>,
    /// While set, syncs wait.
    pub(crate) hold_syncs: AtomicU32,
    /// While set, cuts of files wait; and so on.
    pub(crate) hold_truncates: AtomicU32,
    pub(crate) hold_creates: AtomicU32,
    pub(crate) hold_opens: AtomicU32,
    /// Creations, reservations and syncs take this long.
    pub(crate) slow_ms: AtomicU32,
    /// Errno for the sync that the next reservation includes.
    pub(crate) sync_in_reserve: Mutex<Option<i32>>,
    pub(crate) released: Notify,
    pub(crate) reads: AtomicU32,
    pub(crate) prefetches: AtomicU32,
    /// Which read fails, counted over the life of the script; none before it is set.
    pub(crate) fail_read_at: FailAt,
    pub(crate) syncs: AtomicU32,
    pub(crate) writes: AtomicU32,
    pub(crate) in_flight: AtomicU32,
    pub(crate) in_flight_most: AtomicU32,
    /// Told after each change of the disk.
    pub(crate) after_change: AfterChange,
    /// Names that were removed, which tests let stay so.
    pub(crate) removed: Mutex<BTreeSet<PathBuf>>,
    /// Files that somebody still holds: descriptors, on a real disk.
    pub(crate) open_files: AtomicU32,
    /// Files opened by name since the last look.
    pub(crate) opens: AtomicU32,
}

/// Who looks at the disk after each change, if anybody.
#[derive(Default)]
pub(crate) struct AfterChange(Mutex<Option<Box<dyn Fn() + Send>>>);

impl AfterChange {
    pub(crate) fn set(&self, look: Option<Box<dyn Fn() + Send>>) {
        *self.0.lock().expect("look") = look;
    }

    fn tell(&self) {
        if let Some(look) = &*self.0.lock().expect("look") {
            look();
        }
    }
}

impl std::fmt::Debug for AfterChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AfterChange")
    }
}

impl Script {
    pub(crate) fn fail(&self, op: IoOp, errno: i32) {
        self.next.lock().expect("script").push((op, errno));
    }

    fn take(&self, op: IoOp, path: &Path) -> Result<(), IoFault> {
        let mut next = self.next.lock().expect("script");
        let Some(i) = next.iter().position(|(o, _)| *o == op) else { return Ok(()) };
        let (_, errno) = next.remove(i);
        if errno == 0 {
            return Ok(());
        }
        Err(IoFault::new(op, path, 0, io::Error::from_raw_os_error(errno)))
    }

    async fn held(&self, hold: &AtomicU32) {
        while hold.load(Ordering::SeqCst) > 0 {
            self.released.notified().await;
        }
    }

    async fn slowly(&self) {
        let slow_ms = self.slow_ms.load(Ordering::SeqCst);
        if slow_ms > 0 {
            tokio::time::sleep(Duration::from_millis(u64::from(slow_ms))).await;
        }
    }

    pub(crate) fn release_syncs(&self) {
        self.hold_syncs.store(0, Ordering::SeqCst);
        self.released.notify_waiters();
    }
}

/// A [`SimStore`] whose file names are visible in a real directory, where the log looks for them.
#[derive(Clone, Debug)]
pub(crate) struct TestStore {
    pub(crate) sim: SimStore,
    pub(crate) script: Arc<Script>,
}

#[derive(Debug)]
pub(crate) struct TestFile {
    sim: SimFile,
    script: Arc<Script>,
}

impl TestStore {
    pub(crate) fn new(config: SimConfig) -> Self {
        Self { sim: SimStore::new(config), script: Arc::default() }
    }

    fn file(&self, sim: SimFile) -> TestFile {
        self.script.open_files.fetch_add(1, Ordering::SeqCst);
        TestFile { sim, script: Arc::clone(&self.script) }
    }

    /// What a power cut would leave.
    pub(crate) fn crash(&self, seed: u64) -> Self {
        let sim = self.sim.crash(seed);
        // The directory shows the names that are back, of renames and removals that were not synced.
        let (before, after) = (self.sim.paths(), sim.paths());
        let removed = self.script.removed.lock().expect("script");
        for back in after.iter().filter(|path| !before.contains(path) && !removed.contains(*path)) {
            std::fs::write(back, b"").expect("marker file");
        }
        for undone in before.iter().filter(|path| !after.contains(path) && path.exists()) {
            std::fs::remove_file(undone).expect("marker file");
        }
        Self { sim, script: Arc::default() }
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        self.script.open_files.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) const INLINE: IoLimits = IoLimits { align_bytes: 1, bufs_max: 64, in_flight_max: 1 };
pub(crate) const DIRECT: IoLimits = IoLimits { align_bytes: 512, bufs_max: 8, in_flight_max: 4 };

pub(crate) fn inline_store() -> TestStore {
    TestStore::new(SimConfig { limits: INLINE, ..SimConfig::default() })
}

pub(crate) fn direct_store(seed: u64) -> TestStore {
    TestStore::new(SimConfig { seed, limits: DIRECT, reorder: true, ..SimConfig::default() })
}

impl SegmentStore for TestStore {
    type File = TestFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<TestFile, IoFault> {
        self.script.held(&self.script.hold_creates).await;
        self.script.slowly().await;
        self.script.take(IoOp::Create, path)?;
        let sim = self.sim.create(path, reserve_bytes).await?;
        std::fs::write(path, b"").expect("marker file");
        self.script.removed.lock().expect("script").remove(path);
        self.script.after_change.tell();
        Ok(self.file(sim))
    }

    async fn open(&self, path: &Path) -> Result<(TestFile, u64), IoFault> {
        self.script.held(&self.script.hold_opens).await;
        self.script.opens.fetch_add(1, Ordering::SeqCst);
        let (sim, len_bytes) = self.sim.open(path).await?;
        Ok((self.file(sim), len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        self.sim.lengths(paths).await
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        self.script.take(IoOp::Remove, path)?;
        self.sim.remove(path).await?;
        self.script.removed.lock().expect("script").insert(path.to_owned());
        // A name that a crash brought back on the disk alone has none.
        if path.exists() {
            std::fs::remove_file(path).expect("marker file");
        }
        self.script.after_change.tell();
        Ok(())
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        self.script.held(&self.script.hold_syncs).await;
        self.script.slowly().await;
        self.script.take(IoOp::Sync, path)?;
        let synced = self.sim.sync_directory(path).await;
        self.script.after_change.tell();
        synced
    }

    fn backend(&self) -> Backend {
        Backend::Sim
    }

    fn preallocation(&self) -> Preallocation {
        self.sim.preallocation()
    }
}

impl SegmentFile for TestFile {
    fn limits(&self) -> IoLimits {
        self.sim.limits()
    }

    fn path(&self) -> &Path {
        self.sim.path()
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.script.take(IoOp::Rename, self.path())?;
        let from = self.path().to_owned();
        self.sim.rename(to).await?;
        std::fs::rename(from, to).expect("marker file");
        self.script.after_change.tell();
        Ok(())
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.sim.is_alone().await
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.script.slowly().await;
        self.script.take(IoOp::Reserve, self.path())?;
        if let Some(errno) = self.script.sync_in_reserve.lock().expect("script").take() {
            return Err(IoFault::new(IoOp::Sync, self.path(), 0, io::Error::from_raw_os_error(errno)));
        }
        self.sim.reserve(upto_bytes).await
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        self.script.writes.fetch_add(1, Ordering::SeqCst);
        if let Err(fault) = self.script.take(IoOp::Write, self.path()) {
            return Done { bufs, result: Err(fault) };
        }
        let now = self.script.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.script.in_flight_most.fetch_max(now, Ordering::SeqCst);
        let done = self.sim.write_at(at_bytes, bufs).await;
        self.script.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.script.after_change.tell();
        done
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        let nth = self.script.reads.fetch_add(1, Ordering::SeqCst);
        if nth == self.script.fail_read_at.load(Ordering::SeqCst) {
            return Err(IoFault::new(IoOp::Read, self.path(), range.start, io::Error::from_raw_os_error(5)));
        }
        self.sim.read_at(range).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        self.script.prefetches.fetch_add(1, Ordering::SeqCst);
        self.sim.prefetch(range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        // Slices cannot fail: while a read is to, there are none.
        let failing = self.script.fail_read_at.load(Ordering::SeqCst) < u32::MAX;
        self.sim.slice(range).filter(|_| !failing)
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.script.syncs.fetch_add(1, Ordering::SeqCst);
        self.script.held(&self.script.hold_syncs).await;
        self.script.slowly().await;
        self.script.take(IoOp::Sync, self.path())?;
        let synced = self.sim.sync().await;
        self.script.after_change.tell();
        synced
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.script.held(&self.script.hold_truncates).await;
        self.script.take(IoOp::Truncate, self.path())?;
        let cut = self.sim.truncate(len_bytes).await;
        self.script.after_change.tell();
        cut
    }
}
