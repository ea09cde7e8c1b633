//! `verify.json`: what became of every acknowledged record.

use serde::{Deserialize, Serialize};

/// Counts over all records of the run, proved by a full re-read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct VerifyCounts {
    /// Records acknowledged to producers.
    pub acked: u64,
    /// Records that must be there: the acknowledged ones.
    pub expected: u64,
    /// Records read back that belong to this run.
    pub seen: u64,
    /// Acknowledged and not there.
    pub lost: u64,
    /// There more than once, counted once for each surplus copy.
    pub duplicated: u64,
    /// Later in their partition than a record that was sent after them.
    pub reordered: u64,
    /// There with a checksum or content that does not fit.
    pub corrupted: u64,
    /// Sent without a certain outcome: they may be there or not, and neither is a fault.
    pub unknown: u64,
    /// There, well-formed, and never sent by this run, or refused to it.
    #[serde(default)]
    pub phantom: u64,
    /// Nothing lost, duplicated, reordered, corrupted or phantom, and the re-read was complete.
    pub ok: bool,
}

impl VerifyCounts {
    /// True when nothing was lost, doubled, reordered, corrupted or phantom.
    pub fn is_clean(&self) -> bool {
        [self.lost, self.duplicated, self.reordered, self.corrupted, self.phantom] == [0; 5]
    }

    /// Adds the counts of another trial; `ok` only if both are.
    pub fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.expected += other.expected;
        self.seen += other.seen;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.unknown += other.unknown;
        self.phantom += other.phantom;
        self.ok &= other.ok;
    }
}

/// Counts and the first examples of each trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct VerifyDocument {
    /// `off`, `counts` or `full`.
    pub level: String,
    /// The counts.
    #[serde(flatten)]
    pub counts: VerifyCounts,
    /// The first 20 records that are not as they should be.
    #[serde(default)]
    pub examples: Vec<VerifyExample>,
    /// Why the re-read (or, at level `counts`, the live reading) was not complete, if it was not. Acknowledged
    /// records that it did not reach count as `unknown` then, not as lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

/// One record that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyExample {
    /// What is wrong with it.
    pub fault: VerifyFault,
    /// Topic it is or should be in.
    pub topic: String,
    /// Partition it is or should be in.
    pub partition: i32,
    /// Offset, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Number of the producer that sent it, from its stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<u32>,
    /// Its number within the producer, from its stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// What was expected and what was found.
    pub detail: String,
}

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyFault {
    /// Acknowledged and not there.
    Lost,
    /// There more than once.
    Duplicated,
    /// Out of order.
    Reordered,
    /// Content does not fit its checksum.
    Corrupted,
    /// Not of this run, or refused to it.
    Phantom,
}
