//! Lays out a bundle and keeps it valid while the run goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::files::{append_line, io, replace, replace_json, replace_lines};
use super::{Bundle, BundleError};
use crate::event::Event;
use crate::hlog::HlogWriter;
use crate::intervals::IntervalRow;
use crate::machine::Machine;
use crate::run::RunDocument;
use crate::series::LatencyInterval;
use crate::trial::TrialSummary;
use crate::verify::VerifyDocument;

/// A bundle being written. Dropping it without [`BundleWriter::finish`] leaves it marked `aborted`.
#[derive(Debug)]
pub struct BundleWriter {
    dir: PathBuf,
    id: String,
    started: Timestamp,
    trials: u32,
    other_trials: u32,
}

/// One trial's folder being written.
#[derive(Debug)]
pub struct TrialWriter {
    dir: PathBuf,
    hlog: HlogWriter<File>,
}

/// `<UTC time>-<name>-<short id>`, safe as a directory name; `entropy` makes runs of one second differ.
pub fn bundle_id(started: Timestamp, name: &str, entropy: u64) -> String {
    let time = started.strftime("%Y-%m-%dT%H-%M-%SZ");
    let digest = Sha256::digest(format!("{started}{name}{entropy}").as_bytes());
    let short: String = digest.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
    format!("{time}-{}-{short}", slug(name))
}

fn slug(name: &str) -> String {
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let mut slug = String::new();
    for c in plain.take(60) {
        if c != '-' || !(slug.is_empty() || slug.ends_with('-')) {
            slug.push(c);
        }
    }
    let trimmed = slug.trim_end_matches('-');
    if trimmed.is_empty() { "run".to_owned() } else { trimmed.to_owned() }
}

/// Makes a directory of its own under `root` and says its name, which is the bundle's id.
pub(crate) fn fresh_dir(
    root: &Path,
    name: &str,
    started: Timestamp,
) -> Result<(String, PathBuf), BundleError> {
    fs::create_dir_all(root).map_err(io("create", root))?;
    let mut entropy = u64::from(std::process::id());
    loop {
        let id = bundle_id(started, name, entropy);
        let dir = root.join(&id);
        match fs::create_dir(&dir) {
            Ok(()) => return Ok((id, dir)),
            Err(taken) if taken.kind() == std::io::ErrorKind::AlreadyExists => entropy += 0x1_0000_0000,
            Err(source) => return Err(io("create", &dir)(source)),
        }
    }
}

impl BundleWriter {
    /// Creates the directory under `root` with a `run.json` that says `aborted`.
    /// `started` is the wall-clock time at the run's zero: every time in the bundle counts from it.
    pub fn create(root: &Path, name: &str, started: Timestamp) -> Result<Self, BundleError> {
        let (id, dir) = fresh_dir(root, name, started)?;
        Self::begin(dir, id, name, started)
    }

    /// Creates exactly `dir`, which must not exist: one arm of a comparison.
    pub(crate) fn create_at(
        dir: PathBuf,
        id: String,
        name: &str,
        started: Timestamp,
    ) -> Result<Self, BundleError> {
        fs::create_dir_all(&dir).map_err(io("create", &dir))?;
        Self::begin(dir, id, name, started)
    }

    /// Opens a bundle that was begun before, of which the first `trials` trials stay; a later one replaces what a killed
    /// run left in its place.
    pub fn reopen(bundle: &Bundle, trials: u32) -> Self {
        let document = bundle.document();
        let started = document.started_at.as_deref().and_then(|at| at.parse().ok());
        Self {
            dir: bundle.path().to_owned(),
            id: document.id.clone(),
            started: started.unwrap_or_else(Timestamp::now),
            trials,
            other_trials: 0,
        }
    }

    fn begin(dir: PathBuf, id: String, name: &str, started: Timestamp) -> Result<Self, BundleError> {
        let writer = Self { dir, id, started, trials: 0, other_trials: 0 };
        let mut unfinished = RunDocument::unfinished(&writer.id);
        unfinished.workload = Some(name.to_owned());
        writer.checkpoint(&mut unfinished)?;
        // There from the start, so that no events and no file are told apart.
        replace(&writer.dir.join("events.jsonl"), b"")?;
        Ok(writer)
    }

