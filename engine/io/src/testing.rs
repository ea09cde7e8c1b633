//! Where tests put their files.

use tempfile::TempDir;

/// A directory beside the test program: temporary directories may lie on a file system without direct I/O.
pub(crate) fn directory() -> TempDir {
    let program = std::env::current_exe().unwrap();
    tempfile::tempdir_in(program.parent().unwrap()).unwrap()
}
