//! A sweep's directory, and whether an earlier session in it was of the same plan.
//!
//! ```text
//! plan.json            every point with its resolved workload, written before anything is measured
//! sweep.json           the document; status `aborted` until it has ended
//! env.json             the machine
//! points/01-<name>/    a run bundle with the trials of each point
//! report.html          the page
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::SweepDocument;
use crate::bundle::files::{io, read_json, replace_json};
use crate::bundle::{Bundle, BundleError, BundleWriter, fresh_dir};
use crate::composite::CompositeDocument;
use crate::machine::{Machine, ToolBuild};

/// What decides every figure of a sweep. Two sessions of equal plans are one sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPlan {
    /// In the order of the rows.
    pub points: Vec<SweepPoint>,
    /// The program that measures.
    pub tool: ToolBuild,
    /// The machine it runs on.
    pub fingerprint: String,
}

/// One point of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPoint {
    /// Every factor with its value.
    pub key: String,
    /// Its workload with every default.
    pub lock: String,
}

/// A directory that cannot be gone on in.
#[derive(Debug, Error)]
pub enum SweepError {
    /// It holds trials of something else, which must not be mixed with these.
    #[error(
        "{path} was begun with another plan: {difference}; repeat its command line, or choose another directory"
    )]
    OtherPlan {
        /// The directory.
        path: PathBuf,
        /// The first thing that differs.
        difference: String,
    },
    /// It holds something that is no sweep.
    #[error("{0} exists and holds no sweep (there is no plan.json in it)")]
    NoSweep(PathBuf),
    /// It cannot be read or written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// A sweep being written. A killed one stays marked `aborted` and can be gone on with.
#[derive(Debug)]
pub struct SweepWriter {
    dir: PathBuf,
    id: String,
    started: Timestamp,
}

impl SweepWriter {
    /// Creates a directory of its own under `root`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(root: &Path, name: &str, started: Timestamp, plan: &SweepPlan) -> Result<Self, SweepError> {
        let (id, dir) = fresh_dir(root, name, started)?;
        Self::begin(Self { dir, id, started }, plan)
    }

    /// Goes on in `dir`, or begins there if it is not there yet.
    ///
    /// # Errors
    /// [`SweepError::OtherPlan`] when `dir` was begun with another plan.
    pub fn resume(dir: &Path, started: Timestamp, plan: &SweepPlan) -> Result<Self, SweepError> {
        let id = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
        let writer = Self { dir: dir.to_owned(), id, started };
        let empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
        if empty {
            fs::create_dir_all(dir).map_err(io("create", dir))?;
            return Self::begin(writer, plan);
        }
        let before: SweepPlan =
            read_json(&dir.join("plan.json"))?.ok_or_else(|| SweepError::NoSweep(dir.to_owned()))?;
        if let Some(difference) = before.difference(plan) {
            return Err(SweepError::OtherPlan { path: dir.to_owned(), difference });
        }
        let document: Option<SweepDocument> = read_json(&dir.join(SweepDocument::FILE))?;
        let began = document.and_then(|document| document.started_at?.parse().ok());
        Ok(Self { started: began.unwrap_or(started), ..writer })
    }

    /// Whether a sweep was begun in `dir`.
    pub fn is_begun(dir: &Path) -> bool {
        dir.join("plan.json").is_file()
    }

    fn begin(writer: Self, plan: &SweepPlan) -> Result<Self, SweepError> {
        replace_json(&writer.dir.join("plan.json"), plan)?;
        Ok(writer)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Stores the machine.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_env(&self, machine: &Machine) -> Result<(), SweepError> {
        Ok(replace_json(&self.dir.join("env.json"), machine)?)
    }

    /// The bundle of point `number`, from 1, if an earlier session began it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn earlier(&self, number: usize, name: &str) -> Result<Option<Bundle>, SweepError> {
        let dir = self.point_dir(number, name);
        if dir.join("run.json").exists() { Ok(Some(Bundle::open(&dir)?)) } else { Ok(None) }
    }

    /// Opens the bundle of point `number`, from 1.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin_point(&self, number: usize, name: &str) -> Result<BundleWriter, SweepError> {
        let dir = self.point_dir(number, name);
        let folder = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(BundleWriter::create_at(dir, format!("{}/{folder}", self.id), name, self.started)?)
    }

    fn point_dir(&self, number: usize, name: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let folder: String = name.chars().map(plain).take(40).collect();
        self.dir.join("points").join(format!("{number:02}-{}", folder.trim_end_matches('-')))
    }

    /// Writes `sweep.json` as it stands, with id, paths and start filled in.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn checkpoint(&self, document: &mut SweepDocument) -> Result<(), SweepError> {
        document.id.clone_from(&self.id);
        document.bundle = Some(self.dir.display().to_string());
        document.started_at = Some(self.started.to_string());
        Ok(document.store(&self.dir)?)
    }

    /// Writes the final `sweep.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self, document: &mut SweepDocument, ended: Timestamp) -> Result<(), SweepError> {
        document.ended_at = Some(ended.to_string());
        self.checkpoint(document)
    }
}

