//! Keeps this process's broker registered: the loop that the broker side of KIP-631 asks for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use uuid::Uuid;

use super::controller::RaftController;
use super::node::Node;
use crate::ControlError;
use crate::command::{Command, Outcome, Refusal};
use crate::image::{Endpoint, NodeId};
use crate::net::hello::Stranger;
use crate::net::message::Heartbeat;

/// How long after a failure the next try comes.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// What a broker says of itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Random per process start.
    pub incarnation: Uuid,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Ids of its log directories.
    pub log_dirs: Vec<Uuid>,
    /// The broker epoch in its clean-shutdown marker, if it found one.
    pub clean_shutdown_epoch: Option<i64>,
}

impl Registration {
    fn command(&self, node_id: NodeId) -> Command {
        let Self { incarnation, endpoints, rack, log_dirs, clean_shutdown_epoch } = self.clone();
        Command::RegisterBroker { node_id, incarnation, endpoints, rack, log_dirs, clean_shutdown_epoch }
    }
}

/// How the broker stands with the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerStatus {
    /// Of its registration; `None` until it is registered.
    pub broker_epoch: Option<i64>,
    /// It is fenced, as far as it knows.
    pub fenced: bool,
    /// It wanted to stop, and may.
    pub should_shut_down: bool,
    /// Its registration was taken from it, by another process with its id or by hand, or the cluster does not know this
    /// node as who it says it is. The process must end.
    pub lost: Option<Lost>,
}

/// Why a broker cannot be registered any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The controller does not take its heartbeats.
    #[error(transparent)]
    Refused(Refusal),
    /// Its node is known with another disk.
    #[error(transparent)]
    Stranger(Stranger),
}

/// What the broker wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wishes {
    ready: bool,
    shutdown: bool,
}

/// The registration of this process's broker, kept alive by heartbeats until it is dropped.
#[derive(Debug)]
pub struct BrokerSession {
    status: watch::Receiver<BrokerStatus>,
    wishes: watch::Sender<Wishes>,
    task: AbortHandle,
}

impl BrokerSession {
    /// Registers and heartbeats, retrying as long as it takes; [`BrokerSession::status`] tells how far it is. The broker
    /// stays fenced until [`BrokerSession::set_ready`].
    pub fn start(controller: &RaftController, registration: Registration) -> Self {
        let unknown = BrokerStatus { broker_epoch: None, fenced: true, should_shut_down: false, lost: None };
        let (report, status) = watch::channel(unknown);
        let (wishes, wanted) = watch::channel(Wishes::default());
        let attend = Attend { node: Arc::clone(&controller.node), registration, report, wanted };
        let task = controller.runtime.spawn(attend.run()).abort_handle();
        Self { status, wishes, task }
    }

    /// How the broker stands with the controller, now and from now on.
    pub fn status(&self) -> watch::Receiver<BrokerStatus> {
        self.status.clone()
    }

    /// The broker's logs are open: it may be unfenced once it has seen its own registration.
    pub fn set_ready(&self) {
        self.wishes.send_modify(|wishes| wishes.ready = true);
    }

    /// Asks for a controlled shutdown and waits until the broker leads nothing any more, at most `limit`. Whether it came to
    /// that; a broker that stops before is missed only when it is found gone.
    pub async fn shut_down(&self, limit: Duration) -> bool {
        self.wishes.send_modify(|wishes| wishes.shutdown = true);
        let mut status = self.status.clone();
        let granted = status.wait_for(|status| status.should_shut_down || status.lost.is_some());
        matches!(timeout(limit, granted).await, Ok(Ok(status)) if status.should_shut_down)
    }
}

impl BrokerSession {
    /// Heartbeats no more. The controller finds the broker gone, unless it shut down before.
    pub fn end(&self) {
        self.task.abort();
    }
}

impl Drop for BrokerSession {
    fn drop(&mut self) {
        self.end();
    }
}

struct Attend {
    node: Arc<Node>,
    registration: Registration,
    report: watch::Sender<BrokerStatus>,
    wanted: watch::Receiver<Wishes>,
}

impl Attend {
    async fn run(mut self) {
        let Some(broker_epoch) = self.register().await else { return };
        info!(broker_epoch, "the broker is registered");
        self.report.send_modify(|status| status.broker_epoch = Some(broker_epoch));
        loop {
            let wait = match self.heartbeat(broker_epoch).await {
                Ok(()) => self.node.config().broker_heartbeat_interval,
                Err(ControlError::Refused(refusal)) => {
                    warn!(%refusal, "the broker lost its registration");
                    self.lost(Lost::Refused(refusal));
                    return;
                }
                Err(error) => {
                    warn!(%error, "a heartbeat was not heard");
                    RETRY_AFTER
                }
            };
            // A new wish need not wait for the next turn, nor a fence that may fall.
            let mut images = self.node.images.clone();
            images.mark_unchanged();
            tokio::select! {
                biased;
                changed = self.wanted.changed() => if changed.is_err() { return },
                _ = images.changed(), if self.report.borrow().fenced || self.wanted.borrow().shutdown => {}
                () = sleep(wait) => {}
            }
        }
    }

    fn lost(&self, why: Lost) {
        self.report.send_modify(|status| status.lost = Some(why));
    }

    /// The new broker epoch; `None` if this node is not who it says it is.
    async fn register(&self) -> Option<i64> {
        let node_id = self.node.config().node_id;
        loop {
            match self.node.propose_anywhere(self.registration.command(node_id)).await {
                Ok(Outcome::Registered { broker_epoch }) => return Some(broker_epoch),
                Ok(other) => warn!(?other, "a registration was answered strangely"),
                Err(ControlError::Stranger(stranger)) => {
                    self.lost(Lost::Stranger(stranger));
                    return None;
                }
                Err(error) => warn!(%error, "the broker could not register yet"),
            }
            sleep(RETRY_AFTER).await;
        }
    }

    async fn heartbeat(&self, broker_epoch: i64) -> Result<(), ControlError> {
        let node_id = self.node.config().node_id;
        let Wishes { ready, shutdown } = *self.wanted.borrow();
        let seen = self.node.image().broker(node_id).is_some_and(|b| b.broker_epoch == broker_epoch);
        let heartbeat =
            Heartbeat { node_id, broker_epoch, want_fence: !(ready && seen), want_shutdown: shutdown };
        let answer = self.node.heartbeat(heartbeat).await?;
        self.report.send_if_modified(|status| {
            let next = BrokerStatus {
                fenced: answer.fenced,
                should_shut_down: answer.should_shut_down,
                ..status.clone()
            };
            let changed = next != *status;
            *status = next;
            changed
        });
        Ok(())
    }
}
