//! What this replica is at the moment, shared with the log's observer. The lock is short: no I/O and no await under it.
//!
//! Two things are published beside it, so that a partition of one replica takes no lock of replication's: the epoch in
//! which this replica leads, and the high watermark.

use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use plimsoll_log::{Level, Marks};
use plimsoll_wire::ErrorCode;
use tokio::sync::oneshot;

use super::replication::acks::{Purgatory, Reach};
use super::replication::isr::AlterPartition;
use super::replication::leader::{Leader, Rules};
use super::replication::metadata::{OwnLog, ReplicaId, Standing as BrokerStanding, View};
use super::replication::role::Role;
use super::residence::Residence;
use super::surroundings::{PartitionKey, Peers, Surroundings};
use super::watchers::Watchers;

/// No epoch: it does not lead, or nobody does.
pub(super) const NO_EPOCH: i32 = -1;

/// Stands for "as far as the own log goes": nobody else holds the partition.
const ALONE: i64 = i64::MAX;

/// The answer to an append that waits for all.
pub(super) type Acknowledged = Result<(), ErrorCode>;

/// A replica's part in its partition.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) key: PartitionKey,
    pub(super) around: Arc<Surroundings>,
    pub(super) level: Level,
    /// Followers that wait for the log to grow.
    pub(super) followers: Watchers,
    /// Consumers that wait for the high watermark.
    pub(super) consumers: Watchers,
    pub(super) residence: Mutex<Residence>,
    /// Records that the leader has committed and this follower lacks.
    pub(super) lag: AtomicI64,
    leads_in: AtomicI32,
    known_epoch: AtomicI32,
    high_watermark: AtomicI64,
    state: Mutex<State>,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State {
    /// As the metadata had it last; `None` since the start.
    pub(super) role: Option<Role>,
    pub(super) leading: Option<Leading>,
    pub(super) rules: Rules,
}

/// A leader's state, and who waits for it.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) leader: Leader,
    pub(super) waiting: Purgatory<oneshot::Sender<Acknowledged>>,
    /// The newest generation of the log that was heard of.
    generation: u64,
}

impl Leading {
    pub(super) fn new(leader: Leader, generation: u64) -> Self {
        Self { leader, waiting: Purgatory::default(), generation }
    }

    /// How far the partition is, for those who wait.
    pub(super) fn reach(&self, view: &View<'_>) -> Reach {
        self.leader.reach(self.generation, view)
    }

    /// Nobody else holds the partition, and nobody waits for others.
    fn is_alone(&self) -> bool {
        let isr = self.leader.isr();
        self.leader.followers().is_empty() && !isr.is_pending() && self.waiting.is_empty()
    }
}

impl State {
    /// What the metadata made of this replica, by whichever way the newest of it came.
    pub(super) fn role(&self) -> Option<Role> {
        self.leading.as_ref().map(|leading| leading.leader.role()).or(self.role)
    }
}

/// What came of looking again.
#[derive(Debug, Default)]
pub(super) struct Advanced {
    /// The high watermark moved.
    moved: bool,
    settled: Vec<(oneshot::Sender<Acknowledged>, Acknowledged)>,
}

