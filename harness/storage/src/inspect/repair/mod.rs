//! Mending what a check found, as recovery would, and keeping what recovery would throw away.
//!
//! Steps are ordered so that a crash between any two leaves a directory that a broker's own recovery can open: the mark
//! of a clean stop goes first and checkpoints are lowered, then files are cut or moved, each copy durable before the
//! original changes, and last the engine opens and closes the partitions, which scans them and writes indexes,
//! snapshots and epochs anew. The metadata log is never cut.

mod files;
mod recover;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plimsoll_io::{DirectoryLock, IoFault};
use plimsoll_log::{LogError, SideError, layout};
use serde::Serialize;

use super::check::{self, CheckError, CheckReport, Finding, Remedy};

/// A repair that could not be made or finished. It can be run again.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The directories cannot be checked.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A file cannot be changed, or another process holds the directory.
    #[error(transparent)]
    File(#[from] IoFault),
    /// A small file is damaged in a way that repair does not mend.
    #[error(transparent)]
    Side(#[from] SideError),
    /// The engine cannot open a partition.
    #[error("{}: {source}", dir.display())]
    Log {
        /// The partition's directory.
        dir: PathBuf,
        /// Why.
        source: Box<LogError>,
    },
    /// No runtime to open logs in.
    #[error("no runtime to open logs in: {0}")]
    Runtime(std::io::Error),
}

/// What a repair did, or would do.
#[derive(Debug, Default, Serialize)]
pub struct RepairReport {
    /// The findings that it mends, in the order of its steps.
    pub steps: Vec<Finding>,
    /// Files that keep what was cut.
    pub kept: Vec<PathBuf>,
    /// What a check finds afterwards; of a dry run, what it found.
    pub remaining: CheckReport,
}

/// How to repair.
#[derive(Clone, Copy, Debug)]
pub struct RepairOptions {
    /// Changes files; without, only says what would be done.
    pub apply: bool,
    /// Throws away what is cut instead of keeping it beside.
    pub discard: bool,
}

/// Checks `dirs` and mends them. `progress` hears of the bytes read since the last call.
///
/// Each log directory is locked meanwhile, so that no broker can begin to serve it.
pub fn repair(
    dirs: &[PathBuf],
    options: RepairOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<RepairReport, RepairError> {
    if !options.apply {
        let remaining = check::check(dirs, progress)?;
        return Ok(RepairReport { steps: steps(&remaining), kept: Vec::new(), remaining });
    }
    let mut report = RepairReport::default();
    for dir in dirs {
        let log_dir = check::log_dir(dir)?;
        let _lock = DirectoryLock::acquire(&log_dir)?;
        let mut found = CheckReport::default();
        check::check_unlocked(dir, progress, &mut found)?;
        let steps = steps(&found);
        apply(&log_dir, &steps, options, &mut report.kept)?;
        report.steps.extend(steps);
        check::check_unlocked(dir, progress, &mut report.remaining)?;
    }
    Ok(report)
}

/// What can be mended, in the order in which it is: checkpoints, then files, then what recovery does.
fn steps(found: &CheckReport) -> Vec<Finding> {
    let mut steps: Vec<Finding> = found.findings.iter().filter(|f| f.remedy.is_some()).cloned().collect();
    steps.sort_by_key(|finding| match finding.remedy {
        Some(Remedy::LowerCheckpoint { .. }) | None => 0,
        Some(Remedy::Cut { .. } | Remedy::SetAside | Remedy::Remove) => 1,
        Some(Remedy::RebuildTxnIndex) => 2,
        Some(Remedy::Recover) => 3,
    });
    steps
}

fn apply(
    log_dir: &Path,
    steps: &[Finding],
    options: RepairOptions,
    kept: &mut Vec<PathBuf>,
) -> Result<(), RepairError> {
    if !steps.is_empty() {
        // Recovery must not believe in a clean stop while files change.
        plimsoll_log::take_clean_shutdown(log_dir)?;
    }
    for step in steps {
        let copy = match &step.remedy {
            Some(Remedy::LowerCheckpoint { partition, to_offset }) => {
                files::lower_checkpoint(&step.file, partition, *to_offset)?;
                None
            }
            Some(Remedy::Cut { at_bytes }) => files::cut(&step.file, *at_bytes, options.discard)?,
            Some(Remedy::SetAside) => files::set_aside(&step.file, options.discard)?,
            Some(Remedy::Remove) => {
                files::remove(&step.file)?;
                None
            }
            Some(Remedy::RebuildTxnIndex) => {
                files::rebuild_txn_index(&step.file)?;
                None
            }
            Some(Remedy::Recover) | None => None,
        };
        kept.extend(copy);
    }
    recover::reopen(log_dir, &partitions_of(steps))
}

/// The partitions whose files were changed, or are for recovery to change.
fn partitions_of(steps: &[Finding]) -> BTreeSet<PathBuf> {
    let dirs = steps.iter().filter_map(|step| step.file.parent());
    let partition = |dir: &&Path| {
        let name = dir.file_name().and_then(|name| name.to_str());
        name.and_then(layout::parse_partition_dir).is_some() && !check::is_metadata(dir)
    };
    dirs.filter(partition).map(Path::to_owned).collect()
}
