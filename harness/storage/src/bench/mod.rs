//! The storage engine measured against the device, in pairs with floor programs of the same technique.
//!
//! A [`Matrix`] expands to [`Cell`]s, one per row of the result. [`run`] visits all cells in rounds of random order;
//! in each visit the engine and the [`floor`](crate::floor) of its technique write the same batches one after the
//! other, the first of them by a seeded coin. Every trial begins on warm memory and without a dirty backlog
//! (`memory`), is timed and charged for the whole process's CPU (`usage`), and is read back batch by batch
//! (`check`) before its figures count. [`Row`] holds what became of a cell: medians, and the ratio of the pairs
//! with its interval.

mod batches;
mod cell;
mod check;
mod dice;
mod engine;
mod existing;
mod memory;
mod observer;
mod phase;
mod readers;
mod row;
mod schedule;
mod syscalls;
mod trial;
mod usage;

pub use batches::BatchPool;
pub use cell::{Cell, Matrix, Readers, WINDOW_BYTES};
pub use memory::idle_page_monitors;
pub use observer::{Observer, Progress};
pub use phase::Phase;
pub use row::{PairFigures, Row, Share};
pub use schedule::{Outcome, Plan, Sabotage, run};
pub use trial::{BenchError, Figures, Side, Trial};
