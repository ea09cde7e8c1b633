//! The state of one leader epoch: its followers, its ISR, its high watermark.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_wire::ErrorCode;

use super::acks::Reach;
use super::high_watermark;
use super::isr::{AlterPartition, Answer, Isr, Members, Next};
use super::metadata::{PartitionState, ReplicaId, View};
use super::progress::{Progress, Reported};
use super::role::Role;
use super::serve::{Asked, Range, Verdict, fence, judge};

/// A partition's settings, as far as replication goes by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `min.insync.replicas`; no more than there are replicas is ever asked for.
    pub min_isr: usize,
    /// `replica.lag.time.max.ms`.
    pub lag_max: Duration,
}

/// A follower's Fetch of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    /// The follower.
    pub replica_id: ReplicaId,
    /// Its registration; -1 if it does not say (before version 15).
    pub broker_epoch: i64,
    /// What it asks.
    pub asked: Asked,
    /// First offset of its log.
    pub log_start: i64,
    /// How far it holds records by the level: what it asks for or, under `durability=fsync`, what it says is durable. No
    /// more than it asks for is believed.
    pub reached: i64,
}

impl FollowerFetch {
    fn reported(&self) -> Reported {
        let Self { broker_epoch, log_start, reached, asked: Asked { fetch_offset: log_end, .. }, .. } = *self;
        Reported { log_start, log_end, reached: reached.min(log_end), broker_epoch }
    }
}

/// The replicas but `id`, and whether each is in the ISR.
fn others(id: ReplicaId, state: &PartitionState) -> impl Iterator<Item = (ReplicaId, bool)> {
    let others = state.replicas.iter().chain(&state.isr).filter(move |&&other| other != id);
    others.map(|other| (*other, state.isr.contains(other)))
}

/// The leader's state in one epoch. Begins anew with each epoch, also with the same leader's.
#[derive(Clone, Debug)]
pub struct Leader {
    id: ReplicaId,
    leader_epoch: i32,
    epoch_start: i64,
    followers: BTreeMap<ReplicaId, Progress>,
    isr: Isr,
    high_watermark: i64,
    rules: Rules,
}

impl Leader {
    /// Begins the epoch of `state`, which `id` leads, at `epoch_start`: the log's end. The high watermark is the last that
    /// this replica knew, if its log still has it.
    pub fn new(
        id: ReplicaId,
        state: &PartitionState,
        epoch_start: i64,
        high_watermark: i64,
        rules: Rules,
        now: Instant,
    ) -> Self {
        let followers = others(id, state).map(|(id, in_isr)| (id, Progress::new(in_isr, now))).collect();
        let high_watermark = high_watermark.min(epoch_start);
        let (leader_epoch, isr) = (state.leader_epoch, Isr::new(state));
        Self { id, leader_epoch, epoch_start, followers, isr, high_watermark, rules }
    }

    /// Takes a newer record of the same epoch. Says whether it is newer; then [`advance`](Self::advance).
    pub fn update(&mut self, state: &PartitionState, now: Instant) -> bool {
        let newer = self.isr.update(state);
        if newer {
            let kept = std::mem::take(&mut self.followers);
            let progress = |(id, in_isr)| {
                let known = kept.get(&id).copied();
                (id, known.unwrap_or_else(|| Progress::new(in_isr, now)))
            };
            self.followers = others(self.id, state).map(progress).collect();
        }
        newer
    }

    /// Takes changed settings.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Judges a follower's Fetch and, if it may read, notes how far it is (rules E23, E25). To be called when the log is
    /// read, not when a delayed answer goes out. Then [`advance`](Self::advance).
    pub fn fetch(&mut self, fetch: &FollowerFetch, range: &Range, view: &View<'_>) -> Verdict {
        if let Err(code) = self.admit(fetch, view) {
            return Verdict::Refuse(code);
        }
        let verdict = judge(&fetch.asked, self.leader_epoch, range);
        let follower = self.followers.get_mut(&fetch.replica_id).filter(|_| verdict == Verdict::Read);
        if let Some(follower) = follower {
            follower.record(fetch.reported(), view.log.end, view.now);
        }
        verdict
    }

    /// Only a replica's Fetch counts, and only that of its present registration.
    fn admit(&self, fetch: &FollowerFetch, view: &View<'_>) -> Result<(), ErrorCode> {
        let Some(follower) = self.followers.get(&fetch.replica_id) else {
            fence(fetch.asked.current_leader_epoch, self.leader_epoch)?;
            // It may know of an assignment that this leader does not know of yet.
            return Err(match fetch.asked.current_leader_epoch {
                -1 => ErrorCode::NotLeaderOrFollower,
                _ => ErrorCode::UnknownLeaderEpoch,
            });
        };
        let registered = (view.brokers)(fetch.replica_id).map(|broker| broker.broker_epoch);
        let known = registered.max(follower.reported().map(|said| said.broker_epoch));
        match fetch.broker_epoch {
            // What the process before this one held may be gone.
            stale if stale != -1 && known > Some(stale) => Err(ErrorCode::NotLeaderOrFollower),
            _ => Ok(()),
        }
    }

