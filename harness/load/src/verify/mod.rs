//! What became of every acknowledged record.
//!
//! A producer writes the outcome of each send into a [`SendLog`], which keeps runs of equal outcome and not
//! records. A consumer shows every record to a [`Sight`], for which a record in order is one compare; only what
//! is out of order takes memory. [`judge`] holds one against the other and names what is lost, duplicated,
//! reordered, corrupted or never sent by producer, sequence, topic, partition and offset.
//!
//! The same `Sight` serves the live consumers, as an early warning, and the full re-read after the run, which is
//! the proof. Each needs one of its own. Memory is O(producers × partitions + anomalies).
//!
//! Contiguity is asked of sequences, never of offsets: offsets may have gaps that no record fills.

mod judge;
mod ranges;
mod report;
mod sends;
mod sight;
mod streams;

#[cfg(test)]
mod model;

pub use judge::{LogStarts, judge, noticed};
pub use report::{Anomaly, EXAMPLES_MAX, Example, VerifyReport};
pub use sends::{Outcome, SendLog};
pub use sight::{PartitionSight, Sight, Totals};

/// A partition of one of the run's topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionId {
    /// Index of the topic in the run's list of topics.
    pub topic: u32,
    /// Partition number.
    pub partition: i32,
}