impl Standing {
    pub(super) fn new(
        key: PartitionKey,
        around: Arc<Surroundings>,
        level: Level,
        rules: Rules,
        high_watermark: i64,
        residence: Residence,
    ) -> Self {
        Self {
            key,
            around,
            level,
            followers: Watchers::default(),
            consumers: Watchers::default(),
            residence: Mutex::new(residence),
            lag: AtomicI64::new(0),
            leads_in: AtomicI32::new(NO_EPOCH),
            known_epoch: AtomicI32::new(NO_EPOCH),
            high_watermark: AtomicI64::new(high_watermark),
            state: Mutex::new(State { role: None, leading: None, rules }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves a high watermark and progress that only ever grew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn residence(&self) -> MutexGuard<'_, Residence> {
        self.residence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch in which this replica leads, or [`NO_EPOCH`]. It leads at most once in an epoch, so the same epoch
    /// before and after something means that it led all the time.
    pub(super) fn leads_in(&self) -> i32 {
        self.leads_in.load(Ordering::Acquire)
    }

    /// The leader epoch that it knows of, or [`NO_EPOCH`].
    pub(super) fn known_epoch(&self) -> i32 {
        self.known_epoch.load(Ordering::Acquire)
    }

    /// Leads nobody any more. Who waits for all replicas fails; the caller ends the log's generation after that.
    pub(super) fn resign(&self, state: &mut State, high_watermark: i64) {
        self.leads_in.store(NO_EPOCH, Ordering::Release);
        self.high_watermark.store(high_watermark, Ordering::Release);
        state.leading = None;
    }

    /// Notes which epoch the metadata is in, and who leads in it.
    pub(super) fn know_role(&self, state: &mut State, role: Role) {
        state.role = Some(role);
        self.known_epoch.store(role.leader_epoch, Ordering::Release);
    }

    /// Leads from now on.
    pub(super) fn lead(&self, state: &mut State, leading: Leading) {
        let leader_epoch = leading.leader.leader_epoch();
        self.publish(&leading);
        state.leading = Some(leading);
        self.leads_in.store(leader_epoch, Ordering::Release);
    }

    /// Nobody else holds the partition: the high watermark is the log's own mark.
    pub(super) fn is_alone(&self) -> bool {
        self.high_watermark.load(Ordering::Acquire) == ALONE
    }

    /// The high watermark of a log with these marks.
    pub(super) fn high_watermark(&self, marks: &Marks) -> i64 {
        match self.high_watermark.load(Ordering::Acquire) {
            ALONE => marks.at(self.level),
            known => known.min(marks.written).max(marks.start_offset),
        }
    }

    /// Sets a follower's high watermark; whoever waits for it is told.
    pub(super) fn set_follower_high_watermark(&self, high_watermark: i64) {
        let before = self.high_watermark.swap(high_watermark, Ordering::AcqRel);
        if high_watermark > before {
            self.residence().readable_to(high_watermark, Instant::now);
            self.consumers.wake();
        }
    }

    pub(super) fn publish(&self, leading: &Leading) {
        let high_watermark = match leading.is_alone() {
            true => ALONE,
            false => leading.leader.high_watermark(),
        };
        self.high_watermark.store(high_watermark, Ordering::Release);
    }

    /// The log is further, or its generation or its health changed. Says whether a sync brought it further.
    pub(super) fn observed(&self, marks: &Marks) -> bool {
        let alone = self.is_alone();
        let synced = {
            let mut residence = self.residence();
            if alone {
                residence.readable_to(marks.at(self.level), Instant::now);
            }
            residence.synced_to(marks.durable)
        };
        if alone {
            self.consumers.wake();
        } else {
            self.look_again(marks, |_, _| ());
        }
        self.followers.wake();
        if marks.fault.is_some() {
            self.fail_waiting(ErrorCode::KafkaStorageError);
        }
        synced
    }

    /// Whoever waits for all replicas is told `error`.
    pub(super) fn fail_waiting(&self, error: ErrorCode) {
        let waiting = self.lock().leading.as_mut().map(|leading| leading.waiting.drain());
        for who in waiting.into_iter().flatten() {
            let _gone = who.send(Err(error));
        }
    }

    /// Changes the leader's state by `change`, then moves the high watermark as far as it goes and tells whoever waited
    /// for it. `None` if this replica does not lead.
    pub(super) fn look_again<R>(
        &self,
        marks: &Marks,
        change: impl FnOnce(&mut Leading, &View<'_>) -> R,
    ) -> Option<R> {
        let (result, advanced) = {
            let mut state = self.lock();
            let leading = state.leading.as_mut()?;
            let peers = self.around.peers();
            let brokers = standing_in(&peers);
            let view = self.view(marks, &brokers);
            let result = change(leading, &view);
            (result, self.advance(leading, marks, &view))
        };
        self.tell(advanced);
        Some(result)
    }

    /// Moves the high watermark and settles what it settles. To be told once no lock is held.
    pub(super) fn advance(&self, leading: &mut Leading, marks: &Marks, view: &View<'_>) -> Advanced {
        leading.generation = leading.generation.max(marks.generation);
        let moved = leading.leader.advance(view);
        let reach = leading.reach(view);
        let settled = leading.waiting.settle(&reach);
        self.publish(leading);
        if moved {
            self.residence().readable_to(leading.leader.high_watermark(), Instant::now);
        }
        Advanced { moved, settled }
    }

    pub(super) fn tell(&self, advanced: Advanced) {
        for (who, answer) in advanced.settled {
            let _gone = who.send(answer);
        }
        if advanced.moved {
            self.consumers.wake();
        }
    }

    /// What surrounds a leader whose log has these marks.
    pub(super) fn view<'a>(
        &self,
        marks: &Marks,
        brokers: &'a dyn Fn(ReplicaId) -> Option<BrokerStanding>,
    ) -> View<'a> {
        let log = OwnLog { start: marks.start_offset, end: marks.written, reached: marks.at(self.level) };
        View { now: Instant::now(), log, brokers }
    }

    /// Notes what the leader proposes, if that is new.
    pub(super) fn noted(&self, proposal: Option<AlterPartition>) {
        if proposal.is_some() {
            self.around.proposals().add(self.key);
        }
    }
}

/// Looks brokers up.
pub(super) fn standing_in(peers: &Peers) -> impl Fn(ReplicaId) -> Option<BrokerStanding> + '_ {
    |id| peers.get(&id).map(|peer| peer.standing)
}
