//! What a leader does about its ISR: looks who lags, proposes, and takes the controller's answers.

use super::Partition;
use super::replication::isr::{AlterPartition, Answer, Next};
use super::standing::NO_EPOCH;

/// A leader's replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) replicas: usize,
    pub(crate) in_sync: usize,
    pub(crate) min_isr: usize,
}

impl Partition {
    /// Looks after the ISR: whether somebody lags behind for too long, and whether a proposal is to be sent again.
    pub(crate) fn look_after_isr(&self) {
        let standing = &self.standing;
        if standing.leads_in() == NO_EPOCH || standing.is_alone() {
            return;
        }
        standing.look_again(&self.log.marks(), |leading, view| {
            leading.leader.propose(view);
            standing.noted(leading.leader.isr().proposal());
        });
    }

    /// What the controller is to be asked for.
    pub(crate) fn proposal(&self) -> Option<AlterPartition> {
        self.standing.lock().leading.as_ref().and_then(|leading| leading.leader.isr().proposal())
    }

    /// Takes the controller's answer to the proposal that was based on partition epoch `based_on`.
    pub(crate) fn altered(&self, based_on: i32, answer: Answer) -> Next {
        let standing = &self.standing;
        let next = standing.look_again(&self.log.marks(), |leading, view| {
            let before = leading.leader.isr().committed().len();
            let next = leading.leader.answered(based_on, answer);
            standing.around.counts.isr_changed(before, leading.leader.isr().committed().len());
            leading.leader.advance(view);
            standing.noted(leading.leader.propose(view));
            next
        });
        next.unwrap_or(Next::Ignore)
    }

    /// How many replicas there are, how many are in sync, and how many must be; `None` if this one does not lead.
    pub(crate) fn health(&self) -> Option<Health> {
        let state = self.standing.lock();
        let leader = &state.leading.as_ref()?.leader;
        Some(Health {
            replicas: leader.followers().len() + 1,
            in_sync: leader.isr().committed().len(),
            min_isr: leader.min_isr(),
        })
    }
}
