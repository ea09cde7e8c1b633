//! What a check says.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, and right as it is.
    Info,
    /// The next start mends it without loss.
    Warning,
    /// Data is damaged or missing, or files contradict each other.
    Error,
}

/// What `repair` would do about a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Cut the file here; what is behind is kept in a `.cut` file.
    Cut {
        /// The new length.
        at_bytes: u64,
    },
    /// Move the file aside, under `.cut`.
    SetAside,
    /// Remove the file: it can be made again, or nothing refers to it.
    Remove,
    /// Let recovery open the partition: it scans, finishes what was half done, and writes indexes and snapshot anew.
    Recover,
    /// Write the transaction index anew from the log.
    RebuildTxnIndex,
    /// Lower the partition's entry of a checkpoint.
    LowerCheckpoint {
        /// The partition's directory name.
        partition: String,
        /// The log's end.
        to_offset: i64,
    },
}

/// One thing that a check noticed.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs.
    pub kind: &'static str,
    /// Where.
    pub file: PathBuf,
    /// At which byte of the file, if at one.
    pub at_bytes: Option<u64>,
    /// At which offset of the log, if at one.
    pub offset: Option<i64>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: &'static str,
    /// What `repair` would do; nothing where data would be lost that it cannot explain.
    pub remedy: Option<Remedy>,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        kind: &'static str,
        file: &Path,
        problem: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            kind,
            file: file.to_owned(),
            at_bytes: None,
            offset: None,
            problem: problem.into(),
            advice: "",
            remedy: None,
        }
    }

    pub(crate) fn at(mut self, at_bytes: u64, offset: i64) -> Self {
        (self.at_bytes, self.offset) = (Some(at_bytes), Some(offset));
        self
    }

    pub(crate) fn mend(mut self, remedy: Remedy, advice: &'static str) -> Self {
        (self.remedy, self.advice) = (Some(remedy), advice);
        self
    }

    pub(crate) fn advise(mut self, advice: &'static str) -> Self {
        self.advice = advice;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", self.file.display())?;
        if let Some(at_bytes) = self.at_bytes {
            write!(f, " at byte {at_bytes}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset}")?;
        }
        write!(f, ": {} [{}]", self.problem, self.kind)?;
        if !self.advice.is_empty() {
            write!(f, "\n    {}", self.advice)?;
        }
        Ok(())
    }
}
