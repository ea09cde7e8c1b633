//! Forgetting what the page cache says of a file, so that the next read asks the device.

use std::fs::File;
use std::path::Path;

use rustix::fs::Advice;

use crate::fault::{IoFault, IoOp};
use crate::residency::{PAGE_BYTES, cached_pages};

/// Writes out the file's dirty pages and asks the kernel to drop the clean ones. Blocks.
///
/// After a failed write-back the kernel marks the lost pages clean and keeps them (Rebello et al., USENIX ATC 2020):
/// whoever reads them finds bytes that are on no device. A failure of the write-out itself is a fault of
/// [`IoOp::Sync`]; the file must not be believed then.
///
/// This is advice and no guarantee. The kernel keeps pages that are mapped, locked or in use elsewhere, and file
/// systems in memory have nothing to drop to; nothing says which pages stayed. So call it before the file is read,
/// by map or otherwise. Only a restart of the machine, or direct reads, leave no doubt.
pub fn drop_cached(path: &Path) -> Result<(), IoFault> {
    let file = File::open(path).map_err(|error| IoFault::new(IoOp::Open, path, 0, error))?;
    // Dirty pages cannot be dropped. Once, as everywhere: a second success would prove nothing.
    rustix::fs::fdatasync(&file).map_err(|errno| IoFault::new(IoOp::Sync, path, 0, errno.into()))?;
    // No length: to the end of the file.
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)
        .map_err(|errno| IoFault::new(IoOp::Read, path, 0, errno.into()))
}

/// Reads the whole file through the page cache, which then holds it as far as there is room. Blocks.
///
/// # Errors
/// A fault of [`IoOp::Open`] or [`IoOp::Read`].
pub fn load_cached(path: &Path) -> Result<(), IoFault> {
    let mut file = File::open(path).map_err(|error| IoFault::new(IoOp::Open, path, 0, error))?;
    let read = std::io::copy(&mut file, &mut std::io::sink());
    read.map(drop).map_err(|error| IoFault::new(IoOp::Read, path, 0, error))
}

/// How many of the file's bytes the page cache holds, and how many there are; `None` where the kernel (before Linux
/// 6.5) or the file system cannot tell.
///
/// # Errors
/// A fault of [`IoOp::Open`].
pub fn cached_bytes(path: &Path) -> Result<Option<(u64, u64)>, IoFault> {
    let file = File::open(path).map_err(|error| IoFault::new(IoOp::Open, path, 0, error))?;
    let length = file.metadata().map_err(|error| IoFault::new(IoOp::Open, path, 0, error))?.len();
    let pages = if length == 0 { Some(0) } else { cached_pages(&file, 0, length) };
    Ok(pages.map(|pages| ((pages * PAGE_BYTES).min(length), length)))
}

#[cfg(test)]
mod tests {
    use std::io::{IoSliceMut, Write};

    use rustix::io::{Errno, ReadWriteFlags};

    use super::*;
    use crate::fault::FaultKind;

    /// Whether the first page is in memory; `None` where the file system cannot tell.
    fn is_cached(path: &Path) -> Option<bool> {
        let file = File::open(path).unwrap();
        let mut byte = [0];
        match rustix::io::preadv2(&file, &mut [IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT) {
            Ok(_) => Some(true),
            Err(Errno::AGAIN) => Some(false),
            Err(_) => None,
        }
    }

    #[test]
    fn dropped_pages_are_read_from_the_device_again_and_unchanged() {
        // Beside the sources, since the directory for temporary files may be one in memory.
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("00000000000000000000.log");
        let content: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        File::create(&path).unwrap().write_all(&content).unwrap();
        let before = is_cached(&path);
        assert_ne!(before, Some(false), "just written");
        let held = |path| cached_bytes(path).unwrap().map(|(cached, length)| (cached, length == 1_000_000));
        drop_cached(&path).unwrap();
        assert!(held(&path).is_none_or(|found| found == (0, true)));
        load_cached(&path).unwrap();
        assert!(held(&path).is_none_or(|found| found == (1_000_000, true)));
        drop_cached(&path).unwrap();
        if before.is_some() {
            assert_eq!(is_cached(&path), Some(false));
        }
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }

    #[test]
    fn a_missing_file_is_a_fault_with_its_path() {
        let fault = drop_cached(Path::new("/nonexistent/plimsoll.log")).unwrap_err();
        assert_eq!((fault.op, fault.kind), (IoOp::Open, FaultKind::NotFound));
        assert!(fault.to_string().contains("/nonexistent/plimsoll.log"));
    }
}
