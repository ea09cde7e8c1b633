//! Memory that the host has backed, before anything is timed.
//!
//! Guest memory that its host has not backed costs ten times more CPU at first touch than the write itself. So before a
//! pair of cached trials as much is written, and removed, as one of them writes. The kernel hands out again first what
//! was freed last, but only to writes of the same size: a write of 1 MiB takes blocks of 1 MiB, which one of 64 KiB has
//! never touched. So it is done with the row's own technique in the row's own sizes, again until it was cheap.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use plimsoll_io::{Backend, Placement, Preallocation};

use super::error::{BenchError, io_error};
use super::figures::Figures;
use super::stopwatch::Activity;
use super::usage::Usage;
use super::visit::Visit;
use crate::floor::{Floor, Laps, Work};

/// Memory that stays cold does not become warm by a fourth pass.
const PASSES_MAX: usize = 3;

impl Visit<'_> {
    /// Writes and removes as much as a trial.
    pub(crate) fn warm(&self) -> Result<(), BenchError> {
        if self.cell.direct() {
            return Ok(());
        }
        self.watch.begin(Activity::Preparing);
        let mut pools = vec![self.pool.whole().to_vec()];
        if self.cell.io.placement == Placement::Lane {
            // Batches wait for the lane, so that it writes several at once.
            pools.push(gathered(self.pool.whole(), self.cell.log_config().write_max_bytes));
        }
        for _ in 0..PASSES_MAX {
            if !self.warming_pass(&pools)? {
                break;
            }
        }
        Ok(())
    }

    /// Returns whether memory was cold. All files are there before the first is removed: each takes memory of its own.
    fn warming_pass(&self, pools: &[Vec<Bytes>]) -> Result<bool, BenchError> {
        let failed = io_error("warming memory failed");
        let (mut dirs, mut cold) = (Vec::new(), false);
        for pool in pools {
            let dir = tempfile::Builder::new().prefix("warm-").tempdir_in(self.dir).map_err(&failed)?;
            cold |= self.warming_files(dir.path(), pool).map_err(&failed)?.is_cold(self.cell);
            dirs.push(dir);
        }
        Ok(cold)
    }

    fn warming_files(&self, dir: &std::path::Path, pool: &[Bytes]) -> std::io::Result<Figures> {
        let backend = if self.cell.io.backend == Backend::Mmap { Backend::Mmap } else { Backend::PageCache };
        let size_bytes = pool.iter().map(Bytes::len).sum::<usize>() / pool.len().max(1);
        let trial_bytes = (self.batches + self.warm_up()) * self.pool.size_mean_bytes();
        let batches = trial_bytes.div_ceil(size_bytes.max(1));
        let work = Work {
            dir,
            pool,
            partitions: self.cell.partitions,
            preallocation: Preallocation::Fallocate,
            depth: 1,
            window: 1,
            group: None,
            file_max_bytes: self.file_max_bytes() + 2 * size_bytes as u64,
        };
        let mut floor = Floor::open(backend, work)?;
        let (before, start) = (Usage::before(self.syscalls), Instant::now());
        floor.write(batches, &mut Laps::default())?;
        let (seconds, after) = (start.elapsed().as_secs_f64(), Usage::after(self.syscalls));
        Ok(Figures::new(trial_bytes as u64, batches, seconds, after.since(&before), Laps::default()))
    }
}

/// The same bytes in pieces of up to `max_bytes`, or of one batch if that is larger.
fn gathered(batches: &[Bytes], max_bytes: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut piece = BytesMut::new();
    for batch in batches {
        if !piece.is_empty() && piece.len() + batch.len() > max_bytes {
            pieces.push(piece.split().freeze());
        }
        piece.extend_from_slice(batch);
    }
    pieces.push(piece.freeze());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_gathered_whole_and_in_order() {
        let batches: Vec<Bytes> = (1..=9u8).map(|n| Bytes::from(vec![n; usize::from(n) * 100])).collect();
        let pieces = gathered(&batches, 1000);
        assert_eq!(pieces.concat(), batches.concat());
        assert!(pieces.iter().all(|piece| piece.len() <= 1000) && pieces.len() > 3, "{}", pieces.len());
        assert_eq!(gathered(&batches, 1).len(), 9, "a batch is not cut");
    }
}
