//! The broker's state, shared by all connections.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_controller::{
    Command, ControlError, Controller, Image, LocalController, METADATA_LOG, Refusal, TopicRecord,
};
use plimsoll_io::{AnyStore, Backend, DirectoryLock, SegmentStore};
use plimsoll_log::{
    MetaProperties, OffsetCheckpoint, OpenFiles, RecoveryReport, TopicPartition, encode_id, layout,
    read_topic_id, take_clean_shutdown, write_clean_shutdown,
};
use plimsoll_wire::{StrBytes, Uuid};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::api::FetchSessions;
use crate::catalog::{Catalog, Topic};
use crate::checkpoint_file::CheckpointFile;
use crate::config::{Endpoint, Settings, TopicSettings};
use crate::error::BrokerError;
use crate::partition::{Partition, PartitionError, Recovery};
use crate::producer_ids::ProducerIds;
use crate::storage;

/// What a partition's directory ends with while it is being removed.
const DELETED_SUFFIX: &str = "-delete";

/// How many partitions are opened side by side: enough that their syncs share the file system's commits.
const OPENING_MAX: usize = 64;

/// Everything a request may touch.
#[derive(Debug)]
pub struct Broker {
    pub(crate) settings: Settings,
    pub(crate) cluster_id: String,
    pub(crate) advertised: Endpoint,
    pub(crate) controller: LocalController,
    pub(crate) catalog: Catalog,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) fetch_sessions: FetchSessions,
    recovery_points: CheckpointFile,
    log_starts: CheckpointFile,
    log_dir: PathBuf,
    store: AnyStore,
    /// Sealed segments kept open, over all partitions.
    open_files: OpenFiles,
    broker_epoch: i64,
    /// One topic is made or removed at a time, so that the metadata and the directories agree.
    changing_topics: Mutex<()>,
    _lock: DirectoryLock,
}

/// Why a topic could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopicChangeError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("{0}")]
    Config(String),
    #[error(transparent)]
    Storage(#[from] BrokerError),
}

impl Broker {
    /// Locks and opens the log directory, replays the metadata, recovers every partition.
    ///
    /// `advertised` is what clients are told. Must run inside a current-thread runtime with a local set.
    pub async fn open(settings: Settings, advertised: Endpoint) -> Result<Self, BrokerError> {
        // A backend that cannot run here is found out before anything on disk is touched.
        let store = storage::partition_store(&settings)?;
        let log_dir = settings.log_dir();
        std::fs::create_dir_all(&log_dir)
            .map_err(|source| BrokerError::LogDir { path: log_dir.clone(), source })?;
        let lock = DirectoryLock::acquire(&log_dir)?;
        let cluster_id = identify(&log_dir, settings.node_id())?;
        let controller = LocalController::open(storage::metadata_store()?, &log_dir).await?;
        tell_recovery(METADATA_LOG, controller.recovery());
        let broker_epoch = controller.register(settings.node_id()).await?;
        let slots = settings.count("max.incremental.fetch.session.cache.slots");
        let broker = Self {
            cluster_id,
            advertised,
            controller,
            catalog: Catalog::default(),
            producer_ids: ProducerIds::default(),
            fetch_sessions: FetchSessions::new(slots),
            recovery_points: CheckpointFile::new(&log_dir, layout::RECOVERY_POINT_CHECKPOINT),
            log_starts: CheckpointFile::new(&log_dir, layout::LOG_START_CHECKPOINT),
            log_dir,
            store,
            open_files: storage::open_files(),
            broker_epoch,
            changing_topics: Mutex::new(()),
            _lock: lock,
            settings,
        };
        broker.recover().await?;
        Ok(broker)
    }

    /// The backend that really runs.
    pub fn backend(&self) -> Backend {
        self.store.backend()
    }

