//! Snapshots: the image as a file beside the log, `<index>-<term>.checkpoint` as in Kafka. The first line is a header in
//! JSON, the rest the image in JSON. A file appears under its name when it is whole and synced.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_io::{IoFault, IoOp, fsync_directory, write_atomically};
use plimsoll_log::records::crc32c;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::types::{LogId, SnapshotMeta, TypeConfig};
use crate::{ControlError, Image, METADATA_LOG};

const SUFFIX: &str = ".checkpoint";

/// What a crash leaves of one that was being written.
const UNFINISHED_SUFFIX: &str = ".checkpoint.tmp";

/// What the header is written as.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    meta: SnapshotMeta,
    /// CRC-32C of the image's bytes.
    crc: u32,
    size_bytes: u64,
}

/// A snapshot that was read and found whole.
pub(crate) struct Stored {
    pub(super) meta: SnapshotMeta,
    pub(super) bytes: Vec<u8>,
    pub(super) image: Image,
}

impl Stored {
    /// The last entry that is in it.
    pub(super) fn last(&self) -> Option<LogId> {
        self.meta.last_log_id
    }
}

/// How far snapshots reach, for the log, which gives up nothing that is not in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// The last entry in the newest snapshot.
    pub(super) last: Option<LogId>,
    /// One could not be kept.
    pub(super) failed: bool,
}

/// The directory of snapshots; all but the newest are removed. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    dir: PathBuf,
    /// The newest. Held while files are written, so that an older one never replaces a newer.
    newest: Arc<Mutex<Option<SnapshotMeta>>>,
    kept: Arc<watch::Sender<Kept>>,
}

impl Snapshots {
    /// Finds the newest snapshot under `log_dir` and reads it. One that is damaged is refused: what it holds may be
    /// nowhere else any more. Blocks.
    pub(crate) fn open(log_dir: &Path) -> Result<(Self, Option<Stored>), ControlError> {
        let dir = log_dir.join(METADATA_LOG);
        std::fs::create_dir_all(&dir).map_err(|e| side(IoOp::Create, &dir, e))?;
        let mut names = names(&dir, SUFFIX)?;
        let newest = names.pop().map(|name| read(&dir.join(name))).transpose()?;
        let meta = newest.as_ref().map(|stored| stored.meta.clone());
        let kept = Kept { last: meta.as_ref().and_then(|meta| meta.last_log_id), failed: false };
        let opened =
            Self { dir, newest: Arc::new(Mutex::new(meta)), kept: Arc::new(watch::Sender::new(kept)) };
        names.extend(self::names(&opened.dir, UNFINISHED_SUFFIX)?);
        opened.remove(&names)?;
        Ok((opened, newest))
    }

    /// How far snapshots reach, now and from now on.
    pub(super) fn kept(&self) -> watch::Receiver<Kept> {
        self.kept.subscribe()
    }

    /// Keeps a snapshot, unless a newer one is kept already. Durable on return. Blocks.
    pub(super) fn keep(&self, meta: &SnapshotMeta, bytes: &[u8]) -> Result<(), ControlError> {
        let result = self.write(meta, bytes);
        self.kept.send_modify(|kept| match &result {
            Ok(()) => kept.last = kept.last.max(meta.last_log_id),
            Err(_) => kept.failed = true,
        });
        result
    }

    fn write(&self, meta: &SnapshotMeta, bytes: &[u8]) -> Result<(), ControlError> {
        let mut newest = self.lock();
        if newest.as_ref().is_some_and(|kept| kept.last_log_id > meta.last_log_id) {
            return Ok(());
        }
        let header = Header {
            version: VERSION,
            meta: meta.clone(),
            crc: crc32c(bytes),
            size_bytes: bytes.len() as u64,
        };
        let mut content =
            serde_json::to_vec(&header).map_err(|error| ControlError::Unwritable(error.to_string()))?;
        content.push(b'\n');
        content.extend_from_slice(bytes);
        let name = name(meta);
        write_atomically(&self.dir.join(&name), &content).map_err(ControlError::Side)?;
        *newest = Some(meta.clone());
        let older: Vec<_> = names(&self.dir, SUFFIX)?.into_iter().filter(|other| *other < name).collect();
        self.remove(&older)
    }

    /// The newest snapshot. Blocks.
    pub(super) fn newest(&self) -> Result<Option<openraft::Snapshot<TypeConfig>>, ControlError> {
        let newest = self.lock();
        let Some(meta) = &*newest else { return Ok(None) };
        let Stored { meta, bytes, .. } = read(&self.dir.join(name(meta)))?;
        Ok(Some(openraft::Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }

    fn remove(&self, names: &[String]) -> Result<(), ControlError> {
        for name in names {
            let path = self.dir.join(name);
            std::fs::remove_file(&path).map_err(|error| side(IoOp::Remove, &path, error))?;
        }
        if names.is_empty() { Ok(()) } else { fsync_directory(&self.dir).map_err(ControlError::Side) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<SnapshotMeta>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An image from a snapshot's bytes.
pub(super) fn parse(bytes: &[u8]) -> Result<Image, serde_json::Error> {
    serde_json::from_slice(bytes)
}

fn name(meta: &SnapshotMeta) -> String {
    let (index, term) = meta.last_log_id.map_or((0, 0), |id| (id.index, id.leader_id.term));
    format!("{index:020}-{term:010}{SUFFIX}")
}

/// Names in `dir` that end so; of snapshots, oldest first.
fn names(dir: &Path, suffix: &str) -> Result<Vec<String>, ControlError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| side(IoOp::Read, dir, error))? {
        let entry = entry.map_err(|error| side(IoOp::Read, dir, error))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| name.ends_with(suffix)));
    }
    names.sort_unstable();
    Ok(names)
}

fn read(path: &Path) -> Result<Stored, ControlError> {
    let content = std::fs::read(path).map_err(|error| side(IoOp::Read, path, error))?;
    let damaged = |reason: String| ControlError::Damaged { path: path.to_owned(), reason };
    let line_end = content.iter().position(|byte| *byte == b'\n').unwrap_or(content.len());
    let (header, rest) = content.split_at(line_end);
    let header: Header = serde_json::from_slice(header).map_err(|error| damaged(error.to_string()))?;
    let bytes = rest.get(1..).unwrap_or_default().to_vec();
    if header.version != VERSION {
        return Err(damaged(format!("version {} is not known", header.version)));
    }
    if header.size_bytes != bytes.len() as u64 || header.crc != crc32c(&bytes) {
        return Err(damaged("its checksum is wrong".into()));
    }
    let image = parse(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(Stored { meta: header.meta, bytes, image })
}

fn side(op: IoOp, path: &Path, error: std::io::Error) -> ControlError {
    ControlError::Side(IoFault::new(op, path, 0, error))
}
