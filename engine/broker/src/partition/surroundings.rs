//! What every partition of a broker shares: who this broker is, which others there are, and whom it tells of an ISR that
//! should change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use plimsoll_wire::Uuid;
use tokio::sync::Notify;

use super::replication::metadata::{ReplicaId, Standing};

/// A partition of a topic, also of one that had its name before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PartitionKey {
    pub(crate) topic_id: Uuid,
    pub(crate) index: i32,
}

/// Another broker, or this one, as the metadata knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Host and port that followers connect to; `None` while it is not known.
    pub(crate) address: Option<(String, u16)>,
    /// `broker.rack`.
    pub(crate) rack: Option<String>,
    /// Whether it is there, and since which registration.
    pub(crate) standing: Standing,
}

/// All registered brokers at one moment.
pub(crate) type Peers = BTreeMap<ReplicaId, Peer>;

/// Shared by all partitions of one broker.
#[derive(Debug)]
pub(crate) struct Surroundings {
    id: ReplicaId,
    lag_max: Duration,
    /// Swapped as a whole; the lock is held for the swap and for a copy of the pointer only.
    peers: RwLock<Arc<Peers>>,
    proposals: Proposals,
    pub(crate) counts: Counts,
}

/// What happened to ISRs, since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    shrinks: AtomicU64,
    expands: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

/// Partitions whose leader has something to propose to the controller.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    waiting: Mutex<BTreeSet<PartitionKey>>,
    news: Notify,
}

impl Surroundings {
    /// Of broker `id`, which knows of no broker yet. A follower may lag for `lag_max` (`replica.lag.time.max.ms`).
    pub(crate) fn new(id: ReplicaId, lag_max: Duration) -> Self {
        Self {
            id,
            lag_max,
            peers: RwLock::default(),
            proposals: Proposals::default(),
            counts: Counts::default(),
        }
    }

    /// This broker.
    pub(crate) fn id(&self) -> ReplicaId {
        self.id
    }

    /// `replica.lag.time.max.ms`.
    pub(crate) fn lag_max(&self) -> Duration {
        self.lag_max
    }

    /// The brokers as they are known now.
    pub(crate) fn peers(&self) -> Arc<Peers> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what newer metadata says of the brokers.
    pub(crate) fn know_peers(&self, peers: Peers) {
        let peers = Arc::new(peers);
        let _before =
            std::mem::replace(&mut *self.peers.write().unwrap_or_else(PoisonError::into_inner), peers);
    }

    /// This broker's own registration, -1 while it is not known.
    pub(crate) fn broker_epoch(&self) -> i64 {
        self.peers().get(&self.id).map_or(-1, |own| own.standing.broker_epoch)
    }

    /// What is to be proposed to the controller.
    pub(crate) fn proposals(&self) -> &Proposals {
        &self.proposals
    }
}

impl Proposals {
    /// Something is to be proposed for this partition.
    pub(crate) fn add(&self, partition: PartitionKey) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(partition);
        self.news.notify_one();
    }

    /// Resolves once there may be something. Cancel-safe.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes at most `max` out.
    pub(crate) fn take(&self, max: usize) -> Vec<PartitionKey> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        while taken.len() < max
            && let Some(partition) = waiting.pop_first()
        {
            taken.push(partition);
        }
        if !waiting.is_empty() {
            self.news.notify_one();
        }
        taken
    }
}

impl Counts {
    /// An ISR of `before` members has `after` now.
    pub(super) fn isr_changed(&self, before: usize, after: usize) {
        let which = match before.cmp(&after) {
            std::cmp::Ordering::Less => &self.expands,
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => &self.shrinks,
        };
        which.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of batches came from a leader.
    pub(super) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of batches go to a follower.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Committed changes by which an ISR lost and gained members.
    pub(crate) fn isr_changes(&self) -> (u64, u64) {
        (self.shrinks.load(Ordering::Relaxed), self.expands.load(Ordering::Relaxed))
    }

    /// Bytes of batches taken from leaders and given to followers.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.received_bytes.load(Ordering::Relaxed), self.sent_bytes.load(Ordering::Relaxed))
    }
}