    /// Moves the high watermark as far as it goes (rule E24). To be called whenever the own log, a follower, the ISR, or a
    /// follower's standing changed, and from time to time: a follower that is about to join holds it back only for as
    /// long as it keeps up. Says whether it moved.
    pub fn advance(&mut self, view: &View<'_>) -> bool {
        let before = self.high_watermark;
        let sizes = (self.isr.committed().len(), self.min_isr());
        let counts = |id, follower| self.isr.may_contain(id) || self.may_come(id, follower, view);
        let followers = self.followers.iter().filter(|(id, follower)| counts(**id, follower));
        let counted = followers.map(|(_, follower)| follower.reached()).chain([Some(view.log.reached)]);
        self.high_watermark = high_watermark::advanced(before, sizes, counted);
        self.high_watermark > before
    }

    /// Proposes what the ISR should be, and returns the proposal to send to the controller if it is new. Nothing while
    /// another is under way. To be called when a follower outside the ISR has fetched, after a proposal was settled, and
    /// every half `replica.lag.time.max.ms`.
    pub fn propose(&mut self, view: &View<'_>) -> Option<AlterPartition> {
        let epoch_of = |follower: &Progress| follower.reported().map_or(-1, |said| said.broker_epoch);
        let belongs = |id, follower: &Progress| match self.isr.committed().contains(&id) {
            true => follower.is_caught_up(view.log.end, self.rules.lag_max, view.now),
            false => self.may_join(id, follower, view),
        };
        let others = self.followers.iter().filter(|(id, follower)| belongs(**id, follower));
        let own_epoch = (view.brokers)(self.id).map_or(-1, |broker| broker.broker_epoch);
        let members: Members =
            others.map(|(id, follower)| (*id, epoch_of(follower))).chain([(self.id, own_epoch)]).collect();
        self.isr.propose(members).then(|| self.isr.proposal()).flatten()
    }

    /// Takes the answer to the proposal that was based on partition epoch `based_on`.
    pub fn answered(&mut self, based_on: i32, answer: Answer) -> Next {
        self.isr.answered(based_on, answer)
    }

    /// Outside the ISR, keeping up and eligible: it may be proposed at any moment, so it counts already.
    fn may_come(&self, id: ReplicaId, follower: &Progress, view: &View<'_>) -> bool {
        let keeps_up = follower.is_caught_up(view.log.end, self.rules.lag_max, view.now);
        keeps_up && Self::is_eligible(id, follower, view)
    }

    /// Rule E25: it has all that is committed, by this leader and by those before it. And it begins no earlier than this
    /// leader's log: what a follower has below that, nobody can compare any more (rule E27), and it must not be shown.
    fn may_join(&self, id: ReplicaId, follower: &Progress, view: &View<'_>) -> bool {
        let committed = self.high_watermark.max(self.epoch_start);
        let comparable = follower.reported().is_some_and(|said| said.log_start >= view.log.start);
        comparable && follower.reached() >= Some(committed) && Self::is_eligible(id, follower, view)
    }

    /// Rule E25 and KIP-903: the process that fetched is the one that is registered, and stays.
    fn is_eligible(id: ReplicaId, follower: &Progress, view: &View<'_>) -> bool {
        let (Some(said), Some(broker)) = (follower.reported(), (view.brokers)(id)) else { return false };
        let same = said.broker_epoch == -1 || said.broker_epoch == broker.broker_epoch;
        same && !broker.fenced && !broker.shutting_down
    }

    /// `min.insync.replicas`, or how many replicas there are if that is less.
    pub fn min_isr(&self) -> usize {
        self.rules.min_isr.min(self.followers.len() + 1)
    }

    /// How far the partition is, for those who wait. `generation` is the log's.
    pub fn reach(&self, generation: u64, view: &View<'_>) -> Reach {
        Reach {
            generation,
            reached: view.log.reached,
            high_watermark: self.high_watermark,
            isr_size: self.isr.committed().len(),
            min_isr: self.min_isr(),
        }
    }

    /// The least log start of all replicas that are there: DeleteRecords is done once it passes its offset (rule E30).
    /// `None` while one of them did not say.
    pub fn low_watermark(&self, view: &View<'_>) -> Option<i64> {
        let there = self.followers.iter().filter(|(id, _)| (view.brokers)(**id).is_some_and(|b| !b.fenced));
        let starts = there.map(|(_, follower)| follower.reported().map(|said| said.log_start));
        starts.chain([Some(view.log.start)]).min().flatten()
    }

    /// What [`decide`](super::role::decide) compares with: the newest partition epoch, by whichever way it came.
    pub fn role(&self) -> Role {
        let partition_epoch = self.isr.partition_epoch();
        Role { leader: Some(self.id), leader_epoch: self.leader_epoch, partition_epoch }
    }

    /// This broker.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// The epoch.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The log's end when the epoch began.
    pub fn epoch_start(&self) -> i64 {
        self.epoch_start
    }

    /// What all replicas that count hold.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Who is in sync.
    pub fn isr(&self) -> &Isr {
        &self.isr
    }

    /// The followers, by id.
    pub fn followers(&self) -> &BTreeMap<ReplicaId, Progress> {
        &self.followers
    }
}

#[cfg(test)]
#[path = "leader_tests.rs"]
mod tests;
