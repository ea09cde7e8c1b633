//! Directories for targets that read files.

use std::path::Path;

use tempfile::TempDir;

/// An empty directory, in memory where the system has a place for that: a fuzzer's syncs need no disk.
///
/// # Panics
/// When none can be made.
pub(crate) fn directory() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    let made = tempfile::tempdir_in(in_memory).or_else(|_| tempfile::tempdir());
    made.unwrap_or_else(|error| panic!("no scratch directory: {error}"))
}

/// Writes `bytes` to `path`.
///
/// # Panics
/// When that fails.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
