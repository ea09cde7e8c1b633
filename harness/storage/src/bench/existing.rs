//! Phases over logs that exist: both sides take the same files in turn.

use std::fs;
use std::path::Path;
use std::time::Instant;

use plimsoll_io::{Backend, SegmentStore, drop_cached, open_store};
use plimsoll_log::{Log, OpenHints};
use plimsoll_results::VerifyCounts;
use uuid::Uuid;

use super::check;
use super::engine::partition_dir;
use super::error::{BenchError, io_error};
use super::figures::{Figures, Side, Trial};
use super::phase::Phase;
use super::readers;
use super::shelf::{Stored, segment_files};
use super::stopwatch::Activity;
use super::usage::Usage;
use super::visit::{Visit, on_own_runtime};
use crate::floor::{Laps, read_files};

impl Visit<'_> {
    /// Measures both sides over the same logs, `first` first. They are afterwards as they were before, unless this
    /// fails.
    pub(crate) fn pair_over(&self, stored: &Stored, first: Side) -> Result<Trial, BenchError> {
        let store = open_store(&self.cell.io)?;
        self.settle()?;
        on_own_runtime(|| async {
            let floor_first =
                (first == Side::Floor).then(|| self.floor_over_stored(stored.dir())).transpose()?;
            let (engine, verify) = self.engine_over_stored(&store, stored).await?;
            let floor = match floor_first {
                Some(floor) => floor,
                None => self.floor_over_stored(stored.dir())?,
            };
            let reads = self.cell.phase != Phase::Startup;
            let cold = reads && (engine.is_cold(self.cell) || floor.is_cold(self.cell));
            Ok(Trial { engine, alone: None, floor, verify, first, cold })
        })
    }

    async fn engine_over_stored<S: SegmentStore>(
        &self,
        store: &S,
        stored: &Stored,
    ) -> Result<(Figures, VerifyCounts), BenchError> {
        let mut laps = Laps::default();
        self.set_cache(stored.dir())?;
        let phase = self.cell.phase;
        let (mut logs, mut bytes) = (Vec::new(), 0);
        self.watch.begin(Activity::Measuring);
        let (mut before, mut start) = (Usage::before(self.syscalls), Instant::now());
        for (number, recovery_point) in stored.recovery_points().iter().enumerate() {
            let hints = OpenHints {
                recovery_point: (phase == Phase::RecoveryPoint).then_some(*recovery_point),
                log_start_offset: None,
                clean: matches!(phase, Phase::Startup | Phase::CatchUpCached | Phase::CatchUpCold),
            };
            let dir = partition_dir(stored.dir(), number);
            let (log, report) =
                Log::open(store.clone(), &dir, Uuid::nil(), self.stored_config(), hints).await?;
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
        self.watch.begin(Activity::Verifying);
        let verify = self.verify(&logs).await?;
        self.watch.begin(Activity::Preparing);
        for log in &logs {
            log.close().await?;
        }
        Ok((Figures::new(bytes, self.pieces(), seconds, after.since(&before), laps), verify))
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

    fn floor_over_stored(&self, dir: &Path) -> Result<Figures, BenchError> {
        let mut laps = Laps::default();
        self.set_cache(dir)?;
        let failed = io_error("the floor program failed");
        self.watch.begin(Activity::Measuring);
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
        self.watch.begin(Activity::Preparing);
        Ok(Figures::new(bytes, self.pieces(), seconds, after.since(&before), laps))
    }

    /// What the phase wants to find in the page cache: nothing, or all. Around the cache there is nothing in it, lest
    /// the kernel look whether what it has is newer.
    fn set_cache(&self, dir: &Path) -> Result<(), BenchError> {
        let cold = matches!(self.cell.phase, Phase::CatchUpCold | Phase::Recovery | Phase::RecoveryPoint);
        if !cold && self.cell.phase != Phase::CatchUpCached {
            return Ok(());
        }
        for number in 0..self.cell.partitions {
            let paths = segment_files(&partition_dir(dir, number))?;
            if !cold && !self.cell.direct() {
                // The kernel takes pages that were idle for a while.
                read_files(Backend::PageCache, false, &paths, &mut Laps::default())?;
                continue;
            }
            for path in paths {
                drop_cached(&path).map_err(std::io::Error::other)?;
            }
        }
        Ok(())
    }
}
