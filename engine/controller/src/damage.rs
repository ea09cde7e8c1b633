//! Whether a metadata log lost commands. Looked at before the log is opened, because opening cuts it.
//!
//! A command is synced before its answer and before the next one is written, so a crash can tear only the
//! last batch. Whatever is whole behind a bad batch was once answered, and must not be cut off silently.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use plimsoll_io::{IoFault, IoOp};
use plimsoll_log::layout::{self, LOG_SUFFIX};
use plimsoll_log::records::{BATCH_HEADER_BYTES, Batch, BatchHeader};

use crate::ControlError;

/// Where the magic stands in a batch, and what it is.
const MAGIC: (usize, u8) = (16, 2);

/// Refuses the log in `dir` if a batch is missing or damaged that was not the last. What lies below `start_offset` was
/// cut off, and may be missing. Changes nothing.
pub(crate) fn check(dir: &Path, start_offset: i64) -> Result<(), ControlError> {
    let segments = segments(dir)?;
    let last_base = segments.last().map(|(base_offset, _)| *base_offset);
    let mut next_offset = 0;
    for (base_offset, path) in segments {
        let damaged = |at_bytes: usize, offset, problem: &str| {
            let path = path.display();
            let reason = format!(
                "{path} is damaged at byte {at_bytes}: {problem}; commands that were answered would be lost, so nothing was changed"
            );
            ControlError::Corrupt { offset, reason }
        };
        if base_offset != next_offset && base_offset > start_offset {
            let problem =
                format!("it begins at offset {base_offset}, where offset {next_offset} should follow");
            return Err(damaged(0, next_offset, &problem));
        }
        let bytes = Bytes::from(std::fs::read(&path).map_err(|e| unreadable(&path, e))?);
        let (at_bytes, end_offset, problem) = walk(&bytes, base_offset);
        next_offset = end_offset;
        let Some(problem) = problem else { continue };
        let more_follows = Some(base_offset) != last_base || holds_batch(&bytes, at_bytes);
        if more_follows {
            return Err(damaged(at_bytes, end_offset, &problem));
        }
    }
    Ok(())
}

/// The log's segments with their base offsets, oldest first; none if there is no log yet.
fn segments(dir: &Path) -> Result<Vec<(i64, PathBuf)>, ControlError> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(dir, error)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(dir, error))?;
        let name = entry.file_name();
        if let Some((base_offset, LOG_SUFFIX)) = name.to_str().and_then(layout::parse_segment_name) {
            segments.push((base_offset, entry.path()));
        }
    }
    segments.sort();
    Ok(segments)
}

/// Goes from batch to batch: where the last whole one ends, the offset after it, and what is wrong with what
/// follows, if it is not only reserved space.
fn walk(bytes: &Bytes, base_offset: i64) -> (usize, i64, Option<String>) {
    let (mut at_bytes, mut next_offset) = (0, base_offset);
    loop {
        let rest = bytes.get(at_bytes..).unwrap_or_default();
        if rest.iter().all(|byte| *byte == 0) {
            return (at_bytes, next_offset, None);
        }
        match batch_at(bytes, at_bytes) {
            Ok(header) if header.base_offset == next_offset => {
                at_bytes += header.size_bytes();
                next_offset = header.next_offset();
            }
            Ok(header) => {
                let found = header.base_offset;
                let problem = format!("a batch of offset {found} stands where {next_offset} should follow");
                return (at_bytes, next_offset, Some(problem));
            }
            Err(problem) => return (at_bytes, next_offset, Some(problem)),
        }
    }
}

/// The batch at this place, whole and with a true checksum.
fn batch_at(bytes: &Bytes, at_bytes: usize) -> Result<BatchHeader, String> {
    let rest = bytes.slice(at_bytes.min(bytes.len())..);
    let header = BatchHeader::parse(&rest).map_err(|error| error.to_string())?;
    let size_bytes = header.size_bytes();
    if size_bytes > rest.len() {
        return Err(format!("a batch of {size_bytes} bytes is cut after {}", rest.len()));
    }
    let batch = Batch::from_bytes(rest.slice(..size_bytes)).map_err(|error| error.to_string())?;
    batch.verify_crc().map_err(|error| error.to_string())?;
    Ok(header)
}

/// Whether a whole batch begins anywhere from here on; lengths before it are not believed.
fn holds_batch(bytes: &Bytes, from_bytes: usize) -> bool {
    let (magic_at, magic) = MAGIC;
    let last = (bytes.len() + 1).saturating_sub(BATCH_HEADER_BYTES);
    (from_bytes..last).any(|at| bytes.get(at + magic_at) == Some(&magic) && batch_at(bytes, at).is_ok())
}

fn unreadable(path: &Path, error: std::io::Error) -> ControlError {
    ControlError::Open(IoFault::new(IoOp::Read, path, 0, error).into())
}
