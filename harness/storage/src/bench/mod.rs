//! The storage engine measured against the device, in pairs with floor programs of the same technique.
//!
//! A [`Matrix`] expands to [`Cell`]s, one per row of the result. [`run`] visits all cells in rounds of random order;
//! in each visit the engine and the [`floor`](crate::floor) of its technique write the same batches one after the
//! other, the first of them by a seeded coin. Every trial begins on warm memory (`warm`) and without a dirty backlog
//! (`memory`), is timed and charged for the whole process's CPU (`usage`), and is read back batch by batch
//! (`check`) before its figures count. [`Row`] holds what became of a cell: medians, and the ratio of the pairs
//! with its interval.

mod batches;
mod cell;
mod check;
mod dice;
mod engine;
mod error;
mod existing;
mod figures;
mod matrix;
mod measured;
mod memory;
mod observer;
mod phase;
mod plan;
mod readers;
mod row;
mod schedule;
mod share;
mod shelf;
mod state;
mod stopwatch;
mod syscalls;
mod usage;
mod visit;
mod warm;
mod writing;

pub use batches::BatchPool;
pub use cell::{Cell, Readers, WINDOW_BYTES};
pub use error::BenchError;
pub use figures::{Figures, Side, Trial};
pub use matrix::Matrix;
pub use measured::{Measured, PairFigures};
pub use memory::idle_page_monitors;
pub use observer::{Observer, Progress};
pub use phase::Phase;
pub use plan::{Outcome, Plan, Sabotage};
pub use row::{Row, RowStatus, Setting};
pub use schedule::run;
pub use share::Share;
pub use stopwatch::TimeSpent;
