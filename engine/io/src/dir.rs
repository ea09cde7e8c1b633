//! Directories: durable entries, small files replaced whole, and one owner at a time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::fault::{FaultKind, IoFault, IoOp};

/// Makes the entries of a directory durable: creations, removals and renames in it that came before.
/// Blocks.
pub fn fsync_directory(path: &Path) -> Result<(), IoFault> {
    let directory = File::open(path).map_err(|error| IoFault::new(IoOp::Open, path, 0, error))?;
    directory.sync_all().map_err(|error| IoFault::new(IoOp::Sync, path, 0, error))
}

/// Replaces a small file so that a reader, also one after a crash, finds the old content or the new, whole.
/// Writes `<path>.tmp`, syncs it, renames it over `path` and syncs the directory. Blocks.
///
/// One writer per path at a time: the caller's lock sees to that.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), IoFault> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file =
        File::create(&temporary).map_err(|error| IoFault::new(IoOp::Create, &*temporary, 0, error))?;
    file.write_all(content).map_err(|error| IoFault::new(IoOp::Write, &*temporary, 0, error))?;
    file.sync_all().map_err(|error| IoFault::new(IoOp::Sync, &*temporary, 0, error))?;
    fs::rename(&temporary, path).map_err(|error| IoFault::new(IoOp::Create, path, 0, error))?;
    fsync_directory(parent(path))
}

/// The directory of a path; a bare name lies in the current one.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Exclusive ownership of a directory by one process, through `flock` on its `.lock` file as Kafka does.
/// Dropping it, or the death of the process, gives it up; the file stays.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
    path: PathBuf,
}

impl DirectoryLock {
    /// Takes the lock or fails at once with [`FaultKind::Busy`] and a message that names the file and, where
    /// known, the process that holds it.
    pub fn acquire(directory: &Path) -> Result<DirectoryLock, IoFault> {
        let path = directory.join(".lock");
        let fault = |error: io::Error| IoFault::new(IoOp::Lock, &*path, 0, error);
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(fault)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held_by_another(&path, &mut file)),
            Err(errno) => return Err(fault(errno.into())),
        }
        note_owner(&mut file).map_err(fault)?;
        Ok(DirectoryLock { _file: file, path })
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Leaves our process id in the file, for the message that the next process prints.
fn note_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    write!(file, "{}", std::process::id())
}

fn held_by_another(path: &Path, file: &mut File) -> IoFault {
    let mut owner = String::new();
    // The owner's id is a courtesy; a file that cannot be read still means "held".
    let known = file.take(32).read_to_string(&mut owner).is_ok();
    let by = if known && !owner.trim().is_empty() {
        format!(" (process {})", owner.trim())
    } else {
        String::new()
    };
    let text = format!("another process{by} holds {}: stop it or use another directory", path.display());
    IoFault::with_kind(IoOp::Lock, path, 0, FaultKind::Busy, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_lock_is_refused_and_names_the_path_and_drop_frees_it() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        let fault = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Busy);
        let text = fault.to_string();
        assert!(text.contains(&lock.path().display().to_string()), "{text}");
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        drop(lock);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn atomic_write_replaces_whole_and_leaves_no_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("recovery-point-offset-checkpoint");
        write_atomically(&path, b"a longer first content").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn missing_directory_is_an_error_with_its_path() {
        let fault = fsync_directory(Path::new("/nonexistent/plimsoll")).unwrap_err();
        assert_eq!((fault.kind, fault.errno()), (FaultKind::NotFound, Some(libc::ENOENT)));
        assert!(fault.to_string().contains("/nonexistent/plimsoll"));
    }
}
