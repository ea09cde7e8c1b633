//! What a row of the result is about, and how lists of choices become rows.

use std::fmt;
use std::str::FromStr;

use plimsoll_io::{Backend, IoConfig, Placement, Preallocation, UnknownWord};
use plimsoll_log::records::Codec;
use plimsoll_log::{Durability, FlushPolicy, LogConfig};
use plimsoll_results::{DurabilityMode, Survives};

/// How many bytes a client leaves unacknowledged: about what a disk needs in flight to run at full speed.
pub const WINDOW_BYTES: usize = 2 << 20;

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

    /// Opens logs so that a trial stays in one segment of `segment_bytes`.
    pub(crate) fn log_config(&self, segment_bytes: u64) -> LogConfig {
        let durability = match self.durability {
            DurabilityMode::Fsync => Durability::Fsync,
            DurabilityMode::Replicated => Durability::Replicated,
        };
        let segment_bytes = u32::try_from(segment_bytes).unwrap_or(1 << 30).min(1 << 30);
        LogConfig { segment_bytes, durability, flush: self.flush, ..LogConfig::default() }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IoConfig { backend, preallocation, placement, .. } = self.io;
        let durability = if self.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" };
        write!(f, "{backend} {durability} {preallocation} {placement} {} KiB", self.batch_bytes >> 10)?;
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
    /// Flush policy of the rows that are not `fsync`.
    pub flush: FlushPolicy,
    /// Whatever else reaches the backends; backend, preallocation and placement are replaced.
    pub io: IoConfig,
}

impl Matrix {
    /// Three backends, `replicated` and `fsync`, 64 KiB and 256 KiB.
    pub fn quick() -> Matrix {
        Matrix {
            backends: vec![Backend::PageCache, Backend::Mmap, Backend::IoUring],
            durabilities: vec![DurabilityMode::Replicated, DurabilityMode::Fsync],
            preallocations: vec![Preallocation::default()],
            placements: vec![Placement::default()],
            batch_bytes: vec![64 << 10, 256 << 10],
            codecs: vec![Codec::None],
            partitions: vec![1],
            readers: vec![Readers::None],
            flush: FlushPolicy::default(),
            io: IoConfig::default(),
        }
    }

    /// Every combination, the last list fastest.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![self.first()];
        vary(&mut cells, &self.backends, |cell, it| cell.io.backend = it);
        vary(&mut cells, &self.durabilities, |cell, it| cell.durability = it);
        vary(&mut cells, &self.preallocations, |cell, it| cell.io.preallocation = it);
        vary(&mut cells, &self.placements, |cell, it| cell.io.placement = it);
        vary(&mut cells, &self.batch_bytes, |cell, it| cell.batch_bytes = it);
        vary(&mut cells, &self.codecs, |cell, it| cell.codec = it);
        vary(&mut cells, &self.partitions, |cell, it| cell.partitions = it);
        vary(&mut cells, &self.readers, |cell, it| cell.readers = it);
        for cell in cells.iter_mut().filter(|cell| cell.durability == DurabilityMode::Fsync) {
            cell.flush = FlushPolicy::default();
        }
        cells
    }

    fn first(&self) -> Cell {
        Cell {
            io: self.io.clone(),
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
        buffered.io.io_uring.direct = false;
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
    fn windows_hold_two_mebibytes_within_limits() {
        let mut cell = Matrix::quick().cells().remove(0);
        let window = |cell: &mut Cell, bytes| {
            cell.batch_bytes = bytes;
            cell.window()
        };
        assert_eq!([4 << 10, 64 << 10, 256 << 10, 1 << 20].map(|b| window(&mut cell, b)), [256, 32, 8, 4]);
    }
}
