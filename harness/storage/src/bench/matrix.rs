//! Lists of choices, and how they become rows.

use plimsoll_io::{Backend, IoConfig, PageCacheOptions, Placement, Preallocation, RingSync, UringOptions};
use plimsoll_log::FlushPolicy;
use plimsoll_log::records::Codec;
use plimsoll_results::DurabilityMode;

use super::cell::{Cell, Readers};
use super::phase::Phase;

/// Lists of choices; every combination is a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    /// What is timed.
    pub phases: Vec<Phase>,
    /// Ways to reach the disk.
    pub backends: Vec<Backend>,
    /// What acknowledged means.
    pub durabilities: Vec<DurabilityMode>,
    /// Ways to reserve space.
    pub preallocations: Vec<Preallocation>,
    /// Where blocking calls run.
    pub placements: Vec<Placement>,
    /// Batch sizes before compression.
    pub batch_bytes: Vec<usize>,
    /// Codecs.
    pub codecs: Vec<Codec>,
    /// Numbers of partitions.
    pub partitions: Vec<usize>,
    /// Readers.
    pub readers: Vec<Readers>,
    /// Rows that read with and without a check of every batch.
    pub verify_on_read: Vec<bool>,
    /// Page-cache rows with and without `RWF_DONTCACHE`.
    pub dontcache: Vec<bool>,
    /// io_uring rows around and through the page cache.
    pub direct: Vec<bool>,
    /// io_uring rows by writes in flight.
    pub depths: Vec<u16>,
    /// io_uring rows with and without a polling kernel thread.
    pub sqpoll: Vec<bool>,
    /// io_uring rows by the way they sync.
    pub ring_syncs: Vec<RingSync>,
    /// Page-cache rows begin write-back each time this much of a file is dirty.
    pub writeback_bytes: Option<u64>,
    /// Flush policy of the rows that are not `fsync`.
    pub flush: FlushPolicy,
}

impl Matrix {
    /// Three backends, `replicated` and `fsync`, 64 KiB and 256 KiB.
    pub fn quick() -> Matrix {
        Matrix {
            phases: vec![Phase::Append],
            backends: vec![Backend::PageCache, Backend::Mmap, Backend::IoUring],
            durabilities: vec![DurabilityMode::Replicated, DurabilityMode::Fsync],
            preallocations: vec![Preallocation::default()],
            placements: vec![Placement::default()],
            batch_bytes: vec![64 << 10, 256 << 10],
            codecs: vec![Codec::None],
            partitions: vec![1],
            readers: vec![Readers::None],
            verify_on_read: vec![false],
            dontcache: vec![false],
            direct: vec![true],
            depths: vec![UringOptions::default().depth],
            sqpoll: vec![false],
            ring_syncs: vec![RingSync::default()],
            writeback_bytes: None,
            flush: FlushPolicy::default(),
        }
    }

    /// Every combination that differs from the others, the last list fastest.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![self.first()];
        vary(&mut cells, &self.phases, |cell, it| cell.phase = it);
        vary(&mut cells, &self.backends, |cell, it| cell.io.backend = it);
        vary(&mut cells, &self.durabilities, |cell, it| cell.durability = it);
        vary(&mut cells, &self.preallocations, |cell, it| cell.io.preallocation = it);
        vary(&mut cells, &self.placements, |cell, it| cell.io.placement = it);
        vary(&mut cells, &self.batch_bytes, |cell, it| cell.batch_bytes = it);
        vary(&mut cells, &self.codecs, |cell, it| cell.codec = it);
        vary(&mut cells, &self.partitions, |cell, it| cell.partitions = it);
        vary(&mut cells, &self.readers, |cell, it| cell.readers = it);
        vary(&mut cells, &self.verify_on_read, |cell, it| cell.verify_on_read = it);
        vary(&mut cells, &self.dontcache, |cell, it| cell.io.page_cache.dontcache = it);
        vary(&mut cells, &self.direct, |cell, it| cell.io.io_uring.direct = it);
        vary(&mut cells, &self.depths, |cell, it| cell.io.io_uring.depth = it);
        vary(&mut cells, &self.sqpoll, |cell, it| cell.io.io_uring.sqpoll = it);
        vary(&mut cells, &self.ring_syncs, |cell, it| cell.io.io_uring.sync = it);
        let mut different: Vec<Cell> = Vec::new();
        for cell in cells.into_iter().map(Cell::normalised) {
            if !different.contains(&cell) {
                different.push(cell);
            }
        }
        different
    }

    fn first(&self) -> Cell {
        let page_cache =
            PageCacheOptions { writeback_bytes: self.writeback_bytes, ..PageCacheOptions::default() };
        Cell {
            phase: Phase::Append,
            io: IoConfig { page_cache, ..IoConfig::default() },
            durability: DurabilityMode::Replicated,
            flush: self.flush,
            batch_bytes: 0,
            codec: Codec::None,
            partitions: 1,
            readers: Readers::None,
            verify_on_read: false,
        }
    }
}

