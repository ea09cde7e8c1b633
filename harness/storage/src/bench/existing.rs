//! Phases over logs that exist: both sides take the same files in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use plimsoll_io::{SegmentStore, drop_cached, open_store};
use plimsoll_log::records::Codec;
use plimsoll_log::{Log, LogConfig, LogError, OpenHints, Producers, layout, snapshot, write_topic_id};
use plimsoll_results::VerifyCounts;
use uuid::Uuid;

use super::batches::BatchPool;
use super::cell::STARTUP_BATCH_BYTES;
use super::check;
use super::engine::{Engine, partition_dir};
use super::error::{BenchError, io_error};
use super::figures::{Figures, Side, Trial};
use super::phase::Phase;
use super::readers;
use super::usage::Usage;
use super::visit::{Visit, on_own_thread};
use crate::floor::{Laps, read_files};

/// Segments of a log that is to be recovered.
const RECOVERED_SEGMENTS: u64 = 16;
const SEGMENT_MIN_BYTES: u64 = 1 << 20;

impl Visit<'_> {
    /// Writes logs, and measures both sides over them, `first` first.
    pub(crate) fn pair_over_files(&self, first: Side) -> Result<Trial, BenchError> {
        let scratch = self.scratch()?;
        let store = open_store(&self.cell.io)?;
        on_own_thread(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                let recovery_points = self.prepare(&store, scratch.path()).await?;
                super::memory::settle(self.dir)?;
                let floor_first =
                    (first == Side::Floor).then(|| self.floor_over(scratch.path())).transpose()?;
                let (engine, verify) =
                    self.engine_over_files(&store, scratch.path(), &recovery_points).await?;
                let floor = match floor_first {
                    Some(floor) => floor,
                    None => self.floor_over(scratch.path())?,
                };
                Ok(Trial { engine, alone: None, floor, verify, first, cold: false })
            })
        })
    }

    /// Writes the logs and closes them. Returns where the last segment of each begins.
    async fn prepare<S: SegmentStore>(&self, store: &S, dir: &Path) -> Result<Vec<i64>, BenchError> {
        if self.cell.phase == Phase::Startup {
            return many_segments(&partition_dir(dir, 0), self.segments).map(|last| vec![last]);
        }
        let mut engine = Engine::open(store, dir, self.cell, &self.old_config(), self.pool).await?;
        engine.append(self.batches, &mut Laps::default()).await?;
        engine.close().await?;
        let last = |log: &Log<S>| log.segments().last().map_or(0, |segment| segment.base_offset);
        Ok(engine.logs().iter().map(last).collect())
    }

    /// A log to be recovered has several segments, so that a recovery point makes a difference.
    fn old_config(&self) -> LogConfig {
        let config = self.cell.log_config();
        if !self.cell.phase.opens() {
            return config;
        }
        let partition_bytes =
            (self.batches * self.pool.size_mean_bytes() / self.cell.partitions.max(1)) as u64;
        let fewest = SEGMENT_MIN_BYTES.max(2 * self.pool.size_max_bytes() as u64);
        let segment_bytes = (partition_bytes / RECOVERED_SEGMENTS).clamp(fewest, 1 << 30);
        LogConfig { segment_bytes: u32::try_from(segment_bytes).unwrap_or(1 << 30), ..config }
    }

    async fn engine_over_files<S: SegmentStore>(
        &self,
        store: &S,
        dir: &Path,
        recovery_points: &[i64],
    ) -> Result<(Figures, VerifyCounts), BenchError> {
        let mut laps = Laps::default();
        self.make_cold(dir)?;
        let phase = self.cell.phase;
        let (mut logs, mut bytes) = (Vec::new(), 0);
        let (mut before, mut start) = (Usage::before(self.syscalls), Instant::now());
        for (number, recovery_point) in recovery_points.iter().enumerate() {
            let hints = OpenHints {
                recovery_point: (phase == Phase::RecoveryPoint).then_some(*recovery_point),
                log_start_offset: None,
                clean: matches!(phase, Phase::Startup | Phase::CatchUpCached | Phase::CatchUpCold),
            };
            let dir = partition_dir(dir, number);
            let (log, report) = Log::open(store.clone(), &dir, Uuid::nil(), self.old_config(), hints).await?;
            bytes += if phase == Phase::Startup { log.log_size_bytes() } else { report.bytes_scanned };
            logs.push(log);
        }
        if !phase.opens() {
            (before, start) = (Usage::before(self.syscalls), Instant::now());
            for log in &logs {
                bytes += readers::read_through(log, &mut laps).await?;
            }
        }
        let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
        let verify = self.verify(&logs).await?;
        for log in &logs {
            log.close().await?;
        }
        Ok((Figures::new(bytes, self.pieces(), seconds, after.since(&before), laps), verify))
    }

    /// Batches in the logs.
    fn pieces(&self) -> usize {
        if self.cell.phase == Phase::Startup { self.segments } else { self.batches }
    }

    /// Every batch is there; of a log of tiny segments, every segment.
    async fn verify<S: SegmentStore>(&self, logs: &[Log<S>]) -> Result<VerifyCounts, BenchError> {
        if self.cell.phase == Phase::Startup {
            let seen = logs.iter().map(|log| log.segments().len()).sum::<usize>() as u64;
            let expected = self.segments as u64;
            let lost = expected.saturating_sub(seen);
            return Ok(VerifyCounts {
                acked: expected,
                expected,
                seen,
                lost,
                ok: lost == 0,
                ..VerifyCounts::default()
            });
        }
        check::read_back(logs, self.pool, self.batches).await
    }

    fn floor_over(&self, dir: &Path) -> Result<Figures, BenchError> {
        let mut laps = Laps::default();
        self.make_cold(dir)?;
        let failed = io_error("the floor program failed");
        let (before, start) = (Usage::before(self.syscalls), Instant::now());
        let mut bytes = 0;
        for number in 0..self.cell.partitions {
            let mut paths = segment_files(&partition_dir(dir, number)).map_err(&failed)?;
            if self.cell.phase == Phase::Startup {
                bytes += paths
                    .iter()
                    .map(|path| Ok(fs::metadata(path)?.len()))
                    .sum::<Result<u64, std::io::Error>>()?;
                continue;
            }
            if self.cell.phase == Phase::RecoveryPoint {
                paths.drain(..paths.len().saturating_sub(1));
            }
            bytes +=
                read_files(self.cell.io.backend, self.cell.direct(), &paths, &mut laps).map_err(&failed)?;
        }
        let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
        Ok(Figures::new(bytes, self.pieces(), seconds, after.since(&before), laps))
    }

    /// Drops the logs from the cache, where the phase wants that.
    fn make_cold(&self, dir: &Path) -> Result<(), BenchError> {
        if !matches!(self.cell.phase, Phase::CatchUpCold | Phase::Recovery | Phase::RecoveryPoint) {
            return Ok(());
        }
        for number in 0..self.cell.partitions {
            for path in segment_files(&partition_dir(dir, number))? {
                drop_cached(&path).map_err(std::io::Error::other)?;
            }
        }
        Ok(())
    }
}

