//! The two sides of a trial that writes, and what fio makes of it.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use plimsoll_io::{SegmentStore, open_store};
use plimsoll_log::{SegmentCounts, layout};
use plimsoll_results::VerifyCounts;

use super::cell::Cell;
use super::engine::{Engine, partition_dir};
use super::error::{BenchError, io_error};
use super::figures::Figures;
use super::phase::Phase;
use super::plan::Sabotage;
use super::readers::{self, Reading};
use super::stopwatch::Activity;
use super::usage::Usage;
use super::visit::{Visit, on_own_runtime, on_own_thread};
use crate::floor::fio::{self, FioJob};
use crate::floor::{Floor, Laps, Work};

impl Visit<'_> {
    pub(crate) fn engine(&self, cell: &Cell) -> Result<(Figures, VerifyCounts), BenchError> {
        let scratch = self.scratch()?;
        let store = open_store(&self.cell.io)?;
        on_own_runtime(|| self.engine_over(&store, cell, scratch.path()))
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
        self.watch.begin(Activity::Measuring);
        let reading = Reading::start(cell.readers, engine.logs(), &old);
        let (before, start) = (Usage::before(self.syscalls), Instant::now());
        engine.append(self.batches, &mut laps).await?;
        let bytes = self.pool.bytes_of(warm_up, self.batches, self.cell.partitions);
        if self.cell.phase == Phase::Tail {
            reading.until(bytes).await;
        }
        let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
        self.watch.begin(Activity::Verifying);
        let (read_bytes, reads) = reading.end().await?;
        laps.read = reads.read;
        let segments = rolls_since(&rolled, &engine.segment_counts());
        if self.sabotage == Some(Sabotage::FlipBit) {
            flip_bit(dir)?;
        }
        let verify = engine.read_back().await?;
        self.watch.begin(Activity::Preparing);
        // Nothing of them need reach the device any more, as closing would make it.
        for log in engine.logs() {
            log.delete().await?;
        }
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

    pub(crate) fn floor(&self) -> Result<Figures, BenchError> {
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
            self.watch.begin(Activity::Measuring);
            let (before, start) = (Usage::before(self.syscalls), Instant::now());
            match self.cell.phase {
                Phase::Tail => floor.write_and_read(self.batches, &mut readers, &mut laps),
                _ => floor.write(self.batches, &mut laps),
            }
            .map_err(&failed)?;
            let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
            self.watch.begin(Activity::Preparing);
            let bytes = self.pool.bytes_of(self.warm_up(), self.batches, self.cell.partitions);
            Ok(Figures::new(bytes, self.batches, seconds, after.since(&before), laps))
        })
    }
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
