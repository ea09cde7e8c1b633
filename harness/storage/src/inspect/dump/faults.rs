//! What is wrong with dumped files, gathered and told at the end as Kafka's tool does.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// More are counted and not kept: a damaged index would otherwise fill memory.
const KEPT_MAX: usize = 10_000;

/// Which kind of fault, in the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    IndexMismatch,
    TimestampMismatch,
    TimestampOrder,
    IndexedOffsetNotFound,
    NonConsecutive,
    Invalid,
    Unreadable,
    Ignored,
}

#[derive(Debug, Serialize)]
struct Fault {
    kind: Kind,
    file: PathBuf,
    text: String,
}

/// What is wrong with the files. Its text is what Kafka's tool prints on stderr.
#[derive(Debug, Default)]
pub struct Faults {
    kept: Vec<Fault>,
    more: u64,
    failed: bool,
}

impl Faults {
    /// Whether a file contradicts itself or another one, or could not be read. Offsets that are not consecutive are
    /// told and are no failure: compaction leaves such gaps.
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The sentences, for documents.
    pub(crate) fn rows(&self) -> impl Serialize + '_ {
        &self.kept
    }

    pub(crate) fn index_mismatch(&mut self, file: &Path, index_offset: i64, log_offset: i64) {
        self.add(
            Kind::IndexMismatch,
            file,
            format!("  Index offset: {index_offset}, log offset: {log_offset}"),
        );
    }

    pub(crate) fn timestamp_mismatch(&mut self, file: &Path, index: i64, log: i64) {
        self.add(Kind::TimestampMismatch, file, format!("  Index timestamp: {index}, log timestamp: {log}"));
    }

    pub(crate) fn timestamp_order(&mut self, file: &Path, index: i64, previous: i64) {
        let text = format!("  Index timestamp: {index}, Previously indexed timestamp: {previous}");
        self.add(Kind::TimestampOrder, file, text);
    }

    pub(crate) fn offset_not_found(&mut self, file: &Path, index: i64, log: i64) {
        let text = format!("Indexed offset: {index}, found log offset: {log}");
        self.add(Kind::IndexedOffsetNotFound, file, text);
    }

    pub(crate) fn non_consecutive(&mut self, file: &Path, first: i64, second: i64) {
        self.add(Kind::NonConsecutive, file, format!("  {first} is followed by {second}"));
    }

    pub(crate) fn invalid(&mut self, file: &Path, text: String) {
        self.add(Kind::Invalid, file, format!("{}: {text}", file.display()));
    }

    pub(crate) fn unreadable(&mut self, file: &Path, text: String) {
        self.add(Kind::Unreadable, file, text);
    }

    pub(crate) fn ignored(&mut self, file: &Path) {
        self.add(Kind::Ignored, file, format!("Ignoring unknown file {}", file.display()));
    }

    fn add(&mut self, kind: Kind, file: &Path, text: String) {
        self.failed |= !matches!(kind, Kind::NonConsecutive | Kind::Ignored);
        match self.kept.len() < KEPT_MAX {
            true => self.kept.push(Fault { kind, file: file.to_owned(), text }),
            false => self.more += 1,
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted: Vec<&Fault> = self.kept.iter().collect();
        sorted.sort_by_key(|fault| (fault.kind, &fault.file));
        let mut under = None;
        for fault in sorted {
            let file = fault.file.display();
            if under.replace((fault.kind, &fault.file)) != Some((fault.kind, &fault.file)) {
                match fault.kind {
                    Kind::IndexMismatch => writeln!(f, "Mismatches in :{file}")?,
                    Kind::TimestampMismatch => writeln!(f, "Found timestamp mismatch in :{file}")?,
                    Kind::TimestampOrder => writeln!(f, "Found out of order timestamp in :{file}")?,
                    Kind::IndexedOffsetNotFound => {
                        writeln!(f, "The following indexed offsets are not found in the log.")?;
                    }
                    Kind::NonConsecutive => writeln!(f, "Non-consecutive offsets in {file}")?,
                    Kind::Invalid | Kind::Unreadable | Kind::Ignored => {}
                }
            }
            writeln!(f, "{}", fault.text)?;
        }
        match self.more {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}
