//! One log directory: who owns it, how its disk is reached, what is noted of its partitions, and whether it still works.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use plimsoll_io::{AnyStore, DirectoryLock, IoFault};
use plimsoll_log::{
    MetaProperties, OffsetCheckpoint, TopicPartition, clean_shutdown_epoch, decode_id, encode_id, layout,
    take_clean_shutdown, write_clean_shutdown,
};
use plimsoll_wire::Uuid;
use tokio::sync::Notify;
use tracing::info;

use super::CheckpointFile;
use crate::error::BrokerError;
use crate::partition::Recovery;

/// A log directory that was opened. Once its disk fails it is offline until the next start.
#[derive(Debug)]
pub(crate) struct LogDir {
    path: PathBuf,
    meta: MetaProperties,
    directory_id: Uuid,
    /// It is empty, and `meta` is to be written into it once it is sure that it should be.
    unformatted: bool,
    store: AnyStore,
    recovery_points: CheckpointFile,
    log_starts: CheckpointFile,
    high_watermarks: CheckpointFile,
    /// Where each compacted log is dirty from.
    pub(crate) cleaned: CheckpointFile,
    fault: OnceLock<Arc<IoFault>>,
    syncs: AtomicU64,
    /// Tells the supervisor that some directory failed.
    failed: Arc<Notify>,
    _lock: DirectoryLock,
}

/// What a directory's small files said at the start.
#[derive(Debug)]
pub(crate) struct Notes {
    points: OffsetCheckpoint,
    starts: OffsetCheckpoint,
    high_watermarks: OffsetCheckpoint,
    clean: bool,
}

impl Notes {
    /// How to recover one of the directory's logs.
    pub(crate) fn recovery(&self, topic: &str, index: i32) -> Recovery {
        let key = TopicPartition::new(topic, index);
        let of = |checkpoint: &OffsetCheckpoint| checkpoint.offsets.get(&key).copied();
        let (point, log_start) = (of(&self.points), of(&self.starts));
        Recovery { point, log_start, high_watermark: of(&self.high_watermarks), clean: self.clean }
    }
}

