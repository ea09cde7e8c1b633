//! The changes to single files. Each is durable on return, and repeating it does no harm.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp, fsync_directory, write_atomically};
use plimsoll_log::{OffsetCheckpoint, TopicPartition, layout};

use super::RepairError;
use crate::inspect::check::aborted_in;
use crate::inspect::files;

/// Cuts the file at `at_bytes`; what is behind is copied beside first, and the copy's name returned.
pub(crate) fn cut(path: &Path, at_bytes: u64, discard: bool) -> Result<Option<PathBuf>, IoFault> {
    let fault = |op, error| IoFault::new(op, path, at_bytes, error);
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| fault(IoOp::Open, e))?;
    let copy = match discard {
        true => None,
        false => Some(copy_from(&mut file, path, at_bytes)?),
    };
    file.set_len(at_bytes).map_err(|e| fault(IoOp::Write, e))?;
    file.sync_all().map_err(|e| fault(IoOp::Sync, e))?;
    Ok(copy)
}

fn copy_from(file: &mut File, path: &Path, at_bytes: u64) -> Result<PathBuf, IoFault> {
    let to = free_name(path);
    let fault = |op, error| IoFault::new(op, &*to, 0, error);
    file.seek(SeekFrom::Start(at_bytes)).map_err(|e| IoFault::new(IoOp::Read, path, at_bytes, e))?;
    let mut copy = File::create_new(&to).map_err(|e| fault(IoOp::Create, e))?;
    std::io::copy(&mut file.take(u64::MAX), &mut copy).map_err(|e| fault(IoOp::Write, e))?;
    copy.sync_all().map_err(|e| fault(IoOp::Sync, e))?;
    fsync_directory(parent(path))?;
    Ok(to)
}

/// Moves the file out of the way, and with a segment's log its indexes, which say nothing without it.
pub(crate) fn set_aside(path: &Path, discard: bool) -> Result<Option<PathBuf>, IoFault> {
    if path.extension().is_some_and(|suffix| suffix == layout::LOG_SUFFIX) {
        for suffix in [layout::INDEX_SUFFIX, layout::TIME_INDEX_SUFFIX, layout::TXN_INDEX_SUFFIX] {
            let index = path.with_extension(suffix);
            if index.exists() {
                remove(&index)?;
            }
        }
    }
    if discard {
        return remove(path).map(|()| None);
    }
    let to = free_name(path);
    fs::rename(path, &to).map_err(|error| IoFault::new(IoOp::Create, &*to, 0, error))?;
    fsync_directory(parent(path))?;
    Ok(Some(to))
}

/// Removes the file; one that is already gone is fine.
pub(crate) fn remove(path: &Path) -> Result<(), IoFault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(IoFault::new(IoOp::Remove, path, 0, error))
        }
        _ => fsync_directory(parent(path)),
    }
}

/// Sets a partition's entry to the log's end.
pub(crate) fn lower_checkpoint(path: &Path, partition: &str, to_offset: i64) -> Result<(), RepairError> {
    let Some((topic, partition)) = layout::parse_partition_dir(partition) else { return Ok(()) };
    let mut checkpoint = OffsetCheckpoint::read(path)?;
    checkpoint.offsets.insert(TopicPartition::new(topic, partition), to_offset);
    Ok(checkpoint.write(path)?)
}

/// Writes a segment's transaction index from the markers in the log.
pub(crate) fn rebuild_txn_index(path: &Path) -> Result<(), IoFault> {
    let log = path.with_extension(layout::LOG_SUFFIX);
    let is_log = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == layout::LOG_SUFFIX);
    let logs: Vec<PathBuf> = files::list(parent(path))?.into_iter().filter(is_log).collect();
    let aborted = aborted_in(&logs, &log)?;
    match aborted.is_empty() {
        true => remove(path),
        false => write_atomically(path, &aborted.iter().flat_map(|txn| txn.to_bytes()).collect::<Vec<u8>>()),
    }
}

/// `<file>.cut`, or with a number if an earlier repair has left one.
fn free_name(path: &Path) -> PathBuf {
    let named = |suffix: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let numbered = (1_u32..).map(|n| named(format!(".{n}.cut")));
    let mut names = std::iter::once(named(".cut".to_owned())).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| named(".cut".to_owned()))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