fn vary<T: Copy>(cells: &mut Vec<Cell>, choices: &[T], set: impl Fn(&mut Cell, T)) {
    let with = |cell: &Cell, choice: &T| {
        let mut cell = cell.clone();
        set(&mut cell, *choice);
        cell
    };
    *cells = cells.iter().flat_map(|cell| choices.iter().map(|choice| with(cell, choice))).collect();
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use plimsoll_results::Survives;

    use super::*;

    #[test]
    fn quick_is_three_backends_by_two_durabilities_by_two_sizes() {
        let cells = Matrix::quick().cells();
        assert_eq!(cells.len(), 12);
        let names: HashSet<String> = cells.iter().map(Cell::to_string).collect();
        assert_eq!(names.len(), 12);
        assert!(names.contains("io_uring fsync fallocate inline 256 KiB"), "{names:?}");
    }

    #[test]
    fn only_a_sync_survives_power_and_only_direct_writes_survive_the_kernel() {
        let cells = Matrix::quick().cells();
        let of = |backend, durability| {
            let found = cells.iter().find(|c| c.io.backend == backend && c.durability == durability);
            found.unwrap().survives()
        };
        assert_eq!(of(Backend::PageCache, DurabilityMode::Fsync), Survives::Power);
        assert_eq!(of(Backend::PageCache, DurabilityMode::Replicated), Survives::Process);
        assert_eq!(of(Backend::Mmap, DurabilityMode::Replicated), Survives::Process);
        assert_eq!(of(Backend::IoUring, DurabilityMode::Replicated), Survives::Kernel);
        let mut buffered = Matrix::quick();
        buffered.direct = vec![false];
        assert!(buffered.cells().iter().all(|cell| cell.survives() != Survives::Kernel));
    }

    #[test]
    fn flush_policies_do_not_reach_rows_that_sync_anyway() {
        let mut matrix = Matrix::quick();
        matrix.flush.messages = Some(100);
        for cell in matrix.cells() {
            assert_eq!(cell.flush.messages.is_some(), cell.durability == DurabilityMode::Replicated);
        }
    }

    #[test]
    fn checks_of_what_is_read_make_rows_only_where_somebody_reads() {
        let mut matrix = Matrix { backends: vec![Backend::PageCache], ..Matrix::quick() };
        matrix.batch_bytes = vec![64 << 10];
        matrix.durabilities = vec![DurabilityMode::Replicated];
        matrix.verify_on_read = vec![false, true];
        matrix.phases = vec![Phase::Append, Phase::Tail, Phase::CatchUpCached, Phase::Recovery];
        let names: Vec<String> = matrix.cells().iter().map(Cell::to_string).collect();
        assert_eq!(names.len(), 1 + 2 + 2 + 1, "{names:#?}");
        assert_eq!(names.iter().filter(|name| name.ends_with("verify-on-read")).count(), 2, "{names:#?}");
    }

    #[test]
    fn choices_of_one_backend_do_not_multiply_the_rows_of_the_others() {
        let mut matrix = Matrix { durabilities: vec![DurabilityMode::Replicated], ..Matrix::quick() };
        matrix.batch_bytes = vec![64 << 10];
        (matrix.depths, matrix.dontcache) = (vec![8, 16, 32], vec![false, true]);
        let names: Vec<String> = matrix.cells().iter().map(Cell::to_string).collect();
        assert_eq!(names.len(), 2 + 1 + 3, "{names:#?}");
    }

    #[test]
    fn windows_hold_two_mebibytes_within_limits() {
        let mut cell = Matrix::quick().cells().remove(0);
        let window = |cell: &mut Cell, bytes| {
            cell.batch_bytes = bytes;
            cell.window()
        };
        assert_eq!([4 << 10, 64 << 10, 256 << 10, 1 << 20].map(|b| window(&mut cell, b)), [256, 32, 8, 4]);
    }
}
