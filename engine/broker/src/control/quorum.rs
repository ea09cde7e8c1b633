//! This process's node of the controller quorum, on a thread of its own: its heartbeats must not wait for a disk that some
//! partition waits for.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_controller::{ControlError, Image, QuorumConfig, QuorumStatus, RaftController};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tracing::warn;

use crate::config::{Endpoint, Settings};
use crate::error::BrokerError;
use crate::log_dirs::LogDir;
use crate::storage;

/// How long the node may take to end.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// How often a node that is no broker asks again to be a member.
const JOIN_AGAIN: Duration = Duration::from_millis(500);

/// A listener, and what is said of it.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: StdListener,
    pub(crate) told: Endpoint,
}

/// The node and the thread it runs on.
#[derive(Debug)]
pub(crate) struct Quorum {
    controller: RaftController,
    directory: Arc<LogDir>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Quorum {
    /// Opens the metadata log in `directory` and takes part in the quorum. Returns before there is a leader.
    pub(crate) async fn open(
        settings: &Settings,
        directory: &Arc<LogDir>,
        door: Door,
    ) -> Result<Self, BrokerError> {
        let failed = |source| BrokerError::Runtime { what: "the quorum's thread cannot start", source };
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("quorum").enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let config = config(settings, directory, &door.told);
        let open = async move {
            let listener = TcpListener::from_std(door.listener).map_err(failed)?;
            Ok::<_, BrokerError>(RaftController::open(config, storage::metadata_store, listener).await?)
        };
        let opened = runtime.spawn(open).await;
        let opened = opened.unwrap_or_else(|error| Err(failed(std::io::Error::other(error))));
        // A runtime must not be dropped where others run.
        let quorum = opened.map(|controller| (controller, directory.clone()));
        match quorum {
            Ok((controller, directory)) => Ok(Self { controller, directory, runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    pub(crate) fn controller(&self) -> &RaftController {
        &self.controller
    }

    /// Every image from now on, on this node.
    pub(crate) fn images(&self) -> watch::Receiver<Arc<Image>> {
        self.controller.images()
    }

    pub(crate) fn status(&self) -> QuorumStatus {
        self.controller.status()
    }

    /// Becomes ready once this node cannot go on, with the reason.
    pub(crate) async fn failed(&self) -> BrokerError {
        let reason = self.controller.failed().await;
        BrokerError::QuorumFailed { path: self.directory.path().to_path_buf(), reason }
    }

    /// Becomes ready, with the reason, if the cluster knows this node with another disk.
    pub(crate) async fn turned_away(&self) -> BrokerError {
        loop {
            match self.controller.join().await {
                Ok(()) => return std::future::pending().await,
                Err(stranger @ ControlError::Stranger(_)) => return stranger.into(),
                Err(_) => tokio::time::sleep(JOIN_AGAIN).await,
            }
        }
    }

    /// Leaves the quorum and closes the metadata log.
    pub(crate) async fn close(&self) -> Result<(), BrokerError> {
        match tokio::time::timeout(CLOSE_LIMIT, self.controller.close()).await {
            Ok(closed) => Ok(closed?),
            Err(_) => {
                warn!("the metadata log did not close within {} s", CLOSE_LIMIT.as_secs());
                Err(ControlError::Stopped("it did not close in time".into()).into())
            }
        }
    }
}

impl Drop for Quorum {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn config(settings: &Settings, directory: &LogDir, told: &Endpoint) -> QuorumConfig {
    let ms = |key| Duration::from_millis(settings.int(key).unsigned_abs());
    let (node_id, cluster) = (settings.node_id(), &settings.cluster);
    let election_timeout = ms("controller.quorum.fetch.timeout.ms");
    let rebalance_every =
        Duration::from_secs(settings.int("leader.imbalance.check.interval.seconds").unsigned_abs());
    QuorumConfig {
        cluster_id: directory.cluster_id().to_owned(),
        bootstrap_servers: cluster.servers(node_id),
        role: cluster.role(node_id),
        // A dozen may get lost before anybody stands for election.
        heartbeat_interval: election_timeout / 12,
        election_timeout,
        request_timeout: ms("controller.quorum.request.timeout.ms"),
        broker_heartbeat_interval: ms("broker.heartbeat.interval.ms"),
        session_timeout: ms("broker.session.timeout.ms"),
        rebalance_every: settings.flag("auto.leader.rebalance.enable").then_some(rebalance_every),
        ..QuorumConfig::new(
            node_id,
            directory.directory_id(),
            directory.path().to_path_buf(),
            &told.host,
            told.port,
        )
    }
}
