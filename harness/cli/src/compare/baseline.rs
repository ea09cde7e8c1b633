//! Trials kept under a name: `<output>/baselines/<name>`, a run bundle like any other.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use plimsoll_results::{ComparisonDocument, Status};

use crate::exit::UsageError;

/// Where a baseline is kept.
pub(crate) fn path(output: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        bail!(UsageError(format!("baseline {name:?}: a name has letters, digits, `-`, `_` and `.` only")));
    }
    Ok(output.join("baselines").join(name))
}

/// Keeps the first arm's trials, in place of those that had the name before.
pub(crate) fn save(output: &Path, name: &str, document: &ComparisonDocument) -> anyhow::Result<()> {
    let kept = path(output, name)?;
    let bundle = document.arms.first().and_then(|arm| arm.bundle.as_ref());
    let Some(bundle) = bundle.filter(|_| document.status == Status::Ok) else {
        eprintln!("baseline {name} is not kept: the trials did not end well");
        return Ok(());
    };
    let fresh = kept.with_file_name(format!(".{name}.{}", std::process::id()));
    let whole = || format!("baseline {name} cannot be kept in {}", kept.display());
    copy(Path::new(bundle), &fresh).with_context(whole)?;
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(whole)?;
    }
    fs::rename(&fresh, &kept).with_context(whole)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
