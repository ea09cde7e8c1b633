//! Who was heard, and when. Not replicated: what follows from it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use crate::image::NodeId;
use crate::net::message::Heartbeat;

/// What a node found out about others before it led counts for so long.
const GONE_LATELY_MS: u64 = 2000;

/// A wish to vote counts for so long, which is several times as long as until it is repeated.
const ASKED_LATELY_MS: u64 = 2000;

/// One broker, as last heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) broker_epoch: i64,
    pub(super) heard_ms: u64,
    /// The connection that its last heartbeat came over; `None` for this process's own broker.
    connection: Option<u64>,
    /// When that connection closed.
    pub(super) closed_ms: Option<u64>,
    pub(super) want_fence: bool,
    pub(super) want_shutdown: bool,
}

/// What is known of brokers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Since when this node is the active controller; `None` if it is not.
    pub(super) since_ms: Option<u64>,
    pub(super) sessions: BTreeMap<NodeId, Session>,
    /// Nodes whose address refuses connections, and since when: no process is there. Also known before this node leads,
    /// from asking for votes.
    pub(super) gone_ms: BTreeMap<NodeId, u64>,
    /// Nodes that want to vote, and when they last said so: they go on saying it.
    pub(super) candidates_ms: BTreeMap<NodeId, u64>,
}

impl Heard {
    /// Nodes that lately said they want to vote. One that died since must not become part of a quorum.
    pub(super) fn candidates(&self, now_ms: u64) -> BTreeSet<NodeId> {
        let lately = |(_, asked_ms): &(&NodeId, &u64)| now_ms.saturating_sub(**asked_ms) < ASKED_LATELY_MS;
        self.candidates_ms.iter().filter(lately).map(|(node_id, _)| *node_id).collect()
    }

    /// When the broker of this registration was last known to be alive, and since when it is known to be gone. A broker
    /// that this controller has not heard yet counts as heard when it became active.
    pub(super) fn of(&self, node_id: NodeId, broker_epoch: i64) -> (u64, Option<u64>) {
        let session = self.sessions.get(&node_id).filter(|session| session.broker_epoch == broker_epoch);
        let heard_ms = session.map(|session| session.heard_ms);
        let closed_ms = session.and_then(|session| session.closed_ms);
        let refused_ms = self.gone_ms.get(&node_id).copied().filter(|gone_ms| Some(*gone_ms) >= heard_ms);
        let since_ms = heard_ms.max(self.since_ms).unwrap_or(0);
        (since_ms, [closed_ms, refused_ms].into_iter().flatten().min())
    }
}

/// The sessions, shared by connections, network and the controller's loop.
#[derive(Debug)]
pub(crate) struct Sessions {
    started: Instant,
    heard: Mutex<Heard>,
    connections: AtomicU64,
    /// Whether this node is the active controller, for those who wait for it.
    leading: watch::Sender<bool>,
    /// A broker said something that it did not say before.
    news: Notify,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            heard: Mutex::default(),
            connections: AtomicU64::new(0),
            leading: watch::Sender::new(false),
            news: Notify::new(),
        }
    }
}

impl Sessions {
    /// Milliseconds on a clock that never goes back.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// This node became the active controller, or lost that. Either way it knows nothing of brokers any more, but whose
    /// process has just gone.
    pub(super) fn lead(&self, leads: bool) {
        let now_ms = self.now_ms();
        let mut heard = self.lock();
        let mut gone_ms = std::mem::take(&mut heard.gone_ms);
        gone_ms.retain(|_, since_ms| now_ms.saturating_sub(*since_ms) < GONE_LATELY_MS);
        *heard = Heard { since_ms: leads.then_some(now_ms), gone_ms, ..Heard::default() };
        drop(heard);
        self.leading.send_replace(leads);
    }

    /// Becomes ready once this node is the active controller.
    pub(crate) async fn leading(&self) {
        let mut leading = self.leading.subscribe();
        // The sender lives as long as `self`.
        let _ended = leading.wait_for(|leads| *leads).await.is_err();
    }

