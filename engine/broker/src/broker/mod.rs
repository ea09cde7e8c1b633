//! The broker's state, shared by all connections: opened ([`recover`]), changed by topics that come and go ([`topics`]),
//! noted down from time to time ([`checkpoints`]), closed ([`close`]).

mod checkpoints;
mod close;
mod recover;
mod topics;

use std::sync::Arc;

use plimsoll_controller::{Controller, Image, LocalController, METADATA_LOG};
use plimsoll_io::{Backend, SegmentStore};
use plimsoll_log::{Marks, OpenFiles};
use tokio::sync::Mutex;
use tokio::task::JoinError;

use crate::api::FetchSessions;
use crate::catalog::Catalog;
use crate::config::{Endpoint, Settings};
use crate::error::BrokerError;
use crate::log_dirs::LogDirs;
use crate::producer_ids::ProducerIds;
use crate::storage;
use crate::telemetry::Telemetry;
use recover::tell_recovery;
pub(crate) use topics::TopicChangeError;

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
    pub(crate) telemetry: Telemetry,
    log_dirs: LogDirs,
    /// Sealed segments kept open, over all partitions.
    open_files: OpenFiles,
    broker_epoch: i64,
    /// One topic is made or removed at a time, so that the metadata and the directories agree.
    changing_topics: Mutex<()>,
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
            telemetry: Telemetry::default(),
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

    /// Forgets producers that have been silent for too long.
    pub(crate) fn expire_producers(&self) {
        let now_ms = crate::api::now_ms();
        for topic in self.catalog.all() {
            for partition in topic.online() {
                partition.log().expire_producers(now_ms);
            }
        }
    }
}

/// A task of this broker that panicked.
fn cut_short(what: &'static str, error: JoinError) -> BrokerError {
    BrokerError::Runtime { what, source: std::io::Error::other(error) }
}