    /// The metadata as committed.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.controller.image()
    }

    /// Opens every partition of the metadata.
    async fn recover(&self) -> Result<(), BrokerError> {
        // Taken before any log is touched: a crash from here on, also while opening, is seen as one.
        let clean = take_clean_shutdown(&self.log_dir)?;
        let (points, starts) = (self.recovery_points.read()?, self.log_starts.read()?);
        let image = self.image();
        self.clear_leftovers(&image)?;
        for record in image.topics() {
            let recovery = |index: i32| {
                let key = TopicPartition::new(record.name.as_str(), index);
                let of = |checkpoint: &OffsetCheckpoint| checkpoint.offsets.get(&key).copied();
                Recovery { point: of(&points), log_start: of(&starts), clean }
            };
            let topic = self.open_topic(record, recovery).await?;
            self.catalog.insert(topic);
        }
        Ok(())
    }

    async fn open_topic(
        &self,
        record: &TopicRecord,
        recovery: impl Fn(i32) -> Recovery,
    ) -> Result<Topic, BrokerError> {
        let mut settings = TopicSettings::resolve(&self.settings, &record.configs);
        settings.log.open_files = Some(self.open_files.clone());
        let mut places = (0_i32..).zip(record.partitions.iter().map(|partition| partition.leader_epoch));
        let (mut opening, mut partitions) = (JoinSet::new(), BTreeMap::new());
        loop {
            for place in places.by_ref().take(OPENING_MAX - opening.len()) {
                let (store, dir) =
                    (self.store.clone(), self.log_dir.join(format!("{}-{}", record.name, place.0)));
                let (id, settings, recovery) = (record.topic_id, settings.clone(), recovery(place.0));
                opening.spawn_local(async move {
                    (place.0, Partition::open(store, &dir, id, place, &settings, recovery).await)
                });
            }
            let Some(joined) = opening.join_next().await else { break };
            let (index, opened) = joined.map_err(|error| BrokerError::Runtime {
                what: "a partition was not opened to its end",
                source: std::io::Error::other(error),
            })?;
            let partition = format!("{}-{index}", record.name);
            let (opened, report) = match opened {
                Ok(opened) => opened,
                Err(source) => return Err(BrokerError::Partition { partition, source }),
            };
            tell_recovery(&partition, &report);
            partitions.insert(index, Arc::new(opened));
        }
        let name = StrBytes::from_string(record.name.clone());
        Ok(Topic { name, id: record.topic_id, settings, partitions: partitions.into_values().collect() })
    }

    /// Removes what a crash left of deleted partitions. Directories that look like partitions and that the
    /// metadata does not know are set aside under `-stray`, never removed by guess.
    fn clear_leftovers(&self, image: &Image) -> Result<(), BrokerError> {
        let failed = |source| BrokerError::LogDir { path: self.log_dir.clone(), source };
        for entry in std::fs::read_dir(&self.log_dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(DELETED_SUFFIX) {
                info!("{name} was being deleted when the broker stopped; it goes now");
                std::fs::remove_dir_all(entry.path()).map_err(failed)?;
            } else if is_stray(image, &name, &entry.path()) {
                let aside = stray_name(&name);
                warn!("{name} belongs to no topic of the metadata; it is kept as {aside}");
                std::fs::rename(entry.path(), self.log_dir.join(aside)).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Makes a topic. `partitions` replicas all lie on this node.
    pub(crate) async fn create_topic(
        &self,
        name: &str,
        partitions: usize,
        configs: BTreeMap<String, String>,
    ) -> Result<Arc<Topic>, TopicChangeError> {
        let _one_at_a_time = self.changing_topics.lock().await;
        TopicSettings::check(&configs).map_err(TopicChangeError::Config)?;
        let topic_id = Uuid::new_v4();
        let assignment = vec![vec![self.settings.node_id()]; partitions];
        let command = Command::CreateTopic { name: name.to_owned(), topic_id, assignment, configs };
        self.controller.propose(command).await?;
        let image = self.image();
        let record =
            image.topic_by_id(topic_id).ok_or(ControlError::from(Refusal::UnknownTopicId(topic_id)))?;
        match self.open_topic(record, |_| Recovery::default()).await {
            Ok(topic) => {
                info!("created topic {name} with {partitions} partitions");
                Ok(self.catalog.insert(topic))
            }
            Err(error) => {
                match self.controller.propose(Command::DeleteTopic { topic_id }).await {
                    Ok(_) => self.remove_directories(name, partitions),
                    Err(stays) => error!(
                        "topic {name} could not be made, nor taken out of the metadata again ({stays}); delete it, or it is made empty at the next start"
                    ),
                }
                Err(error.into())
            }
        }
    }

    /// Removes what exists of a topic that could not be made whole; the name is free again afterwards.
    fn remove_directories(&self, name: &str, partitions: usize) {
        (0..partitions).for_each(|index| self.remove_directory(&format!("{name}-{index}")));
    }

    /// Removes a partition's directory, or at least gives it a name that stands in nobody's way.
    fn remove_directory(&self, name: &str) {
        let dir = self.log_dir.join(name);
        let Err(error) = std::fs::remove_dir_all(&dir) else { return };
        if error.kind() == std::io::ErrorKind::NotFound {
            return;
        }
        warn!("{} could not be removed: {error}", dir.display());
        if let Err(error) = std::fs::rename(&dir, self.log_dir.join(stray_name(name))) {
            warn!("{} could not be set aside either: {error}", dir.display());
        }
    }

    /// Removes a topic and its files.
    pub(crate) async fn delete_topic(&self, topic_id: Uuid) -> Result<(), TopicChangeError> {
        let _one_at_a_time = self.changing_topics.lock().await;
        let image = self.image();
        self.controller.propose(Command::DeleteTopic { topic_id }).await?;
        let Some(topic) = self.catalog.remove(topic_id) else {
            // It was only half made.
            if let Some(record) = image.topic_by_id(topic_id) {
                self.remove_directories(&record.name, record.partitions.len());
            }
            return Ok(());
        };
        for partition in &topic.partitions {
            if let Err(error) = partition.log().delete().await {
                let name = format!("{}-{}", topic.name, partition.index());
                warn!("{name} could not be deleted in order: {error}");
                self.remove_directory(&name);
            }
            partition.wake_watchers();
            tokio::task::yield_now().await;
        }
        // A topic of the same name must not inherit this one's recovery points.
        if let Err(error) = self.checkpoint() {
            warn!("the recovery points of {} could not be removed: {error}", topic.name);
        }
        info!("deleted topic {}", topic.name);
        Ok(())
    }

    /// Writes recovery points and log starts down, of the partitions that there are.
    pub(crate) fn checkpoint(&self) -> Result<(), BrokerError> {
        self.recovery_points.write(|| self.gather(|partition| partition.log().recovery_point()))?;
        self.log_starts.write(|| self.gather(|partition| partition.bounds().log_start))
    }

    fn gather(&self, offset: impl Fn(&Partition) -> i64) -> OffsetCheckpoint {
        let mut checkpoint = OffsetCheckpoint::default();
        for topic in self.catalog.all() {
            for partition in &topic.partitions {
                let key = TopicPartition::new(&*topic.name, partition.index());
                checkpoint.offsets.insert(key, offset(partition));
            }
        }
        checkpoint
    }

    /// Forgets producers that have been silent for too long.
    pub(crate) fn expire_producers(&self) {
        let now_ms = crate::api::now_ms();
        for topic in self.catalog.all() {
            for partition in &topic.partitions {
                partition.log().expire_producers(now_ms);
            }
        }
    }

    /// Closes every log, also if one of them fails, and leaves the clean-shutdown marker only if all of it
    /// worked. The first failure is returned.
    ///
    /// Must run while the runtimes that appended are still alive: writes in flight belong to them.
    pub(crate) async fn close(&self) -> Result<(), BrokerError> {
        let mut outcome = Ok(());
        for topic in self.catalog.all() {
            for partition in &topic.partitions {
                if let Err(source) = partition.log().close().await {
                    let source = PartitionError::from(source);
                    let partition = format!("{}-{}", topic.name, partition.index());
                    error!(
                        "{partition} could not be closed and will be recovered at the next start: {source}"
                    );
                    outcome = outcome.and(Err(BrokerError::Partition { partition, source }));
                }
            }
        }
        self.checkpoint()?;
        self.controller.close().await?;
        outcome?;
        Ok(write_clean_shutdown(&self.log_dir, self.broker_epoch)?)
    }
}

/// A partition's directory that the metadata does not know, or knows under another id.
fn is_stray(image: &Image, name: &str, path: &Path) -> bool {
    let Some((topic, index)) = layout::parse_partition_dir(name) else { return false };
    let here = |record: &TopicRecord| {
        let same_id = read_topic_id(path).ok().flatten().is_none_or(|id| id == record.topic_id);
        same_id && usize::try_from(index).is_ok_and(|index| index < record.partitions.len())
    };
    name != METADATA_LOG && path.is_dir() && !image.topic(topic).is_some_and(here)
}

/// `<name>.<unique>-stray`, the name cut so that the whole fits a directory entry, as Kafka does.
fn stray_name(name: &str) -> String {
    const ENTRY_BYTES_MAX: usize = 255;
    let suffix = format!(".{}-stray", Uuid::new_v4().simple());
    let kept = name.get(..ENTRY_BYTES_MAX - suffix.len()).unwrap_or(name);
    format!("{kept}{suffix}")
}

/// Reads `meta.properties`, or formats an empty directory; returns the cluster id.
fn identify(log_dir: &Path, node_id: i32) -> Result<String, BrokerError> {
    if let Some(meta) = MetaProperties::read(log_dir)? {
        if meta.node_id != node_id {
            let path = log_dir.to_path_buf();
            return Err(BrokerError::OtherNode { path, found: meta.node_id, configured: node_id });
        }
        return Ok(meta.cluster_id);
    }
    let meta = MetaProperties {
        cluster_id: encode_id(Uuid::new_v4()),
        node_id,
        directory_id: encode_id(Uuid::new_v4()),
    };
    meta.write(log_dir)?;
    info!("formatted {} for node {node_id} of cluster {}", log_dir.display(), meta.cluster_id);
    Ok(meta.cluster_id)
}

fn tell_recovery(partition: &str, report: &RecoveryReport) {
    if report.truncated_bytes > 0 {
        warn!("{partition}: recovery cut {} bytes that were no whole batch", report.truncated_bytes);
    }
}