/// The segments' files, oldest first.
fn segment_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == layout::LOG_SUFFIX) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Writes a log of segments with one small batch each, as a clean stop leaves it: with a producer snapshot at each
/// segment's end, without which opening would read every segment. Returns the last one's base offset.
fn many_segments(dir: &Path, segments: usize) -> Result<i64, BenchError> {
    let pool = BatchPool::build(STARTUP_BATCH_BYTES, Codec::None, 1)?;
    let snapshot = snapshot::encode(&Producers::default());
    fs::create_dir_all(dir)?;
    write_topic_id(dir, Uuid::nil()).map_err(LogError::from)?;
    let (mut base_offset, mut last) = (0, 0);
    for number in 0..segments {
        let mut batch = pool.turn(number);
        batch.set_base_offset(base_offset);
        let path = |suffix| layout::segment_path(dir, base_offset, suffix);
        fs::write(path(layout::LOG_SUFFIX), batch.to_bytes())?;
        fs::write(path(layout::INDEX_SUFFIX), [])?;
        // Largest timestamp and its offset within the segment, as a roll writes them.
        let timestamp = batch.header().max_timestamp.to_be_bytes();
        fs::write(path(layout::TIME_INDEX_SUFFIX), [&timestamp[..], &[0; 4]].concat())?;
        (last, base_offset) = (base_offset, batch.header().next_offset());
        fs::write(layout::segment_path(dir, base_offset, layout::SNAPSHOT_SUFFIX), &snapshot)?;
    }
    Ok(last)
}
