//! What a row of the result is about, and how lists of choices become rows.

use std::fmt;
use std::str::FromStr;

use plimsoll_io::{
    Backend, IoConfig, PageCacheOptions, Placement, Preallocation, RingSync, UnknownWord, UringOptions,
};
use plimsoll_log::records::Codec;
use plimsoll_log::{Durability, FlushPolicy, LogConfig};
use plimsoll_results::{DurabilityMode, Survives};

use super::phase::Phase;
use crate::floor::STEP_BYTES;

/// How many bytes a client leaves unacknowledged: about what a disk needs in flight to run at full speed.
pub const WINDOW_BYTES: usize = 2 << 20;

/// The one batch of each segment in a log that is opened.
pub(crate) const STARTUP_BATCH_BYTES: usize = 1 << 10;

/// Fewest and most batches in a window.
const WINDOW_BATCHES: (usize, usize) = (4, 256);

/// Who reads while batches are appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Readers {
    /// Nobody.
    #[default]
    None,
    /// A consumer at the end of each partition.
    Tail,
    /// A lagging consumer, who reads another log of the directory that is not in the cache.
    Cold,
}

impl fmt::Display for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Readers::None => "none",
            Readers::Tail => "tail",
            Readers::Cold => "cold",
        })
    }
}

impl FromStr for Readers {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Readers, UnknownWord> {
        match text {
            "none" => Ok(Readers::None),
            "tail" => Ok(Readers::Tail),
            "cold" => Ok(Readers::Cold),
            _ => {
                let allowed = &["none", "tail", "cold"];
                Err(UnknownWord { setting: "readers", value: text.to_owned(), allowed })
            }
        }
    }
}

/// The settings of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What is timed.
    pub phase: Phase,
    /// How the device is reached.
    pub io: IoConfig,
    /// What acknowledged means.
    pub durability: DurabilityMode,
    /// `flush.messages` and `flush.ms`; only with [`DurabilityMode::Replicated`].
    pub flush: FlushPolicy,
    /// Size of a batch before compression; real ones stay up to a record below it.
    pub batch_bytes: usize,
    /// What the batches were compressed with, before the trial.
    pub codec: Codec,
    /// Logs appended to in turn.
    pub partitions: usize,
    /// Who reads meanwhile.
    pub readers: Readers,
}

impl Cell {
    /// Batches a client leaves unacknowledged, and with [`DurabilityMode::Fsync`] the group of one sync.
    pub fn window(&self) -> usize {
        let (fewest, most) = WINDOW_BATCHES;
        (WINDOW_BYTES / self.batch_bytes.max(1)).clamp(fewest, most)
    }

    /// The worst event after which an acknowledged batch is still there.
    pub fn survives(&self) -> Survives {
        match self.durability {
            DurabilityMode::Fsync => Survives::Power,
            DurabilityMode::Replicated if self.direct() => Survives::Kernel,
            DurabilityMode::Replicated => Survives::Process,
        }
    }

    /// Whether writes go around the page cache.
    pub fn direct(&self) -> bool {
        self.io.backend == Backend::IoUring && self.io.io_uring.direct
    }

    /// Kafka's defaults but for what the row says; room is taken in the floor's steps from the start.
    pub(crate) fn log_config(&self) -> LogConfig {
        let durability = match self.durability {
            DurabilityMode::Fsync => Durability::Fsync,
            DurabilityMode::Replicated => Durability::Replicated,
        };
        LogConfig {
            durability,
            flush: self.flush,
            reserve_step_min_bytes: STEP_BYTES,
            reserve_step_max_bytes: STEP_BYTES,
            ..LogConfig::default()
        }
    }

    /// Puts choices that do not reach the row's backend or durability back to their defaults, so that rows which
    /// differ in nothing else are one.
    fn normalised(mut self) -> Cell {
        if self.io.backend != Backend::PageCache {
            self.io.page_cache = PageCacheOptions::default();
        }
        if self.io.backend != Backend::IoUring {
            self.io.io_uring = UringOptions::default();
        }
        if self.phase != Phase::Append {
            self.readers = Readers::None;
        }
        if !self.phase.appends() {
            self.durability = DurabilityMode::Replicated;
            self.io.preallocation = Preallocation::default();
        }
        if self.phase == Phase::Startup {
            (self.batch_bytes, self.codec, self.partitions) = (STARTUP_BATCH_BYTES, Codec::None, 1);
        }
        if self.durability == DurabilityMode::Fsync || !self.phase.appends() {
            self.flush = FlushPolicy::default();
        }
        self
    }

    /// The backend's choices that are not its defaults, as options of the command line.
    pub fn variant(&self) -> Option<String> {
        let (page_cache, ring, usual) = (&self.io.page_cache, &self.io.io_uring, UringOptions::default());
        let words = [
            page_cache.dontcache.then(|| "dontcache".to_owned()),
            page_cache.writeback_bytes.map(|bytes| format!("writeback={bytes}")),
            (!ring.direct).then(|| "buffered".to_owned()),
            (ring.depth != usual.depth).then(|| format!("depth={}", ring.depth)),
            ring.sqpoll.then(|| "sqpoll".to_owned()),
            (ring.sync != usual.sync).then(|| format!("sync={}", ring.sync)),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IoConfig { backend, preallocation, placement, .. } = self.io;
        let durability = if self.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" };
        if self.phase != Phase::Append {
            write!(f, "{} ", self.phase)?;
        }
        write!(f, "{backend} {durability} {preallocation} {placement} {} KiB", self.batch_bytes >> 10)?;
        if let Some(variant) = self.variant() {
            write!(f, " {variant}")?;
        }
        if self.codec != Codec::None {
            write!(f, " {}", self.codec)?;
        }
        if self.partitions > 1 {
            write!(f, " {} partitions", self.partitions)?;
        }
        if self.readers != Readers::None {
            write!(f, " readers={}", self.readers)?;
        }
        Ok(())
    }
}

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
