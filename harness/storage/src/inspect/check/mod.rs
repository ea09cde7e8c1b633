//! Judging log directories by the rules that recovery follows, reading every byte and changing nothing.

mod directory;
mod finding;
mod indexes;
mod owner;
mod partition;
mod segment;
mod side;
mod transactions;

use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;
use plimsoll_log::layout;
use serde::Serialize;

pub use finding::{Finding, Remedy, Severity};
pub(crate) use owner::refuse_if_held;
pub(crate) use transactions::aborted_in;

use super::files;

/// The metadata log, which recovery refuses to cut.
pub(crate) const METADATA_LOG: &str = "__cluster_metadata";

/// A check that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A directory or file cannot be read.
    #[error(transparent)]
    File(#[from] IoFault),
    /// A broker is at work: files would change while they are read.
    #[error("{}: in use by process {pid}; stop it first, files that change cannot be judged", dir.display())]
    InUse {
        /// The log directory.
        dir: PathBuf,
        /// Who holds its lock.
        pid: String,
    },
    /// Neither a log directory nor a partition's.
    #[error("{}: not a directory", .0.display())]
    NoDirectory(PathBuf),
}

/// What one partition's directory holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PartitionReport {
    /// The directory.
    pub dir: PathBuf,
    /// Segments.
    pub segments: usize,
    /// Whole batches.
    pub batches: u64,
    /// Bytes of log read.
    pub bytes: u64,
    /// First offset that a segment may hold.
    pub start_offset: i64,
    /// One past the last valid offset.
    pub end_offset: i64,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// Each partition, in the order of names.
    pub partitions: Vec<PartitionReport>,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// No error was found; warnings and information there may be.
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }

    /// Bytes of log read.
    pub fn bytes(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.bytes).sum()
    }
}

/// Checks log directories, or single partitions' directories. `progress` hears of the bytes read since the last call.
pub fn check(dirs: &[PathBuf], progress: &mut dyn FnMut(u64)) -> Result<CheckReport, CheckError> {
    let mut report = CheckReport::default();
    for dir in dirs {
        refuse_if_held(&log_dir(dir)?)?;
        check_unlocked(dir, progress, &mut report)?;
    }
    directory::compare(dirs, &mut report);
    Ok(report)
}

/// As [`check`], for who holds the lock.
pub(crate) fn check_unlocked(
    dir: &Path,
    progress: &mut dyn FnMut(u64),
    report: &mut CheckReport,
) -> Result<(), CheckError> {
    if is_partition(dir) {
        report.partitions.push(partition::check(dir, progress, &mut report.findings)?);
        return Ok(());
    }
    let mut ends = Vec::new();
    for path in files::list(dir)?.into_iter().filter(|path| path.is_dir()) {
        if !is_partition(&path) {
            directory::judge_name(&path, &mut report.findings);
            continue;
        }
        let checked = partition::check(&path, progress, &mut report.findings)?;
        ends.push((path, checked.end_offset));
        report.partitions.push(checked);
    }
    directory::check(dir, &ends, &mut report.findings)?;
    Ok(())
}

/// The log directory that `dir` is, or lies in.
pub(crate) fn log_dir(dir: &Path) -> Result<PathBuf, CheckError> {
    if !dir.is_dir() {
        return Err(CheckError::NoDirectory(dir.to_owned()));
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(if is_partition(dir) { parent.to_owned() } else { dir.to_owned() })
}

fn is_partition(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    let named = name.and_then(layout::parse_partition_dir).is_some();
    named && !dir.join(layout::META_PROPERTIES).exists()
}

/// Whether this is the directory of the metadata log.
pub(crate) fn is_metadata(dir: &Path) -> bool {
    dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(METADATA_LOG))
}
