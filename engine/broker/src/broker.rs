//! The broker's state, shared by all connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_controller::{
    Command, ControlError, Controller, Image, LocalController, METADATA_LOG, Refusal, TopicRecord,
};
use plimsoll_io::{Backend, SegmentStore};
use plimsoll_log::{Marks, OffsetCheckpoint, OpenFiles, RecoveryReport, TopicPartition};
use plimsoll_wire::{StrBytes, Uuid};
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinSet};
use tracing::{error, info, warn};

use crate::api::FetchSessions;
use crate::catalog::{Catalog, Topic};
use crate::config::{Endpoint, Settings, TopicSettings};
use crate::error::BrokerError;
use crate::log_dirs::{LogDir, LogDirs, remove_partition};
use crate::partition::{Partition, PartitionError, Recovery};
use crate::producer_ids::ProducerIds;
use crate::storage;

/// A partition's directory, and how to recover its log.
type Place = (Arc<LogDir>, Recovery);

/// How many partitions are opened or closed side by side: enough that their syncs share the file system's commits.
const SIDE_BY_SIDE_MAX: usize = 64;

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
    log_dirs: LogDirs,
    /// Sealed segments kept open, over all partitions.
    open_files: OpenFiles,
    broker_epoch: i64,
    /// One topic is made or removed at a time, so that the metadata and the directories agree.
    changing_topics: Mutex<()>,
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
    /// Locks and opens the log directories, replays the metadata, recovers every partition.
    ///
    /// `advertised` is what clients are told. Must run inside a current-thread runtime with a local set.
    pub async fn open(settings: Settings, advertised: Endpoint) -> Result<Self, BrokerError> {
        let log_dirs = LogDirs::open(&settings)?;
        let first = log_dirs.first().clone();
        let cluster_id = first.cluster_id().to_owned();
        let controller = LocalController::open(storage::metadata_store()?, first.path()).await?;
        controller.set_observer(Arc::new(move |marks: &Marks| {
            marks.fault.iter().for_each(|fault| first.fail(fault.clone()));
        }));
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
            log_dirs,
            open_files: storage::open_files(),
            broker_epoch,
            changing_topics: Mutex::new(()),
            settings,
        };
        broker.recover().await?;
        Ok(broker)
    }

    /// The backend that really runs.
    pub fn backend(&self) -> Backend {
        self.log_dirs.first().store().backend()
    }

    pub(crate) fn log_dirs(&self) -> &LogDirs {
        &self.log_dirs
    }

    /// The metadata as committed.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.controller.image()
    }

    /// Opens every partition of the metadata where it is found. One that is found nowhere is made, unless a directory
    /// is offline: it may lie there, and an empty one in its place would look like lost data.
    async fn recover(&self) -> Result<(), BrokerError> {
        let image = self.image();
        let found = self.log_dirs.find(&image)?;
        self.log_dirs.format(&image, &found)?;
        for record in image.topics() {
            let name = record.name.as_str();
            let places = (0_i32..).zip(&record.partitions).map(|(index, _)| match found.get(&format!("{name}-{index}")) {
                Some((dir, notes)) => Some((dir.clone(), notes.recovery(name, index))),
                None if self.log_dirs.all_online() => {
                    self.log_dirs.place(1, &self.catalog).pop().map(|dir| (dir, Recovery::default()))
                }
                None => {
                    warn!("{name}-{index} is found nowhere while a log directory is offline, so it is offline too");
                    None
                }
            });
            let topic = self.open_topic(record, places.collect()).await?;
            self.catalog.insert(topic);
        }
        Ok(())
    }

    /// Opens a topic's partitions, each in its place; those without one, or whose disk fails now, are offline.
    async fn open_topic(
        &self,
        record: &TopicRecord,
        places: Vec<Option<Place>>,
    ) -> Result<Topic, BrokerError> {
        let mut settings = TopicSettings::resolve(&self.settings, &record.configs);
        settings.log.open_files = Some(self.open_files.clone());
        let mut partitions = vec![None; record.partitions.len()];
        let mut waiting = record.partitions.iter().zip(places).enumerate();
        let mut opening = JoinSet::new();
        loop {
            while opening.len() < SIDE_BY_SIDE_MAX
                && let Some((index, (partition, place))) = waiting.next()
            {
                let Some((dir, recovery)) = place.filter(|(dir, _)| !dir.is_offline()) else { continue };
                let at = (i32::try_from(index).unwrap_or(i32::MAX), partition.leader_epoch);
                let (id, name, settings) =
                    (record.topic_id, format!("{}-{index}", record.name), settings.clone());
                opening.spawn_local(async move {
                    let opened = Partition::open(dir.clone(), &name, id, at, &settings, recovery).await;
                    let opened = opened.map_err(|source| BrokerError::Partition { partition: name, source });
                    (index, dir, opened)
                });
            }
            let Some(joined) = opening.join_next().await else { break };
            let (index, dir, opened) =
                joined.map_err(|error| cut_short("a partition was not opened to its end", error))?;
            let opened = match dir.heed(opened) {
                Ok((opened, report)) => {
                    tell_recovery(&format!("{}-{index}", record.name), &report);
                    Some(Arc::new(opened))
                }
                Err(_) if self.log_dirs.is_lost(&dir) => None,
                Err(failed) => return Err(failed),
            };
            partitions.get_mut(index).into_iter().for_each(|slot| *slot = opened.clone());
        }
        let name = StrBytes::from_string(record.name.clone());
        Ok(Topic { name, id: record.topic_id, settings, partitions })
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
        let places = self.log_dirs.place(partitions, &self.catalog).into_iter();
        let places = places.map(|dir| Some((dir, Recovery::default()))).collect();
        match self.open_topic(record, places).await {
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
        for dir in self.log_dirs.online() {
            (0..partitions).for_each(|index| remove_partition(dir, &format!("{name}-{index}")));
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
        for partition in topic.opened() {
            if let Err(error) = partition.log().delete().await {
                let name = format!("{}-{}", topic.name, partition.index());
                warn!("{name} could not be deleted in order: {error}");
                remove_partition(partition.directory(), &name);
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

    /// Writes recovery points and log starts down, of the partitions that there are. Every directory is tried; the first
    /// failure is returned.
    pub(crate) fn checkpoint(&self) -> Result<(), BrokerError> {
        self.log_dirs.online().map(|dir| self.checkpoint_of(dir)).fold(Ok(()), Result::and)
    }

    fn checkpoint_of(&self, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
        dir.checkpoint(
            || self.gather(dir, |partition| partition.log().recovery_point()),
            || self.gather(dir, |partition| partition.bounds().log_start),
        )
    }

    fn gather(&self, dir: &Arc<LogDir>, offset: impl Fn(&Partition) -> i64) -> OffsetCheckpoint {
        let mut checkpoint = OffsetCheckpoint::default();
        for topic in self.catalog.all() {
            for partition in topic.opened().filter(|partition| Arc::ptr_eq(partition.directory(), dir)) {
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
            for partition in topic.online() {
                partition.log().expire_producers(now_ms);
            }
        }
    }

    /// Closes every log, also if one of them fails, and leaves the clean-shutdown marker in the directories where all
    /// of it worked. Those that are offline are left as they are. The first failure is returned.
    ///
    /// Must run while the runtimes that appended are still alive: writes in flight belong to them.
    pub(crate) async fn close(&self) -> Result<(), BrokerError> {
        let (mut outcome, mut clean) = (Ok(()), Vec::new());
        for dir in self.log_dirs.online() {
            let closed = self.close_logs(dir).await;
            let noted = self.checkpoint_of(dir);
            match closed.and(noted) {
                Ok(()) => clean.push(dir),
                failed => outcome = outcome.and(failed),
            }
        }
        self.controller.close().await?;
        for dir in clean {
            outcome = outcome.and(dir.leave_clean(self.broker_epoch));
        }
        outcome
    }

    async fn close_logs(&self, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
        let topics = self.catalog.all();
        let here = |partition: &&Arc<Partition>| Arc::ptr_eq(partition.directory(), dir);
        let mut open = topics.iter().flat_map(|topic| {
            let named = |partition: &Arc<Partition>| {
                (format!("{}-{}", topic.name, partition.index()), partition.clone())
            };
            topic.opened().filter(here).map(named)
        });
        let (mut closing, mut outcome) = (JoinSet::new(), Ok(()));
        loop {
            while closing.len() < SIDE_BY_SIDE_MAX
                && let Some((name, partition)) = open.next()
            {
                closing.spawn_local(async move {
                    let closed = partition.log().close().await.map_err(PartitionError::from);
                    closed.map_err(|source| BrokerError::Partition { partition: name, source })
                });
            }
            let Some(joined) = closing.join_next().await else { return outcome };
            let closed =
                joined.unwrap_or_else(|error| Err(cut_short("a partition was not closed to its end", error)));
            if let Err(failed) = &closed {
                error!("not closed, so it will be recovered at the next start: {failed}");
            }
            outcome = outcome.and(closed);
        }
    }
}

/// A task of this broker that panicked.
fn cut_short(what: &'static str, error: JoinError) -> BrokerError {
    BrokerError::Runtime { what, source: std::io::Error::other(error) }
}

fn tell_recovery(partition: &str, report: &RecoveryReport) {
    if report.truncated_bytes > 0 {
        warn!("{partition}: recovery cut {} bytes that were no whole batch", report.truncated_bytes);
    }
}
