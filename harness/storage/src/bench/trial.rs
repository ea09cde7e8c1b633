//! One visit of a cell: the engine and its floor, one after the other, over the same batches.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use plimsoll_io::{Backend, Preallocation, SegmentStore, Unavailable, open_store};
use plimsoll_log::records::BuildError;
use plimsoll_log::{AppendError, LogConfig, LogError, ReadError, SegmentCounts, WaitError, layout};
use plimsoll_results::{DurabilityMode, Pooled, Quantile, VerifyCounts};
use thiserror::Error;

use super::batches::BatchPool;
use super::cell::{Cell, Readers};
use super::engine::{Engine, partition_dir};
use super::memory;
use super::phase::Phase;
use super::readers::{self, Reading};
use super::schedule::Sabotage;
use super::syscalls::Syscalls;
use super::usage::{Spent, Usage};
use crate::floor::fio::{self, FioJob};
use crate::floor::{Floor, Laps, Work};

/// More CPU in the kernel than this, in seconds per GB, shows pages that the host had not backed; with smaller batches
/// the calls themselves cost as much.
const COLD_SYS_S_PER_GB: f64 = 0.5;
/// Faults of a map cost CPU on warm memory too.
const COLD_SYS_S_PER_GB_MAP: f64 = 1.5;
const COLD_MIN_BATCH_BYTES: usize = 64 << 10;

/// Bounds of a segment's size in rows that recycle.
const RECYCLED_MIN_BYTES: u64 = 1 << 20;
const RECYCLED_MAX_BYTES: u64 = 64 << 20;
/// Segments that are filled before such a row is timed: two that stay, two that are retired, and one more.
const WARM_UP_SEGMENTS: u64 = 5;

/// A bench that could not go on.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The backend does not run here.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The engine refused a batch.
    #[error("the engine refused a batch: {0}")]
    Append(#[from] AppendError),
    /// A batch was not written or not made durable.
    #[error("the engine did not finish a batch: {0}")]
    Wait(#[from] WaitError),
    /// A log could not be opened or closed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A log could not be read back.
    #[error("a log could not be read back: {0}")]
    Read(#[from] ReadError),
    /// Batches could not be built.
    #[error("batches could not be built: {0}")]
    Build(#[from] BuildError),
    /// The file system refused the bench itself or its floor.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Cause.
        source: io::Error,
    },
}

impl From<io::Error> for BenchError {
    fn from(source: io::Error) -> BenchError {
        BenchError::Io { what: "reading or writing failed", source }
    }
}

/// Adds what was tried.
pub(crate) fn io_error(what: &'static str) -> impl Fn(io::Error) -> BenchError {
    move |source| BenchError::Io { what, source }
}

/// Whose figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Our log over a backend.
    Engine,
    /// The floor of the same technique.
    Floor,
}

/// What one side did in one trial.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Wall-clock seconds of the timed part.
    pub seconds: f64,
    /// Bytes of batches.
    pub bytes: u64,
    /// Batches.
    pub batches: u64,
    /// CPU of the whole process in seconds.
    pub cpu_s: f64,
    /// Of these in the kernel, to a tick of the clock.
    pub sys_s: Option<f64>,
    /// Context switches of the process.
    pub switches: Option<u64>,
    /// Bytes sent towards storage.
    pub write_bytes: Option<u64>,
    /// System calls of the trial's threads.
    pub syscalls: Option<u64>,
    /// Bytes that readers beside the producer took meanwhile.
    pub read_bytes: u64,
    /// How the engine's new segments came to be.
    pub segments: SegmentCounts,
    /// Latencies.
    pub laps: Laps,
}

impl Figures {
    pub(crate) fn new(bytes: u64, batches: usize, seconds: f64, spent: Spent, laps: Laps) -> Figures {
        let Spent { cpu_ns, sys_ns, switches, write_bytes, syscalls } = spent;
        let (cpu_s, sys_s) = (cpu_ns as f64 / 1e9, sys_ns.map(|ns| ns as f64 / 1e9));
        let batches = batches as u64;
        Figures {
            seconds,
            bytes,
            batches,
            cpu_s,
            sys_s,
            switches,
            write_bytes,
            syscalls,
            read_bytes: 0,
            segments: SegmentCounts::default(),
            laps,
        }
    }

