//! What a change of the metadata makes of this replica, carried out.

use std::time::Instant;

use plimsoll_log::{LogError, WaitError};

use super::replication::leader::Leader;
use super::replication::metadata::PartitionState;
use super::replication::role::{Change, Local, Role, decide};
use super::standing::Leading;
use super::{Partition, PartitionError};

impl Partition {
    /// Makes of this replica what `state` says, if that is news. `registered` tells that the metadata which it comes from
    /// holds this process's own registration. On return a new leader epoch is on disk, and everybody who waited under the
    /// old one has failed.
    ///
    /// One change at a time, and none while a leader's answer is being appended. Cancel safety: dropped amid a change the
    /// replica neither leads nor follows until the next one.
    pub(crate) async fn take_role(
        &self,
        registered: bool,
        state: &PartitionState,
    ) -> Result<Change, PartitionError> {
        let _turn = self.turn.lock().await;
        let local = Local {
            id: self.standing.around.id(),
            registered,
            log_epoch: self.log.latest_epoch().map(|latest| latest.epoch),
            role: self.standing.lock().role(),
        };
        let change = decide(&local, state);
        match change {
            Change::Ignore | Change::Await => {}
            Change::Lead { leader_epoch } => self.lead(leader_epoch, state).await?,
            Change::LeadOn => self.lead_on(state),
            Change::FollowOn => self.know(state),
            Change::Follow { .. } | Change::Leaderless | Change::Leave => {
                self.resign();
                self.know(state);
            }
        }
        self.wake_all();
        Ok(change)
    }

    /// `min.insync.replicas` is another one now.
    pub(crate) fn set_min_isr(&self, min_isr: usize) {
        {
            let mut state = self.standing.lock();
            state.rules.min_isr = min_isr;
            let rules = state.rules;
            state.leading.iter_mut().for_each(|leading| leading.leader.set_rules(rules));
        }
        self.advance();
    }

    async fn lead(&self, leader_epoch: i32, state: &PartitionState) -> Result<(), PartitionError> {
        let generation = self.resign();
        // Followers read what is written: all of it must be, before they are told where the epoch begins.
        let log_end = self.log.marks().accepted;
        self.log.wait(generation, plimsoll_log::Level::Written, log_end).await.map_err(not_written)?;
        let epoch_start = self.log.assign_leader_epoch(leader_epoch).await?;
        let marks = self.log.marks();
        let known = self.standing.high_watermark(&marks);
        let (id, now) = (self.standing.around.id(), Instant::now());
        {
            let mut locked = self.standing.lock();
            let leader = Leader::new(id, state, epoch_start, known, locked.rules, now);
            self.standing.know_role(&mut locked, role_of(state));
            self.standing.lead(&mut locked, Leading::new(leader, marks.generation));
        }
        self.advance();
        Ok(())
    }

    /// Replicas or the ISR changed; the epoch did not.
    fn lead_on(&self, state: &PartitionState) {
        let marks = self.log.marks();
        let standing = &self.standing;
        standing.look_again(&marks, |leading, view| {
            // As far as it goes by the old record, before a new member may hold it back.
            leading.leader.advance(view);
            let before = leading.leader.isr().committed().len();
            leading.leader.update(state, view.now);
            standing.around.counts.isr_changed(before, leading.leader.isr().committed().len());
            standing.noted(leading.leader.propose(view));
        });
        self.know(state);
        // What came while nobody looked, because this was the only replica.
        self.advance();
    }

    /// Leads nobody, and ends the log's generation: whoever waits in the old one fails.
    fn resign(&self) -> u64 {
        let high_watermark = self.standing.high_watermark(&self.log.marks());
        self.standing.resign(&mut self.standing.lock(), high_watermark);
        self.log.new_generation()
    }

    fn know(&self, state: &PartitionState) {
        self.standing.know_role(&mut self.standing.lock(), role_of(state));
    }

    /// Looks whether the high watermark goes further, and who may be told.
    pub(super) fn advance(&self) {
        self.standing.look_again(&self.log.marks(), |_, _| ());
    }

    fn wake_all(&self) {
        self.standing.consumers.wake();
        self.standing.followers.wake();
    }
}

fn role_of(state: &PartitionState) -> Role {
    let PartitionState { leader, leader_epoch, partition_epoch, .. } = *state;
    Role { leader, leader_epoch, partition_epoch }
}

fn not_written(error: WaitError) -> PartitionError {
    match error {
        WaitError::Fault(fault) => LogError::Poisoned(fault),
        WaitError::GenerationChanged { .. } | WaitError::NoSpace | WaitError::Closed => LogError::Closed,
    }
    .into()
}
