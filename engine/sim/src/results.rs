//! The results file: one line of JSON per trial, each of which says how it came to be.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::tally::Outcome;
use crate::trials::Trial;

/// The git revision of this build, as `scripts/faults` tells the compiler.
pub const REVISION: &str = match option_env!("PLIMSOLL_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// A line.
#[derive(Serialize)]
struct Line<'a> {
    command: String,
    revision: &'static str,
    kernel: String,
    passed: bool,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// What tells lines apart, and whether its trial passed.
#[derive(Deserialize)]
struct Known {
    revision: String,
    trial: String,
    on: String,
    seed: u64,
    asked: u64,
    passed: bool,
}

/// A file that outcomes are added to, or none.
#[derive(Debug)]
pub struct Results {
    path: Option<PathBuf>,
}

impl Results {
    /// At `path`, if there shall be one.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }

    /// Whether the trial passed when this build ran it as often with the same seed. `None` if the file does not know.
    pub fn of(&self, trial: &Trial<'_>) -> Result<Option<bool>> {
        let lines = self.text()?;
        // Half a line is what an interrupted run left.
        let mut known = lines.lines().filter_map(|line| serde_json::from_str::<Known>(line).ok());
        let same = |k: &Known| {
            (&*k.revision, &*k.trial, &*k.on) == (REVISION, trial.name, &*trial.on)
                && (k.seed, k.asked) == (trial.seed, trial.asked)
        };
        Ok(known.find(same).map(|k| k.passed))
    }

    /// Adds an outcome.
    pub fn append(&self, outcome: &Outcome) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let line = Line {
            command: std::env::args().collect::<Vec<_>>().join(" "),
            revision: REVISION,
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            passed: outcome.passed(),
            outcome,
        };
        let begin = if self.text()?.ends_with('\n') || self.text()?.is_empty() { "" } else { "\n" };
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let line = format!("{begin}{}\n", serde_json::to_string(&line)?);
        file.write_all(line.as_bytes()).with_context(|| path.display().to_string())
    }

    fn text(&self) -> Result<String> {
        match self.path.as_ref().filter(|path| path.exists()) {
            Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string()),
            None => Ok(String::new()),
        }
    }
}