    /// The bundle's directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The run's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the HTML report belongs.
    pub fn report_path(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    /// Stores the fully resolved workload.
    pub fn write_lock(&self, toml: &str) -> Result<(), BundleError> {
        replace(&self.dir.join("workload.lock.toml"), toml.as_bytes())
    }

    /// Stores the machine.
    pub fn write_env(&self, machine: &Machine) -> Result<(), BundleError> {
        replace_json(&self.dir.join("env.json"), machine)
    }

    /// Appends an event.
    pub fn event(&self, event: &Event) -> Result<(), BundleError> {
        append_line(&self.dir.join("events.jsonl"), event)
    }

    /// Opens the next trial's folder, `trials/0001` first.
    pub fn begin_trial(&mut self) -> Result<TrialWriter, BundleError> {
        let trial = self.open_trial(self.dir.join("trials").join(format!("{:04}", self.trials + 1)))?;
        self.trials += 1;
        Ok(trial)
    }

    /// Opens the folder of a trial of the program this run is compared with, `against/0001` first. It is kept
    /// apart: its histograms never merge with this run's, and it is not counted in `trials`.
    pub fn begin_other_trial(&mut self) -> Result<TrialWriter, BundleError> {
        let trial =
            self.open_trial(self.dir.join("against").join(format!("{:04}", self.other_trials + 1)))?;
        self.other_trials += 1;
        Ok(trial)
    }

    fn open_trial(&self, dir: PathBuf) -> Result<TrialWriter, BundleError> {
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(io("clear", &dir))?;
        }
        fs::create_dir_all(&dir).map_err(io("create", &dir))?;
        let path = dir.join("latency.hlog");
        let file = File::create(&path).map_err(io("create", &path))?;
        let hlog = HlogWriter::begin(file, since_epoch(self.started)).map_err(io("write", &path))?;
        Ok(TrialWriter { dir, hlog })
    }

    /// Writes `run.json` as it stands, with id, paths, start and trial count filled in. The status is the
    /// caller's: until the end it should stay `aborted`, which is what a killed run then says.
    pub fn checkpoint(&self, document: &mut RunDocument) -> Result<(), BundleError> {
        document.id.clone_from(&self.id);
        document.bundle = Some(self.dir.display().to_string());
        document.trials = self.trials;
        document.started_at = Some(self.started.to_string());
        let report = self.report_path();
        document.report = report.exists().then(|| report.display().to_string());
        replace_json(&self.dir.join("run.json"), document)
    }

    /// Writes the final `run.json`. Write the report first, so that its path is in it.
    pub fn finish(self, document: &mut RunDocument, ended: Timestamp) -> Result<PathBuf, BundleError> {
        document.ended_at = Some(ended.to_string());
        self.checkpoint(document)?;
        Ok(self.dir)
    }
}

impl TrialWriter {
    /// The trial's folder, for the broker's log and other files.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Appends the histograms of one interval.
    pub fn latency(&mut self, row: &LatencyInterval) -> Result<(), BundleError> {
        self.hlog.interval(row).map_err(io("append to", &self.dir.join("latency.hlog")))
    }

    /// Appends one interval row.
    pub fn interval(&self, row: &IntervalRow) -> Result<(), BundleError> {
        append_line(&self.dir.join("intervals.jsonl"), row)
    }

    /// Replaces all interval rows, for example once resources are attached.
    pub fn replace_intervals(&self, rows: &[IntervalRow]) -> Result<(), BundleError> {
        replace_lines(&self.dir.join("intervals.jsonl"), rows)
    }

    /// Stores the trial as comparisons see it.
    pub fn summary(&self, summary: &TrialSummary) -> Result<(), BundleError> {
        replace_json(&self.dir.join("trial.json"), summary)
    }

    /// Stores all figures of the trial in the form of whoever measured them, so that it can go on from them later.
    /// Comes last: a trial that has them is whole.
    pub fn measured<T: Serialize>(&self, figures: &T) -> Result<(), BundleError> {
        replace_json(&self.dir.join("measured.json"), figures)
    }

    /// Stores the verifier's findings.
    pub fn verify(&self, verify: &VerifyDocument) -> Result<(), BundleError> {
        replace_json(&self.dir.join("verify.json"), verify)
    }
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
}
