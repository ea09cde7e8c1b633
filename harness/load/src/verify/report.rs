//! The judgement: counts, and the first records of each kind by name.

use std::fmt;

use plimsoll_results as results;
use serde::Serialize;

/// Examples kept of each kind.
pub const EXAMPLES_MAX: usize = 20;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Anomaly {
    /// Acknowledged and not there.
    Lost,
    /// There once more.
    Duplicated,
    /// Behind a record that was sent after it.
    Reordered,
    /// There, and not as it was sent.
    Corrupted,
    /// There, and refused, never sent, or of another run.
    Phantom,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Anomaly::Lost => "lost",
            Anomaly::Duplicated => "duplicated",
            Anomaly::Reordered => "reordered",
            Anomaly::Corrupted => "corrupted",
            Anomaly::Phantom => "phantom",
        })
    }
}

/// One record that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What is wrong.
    pub anomaly: Anomaly,
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub partition: i32,
    /// Where it is, or for a lost record where it was acknowledged, if that is certain.
    pub offset: Option<i64>,
    /// Its producer, if it can be told.
    pub producer: Option<u32>,
    /// Its sequence, if it can be told.
    pub sequence: Option<u64>,
    /// What was expected and what was found.
    pub detail: String,
}

impl fmt::Display for Example {
    /// `lost t-3@1207 producer 1 sequence 88: …`; an unknown part is `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or_unknown<T: ToString>(part: Option<T>) -> String {
            part.map_or_else(|| "?".to_owned(), |part| part.to_string())
        }
        let Example { anomaly, topic, partition, offset, producer, sequence, detail } = self;
        write!(f, "{anomaly} {topic}-{partition}@{} ", or_unknown(*offset))?;
        write!(f, "producer {} sequence {}: {detail}", or_unknown(*producer), or_unknown(*sequence))
    }
}

/// What became of all records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Records acknowledged to producers.
    pub acked: u64,
    /// Acknowledged records that must be there: all but the expired ones.
    pub expected: u64,
    /// Different well-formed records read back.
    pub seen: u64,
    /// Acknowledged and not there.
    pub lost: u64,
    /// Surplus copies.
    pub duplicated: u64,
    /// Records behind one that was sent after them.
    pub reordered: u64,
    /// Records whose content does not fit their checksum.
    pub corrupted: u64,
    /// Records whose sending had no certain outcome; never an error.
    pub unknown: u64,
    /// How many of the unknown ones are there.
    pub unknown_seen: u64,
    /// Well-formed records that were refused or never sent by this run.
    pub phantom: u64,
    /// Acknowledged records below the log's start, removed by retention.
    pub expired: u64,
    /// Nothing lost, duplicated, reordered, corrupted or phantom.
    pub ok: bool,
    /// At most [`EXAMPLES_MAX`] of each kind.
    pub examples: Vec<Example>,
}

impl VerifyReport {
    /// Keeps an example unless there are enough of its kind.
    pub(super) fn show(&mut self, example: Example) {
        if self.examples.iter().filter(|kept| kept.anomaly == example.anomaly).count() < EXAMPLES_MAX {
            self.examples.push(example);
        }
    }

    /// The form that goes into a result bundle.
    pub fn to_results(&self, level: &str) -> results::VerifyDocument {
        results::VerifyDocument {
            level: level.to_owned(),
            counts: results::VerifyCounts {
                acked: self.acked,
                expected: self.expected,
                seen: self.seen,
                lost: self.lost,
                duplicated: self.duplicated,
                reordered: self.reordered,
                corrupted: self.corrupted,
                unknown: self.unknown,
                phantom: self.phantom,
                ok: self.ok,
            },
            examples: self.examples.iter().map(to_result).collect(),
            incomplete: None,
        }
    }
}

fn to_result(example: &Example) -> results::VerifyExample {
    results::VerifyExample {
        fault: match example.anomaly {
            Anomaly::Lost => results::VerifyFault::Lost,
            Anomaly::Duplicated => results::VerifyFault::Duplicated,
            Anomaly::Reordered => results::VerifyFault::Reordered,
            Anomaly::Corrupted => results::VerifyFault::Corrupted,
            Anomaly::Phantom => results::VerifyFault::Phantom,
        },
        topic: example.topic.clone(),
        partition: example.partition,
        offset: example.offset,
        producer: example.producer,
        sequence: example.sequence,
        detail: example.detail.clone(),
    }
}
