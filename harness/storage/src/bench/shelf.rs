//! Logs that are read and opened: written once, and taken by every row that asks for the same.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_io::{Backend, IoConfig, SegmentStore, open_store};
use plimsoll_log::records::Codec;
use plimsoll_log::{Log, LogConfig, LogError, Producers, layout, snapshot, write_topic_id};
use uuid::Uuid;

use super::batches::BatchPool;
use super::cell::{Cell, STARTUP_BATCH_BYTES};
use super::engine::{Engine, partition_dir};
use super::error::BenchError;
use super::phase::Phase;
use super::visit::{Visit, on_own_runtime};
use crate::floor::Laps;

/// Segments of a log that is to be recovered.
const RECOVERED_SEGMENTS: u64 = 16;
const SEGMENT_MIN_BYTES: u64 = 1 << 20;
/// A batch, an index, a time index and a snapshot, of a block and an inode each at most.
const TINY_SEGMENT_BYTES: u64 = 4 * (4096 + 256);

/// Logs that were written and closed.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    logs: Vec<(Contents, Stored)>,
}

/// What rows must have in common to take the same logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    batch_bytes: usize,
    codec: Codec,
    partitions: usize,
    shape: Shape,
}

/// How logs are cut into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// As a broker would.
    Usual,
    /// Into several, so that a recovery point makes a difference.
    Recovered,
    /// One batch each.
    Tiny,
}

/// The logs of some rows.
#[derive(Debug)]
pub(crate) struct Stored {
    dir: tempfile::TempDir,
    /// Batches, or segments of one batch.
    pieces: usize,
    recovery_points: Vec<i64>,
}

impl Contents {
    /// What the rows of `cell` are about.
    pub(crate) fn of(cell: &Cell) -> Contents {
        let Cell { batch_bytes, codec, partitions, .. } = *cell;
        let shape = match cell.phase {
            Phase::Startup => Shape::Tiny,
            phase if phase.opens() => Shape::Recovered,
            _ => Shape::Usual,
        };
        Contents { batch_bytes, codec, partitions, shape }
    }

    /// Room for them.
    pub(crate) fn disk_bytes(&self, trial_bytes: u64, segments: usize) -> u64 {
        if self.shape == Shape::Tiny { segments as u64 * TINY_SEGMENT_BYTES } else { trial_bytes }
    }
}

impl Shelf {
    /// Takes the logs for a visit, or writes them. They are to be put back as they were found.
    pub(crate) fn take(&mut self, visit: &Visit<'_>) -> Result<Stored, BenchError> {
        let contents = Contents::of(visit.cell);
        if let Some(place) = self.logs.iter().position(|(known, _)| *known == contents) {
            let (_, stored) = self.logs.swap_remove(place);
            // Trials may have become smaller.
            if stored.pieces == visit.pieces() {
                return Ok(stored);
            }
        }
        visit.store()
    }

    /// Keeps logs for the next row that asks for the same.
    pub(crate) fn put_back(&mut self, cell: &Cell, stored: Stored) {
        self.logs.push((Contents::of(cell), stored));
    }
}

impl Stored {
    /// Where they are, one directory per partition.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Per log, where its last segment begins.
    pub(crate) fn recovery_points(&self) -> &[i64] {
        &self.recovery_points
    }
}

impl Visit<'_> {
    /// Batches in the logs, or segments of one batch.
    pub(crate) fn pieces(&self) -> usize {
        if self.cell.phase == Phase::Startup { self.segments } else { self.batches }
    }

    /// Of the logs that are stored.
    pub(crate) fn stored_config(&self) -> LogConfig {
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

    /// Writes the logs through the page cache, whichever way they are to be read, and closes them.
    fn store(&self) -> Result<Stored, BenchError> {
        let dir = self.scratch()?;
        let io = IoConfig { backend: Backend::PageCache, ..IoConfig::default() };
        let recovery_points = if self.cell.phase == Phase::Startup {
            vec![many_segments(&partition_dir(dir.path(), 0), self.segments)?]
        } else {
            let store = open_store(&io)?;
            on_own_runtime(|| self.write_logs(&store, dir.path()))?
        };
        Ok(Stored { dir, pieces: self.pieces(), recovery_points })
    }

    async fn write_logs<S: SegmentStore>(&self, store: &S, dir: &Path) -> Result<Vec<i64>, BenchError> {
        let mut engine = Engine::open(store, dir, self.cell, &self.stored_config(), self.pool).await?;
        engine.append(self.batches, &mut Laps::default()).await?;
        engine.close().await?;
        let last = |log: &Log<S>| log.segments().last().map_or(0, |segment| segment.base_offset);
        Ok(engine.logs().iter().map(last).collect())
    }
}

/// The segments' files, oldest first.
pub(crate) fn segment_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
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

#[cfg(test)]
mod tests {
    use plimsoll_results::DurabilityMode;

    use super::*;
    use crate::bench::Matrix;
    use crate::bench::stopwatch::Stopwatch;
    use crate::bench::syscalls::Syscalls;

    #[test]
    fn rows_that_ask_for_the_same_logs_take_the_same_until_trials_shrink() {
        let dir = tempfile::tempdir().unwrap();
        let pool = BatchPool::build(16 << 10, Codec::None, 1).unwrap();
        let (syscalls, watch) = (Syscalls::begin(), Stopwatch::start());
        let matrix = Matrix {
            phases: vec![Phase::CatchUpCached, Phase::CatchUpCold, Phase::Recovery],
            batch_bytes: vec![16 << 10],
            durabilities: vec![DurabilityMode::Replicated],
            ..Matrix::quick()
        };
        let cells = matrix.cells();
        let visit = |cell, batches| Visit {
            cell,
            pool: &pool,
            dir: dir.path(),
            batches,
            sabotage: None,
            syscalls: &syscalls,
            watch: &watch,
            segments: 1,
        };
        let mut shelf = Shelf::default();
        let mut dirs = Vec::new();
        for cell in &cells {
            let stored = shelf.take(&visit(cell, 8)).unwrap();
            dirs.push(stored.dir().to_owned());
            shelf.put_back(cell, stored);
        }
        dirs.dedup();
        assert_eq!(
            (cells.len(), dirs.len()),
            (9, 2),
            "one for both catch-ups of all backends, one for recovery"
        );
        let smaller = shelf.take(&visit(cells.first().unwrap(), 4)).unwrap();
        assert!(!dirs.contains(&smaller.dir().to_owned()));
        drop(smaller);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "what nobody can use is removed");
    }
}
