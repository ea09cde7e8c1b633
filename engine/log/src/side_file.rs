//! Small files next to the segments: read whole, replaced atomically, never appended to.

use std::fs;
use std::io;
use std::path::Path;

use plimsoll_io::{IoFault, IoOp};

pub(crate) use plimsoll_io::{fsync_directory, write_atomically};

/// The whole file, or `None` if there is none.
pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, IoFault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(IoFault::new(IoOp::Read, path, 0, e)),
    }
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
