//! Who is in sync, and a change of that which the controller has not committed yet (KIP-497).
//!
//! ```text
//!             propose              Committed, newer metadata
//! committed ───────────► proposed ───────────────────────────► committed
//!                         │    ▲
//!                         └────┘ no answer: send again; refused: propose what was committed
//! ```
//!
//! A proposal that was sent once may still be committed, whatever was answered to it: it may have been sent twice by what
//! carries it, or overtaken. Whom it adds might then be elected, so they count for the high watermark until a newer
//! partition epoch makes it void. After a refusal the ISR is therefore proposed as it is, for the sake of that epoch.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use plimsoll_wire::ErrorCode;

use super::metadata::{PartitionState, ReplicaId};

/// Replicas with the broker epoch in which each has shown what it holds; -1 if that does not matter (KIP-903).
pub type Members = BTreeMap<ReplicaId, i64>;

/// The in-sync replicas of one leader epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isr {
    committed: BTreeSet<ReplicaId>,
    leader_epoch: i32,
    partition_epoch: i32,
    proposed: Option<Members>,
    /// Members of proposals that were refused and are not void yet.
    refused: BTreeSet<ReplicaId>,
}

/// A change for the controller to commit. It must refuse one whose epochs are not its own, and raise the partition epoch
/// with each that it commits, also if the ISR stays as it was: what arrives after that is void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    /// The proposer's leader epoch.
    pub leader_epoch: i32,
    /// The partition epoch that the change is based on.
    pub partition_epoch: i32,
    /// The new ISR. A member that registered again since may have lost what it held: refuse it.
    pub isr: Members,
}

/// What came of an [`AlterPartition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The controller's record after the change.
    Committed {
        /// Replicas in sync.
        isr: Vec<ReplicaId>,
        /// Its leader epoch.
        leader_epoch: i32,
        /// Its partition epoch.
        partition_epoch: i32,
    },
    /// It refused.
    Refused(ErrorCode),
    /// The connection broke or the time was up: it may have been committed, or may yet be.
    Lost,
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The ISR changed: see what of the high watermark and of proposals follows.
    Committed,
    /// Send [`Isr::proposal`], which may be another one now, after a pause and perhaps to another controller.
    SendAgain,
    /// The metadata is newer than this replica's. It settles everything when it arrives.
    AwaitMetadata,
    /// The answer is to a proposal that is settled.
    Ignore,
}

impl Isr {
    /// As the metadata has it.
    pub fn new(state: &PartitionState) -> Self {
        Self {
            committed: state.isr.iter().copied().collect(),
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            proposed: None,
            refused: BTreeSet::new(),
        }
    }

    /// The members on which acknowledgements rely.
    pub fn committed(&self) -> &BTreeSet<ReplicaId> {
        &self.committed
    }

    /// The epoch of the newest change that is known to be committed.
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// Whether a change is under way. No other is proposed then.
    pub fn is_pending(&self) -> bool {
        self.proposed.is_some()
    }

    /// Whether `id` is in the maximal ISR: a member by the committed ISR or by any change that may be committed.
    pub fn may_contain(&self, id: ReplicaId) -> bool {
        let proposed = self.proposed.as_ref().is_some_and(|members| members.contains_key(&id));
        proposed || self.refused.contains(&id) || self.committed.contains(&id)
    }

    /// Makes `members` the ISR as soon as the controller commits it: see [`proposal`](Self::proposal). Nothing while
    /// another change is under way, or if it is no change.
    pub fn propose(&mut self, members: Members) -> bool {
        let changes = !self.is_pending() && !members.keys().eq(&self.committed);
        if changes {
            self.proposed = Some(members);
        }
        changes
    }

    /// What to send to the controller, if anything.
    pub fn proposal(&self) -> Option<AlterPartition> {
        let Self { leader_epoch, partition_epoch, .. } = *self;
        self.proposed.clone().map(|isr| AlterPartition { leader_epoch, partition_epoch, isr })
    }

    /// Takes the answer to the proposal that was based on `based_on`.
    pub fn answered(&mut self, based_on: i32, answer: Answer) -> Next {
        if based_on != self.partition_epoch || !self.is_pending() {
            return Next::Ignore;
        }
        match answer {
            Answer::Committed { leader_epoch, .. } if leader_epoch != self.leader_epoch => {
                Next::AwaitMetadata
            }
            Answer::Committed { isr, partition_epoch, .. } => {
                match partition_epoch.cmp(&self.partition_epoch) {
                    Ordering::Less => Next::AwaitMetadata,
                    // It made nothing void.
                    Ordering::Equal => Next::SendAgain,
                    Ordering::Greater => {
                        self.settle(isr, partition_epoch);
                        Next::Committed
                    }
                }
            }
            Answer::Refused(ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted) => {
                self.refused.extend(self.proposed.iter().flat_map(BTreeMap::keys));
                self.proposed = Some(self.committed.iter().map(|&id| (id, -1)).collect());
                Next::SendAgain
            }
            Answer::Refused(
                ErrorCode::FencedLeaderEpoch
                | ErrorCode::NewLeaderElected
                | ErrorCode::InvalidUpdateVersion
                | ErrorCode::InvalidRequest
                | ErrorCode::UnknownTopicOrPartition
                | ErrorCode::UnknownTopicId,
            ) => Next::AwaitMetadata,
            Answer::Refused(_) | Answer::Lost => Next::SendAgain,
        }
    }