impl LogDir {
    /// Makes the directory if need be and locks it. The first one is formatted if it is empty, the others are not until
    /// [`LogDir::format`].
    pub(super) fn open(
        path: PathBuf,
        node_id: i32,
        cluster: Belongs<'_>,
        store: AnyStore,
        failed: Arc<Notify>,
    ) -> Result<Self, BrokerError> {
        std::fs::create_dir_all(&path)
            .map_err(|source| BrokerError::LogDir { path: path.clone(), source })?;
        let lock = DirectoryLock::acquire(&path)?;
        let (meta, unformatted) = identify(&path, node_id, cluster)?;
        let directory_id = decode_id(&meta.directory_id).unwrap_or_else(|| {
            // Kafka writes nothing else; whatever is there names the directory all the same.
            Uuid::from_u128(meta.directory_id.bytes().fold(0, |id, byte| (id << 8) ^ u128::from(byte)))
        });
        Ok(Self {
            recovery_points: CheckpointFile::new(&path, layout::RECOVERY_POINT_CHECKPOINT),
            log_starts: CheckpointFile::new(&path, layout::LOG_START_CHECKPOINT),
            high_watermarks: CheckpointFile::new(&path, layout::HIGH_WATERMARK_CHECKPOINT),
            cleaned: CheckpointFile::new(&path, layout::CLEANER_CHECKPOINT),
            path,
            meta,
            directory_id,
            unformatted,
            store,
            fault: OnceLock::new(),
            syncs: AtomicU64::new(0),
            failed,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was empty and nothing was written into it yet.
    pub(super) fn is_unformatted(&self) -> bool {
        self.unformatted
    }

    /// Makes an empty directory this node's.
    pub(super) fn format(&self) -> Result<(), BrokerError> {
        if self.unformatted { write(&self.path, &self.meta) } else { Ok(()) }
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.meta.cluster_id
    }

    /// `directory.id`: new whenever the disk is.
    pub(crate) fn directory_id(&self) -> Uuid {
        self.directory_id
    }

    pub(crate) fn store(&self) -> &AnyStore {
        &self.store
    }

    /// Counts a sync by which the durable mark of one of its partitions moved.
    pub(crate) fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were since the start.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Takes the directory out of service for good. The first fault stays.
    pub(crate) fn fail(&self, fault: Arc<IoFault>) {
        if self.fault.set(fault).is_ok() {
            self.failed.notify_one();
        }
    }

    /// Why the directory is offline, if it is.
    pub(crate) fn fault(&self) -> Option<&Arc<IoFault>> {
        self.fault.get()
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.fault.get().is_some()
    }

    /// Reads the notes of the last run and takes the clean-shutdown marker. Call it before any log is touched: a
    /// crash from then on, also while opening, is seen as one.
    pub(super) fn take_notes(&self) -> Result<Notes, BrokerError> {
        let clean = take_clean_shutdown(&self.path)?;
        Ok(Notes {
            points: self.recovery_points.read_at_start()?,
            starts: self.log_starts.read_at_start()?,
            high_watermarks: self.high_watermarks.read_at_start()?,
            clean,
        })
    }

    /// Writes down below which offset each log is known to be whole.
    pub(crate) async fn note_recovery_points(
        &self,
        gather: impl FnOnce() -> OffsetCheckpoint,
    ) -> Result<(), BrokerError> {
        self.heed(self.recovery_points.write(gather).await)
    }

    /// Writes down where each log starts.
    pub(crate) async fn note_log_starts(
        &self,
        gather: impl FnOnce() -> OffsetCheckpoint,
    ) -> Result<(), BrokerError> {
        self.heed(self.log_starts.write(gather).await)
    }

    /// Writes down up to where each partition may be consumed: its high watermark, from which a replica goes on after a
    /// restart.
    pub(crate) async fn note_high_watermarks(
        &self,
        gather: impl FnOnce() -> OffsetCheckpoint,
    ) -> Result<(), BrokerError> {
        self.heed(self.high_watermarks.write(gather).await)
    }

    /// The broker epoch that the last run left in the clean-shutdown marker, if it stopped cleanly.
    pub(crate) fn clean_shutdown_epoch(&self) -> Result<Option<i64>, BrokerError> {
        Ok(clean_shutdown_epoch(&self.path)?)
    }

    /// Leaves the clean-shutdown marker, as the last thing that is done here.
    pub(crate) fn leave_clean(&self, broker_epoch: i64) -> Result<(), BrokerError> {
        Ok(write_clean_shutdown(&self.path, broker_epoch)?)
    }

    /// Passes an outcome on; a failed device takes the directory out of service.
    pub(crate) fn heed<T>(&self, outcome: Result<T, BrokerError>) -> Result<T, BrokerError> {
        if let Some(fault) = outcome.as_ref().err().and_then(BrokerError::fault)
            && fault.is_poison()
        {
            self.fail(Arc::new(fault.clone()));
        }
        outcome
    }
}

/// Which cluster a directory is to belong to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Belongs<'a> {
    /// The first directory: the configured one, if one is.
    Configured(Option<&'a str>),
    /// The first directory of a node that is its own cluster: any, or a new one.
    ToItself,
    /// Any other directory: the first one's.
    WithFirst(&'a str),
}

/// Reads `meta.properties`, or makes up what is to be in it; says whether that is still to be written. The first directory
/// is formatted here.
fn identify(path: &Path, node_id: i32, cluster: Belongs<'_>) -> Result<(MetaProperties, bool), BrokerError> {
    if let Some(meta) = MetaProperties::read(path)? {
        let (path, found) = (path.to_path_buf(), meta.cluster_id.clone());
        return match cluster {
            _ if meta.node_id != node_id => {
                Err(BrokerError::OtherNode { path, found: meta.node_id, configured: node_id })
            }
            Belongs::WithFirst(expected) if found != expected => {
                Err(BrokerError::OtherCluster { path, found, expected: expected.to_owned() })
            }
            Belongs::Configured(Some(configured)) if found != configured => {
                Err(BrokerError::OtherClusterId { path, found, configured: configured.to_owned() })
            }
            _ => Ok((meta, false)),
        };
    }
    let cluster_id = match cluster {
        Belongs::Configured(None) => return Err(BrokerError::NoClusterId { path: path.to_path_buf() }),
        Belongs::Configured(Some(id)) | Belongs::WithFirst(id) => id.to_owned(),
        Belongs::ToItself => encode_id(Uuid::new_v4()),
    };
    let meta = MetaProperties { cluster_id, node_id, directory_id: encode_id(Uuid::new_v4()) };
    if matches!(cluster, Belongs::WithFirst(_)) {
        return Ok((meta, true));
    }
    write(path, &meta)?;
    Ok((meta, false))
}

fn write(path: &Path, meta: &MetaProperties) -> Result<(), BrokerError> {
    meta.write(path)?;
    info!("formatted {} for node {} of cluster {}", path.display(), meta.node_id, meta.cluster_id);
    Ok(())
}
