//! Small files next to the segments: read whole, replaced atomically, never appended to.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp};

/// Makes the names in a directory durable. Blocks.
pub(crate) fn fsync_directory(path: &Path) -> Result<(), IoFault> {
    #[cfg(test)]
    syncs::note(path);
    plimsoll_io::fsync_directory(path)
}

/// Replaces the file by one with `content`, durably. Blocks.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), IoFault> {
    #[cfg(test)]
    syncs::note(path.parent().unwrap_or(path));
    plimsoll_io::write_atomically(path, content)
}

/// As [`write_atomically`], but whether a crash leaves the old file or the new is settled only by the next
/// [`fsync_directory`], which is the caller's business. Either is whole. Blocks.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), IoFault> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let fault = |op, error| IoFault::new(op, &*temporary, 0, error);
    let mut file = File::create(&temporary).map_err(|e| fault(IoOp::Create, e))?;
    file.write_all(content).map_err(|e| fault(IoOp::Write, e))?;
    file.sync_all().map_err(|e| fault(IoOp::Sync, e))?;
    fs::rename(&temporary, path).map_err(|e| IoFault::new(IoOp::Create, path, 0, e))
}

/// The whole file, or `None` if there is none.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, IoFault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(IoFault::new(IoOp::Read, path, 0, e)),
    }
}

/// When the file's content last changed, in milliseconds since 1970; `None` if there is no file.
pub(crate) fn modified_ms(path: &Path) -> Result<Option<i64>, IoFault> {
    let modified = match fs::metadata(path).and_then(|found| found.modified()) {
        Ok(modified) => modified,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(IoFault::new(IoOp::Read, path, 0, e)),
    };
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since.as_millis()).ok())
}

/// Removes the file; one that is already gone is fine.
pub(crate) fn remove_if_present(path: &Path) -> Result<(), IoFault> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(IoFault::new(IoOp::Remove, path, 0, e)),
        _ => Ok(()),
    }
}

/// Names of the entries of `dir`, sorted; names that are not UTF-8 cannot be ours and are left out.
pub(crate) fn list_names(dir: &Path) -> Result<Vec<String>, IoFault> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    };
    list().map_err(|e| IoFault::new(IoOp::Read, dir, 0, e))
}

/// Which directories were synced.
#[cfg(test)]
pub(crate) mod syncs {
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, PoisonError};

    static SYNCED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(super) fn note(dir: &Path) {
        SYNCED.lock().unwrap_or_else(PoisonError::into_inner).push(dir.to_owned());
    }

    /// `parent` and what lies in it, since the last call.
    pub(crate) fn take(parent: &Path) -> Vec<PathBuf> {
        let mut synced = SYNCED.lock().unwrap_or_else(PoisonError::into_inner);
        synced.extract_if(.., |dir| dir.starts_with(parent)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_none_and_removing_it_is_fine() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("x");
        assert_eq!(read_if_present(&path).expect("read"), None);
        remove_if_present(&path).expect("remove nothing");
        write_atomically(&path, b"one").expect("write");
        assert_eq!(list_names(dir.path()).expect("list"), ["x"]);
        assert_eq!(read_if_present(&path).expect("read"), Some(b"one".to_vec()));
    }
}
