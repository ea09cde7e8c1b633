//! What the metadata says of a partition and of the brokers that hold it.

use std::time::Instant;

/// A broker's `node.id`.
pub type ReplicaId = i32;

/// One partition, as committed by the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Assigned replicas, the preferred leader first.
    pub replicas: Vec<ReplicaId>,
    /// Replicas in sync.
    pub isr: Vec<ReplicaId>,
    /// `None` while nobody in sync can lead.
    pub leader: Option<ReplicaId>,
    /// Rises at every election and at every registration of the leader.
    pub leader_epoch: i32,
    /// Rises at every change of this record, whichever field it is about.
    pub partition_epoch: i32,
}

/// A broker as the metadata knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Rises with each registration.
    pub broker_epoch: i64,
    /// It misses heartbeats, or has not caught up with the metadata since it registered.
    pub fenced: bool,
    /// It asked to stop.
    pub shutting_down: bool,
}

/// Looks up a registered broker.
pub type Brokers<'a> = &'a dyn Fn(ReplicaId) -> Option<Standing>;

/// What surrounds a leader at the moment of a decision.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Monotonic; never behind an earlier view's.
    pub now: Instant,
    /// The leader's own log.
    pub log: OwnLog,
    /// The brokers of the metadata.
    pub brokers: Brokers<'a>,
}

/// The leader's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLog {
    /// First offset that may be read.
    pub start: i64,
    /// The end that followers read up to: never beyond `written`.
    pub end: i64,
    /// The mark of the level. Not above `end`.
    pub reached: i64,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("now", &self.now).field("log", &self.log).finish_non_exhaustive()
    }
}
