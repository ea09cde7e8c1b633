//! Which file is what, by its name.

use std::path::{Path, PathBuf};

use plimsoll_io::{IoFault, IoOp};
use plimsoll_log::layout;

/// What a file of a log directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Record batches.
    Log,
    /// Offsets to positions.
    OffsetIndex,
    /// Timestamps to offsets.
    TimeIndex,
    /// Aborted transactions.
    TxnIndex,
    /// Producer state.
    ProducerSnapshot,
    /// Batches too: a snapshot of Kafka's own metadata log.
    MetadataSnapshot,
    /// Leader epochs of a partition.
    EpochCheckpoint,
    /// An offset of each partition of a log directory.
    OffsetCheckpoint,
    /// `partition.metadata` and `meta.properties`: keys and values.
    Properties,
}

impl FileKind {
    /// The kind of a file with this name; `None` for a name that no file of a log directory has.
    pub fn of(path: &Path) -> Option<Self> {
        const OFFSET_CHECKPOINTS: [&str; 4] = [
            layout::RECOVERY_POINT_CHECKPOINT,
            layout::HIGH_WATERMARK_CHECKPOINT,
            layout::LOG_START_CHECKPOINT,
            "cleaner-offset-checkpoint",
        ];
        let name = path.file_name()?.to_str()?;
        match name {
            layout::EPOCH_CHECKPOINT => return Some(FileKind::EpochCheckpoint),
            layout::PARTITION_METADATA | layout::META_PROPERTIES => return Some(FileKind::Properties),
            _ if OFFSET_CHECKPOINTS.contains(&name) => return Some(FileKind::OffsetCheckpoint),
            _ => {}
        }
        match name.rsplit_once('.')?.1 {
            layout::LOG_SUFFIX => Some(FileKind::Log),
            layout::INDEX_SUFFIX => Some(FileKind::OffsetIndex),
            layout::TIME_INDEX_SUFFIX => Some(FileKind::TimeIndex),
            layout::TXN_INDEX_SUFFIX => Some(FileKind::TxnIndex),
            layout::SNAPSHOT_SUFFIX => Some(FileKind::ProducerSnapshot),
            "checkpoint" => Some(FileKind::MetadataSnapshot),
            _ => None,
        }
    }

    /// The word in documents.
    pub fn name(self) -> &'static str {
        match self {
            FileKind::Log => "log",
            FileKind::OffsetIndex => "index",
            FileKind::TimeIndex => "timeindex",
            FileKind::TxnIndex => "txnindex",
            FileKind::ProducerSnapshot => "snapshot",
            FileKind::MetadataSnapshot => "metadata-snapshot",
            FileKind::EpochCheckpoint => "leader-epoch-checkpoint",
            FileKind::OffsetCheckpoint => "offset-checkpoint",
            FileKind::Properties => "properties",
        }
    }
}

/// The offset in a file's name: what stands before the first dot.
pub(crate) fn base_offset(path: &Path) -> Option<i64> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

/// Files as they are, and directories as the files in them whose kind is known: those of a partition, and of all
/// partitions of a log directory. In the order of their names.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, IoFault> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => collect(path, 1, &mut files)?,
            false => files.push(path.clone()),
        }
    }
    Ok(files)
}

fn collect(dir: &Path, levels: usize, files: &mut Vec<PathBuf>) -> Result<(), IoFault> {
    for path in list(dir)? {
        if path.is_dir() && levels > 0 {
            collect(&path, levels - 1, files)?;
        } else if path.is_file() && FileKind::of(&path).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

/// The entries of a directory, sorted.
pub(crate) fn list(dir: &Path) -> Result<Vec<PathBuf>, IoFault> {
    let fault = |error| IoFault::new(IoOp::Read, dir, 0, error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        paths.push(entry.map_err(fault)?.path());
    }
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are() {
        for (name, kind) in [
            ("00000000000000000042.log", Some(FileKind::Log)),
            ("00000000000000000042.timeindex", Some(FileKind::TimeIndex)),
            ("00000000000000000042.txnindex", Some(FileKind::TxnIndex)),
            ("leader-epoch-checkpoint", Some(FileKind::EpochCheckpoint)),
            ("cleaner-offset-checkpoint", Some(FileKind::OffsetCheckpoint)),
            ("partition.metadata", Some(FileKind::Properties)),
            ("00000000000000000042.log.deleted", None),
            (".lock", None),
        ] {
            assert_eq!(FileKind::of(Path::new(name)), kind, "{name}");
        }
        assert_eq!(base_offset(Path::new("/d/00000000000000000042.log")), Some(42));
        assert_eq!(base_offset(Path::new("x.log")), None);
    }
}