    /// Takes a newer record of the same leader epoch. Says whether it is newer; a proposal is void then.
    pub fn update(&mut self, state: &PartitionState) -> bool {
        let newer = state.leader_epoch == self.leader_epoch && state.partition_epoch > self.partition_epoch;
        if newer {
            self.settle(state.isr.iter().copied(), state.partition_epoch);
        }
        newer
    }

    fn settle(&mut self, isr: impl IntoIterator<Item = ReplicaId>, partition_epoch: i32) {
        self.committed = isr.into_iter().collect();
        self.partition_epoch = partition_epoch;
        self.proposed = None;
        self.refused.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Answer = Answer::Refused(ErrorCode::IneligibleReplica);

    fn isr(members: &[ReplicaId]) -> Isr {
        Isr::new(&PartitionState {
            replicas: vec![1, 2, 3],
            isr: members.to_vec(),
            leader: Some(1),
            leader_epoch: 4,
            partition_epoch: 7,
        })
    }

    fn members(ids: &[ReplicaId]) -> Members {
        ids.iter().map(|&id| (id, 10 * i64::from(id))).collect()
    }

    /// An ISR of 1 and 2 into which 3 is to come, after these answers.
    fn joining(answers: &[Answer]) -> (Isr, Vec<Next>) {
        let mut isr = isr(&[1, 2]);
        assert!(isr.propose(members(&[1, 2, 3])));
        let next = answers.iter().map(|answer| isr.answered(7, answer.clone())).collect();
        (isr, next)
    }

    fn committed(isr: &[ReplicaId], leader_epoch: i32, partition_epoch: i32) -> Answer {
        Answer::Committed { isr: isr.to_vec(), leader_epoch, partition_epoch }
    }

    #[test]
    fn e24_the_maximal_isr_counts_until_a_newer_epoch_settles_the_change() {
        type Case<'a> = (&'a [Answer], &'a [Next], &'a [ReplicaId], bool, &'a str);
        use Next::{AwaitMetadata, Committed, SendAgain};
        let refused = |code| Answer::Refused(code);
        let cases: [Case<'_>; 9] = [
            (&[], &[], &[1, 2], true, "proposed"),
            (&[committed(&[1, 2, 3], 4, 8)], &[Committed], &[1, 2, 3], true, "committed"),
            (&[Answer::Lost], &[SendAgain], &[1, 2], true, "no answer"),
            (&[refused(ErrorCode::NotController)], &[SendAgain], &[1, 2], true, "to another controller"),
            (&[REFUSED], &[SendAgain], &[1, 2], true, "refused: it may be on its way a second time"),
            (&[REFUSED, committed(&[1, 2], 4, 7)], &[SendAgain; 2], &[1, 2], true, "nothing is void yet"),
            (&[REFUSED, committed(&[1, 2], 4, 8)], &[SendAgain, Committed], &[1, 2], false, "now it is"),
            (
                &[refused(ErrorCode::InvalidUpdateVersion)],
                &[AwaitMetadata],
                &[1, 2],
                true,
                "metadata is newer",
            ),
            (&[committed(&[2, 3], 5, 9)], &[AwaitMetadata], &[1, 2], true, "a later leader's"),
        ];
        for (answers, next, members, counts, why) in cases {
            let (isr, found) = joining(answers);
            assert_eq!(found, next, "{why}");
            assert_eq!(isr.committed(), &members.iter().copied().collect(), "{why}");
            assert_eq!(isr.may_contain(3), counts, "{why}");
        }
    }

    #[test]
    fn e24_a_member_counts_until_its_leaving_is_committed() {
        let mut isr = isr(&[1, 2, 3]);
        assert!(isr.propose(members(&[1])));
        assert!(isr.may_contain(2) && isr.committed().len() == 3);
        assert!(!isr.propose(members(&[1, 2])), "one change at a time");
        assert_eq!(isr.answered(7, committed(&[1], 4, 8)), Next::Committed);
        assert!(!isr.may_contain(2));
        assert_eq!(isr.answered(7, committed(&[1, 2, 3], 4, 8)), Next::Ignore, "an answer that comes twice");
        assert!(!isr.propose(members(&[1])), "no change");
    }

    #[test]
    fn e24_newer_metadata_settles_a_proposal() {
        let state = |leader_epoch, partition_epoch| PartitionState {
            replicas: vec![1, 2, 3],
            isr: vec![1],
            leader: Some(1),
            leader_epoch,
            partition_epoch,
        };
        let (mut isr, _) = joining(&[Answer::Lost]);
        assert!(!isr.update(&state(4, 7)), "what it is based on");
        assert!(!isr.update(&state(5, 8)), "another epoch's");
        assert!(isr.is_pending() && isr.may_contain(3));
        assert!(isr.update(&state(4, 8)));
        assert!(!isr.is_pending() && !isr.may_contain(3) && !isr.may_contain(2));
    }

    #[test]
    fn e25_a_proposal_keeps_the_broker_epochs_it_relies_on() {
        let proposal = |isr: &Isr| isr.proposal().expect("pending").isr;
        let (isr, _) = joining(&[Answer::Lost]);
        assert_eq!(proposal(&isr), members(&[1, 2, 3]), "the same again");
        let (isr, _) = joining(&[Answer::Lost, REFUSED]);
        assert_eq!(proposal(&isr), [(1, -1), (2, -1)].into(), "nothing new is claimed");
    }
}
