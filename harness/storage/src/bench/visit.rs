//! One visit of a cell: the engine and its floor, one after the other, over the same batches.

use std::path::Path;

use plimsoll_io::Preallocation;
use plimsoll_log::LogConfig;
use plimsoll_results::DurabilityMode;

use super::batches::BatchPool;
use super::cell::{Cell, Readers};
use super::error::{BenchError, io_error};
use super::figures::{Side, Trial};
use super::memory;
use super::phase::Phase;
use super::plan::Sabotage;
use super::stopwatch::{Activity, Stopwatch};
use super::syscalls::Syscalls;

/// Bounds of a segment's size in rows that recycle.
const RECYCLED_MIN_BYTES: u64 = 1 << 20;
const RECYCLED_MAX_BYTES: u64 = 64 << 20;
/// Segments that are filled before such a row is timed: two that stay, two that are retired, and one more.
const WARM_UP_SEGMENTS: u64 = 5;

/// What a visit needs to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) cell: &'a Cell,
    pub(crate) pool: &'a BatchPool,
    pub(crate) dir: &'a Path,
    /// Batches in the timed part.
    pub(crate) batches: usize,
    pub(crate) sabotage: Option<Sabotage>,
    pub(crate) syscalls: &'a Syscalls,
    pub(crate) watch: &'a Stopwatch,
    /// Of a log that is opened after a clean stop.
    pub(crate) segments: usize,
}

impl Visit<'_> {
    /// Measures both sides of a row that writes, `first` first.
    pub(crate) fn pair(&self, first: Side) -> Result<Trial, BenchError> {
        self.warm()?;
        let mut floor = None;
        if first == Side::Floor {
            floor = Some(self.floor()?);
        }
        let readers = if self.cell.phase == Phase::Tail { Readers::Tail } else { self.cell.readers };
        let (engine, mut verify) = self.engine(&Cell { readers, ..self.cell.clone() })?;
        let mut alone = None;
        if self.cell.readers != Readers::None {
            let (figures, counts) = self.engine(&Cell { readers: Readers::None, ..self.cell.clone() })?;
            verify.add(&counts);
            alone = Some(figures);
        }
        let floor = match floor {
            Some(floor) => floor,
            None => self.floor()?,
        };
        // A reader's copies cost as much as cold memory.
        let timed_alone = self.cell.phase == Phase::Append;
        let cold = timed_alone && (engine.is_cold(self.cell) || floor.is_cold(self.cell));
        Ok(Trial { engine, alone, floor, verify, first, cold })
    }

    /// Batches before the timed part: the window is full once, rings are set up, first blocks are taken.
    pub(crate) fn warm_up(&self) -> usize {
        self.cell.window()
    }

    /// Of the engine. Where segments are to be recycled, some must have been retired.
    pub(crate) fn engine_warm_up(&self, config: &LogConfig) -> usize {
        if self.cell.io.preallocation != Preallocation::Recycle {
            return self.warm_up();
        }
        let bytes = u64::from(config.segment_bytes) * WARM_UP_SEGMENTS * self.cell.partitions as u64;
        self.warm_up() + usize::try_from(bytes).unwrap_or(usize::MAX) / self.pool.size_mean_bytes().max(1)
    }

    /// Segments of rows that recycle are so short that a trial rolls several times.
    pub(crate) fn log_config(&self, cell: &Cell) -> LogConfig {
        let config = cell.log_config();
        if cell.io.preallocation != Preallocation::Recycle {
            return config;
        }
        let trial_bytes = (self.batches / cell.partitions.max(1) * self.pool.size_mean_bytes()) as u64;
        let fewest = RECYCLED_MIN_BYTES.max(4 * self.pool.size_max_bytes() as u64);
        let segment_bytes = (trial_bytes / 8).clamp(fewest, RECYCLED_MAX_BYTES.max(fewest));
        LogConfig { segment_bytes: u32::try_from(segment_bytes).unwrap_or(u32::MAX), ..config }
    }

    /// Room for all batches that one partition gets, each rounded up to a block.
    pub(crate) fn file_max_bytes(&self) -> u64 {
        let batches = (self.batches + self.warm_up()).div_ceil(self.cell.partitions) as u64 + 1;
        batches * (self.pool.size_max_bytes() as u64).next_multiple_of(4096)
    }

    /// Waits until the disk has taken the dirty backlog.
    pub(crate) fn settle(&self) -> Result<(), BenchError> {
        self.watch.begin(Activity::Waiting);
        memory::settle(self.dir).map_err(io_error("writing out the dirty backlog failed"))?;
        self.watch.begin(Activity::Preparing);
        Ok(())
    }

    /// An empty directory, with nothing dirty around it.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, BenchError> {
        self.settle()?;
        tempfile::Builder::new().prefix("trial-").tempdir_in(self.dir).map_err(io_error("no trial directory"))
    }

    pub(crate) fn group(&self) -> Option<usize> {
        (self.cell.durability == DurabilityMode::Fsync).then(|| self.cell.window())
    }
}

/// Runs `work` as a broker's runtime would, on a thread of its own.
pub(crate) fn on_own_runtime<T: Send, F: Future<Output = Result<T, BenchError>>>(
    work: impl FnOnce() -> F + Send,
) -> Result<T, BenchError> {
    on_own_thread(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, work())
    })
}

/// A ring belongs to the thread that made it, and ends with it.
pub(crate) fn on_own_thread<T: Send>(
    work: impl FnOnce() -> Result<T, BenchError> + Send,
) -> Result<T, BenchError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("bench".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or(Err(BenchError::Panicked))
    })
}
