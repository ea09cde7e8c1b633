//! One log directory: who owns it, how its disk is reached, what is noted of its partitions, and whether it still works.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use plimsoll_io::{AnyStore, DirectoryLock, IoFault};
use plimsoll_log::{
    MetaProperties, OffsetCheckpoint, TopicPartition, encode_id, layout, take_clean_shutdown,
    write_clean_shutdown,
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
    cluster_id: String,
    /// What is to be written into a directory that was empty, once it is sure that it should be.
    unformatted: Option<MetaProperties>,
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
    clean: bool,
}

impl Notes {
    /// How to recover one of the directory's logs.
    pub(crate) fn recovery(&self, topic: &str, index: i32) -> Recovery {
        let key = TopicPartition::new(topic, index);
        let of = |checkpoint: &OffsetCheckpoint| checkpoint.offsets.get(&key).copied();
        Recovery { point: of(&self.points), log_start: of(&self.starts), clean: self.clean }
    }
}

impl LogDir {
    /// Makes the directory if need be and locks it. `cluster_id` is that of the first directory; the first one brings
    /// its own and is formatted if it is empty. The others are not until [`LogDir::format`].
    pub(super) fn open(
        path: PathBuf,
        (node_id, cluster_id): (i32, Option<&str>),
        store: AnyStore,
        failed: Arc<Notify>,
    ) -> Result<Self, BrokerError> {
        std::fs::create_dir_all(&path)
            .map_err(|source| BrokerError::LogDir { path: path.clone(), source })?;
        let lock = DirectoryLock::acquire(&path)?;
        let (cluster_id, unformatted) = identify(&path, node_id, cluster_id)?;
        Ok(Self {
            recovery_points: CheckpointFile::new(&path, layout::RECOVERY_POINT_CHECKPOINT),
            log_starts: CheckpointFile::new(&path, layout::LOG_START_CHECKPOINT),
            high_watermarks: CheckpointFile::new(&path, layout::HIGH_WATERMARK_CHECKPOINT),
            cleaned: CheckpointFile::new(&path, layout::CLEANER_CHECKPOINT),
            path,
            cluster_id,
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
        self.unformatted.is_some()
    }

    /// Makes an empty directory this node's.
    pub(super) fn format(&self) -> Result<(), BrokerError> {
        let Some(meta) = &self.unformatted else { return Ok(()) };
        meta.write(&self.path)?;
        info!("formatted {} for node {} of cluster {}", self.path.display(), meta.node_id, meta.cluster_id);
        Ok(())
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
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

    /// Writes down up to where each partition may be consumed. Nothing of ours reads it while a partition has one replica;
    /// Kafka and its tools do.
    pub(crate) async fn note_high_watermarks(
        &self,
        gather: impl FnOnce() -> OffsetCheckpoint,
    ) -> Result<(), BrokerError> {
        self.heed(self.high_watermarks.write(gather).await)
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

/// Reads `meta.properties`; returns the cluster id, and what is still to be written into an empty directory. The first
/// directory, which no cluster id comes with, is formatted here.
fn identify(
    path: &Path,
    node_id: i32,
    cluster_id: Option<&str>,
) -> Result<(String, Option<MetaProperties>), BrokerError> {
    if let Some(meta) = MetaProperties::read(path)? {
        let path = path.to_path_buf();
        return match cluster_id {
            _ if meta.node_id != node_id => {
                Err(BrokerError::OtherNode { path, found: meta.node_id, configured: node_id })
            }
            Some(expected) if meta.cluster_id != expected => {
                let expected = expected.to_owned();
                Err(BrokerError::OtherCluster { path, found: meta.cluster_id, expected })
            }
            _ => Ok((meta.cluster_id, None)),
        };
    }
    let meta = MetaProperties {
        cluster_id: cluster_id.map_or_else(|| encode_id(Uuid::new_v4()), str::to_owned),
        node_id,
        directory_id: encode_id(Uuid::new_v4()),
    };
    if cluster_id.is_some() {
        return Ok((meta.cluster_id.clone(), Some(meta)));
    }
    meta.write(path)?;
    info!("formatted {} for node {node_id} of cluster {}", path.display(), meta.cluster_id);
    Ok((meta.cluster_id, None))
}