    /// Payload in 10⁶ bytes per second.
    pub fn mb_per_s(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }

    /// CPU seconds per 10⁹ bytes of payload.
    pub fn cpu_s_per_gb(&self) -> f64 {
        self.cpu_s / (self.bytes as f64 / 1e9)
    }

    /// The one batch in a thousand that took longest, at least this long. Few batches stand behind it in one trial:
    /// it is for pairs.
    pub(crate) fn append_p999_us(&self) -> Option<f64> {
        Pooled::new([&self.laps.append]).read_us(Quantile::P999)
    }

    fn is_cold(&self, cell: &Cell) -> bool {
        let limit = if cell.io.backend == Backend::Mmap { COLD_SYS_S_PER_GB_MAP } else { COLD_SYS_S_PER_GB };
        let sys_s_per_gb = self.sys_s.unwrap_or(0.0) / (self.bytes as f64 / 1e9);
        cell.batch_bytes >= COLD_MIN_BATCH_BYTES && !cell.direct() && sys_s_per_gb > limit
    }
}

/// A pair of trials.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Our log.
    pub engine: Figures,
    /// The same without the row's readers, if it has some.
    pub alone: Option<Figures>,
    /// Its floor, which nobody reads from.
    pub floor: Figures,
    /// What became of the engine's batches.
    pub verify: VerifyCounts,
    /// Which side ran first.
    pub first: Side,
    /// One of the two met memory that the host had not backed.
    pub cold: bool,
}

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
    /// Of a log that is opened after a clean stop.
    pub(crate) segments: usize,
}

