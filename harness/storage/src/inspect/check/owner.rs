//! Whether a broker holds a log directory, found out without touching its lock file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{major, minor};

use super::CheckError;

/// Kafka locks with `fcntl`, we with `flock`; the kernel lists both.
pub(crate) fn refuse_if_held(dir: &Path) -> Result<(), CheckError> {
    let Ok(lock) = std::fs::metadata(dir.join(".lock")) else { return Ok(()) };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let file = format!("{:02x}:{:02x}:{}", major(lock.dev()), minor(lock.dev()), lock.ino());
    match holder(&locks, &file) {
        Some(pid) => Err(CheckError::InUse { dir: dir.to_owned(), pid: pid.to_owned() }),
        None => Ok(()),
    }
}

/// The process of the line `1: FLOCK ADVISORY WRITE 4711 fd:01:1234 0 EOF`.
fn holder<'a>(locks: &'a str, file: &str) -> Option<&'a str> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let at = words.iter().position(|word| *word == file)?;
        words.get(at.checked_sub(1)?).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_io::DirectoryLock;

    #[test]
    fn a_directory_in_use_is_refused_with_its_owner() {
        let dir = tempfile::tempdir().expect("temp dir");
        refuse_if_held(dir.path()).expect("nobody was here");
        let lock = DirectoryLock::acquire(dir.path()).expect("lock");
        let error = refuse_if_held(dir.path()).expect_err("held").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        drop(lock);
        refuse_if_held(dir.path()).expect("given up");
    }
}
