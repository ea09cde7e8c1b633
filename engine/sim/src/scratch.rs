//! Directories for images and copies: of a disk already, so where there is a file system in memory they go there.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

/// Begins the names; the process's id follows.
const PREFIX: &str = "plimsoll-faults-";

fn home() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// A directory that is gone with the value.
pub fn directory() -> Result<TempDir> {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(home())?)
}

/// Removes those of processes that were killed.
pub fn clear_leftovers() -> Result<()> {
    for entry in std::fs::read_dir(home())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            std::fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}