impl Visit<'_> {
    /// Measures both sides, `first` first.
    pub(crate) fn pair(&self, first: Side) -> Result<Trial, BenchError> {
        if !self.cell.phase.appends() {
            return self.pair_over_files(first);
        }
        if !self.cell.direct() {
            let bytes = self.file_max_bytes() * self.cell.partitions as u64;
            memory::warm(self.dir, bytes, self.cell.batch_bytes)
                .map_err(io_error("warming memory failed"))?;
        }
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
        let cold =
            self.cell.phase == Phase::Append && (engine.is_cold(self.cell) || floor.is_cold(self.cell));
        Ok(Trial { engine, alone, floor, verify, first, cold })
    }

    /// Batches before the timed part: the window is full once, rings are set up, first blocks are taken.
    fn warm_up(&self) -> usize {
        self.cell.window()
    }

    /// Of the engine. Where segments are to be recycled, some must have been retired.
    fn engine_warm_up(&self, config: &LogConfig) -> usize {
        if self.cell.io.preallocation != Preallocation::Recycle {
            return self.warm_up();
        }
        let bytes = u64::from(config.segment_bytes) * WARM_UP_SEGMENTS * self.cell.partitions as u64;
        self.warm_up() + usize::try_from(bytes).unwrap_or(usize::MAX) / self.pool.size_mean_bytes().max(1)
    }

    /// Segments of rows that recycle are so short that a trial rolls several times.
    fn log_config(&self, cell: &Cell) -> LogConfig {
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
    fn file_max_bytes(&self) -> u64 {
        let batches = (self.batches + self.warm_up()).div_ceil(self.cell.partitions) as u64 + 1;
        batches * (self.pool.size_max_bytes() as u64).next_multiple_of(4096)
    }

    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir, BenchError> {
        memory::settle(self.dir).map_err(io_error("writing out the dirty backlog failed"))?;
        tempfile::Builder::new().prefix("trial-").tempdir_in(self.dir).map_err(io_error("no trial directory"))
    }

    /// On a thread of its own, as a ring belongs to the thread that made it.
    fn engine(&self, cell: &Cell) -> Result<(Figures, VerifyCounts), BenchError> {
        let scratch = self.scratch()?;
        let store = open_store(&self.cell.io)?;
        on_own_thread(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, self.engine_over(&store, cell, scratch.path()))
        })
    }

    async fn engine_over<S: SegmentStore>(
        &self,
        store: &S,
        cell: &Cell,
        dir: &Path,
    ) -> Result<(Figures, VerifyCounts), BenchError> {
        let old = readers::old_logs(store, dir, cell, self.pool, self.batches).await?;
        let config = self.log_config(cell);
        let mut engine = Engine::open(store, dir, cell, &config, self.pool).await?;
        let warm_up = self.engine_warm_up(&config);
        engine.append(warm_up, &mut Laps::default()).await?;
        engine.retire().await?;
        let rolled = engine.segment_counts();
        if self.sabotage == Some(Sabotage::SkipBatch) {
            engine.skip();
        }
        let mut laps = Laps::default();
        let reading = Reading::start(cell.readers, engine.logs(), &old);
        let (before, start) = (Usage::before(self.syscalls), Instant::now());
        engine.append(self.batches, &mut laps).await?;
        let bytes = self.pool.bytes_of(warm_up, self.batches, self.cell.partitions);
        if self.cell.phase == Phase::Tail {
            reading.until(bytes).await;
        }
        let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
        let (read_bytes, reads) = reading.end().await?;
        laps.read = reads.read;
        let segments = rolls_since(&rolled, &engine.segment_counts());
        if self.sabotage == Some(Sabotage::FlipBit) {
            flip_bit(dir)?;
        }
        let verify = engine.read_back().await?;
        engine.close().await?;
        let figures = Figures::new(bytes, self.batches, seconds, after.since(&before), laps);
        Ok((Figures { read_bytes, segments, ..figures }, verify))
    }

    /// What fio makes of it, in MB/s.
    pub(crate) fn fio(&self) -> Result<f64, String> {
        fio::version()?;
        let scratch = self.scratch().map_err(|error| error.to_string())?;
        let job = FioJob {
            dir: scratch.path(),
            backend: self.cell.io.backend,
            block_bytes: self.cell.batch_bytes,
            bytes: (self.batches * self.cell.batch_bytes) as u64,
            depth: self.cell.window().min(usize::from(self.cell.io.io_uring.depth.max(1))),
            group: self.group(),
        };
        fio::run(&job).map_err(|error| error.to_string())
    }

    fn group(&self) -> Option<usize> {
        (self.cell.durability == DurabilityMode::Fsync).then(|| self.cell.window())
    }

    fn floor(&self) -> Result<Figures, BenchError> {
        let scratch = self.scratch()?;
        let work = Work {
            dir: scratch.path(),
            pool: self.pool.whole(),
            partitions: self.cell.partitions,
            preallocation: self.cell.io.preallocation,
            depth: usize::from(self.cell.io.io_uring.depth.max(1)),
            window: self.cell.window(),
            group: self.group(),
            file_max_bytes: self.file_max_bytes(),
        };
        on_own_thread(|| {
            let failed = io_error("the floor program failed");
            let mut floor = Floor::open(self.cell.io.backend, work).map_err(&failed)?;
            floor.write(self.warm_up(), &mut Laps::default()).map_err(&failed)?;
            let mut laps = Laps::default();
            let mut readers = floor.readers(self.cell.direct()).map_err(&failed)?;
            let (before, start) = (Usage::before(self.syscalls), Instant::now());
            match self.cell.phase {
                Phase::Tail => floor.write_and_read(self.batches, &mut readers, &mut laps),
                _ => floor.write(self.batches, &mut laps),
            }
            .map_err(&failed)?;
            let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
            let bytes = self.pool.bytes_of(self.warm_up(), self.batches, self.cell.partitions);
            Ok(Figures::new(bytes, self.batches, seconds, after.since(&before), laps))
        })
    }
}

pub(crate) fn on_own_thread<T: Send>(
    work: impl FnOnce() -> Result<T, BenchError> + Send,
) -> Result<T, BenchError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("bench".into()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    })
}

fn rolls_since(before: &SegmentCounts, now: &SegmentCounts) -> SegmentCounts {
    SegmentCounts {
        segments_created: now.segments_created - before.segments_created,
        segments_recycled: now.segments_recycled - before.segments_recycled,
    }
}

/// Damages a batch in the middle of the first log.
fn flip_bit(dir: &Path) -> io::Result<()> {
    let path = layout::segment_path(&partition_dir(dir, 0), 0, layout::LOG_SUFFIX);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
    let (mut byte, at_bytes) = ([0], 5_000);
    file.read_exact_at(&mut byte, at_bytes)?;
    file.write_all_at(&byte.map(|byte| byte ^ 1), at_bytes)?;
    file.sync_data()
}
