//! The handle to the quorum.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use plimsoll_io::AnyStore;
use plimsoll_log::RecoveryReport;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::{AbortHandle, JoinHandle};

use super::ask::Links;
use super::config::QuorumConfig;
use super::join;
use super::node::Node;
use crate::command::{Command, Outcome};
use crate::image::{Image, NodeId};
use crate::lead::{Sessions, active};
use crate::net::hello::Identity;
use crate::net::message::{Heartbeat, HeartbeatAnswer, Request, Response};
use crate::net::peer::Peers;
use crate::net::server;
use crate::raft::types::{Member, Raft, raft_id};
use crate::raft::{LogStore, Opened};
use crate::{ControlError, Controller, raft};

/// A [`Controller`] that replicates: commands are committed by a majority before they are acted upon. One a process.
///
/// Everything runs on the runtime in which [`RaftController::open`] was called; the handle may be used from any other.
#[derive(Debug)]
pub struct RaftController {
    pub(super) node: Arc<Node>,
    pub(super) runtime: Handle,
    log: LogStore,
    tasks: Vec<AbortHandle>,
    recovery: RecoveryReport,
}

/// What a node knows of the quorum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuorumStatus {
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// The term this node is in: the leader's epoch.
    pub term: u64,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who follows without a vote.
    pub learners: BTreeSet<NodeId>,
    /// Index of this node's last entry.
    pub last_index: Option<u64>,
    /// Index of the last entry that is in this node's image.
    pub applied_index: Option<u64>,
    /// This node is the active controller, confirmed by a majority.
    pub active: bool,
    /// Where voters and learners are.
    pub members: BTreeMap<NodeId, Member>,
    /// Index of the last entry that each is known to have; only the leader knows others'.
    pub reached: BTreeMap<NodeId, u64>,
}

impl RaftController {
    /// Opens the metadata log, replays what is known to be committed, and takes part in the quorum. `store` makes a
    /// page-cache store on the log's own thread; `listener` is the listener `CONTROLLER`.
    ///
    /// Returns at once, also without a leader; a node that is new keeps asking to join until it may. A log that is
    /// damaged before its end is refused with [`ControlError::Corrupt`], and a node with an empty disk that would begin
    /// a cluster which is there already with [`ControlError::Stranger`] or [`ControlError::Quorum`].
    pub async fn open(
        config: QuorumConfig,
        store: impl FnOnce() -> Result<AnyStore, ControlError> + Send + 'static,
        listener: TcpListener,
    ) -> Result<Self, ControlError> {
        let raft_config = config.raft()?;
        let Opened { log, machine, images, recovery } = raft::open(store, &config.log_dir).await?;
        let own = Identity { node_id: config.node_id, directory_id: config.directory_id };
        let sessions = Arc::new(Sessions::default());
        let peers = Peers { cluster_id: config.cluster_id.as_str().into(), own, sessions };
        let id = raft_id(config.node_id);
        let raft = Raft::new(id, Arc::new(raft_config), peers.clone(), log.clone(), machine).await;
        let raft = raft.map_err(|error| ControlError::Stopped(error.to_string()))?;
        let (links, heartbeats) = (Links::default(), Mutex::new(None));
        let node = Arc::new(Node { config, raft, images, peers, links, heartbeats });
        node.bootstrap().await?;
        let tasks = vec![
            tokio::spawn(server::serve(listener, Arc::clone(&node))).abort_handle(),
            tokio::spawn(active::run(Arc::clone(&node))).abort_handle(),
            tokio::spawn(join::run(Arc::clone(&node))).abort_handle(),
        ];
        Ok(Self { node, runtime: Handle::current(), log, tasks, recovery })
    }

