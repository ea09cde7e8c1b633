//! What is to be measured, and what came of it.

use std::path::PathBuf;
use std::time::Duration;

use super::cell::Cell;
use super::row::{Row, RowStatus};
use super::shelf::Contents;
use super::stopwatch::TimeSpent;

/// A deliberate fault, to see what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A bit in the middle of a log is flipped before it is read back.
    FlipBit,
    /// A batch is counted as acknowledged that was never sent.
    SkipBatch,
    /// The first cell of the plan fails once it has this many pairs.
    FailAfter {
        /// Pairs before that.
        pairs: usize,
    },
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One per row.
    pub cells: Vec<Cell>,
    /// Pairs per row.
    pub pairs: usize,
    /// Payload of one side of a pair.
    pub trial_bytes: u64,
    /// No pair but a row's first begins after this, even if rows have fewer than `pairs` then. Trials shrink, to an
    /// eighth at most, where not all pairs would fit. `None` for as long as it takes.
    pub time_max: Option<Duration>,
    /// Segments of the logs that [`Phase::Startup`](super::Phase::Startup) opens.
    pub segments: usize,
    /// All randomness: orders, coins, records.
    pub seed: u64,
    /// An existing directory on the file system to measure.
    pub dir: PathBuf,
    /// Asks fio for the same, once per cell.
    pub fio: bool,
    /// A deliberate fault.
    pub sabotage: Option<Sabotage>,
}

/// What a bench brought.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// One per cell, in the plan's order.
    pub rows: Vec<Row>,
    /// It was stopped before its end.
    pub aborted: bool,
    /// Where its time went.
    pub spent: TimeSpent,
}

impl Plan {
    /// The most that lies on the disk at once: a trial, the old log of a lagging reader, space taken ahead, and the logs
    /// that are written once and read by many rows.
    pub fn disk_bytes(&self) -> u64 {
        let partitions = self.cells.iter().map(|cell| cell.partitions).max().unwrap_or(1) as u64;
        let mut stored: Vec<Contents> = Vec::new();
        for cell in self.cells.iter().filter(|cell| !cell.phase.appends()) {
            let contents = Contents::of(cell);
            if !stored.contains(&contents) {
                stored.push(contents);
            }
        }
        self.trial_bytes * 5 / 2
            + (partitions * (64 << 20)).min(1 << 30)
            + stored.iter().map(|contents| contents.disk_bytes(self.trial_bytes, self.segments)).sum::<u64>()
    }
}

impl Outcome {
    /// Rows with figures.
    pub fn measured(&self) -> impl Iterator<Item = (&Row, &super::Measured)> {
        self.rows.iter().filter_map(|row| Some((row, row.measured.as_ref()?)))
    }

    /// Rows that are not whole, with the reason.
    pub fn short(&self) -> impl Iterator<Item = (&Row, &str)> {
        let short = self.rows.iter().filter(|row| row.status != RowStatus::Ok);
        short.map(|row| (row, row.reason.as_deref().unwrap_or_default()))
    }

    /// Nothing failed, and what was written was read back intact.
    pub fn is_sound(&self) -> bool {
        self.rows.iter().all(Row::is_sound)
    }
}
