//! A simulated disk that, before each operation, takes down what a power cut at this moment could leave.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use plimsoll_io::{
    Backend, Done, IoFault, IoLimits, Preallocation, Records, SegmentFile, SegmentStore, SimConfig, SimFile,
    SimStore, WriteBufs,
};

/// Images that may wait to be looked at.
pub(super) const WAITING_MAX: usize = 64;

/// What a power cut left, and what was promised before it.
#[derive(Debug)]
pub(super) struct Image {
    /// Segments, and what is prepared for the next one.
    pub(super) segments: Vec<(PathBuf, Vec<u8>)>,
    /// The small files beside them.
    pub(super) sides: Vec<(PathBuf, Vec<u8>)>,
    /// Everything below this offset was said to be durable.
    pub(super) durable: i64,
    /// The recovery point that a checkpoint may hold.
    pub(super) recovery_point: i64,
    /// The log start that a checkpoint may hold; what lies below it may be gone.
    pub(super) start_offset: i64,
    /// Decides what the check does with it.
    pub(super) seed: u64,
}

/// Marks of the log that is being recorded, as far as they were published.
#[derive(Debug, Default)]
pub(super) struct Promised {
    /// The log's durable mark.
    pub(super) durable: AtomicI64,
    /// Its recovery point.
    pub(super) recovery_point: AtomicI64,
    /// Its start.
    pub(super) start_offset: AtomicI64,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    promised: Arc<Promised>,
    images: mpsc::SyncSender<Image>,
    per_point: u64,
    taken: AtomicU64,
    seed: u64,
    /// Syncs do nothing: the control.
    lying: bool,
}

/// The store. Its files' names are also in a real directory, where the log looks for them.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    sim: SimStore,
    shared: Arc<Shared>,
}

/// What a recording is made of.
#[derive(Debug)]
pub(super) struct Recording {
    /// The partition's directory.
    pub(super) dir: PathBuf,
    /// The simulated disk.
    pub(super) config: SimConfig,
    /// What the log has promised.
    pub(super) promised: Arc<Promised>,
    /// Where images go.
    pub(super) images: mpsc::SyncSender<Image>,
    /// Images per operation.
    pub(super) per_point: u64,
    /// Syncs succeed and do nothing.
    pub(super) lying: bool,
}

impl Recorder {
    /// An empty disk.
    pub(super) fn new(recording: Recording) -> Self {
        let Recording { dir, config, promised, images, per_point, lying } = recording;
        let (taken, seed) = (AtomicU64::new(0), config.seed);
        let shared = Shared { dir, promised, images, per_point, taken, seed, lying };
        Self { sim: SimStore::new(config), shared: Arc::new(shared) }
    }

    /// Takes the images of this moment.
    fn snap(&self) {
        // The promise first: what comes to the disk after it can only be more.
        let durable = self.shared.promised.durable.load(Ordering::SeqCst);
        let recovery_point = self.shared.promised.recovery_point.load(Ordering::SeqCst);
        // It moves before the first file goes.
        let start_offset = self.shared.promised.start_offset.load(Ordering::SeqCst);
        let sides = self.sides();
        for _ in 0..self.shared.per_point {
            let count = self.shared.taken.fetch_add(1, Ordering::SeqCst);
            let seed = self.shared.seed ^ count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let crashed = self.sim.crash(seed);
            let bytes = |path: PathBuf| crashed.live_bytes(&path).map(|bytes| (path, bytes));
            let segments = crashed.paths().into_iter().filter_map(bytes).collect();
            let sides = sides.clone();
            let image = Image { segments, sides, durable, recovery_point, start_offset, seed };
            // Nobody looks any more once a violation was found.
            if self.shared.images.send(image).is_err() {
                return;
            }
        }
    }

    /// The small files as they are now. One may go while the list is read.
    fn sides(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let live = self.sim.paths();
        let entries = std::fs::read_dir(&self.shared.dir).into_iter().flatten().flatten();
        let sides = entries.map(|entry| entry.path()).filter(|path| !live.contains(path));
        sides.filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
    }

    fn file(&self, sim: SimFile) -> RecordedFile {
        RecordedFile { sim, store: self.clone() }
    }
}

/// A file of a [`Recorder`].
#[derive(Debug)]
pub(super) struct RecordedFile {
    sim: SimFile,
    store: Recorder,
}

fn named(path: &Path, done: std::io::Result<()>) -> Result<(), IoFault> {
    done.map_err(|error| IoFault::new(plimsoll_io::IoOp::Create, path, 0, error))
}

impl SegmentStore for Recorder {
    type File = RecordedFile;

    async fn create(&self, path: &Path, reserve_bytes: u64) -> Result<RecordedFile, IoFault> {
        self.snap();
        let sim = self.sim.create(path, reserve_bytes).await?;
        named(path, std::fs::write(path, b""))?;
        Ok(self.file(sim))
    }

    async fn open(&self, path: &Path) -> Result<(RecordedFile, u64), IoFault> {
        let (sim, len_bytes) = self.sim.open(path).await?;
        Ok((self.file(sim), len_bytes))
    }

    async fn lengths(&self, paths: Vec<PathBuf>) -> Result<Vec<u64>, IoFault> {
        self.sim.lengths(paths).await
    }

    async fn remove(&self, path: &Path) -> Result<(), IoFault> {
        self.snap();
        self.sim.remove(path).await?;
        named(path, std::fs::remove_file(path))
    }

    async fn sync_directory(&self, path: &Path) -> Result<(), IoFault> {
        self.snap();
        self.sim.sync_directory(path).await
    }

    fn backend(&self) -> Backend {
        Backend::Sim
    }

    fn preallocation(&self) -> Preallocation {
        self.sim.preallocation()
    }
}

impl SegmentFile for RecordedFile {
    fn limits(&self) -> IoLimits {
        self.sim.limits()
    }

    fn path(&self) -> &Path {
        self.sim.path()
    }

    async fn is_alone(&self) -> Result<bool, IoFault> {
        self.sim.is_alone().await
    }

    async fn rename(&self, to: &Path) -> Result<(), IoFault> {
        self.store.snap();
        let from = self.path().to_owned();
        self.sim.rename(to).await?;
        named(to, std::fs::rename(from, to))
    }

    async fn reserve(&self, upto_bytes: u64) -> Result<(), IoFault> {
        self.store.snap();
        self.sim.reserve(upto_bytes).await
    }

    async fn write_at(&self, at_bytes: u64, bufs: WriteBufs) -> Done<WriteBufs> {
        self.store.snap();
        self.sim.write_at(at_bytes, bufs).await
    }

    async fn read_at(&self, range: Range<u64>) -> Result<Bytes, IoFault> {
        self.sim.read_at(range).await
    }

    async fn prefetch(&self, range: Range<u64>) -> Result<(), IoFault> {
        self.sim.prefetch(range).await
    }

    fn slice(&self, range: Range<u64>) -> Option<Records> {
        self.sim.slice(range)
    }

    async fn sync(&self) -> Result<(), IoFault> {
        self.store.snap();
        if self.store.shared.lying { Ok(()) } else { self.sim.sync().await }
    }

    async fn truncate(&self, len_bytes: u64) -> Result<(), IoFault> {
        self.store.snap();
        self.sim.truncate(len_bytes).await
    }
}
