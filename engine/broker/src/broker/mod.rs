//! The broker's state, shared by all connections: opened, changed by what clients have proposed ([`topics`]) once it is
//! committed ([`crate::control`]), noted down from time to time ([`checkpoints`]), closed ([`close`]).

mod checkpoints;
mod close;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use plimsoll_controller::{BrokerSession, Image, METADATA_LOG};
use plimsoll_io::{Backend, SegmentStore};
use plimsoll_log::OpenFiles;
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::api::FetchSessions;
use crate::catalog::Catalog;
use crate::config::{Endpoint, ReplicationSettings, Settings};
use crate::control::{Door, Follower, Quorum, register, tell_recovery};
use crate::error::BrokerError;
use crate::log_dirs::LogDirs;
use crate::partition::Surroundings;
use crate::producer_ids::ProducerIds;
use crate::replica::Followed;
use crate::storage;
use crate::telemetry::Telemetry;

/// How many partitions are opened or closed side by side: enough that their syncs share the file system's commits.
pub(crate) const SIDE_BY_SIDE_MAX: usize = 64;

/// Everything a request may touch.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) settings: Settings,
    pub(crate) cluster_id: String,
    pub(crate) advertised: Endpoint,
    pub(crate) quorum: Arc<Quorum>,
    pub(crate) session: BrokerSession,
    /// Of this process's registration.
    pub(crate) broker_epoch: i64,
    pub(crate) catalog: Catalog,
    /// The image that the catalog shows.
    pub(crate) applied: watch::Sender<Arc<Image>>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) telemetry: Telemetry,
    pub(crate) replication: ReplicationSettings,
    pub(crate) around: Arc<Surroundings>,
    pub(crate) followed: Arc<Followed>,
    log_dirs: LogDirs,
    /// Sealed segments kept open, over all partitions.
    open_files: OpenFiles,
}

impl Broker {
    /// Locks and opens the log directories, takes part in the quorum, registers, and recovers every partition that is
    /// assigned to this broker, as which it is in service on return. What follows the metadata from then on is returned
    /// too, and must run.
    ///
    /// `advertised` is what clients are told. Must run inside a current-thread runtime with a local set.
    pub(crate) async fn open(
        settings: Settings,
        advertised: Endpoint,
        door: Door,
    ) -> Result<(Arc<Self>, Follower), BrokerError> {
        let log_dirs = LogDirs::open(&settings)?;
        let cluster_id = log_dirs.first().cluster_id().to_owned();
        let quorum = Arc::new(Quorum::open(&settings, log_dirs.first(), door).await?);
        tell_recovery(METADATA_LOG, quorum.controller().recovery());
        let registry = register(&quorum, &settings, &log_dirs, &advertised).await?;
        let replication = ReplicationSettings::of(&settings);
        let slots = settings.count("max.incremental.fetch.session.cache.slots");
        let broker = Self {
            cluster_id,
            advertised,
            quorum,
            session: registry.session,
            broker_epoch: registry.broker_epoch,
            catalog: Catalog::default(),
            applied: watch::Sender::default(),
            producer_ids: ProducerIds::default(),
            fetch_sessions: FetchSessions::new(slots),
            telemetry: Telemetry::default(),
            around: Arc::new(Surroundings::new(settings.node_id(), replication.lag_max)),
            followed: Arc::new(Followed::new(replication.fetchers)),
            replication,
            log_dirs,
            open_files: storage::open_files(),
            settings,
        };
        let broker = Arc::new(broker);
        let mut follower = Follower::new(&broker);
        follower.begin(&registry.image).await?;
        follower.until_in_service().await?;
        Ok((broker, follower))
    }

    /// The backend that really runs.
    pub(crate) fn backend(&self) -> Backend {
        self.log_dirs.first().store().backend()
    }

    pub(crate) fn log_dirs(&self) -> &LogDirs {
        &self.log_dirs
    }

    pub(crate) fn open_files(&self) -> &OpenFiles {
        &self.open_files
    }

    /// The metadata as this broker has made it true: what the catalog shows.
    pub(crate) fn applied(&self) -> Arc<Image> {
        self.applied.borrow().clone()
    }

    /// Waits until `holds` is so of what this broker has made true, at most `limit`. Whether it came to that.
    pub(crate) async fn has_applied(&self, limit: Duration, mut holds: impl FnMut(&Image) -> bool) -> bool {
        let mut applied = self.applied.subscribe();
        let held = applied.wait_for(|image| holds(image));
        matches!(tokio::time::timeout(limit, held).await, Ok(Ok(_)))
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
pub(crate) fn cut_short(what: &'static str, error: JoinError) -> BrokerError {
    BrokerError::Runtime { what, source: std::io::Error::other(error) }
}