    /// What opening the metadata log found and cut off.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.recovery
    }

    /// Every image from now on. The receiver always holds the newest; those between may be skipped.
    pub fn images(&self) -> watch::Receiver<Arc<Image>> {
        self.node.images.clone()
    }

    /// What this node knows of the quorum now. Never blocks.
    pub fn status(&self) -> QuorumStatus {
        self.node.status()
    }

    /// What the active controller knows of the quorum.
    pub async fn describe(&self) -> Result<QuorumStatus, ControlError> {
        self.here(|node| async move {
            match node.ask_controller(|| Request::Describe).await? {
                Response::Described(status) => Ok(status),
                other => Err(ControlError::Quorum(format!("{other:?}"))),
            }
        })
        .await
    }

    /// Becomes ready, with the reason, when this node cannot go on because its metadata log failed or cannot be right. The
    /// process should end then.
    pub fn failed(&self) -> impl Future<Output = String> + use<> {
        let mut metrics = self.node.raft.metrics();
        async move {
            let failed = metrics.wait_for(|metrics| metrics.running_state.is_err()).await;
            let reason =
                failed.ok().and_then(|metrics| metrics.running_state.as_ref().err().map(ToString::to_string));
            reason.unwrap_or_else(|| "it was stopped".to_owned())
        }
    }

    /// Asks once to become a member, as the node does by itself until it is. Fails with [`ControlError::Stranger`] if the
    /// cluster knows this node with another disk.
    pub async fn join(&self) -> Result<(), ControlError> {
        self.here(|node| async move { node.join().await }).await
    }

    /// Makes these the voters: 1, 3 or 5 nodes that have joined. Who voted before and is not among them follows from then
    /// on. Returns when it is committed.
    pub async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Result<(), ControlError> {
        self.change_quorum(move || Request::ChangeVoters(voters.clone())).await
    }

    /// Forgets a node that does not vote and was stopped; one that runs joins again. Its broker, if it had one, is to be
    /// unregistered apart.
    pub async fn remove(&self, node_id: NodeId) -> Result<(), ControlError> {
        self.change_quorum(move || Request::Leave(node_id)).await
    }

    /// One sign of life of this process's broker, tried once. [`super::BrokerSession`] sends them by itself.
    pub async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, ControlError> {
        self.here(move |node| async move { node.heartbeat(heartbeat).await }).await
    }

    /// Makes a snapshot now and cuts the log as far as the configuration says.
    pub async fn snapshot(&self) -> Result<(), ControlError> {
        let triggered = self.node.raft.trigger().snapshot().await;
        triggered.map_err(|error| ControlError::Stopped(error.to_string()))
    }

    /// Leaves the quorum for now and closes the metadata log cleanly. Proposals fail from then on.
    pub async fn close(&self) -> Result<(), ControlError> {
        self.stop_tasks();
        let stopped = self.node.raft.shutdown().await;
        let closed = self.log.close().await;
        stopped.map_err(|error| ControlError::Stopped(error.to_string()))?;
        closed
    }

    /// Becomes ready when the thread of the metadata log has ended, some time after the handle was dropped.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        self.log.stopped()
    }

    async fn change_quorum(
        &self,
        request: impl Fn() -> Request + Send + Sync + 'static,
    ) -> Result<(), ControlError> {
        self.here(|node| async move {
            match node.ask_controller(request).await? {
                Response::QuorumChanged => Ok(()),
                Response::Failed(reason) => Err(ControlError::Quorum(reason)),
                other => Err(ControlError::Quorum(format!("{other:?}"))),
            }
        })
        .await
    }

    /// Does `work` on the controller's runtime, to which its connections belong, whoever waits for it.
    async fn here<T: Send + 'static, F: Future<Output = Result<T, ControlError>> + Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Node>) -> F,
    ) -> Result<T, ControlError> {
        let task: JoinHandle<_> = self.runtime.spawn(work(Arc::clone(&self.node)));
        task.await.unwrap_or_else(|error| Err(ControlError::Stopped(error.to_string())))
    }

    fn stop_tasks(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for RaftController {
    fn drop(&mut self) {
        self.stop_tasks();
    }
}

impl Controller for RaftController {
    fn image(&self) -> Arc<Image> {
        self.node.image()
    }

    /// Returns once the command is applied on the active controller, and here. Without a majority it fails with
    /// [`ControlError::Unavailable`] after `propose_timeout`, and may still take effect; the image stays readable.
    ///
    /// Cancel safety: a dropped proposal goes on.
    async fn propose(&self, command: Command) -> Result<Outcome, ControlError> {
        self.here(|node| async move { node.propose_anywhere(command).await }).await
    }
}