impl SweepPlan {
    /// The first thing in which `other` is not the same.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let keys = |plan: &Self| plan.points.iter().map(|point| point.key.clone()).collect::<Vec<_>>();
        if keys(self) != keys(other) {
            return Some(format!("its points are {}", keys(self).join("; ")));
        }
        let both = self.points.iter().zip(&other.points);
        if let Some((before, now)) = both.clone().find(|(before, now)| before.lock != now.lock) {
            let lines = before.lock.lines().zip(now.lock.lines()).find(|(before, now)| before != now);
            let (before_line, now_line) = lines.unwrap_or_default();
            return Some(format!("{}: `{before_line}` is now `{now_line}`", before.key));
        }
        let build =
            |plan: &Self| (plan.tool.version.clone(), plan.tool.git_sha.clone(), plan.tool.profile.clone());
        if build(self) != build(other) {
            return Some("another build of this program measured it".to_owned());
        }
        (self.fingerprint != other.fingerprint).then(|| "it ran on another machine".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(lock: &str) -> SweepPlan {
        let point = |key: &str| SweepPoint { key: key.into(), lock: lock.into() };
        let tool = ToolBuild { version: "1".into(), ..Default::default() };
        SweepPlan { points: vec![point("codec=none"), point("codec=lz4")], tool, fingerprint: "m".into() }
    }

    #[test]
    fn a_directory_goes_on_only_with_the_plan_it_was_begun_with() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("mine");
        let now = Timestamp::now();
        let writer = SweepWriter::resume(&dir, now, &plan("seed = 1")).unwrap();
        writer.begin_point(1, "base").unwrap();
        let again = SweepWriter::resume(&dir, now, &plan("seed = 1")).unwrap();
        assert!(
            again.earlier(1, "base").unwrap().is_some() && again.earlier(2, "codec=lz4").unwrap().is_none()
        );
        let error = SweepWriter::resume(&dir, now, &plan("seed = 2")).unwrap_err().to_string();
        assert!(error.contains("codec=none: `seed = 1` is now `seed = 2`"), "{error}");
        std::fs::remove_file(dir.join("plan.json")).unwrap();
        assert!(matches!(SweepWriter::resume(&dir, now, &plan("")), Err(SweepError::NoSweep(_))));
    }

    #[test]
    fn points_build_and_machine_are_part_of_a_plan() {
        let one = plan("");
        let mut fewer = one.clone();
        fewer.points.pop();
        assert!(one.difference(&fewer).unwrap().contains("codec=none; codec=lz4"));
        let mut built = one.clone();
        built.tool.version = "2".into();
        assert!(one.difference(&built).unwrap().contains("another build"));
        let moved = SweepPlan { fingerprint: "n".into(), ..one.clone() };
        assert!(one.difference(&moved).unwrap().contains("another machine"));
        assert_eq!(one.difference(&one), None);
    }
}