    /// Becomes ready when a broker wants what it did not want before, also if that was while nobody waited.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Whether this node is the active controller, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.lock().since_ms.is_some()
    }

    /// A heartbeat of a registered broker came.
    pub(crate) fn heard(&self, heartbeat: Heartbeat, connection: Option<u64>) {
        let Heartbeat { node_id, broker_epoch, want_fence, want_shutdown } = heartbeat;
        let heard_ms = self.now_ms();
        let session =
            Session { broker_epoch, heard_ms, connection, closed_ms: None, want_fence, want_shutdown };
        let mut heard = self.lock();
        let before = heard.sessions.insert(node_id, session);
        heard.gone_ms.remove(&node_id);
        drop(heard);
        let wishes = |session: Session| (session.broker_epoch, session.want_fence, session.want_shutdown);
        if before.map(wishes) != Some(wishes(session)) {
            self.news.notify_one();
        }
    }

    /// Nobody listens at this node's address.
    pub(crate) fn gone(&self, node_id: NodeId) {
        let now_ms = self.now_ms();
        self.lock().gone_ms.entry(node_id).or_insert(now_ms);
    }

    /// Somebody listens at this node's address.
    pub(crate) fn reached(&self, node_id: NodeId) {
        self.lock().gone_ms.remove(&node_id);
    }

    /// A node wants to vote.
    pub(crate) fn candidate(&self, node_id: NodeId) {
        let now_ms = self.now_ms();
        self.lock().candidates_ms.insert(node_id, now_ms);
    }

    /// Whether the process of this registration may still be there.
    pub(crate) fn may_live(&self, node_id: NodeId, broker_epoch: i64, session_timeout_ms: u64) -> bool {
        let now_ms = self.now_ms();
        let heard = self.lock();
        let session = heard.sessions.get(&node_id).filter(|session| session.broker_epoch == broker_epoch);
        session.is_some_and(|session| {
            session.closed_ms.is_none() && now_ms.saturating_sub(session.heard_ms) < session_timeout_ms
        })
    }

    /// A new connection; the broker whose last heartbeat came over it is gone when this is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> Connection {
        let id = self.connections.fetch_add(1, Ordering::Relaxed);
        Connection { id, sessions: Arc::clone(self) }
    }

    pub(super) fn snapshot(&self) -> Heard {
        self.lock().clone()
    }

    fn closed(&self, connection: u64) {
        let now_ms = self.now_ms();
        for session in self.lock().sessions.values_mut().filter(|s| s.connection == Some(connection)) {
            session.closed_ms = Some(now_ms);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    sessions: Arc<Sessions>,
}

impl Connection {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.sessions.closed(self.id);
    }
}

#[cfg(test)]
pub(super) fn session(broker_epoch: i64, heard_ms: u64) -> Session {
    Session {
        broker_epoch,
        heard_ms,
        connection: None,
        closed_ms: None,
        want_fence: false,
        want_shutdown: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(node_id: NodeId, broker_epoch: i64) -> Heartbeat {
        Heartbeat { node_id, broker_epoch, want_fence: false, want_shutdown: false }
    }

    #[test]
    fn a_closed_connection_ends_the_sessions_that_came_over_it_last() {
        let sessions = Arc::new(Sessions::default());
        sessions.lead(true);
        let (first, second) = (sessions.connection(), sessions.connection());
        sessions.heard(heartbeat(1, 5), Some(first.id()));
        sessions.heard(heartbeat(2, 6), Some(first.id()));
        sessions.heard(heartbeat(2, 6), Some(second.id()));
        drop(first);
        assert!(!sessions.may_live(1, 5, 1_000_000), "its connection is closed");
        assert!(sessions.may_live(2, 6, 1_000_000), "it had another by then");
        assert!(!sessions.may_live(2, 7, 1_000_000), "another registration is another process");
        assert!(!sessions.may_live(2, 6, 0), "it is silent for too long");
        sessions.heard(heartbeat(1, 5), Some(second.id()));
        assert!(sessions.may_live(1, 5, 1_000_000), "it came back");
    }

    #[test]
    fn a_new_controller_has_heard_nobody_but_knows_whose_process_has_just_gone() {
        let sessions = Arc::new(Sessions::default());
        assert!(!sessions.leads());
        sessions.heard(heartbeat(1, 5), None);
        sessions.candidate(4);
        sessions.gone(2);
        sessions.gone(3);
        sessions.reached(3);
        sessions.lead(true);
        let heard = sessions.snapshot();
        assert!(sessions.leads() && heard.sessions.is_empty() && heard.candidates(0).is_empty());
        assert_eq!(heard.gone_ms.keys().copied().collect::<Vec<_>>(), [2]);
        sessions.candidate(4);
        let (heard, now_ms) = (sessions.snapshot(), sessions.now_ms());
        assert_eq!(heard.candidates(now_ms), [4].into());
        assert!(heard.candidates(now_ms + ASKED_LATELY_MS).is_empty(), "it does not ask any more");
        sessions.heard(heartbeat(2, 6), None);
        assert!(sessions.snapshot().gone_ms.is_empty(), "it is there after all");
        sessions.lead(false);
        assert!(!sessions.leads());
    }
}
