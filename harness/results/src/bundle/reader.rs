//! Reads a bundle, of this version or any with the same major.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::BundleError;
use super::files::{io, read_document, read_json, read_lines};
use crate::event::Event;
use crate::hlog::read_hlog;
use crate::intervals::IntervalRow;
use crate::machine::Machine;
use crate::run::RunDocument;
use crate::series::LatencySeries;
use crate::trial::TrialSummary;
use crate::verify::VerifyDocument;

/// A stored run.
#[derive(Debug, Clone)]
pub struct Bundle {
    dir: PathBuf,
    document: RunDocument,
    raw: Value,
}

/// One trial of a stored run.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Number, from 1.
    pub number: u32,
    dir: PathBuf,
}

impl Bundle {
    /// Opens a bundle directory, or a `run.json` in one.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let (dir, document, raw) = read_document(path, "run.json", "run/1.x")?;
        Ok(Self { dir, document, raw })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The summary.
    pub fn document(&self) -> &RunDocument {
        &self.document
    }

    /// The summary as found, with fields that this version does not know.
    pub fn raw(&self) -> &Value {
        &self.raw
    }

    /// The machine, from `env.json` or else from the summary.
    pub fn machine(&self) -> Result<Option<Machine>, BundleError> {
        Ok(read_json(&self.dir.join("env.json"))?.or_else(|| self.document.machine.clone()))
    }

    /// Events in the order they were written.
    pub fn events(&self) -> Result<Vec<Event>, BundleError> {
        read_lines(&self.dir.join("events.jsonl"))
    }

    /// The resolved workload, if it was stored.
    pub fn lock(&self) -> Option<String> {
        fs::read_to_string(self.dir.join("workload.lock.toml")).ok()
    }

    /// Trials in the order they ran. A folder that is not a number is not a trial.
    pub fn trials(&self) -> Result<Vec<Trial>, BundleError> {
        let dir = self.dir.join("trials");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(none) if none.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io("list", &dir)(source)),
        };
        let mut trials = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io("list", &dir))?;
            if let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                trials.push(Trial { number, dir: entry.path() });
            }
        }
        trials.sort_by_key(|trial| trial.number);
        Ok(trials)
    }

    /// All trials' histograms in one series, so that pooling adds counts over trials.
    pub fn latency(&self) -> Result<LatencySeries, BundleError> {
        let mut all = LatencySeries::default();
        for trial in self.trials()? {
            all.append(trial.latency()?);
        }
        Ok(all)
    }
}

impl Trial {
    /// The trial's folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Interval histograms; empty if the trial ended before its log began.
    pub fn latency(&self) -> Result<LatencySeries, BundleError> {
        let path = self.dir.join("latency.hlog");
        if path.exists() { Ok(read_hlog(&path)?) } else { Ok(LatencySeries::default()) }
    }

    /// Interval rows.
    pub fn intervals(&self) -> Result<Vec<IntervalRow>, BundleError> {
        read_lines(&self.dir.join("intervals.jsonl"))
    }

    /// The trial as comparisons see it; `None` if it ended early or an older version wrote it.
    pub fn summary(&self) -> Result<Option<TrialSummary>, BundleError> {
        let path = self.dir.join("trial.json");
        match read_json::<TrialSummary>(&path)? {
            Some(summary) if !summary.schema.starts_with("trial/1.") => {
                Err(BundleError::Schema { path, known: "trial/1.x", found: summary.schema })
            }
            summary => Ok(summary),
        }
    }

    /// What [`TrialWriter::measured`](crate::TrialWriter::measured) stored; `None` if the trial did not get that far.
    pub fn measured<T: DeserializeOwned>(&self) -> Result<Option<T>, BundleError> {
        read_json(&self.dir.join("measured.json"))
    }

    /// The verifier's findings, if it got that far.
    pub fn verify(&self) -> Result<Option<VerifyDocument>, BundleError> {
        read_json(&self.dir.join("verify.json"))
    }
}
