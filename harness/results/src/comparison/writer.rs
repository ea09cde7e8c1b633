//! A comparison on disk: `runs/<UTC time>-compare-<workload>-<short id>/`.
//!
//! ```text
//! compare.json         the comparison; status `aborted` until it has ended
//! env.json             the machine
//! arms/1-<name>/       a run bundle with the trials of each arm that was measured
//! report.html          the page; can be made again from the rest
//! ```

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::ComparisonDocument;
use crate::bundle::files::replace_json;
use crate::bundle::{BundleError, BundleWriter, fresh_dir};
use crate::composite::CompositeDocument;
use crate::machine::Machine;

/// A comparison being written. Dropping it without [`ComparisonWriter::finish`] leaves it marked `aborted`.
#[derive(Debug)]
pub struct ComparisonWriter {
    dir: PathBuf,
    id: String,
    started: Timestamp,
    arms: usize,
}

impl ComparisonWriter {
    /// Creates the directory under `root`.
    pub fn create(root: &Path, name: &str, started: Timestamp) -> Result<Self, BundleError> {
        let (id, dir) = fresh_dir(root, &format!("compare-{name}"), started)?;
        Ok(Self { dir, id, started, arms: 0 })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Stores the machine.
    pub fn write_env(&self, machine: &Machine) -> Result<(), BundleError> {
        replace_json(&self.dir.join("env.json"), machine)
    }

    /// Opens the bundle of the next arm.
    pub fn begin_arm(&mut self, name: &str) -> Result<BundleWriter, BundleError> {
        self.arms += 1;
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let folder: String =
            format!("{}-{}", self.arms, name.chars().map(plain).take(40).collect::<String>());
        let folder = folder.trim_end_matches('-');
        BundleWriter::create_at(
            self.dir.join("arms").join(folder),
            format!("{}/{folder}", self.id),
            name,
            self.started,
        )
    }

    /// Writes `compare.json` as it stands, with id, path and start filled in.
    pub fn checkpoint(&self, document: &mut ComparisonDocument) -> Result<(), BundleError> {
        document.id.clone_from(&self.id);
        document.bundle = Some(self.dir.display().to_string());
        document.started_at = Some(self.started.to_string());
        document.store(&self.dir)
    }

    /// Writes the final `compare.json`.
    pub fn finish(self, document: &mut ComparisonDocument, ended: Timestamp) -> Result<PathBuf, BundleError> {
        document.ended_at = Some(ended.to_string());
        self.checkpoint(document)?;
        Ok(self.dir)
    }
}
