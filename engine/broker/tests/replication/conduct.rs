//! How the loops treat what was decided: as they should, or with one mistake made on purpose.

use plimsoll_broker::replication::acks::Reach;
use plimsoll_broker::replication::follower::{Own, Sent};
use plimsoll_broker::replication::isr::Answer;
use plimsoll_broker::replication::leader::{FollowerFetch, Leader, Rules};
use plimsoll_broker::replication::metadata::View;
use plimsoll_broker::replication::serve::{Range, Verdict};
use plimsoll_wire::ErrorCode;

use crate::cluster::log::Log;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// acks=all is answered when the leader has the record.
    AckBeforeQuorum,
    /// A follower begins by cutting its log at its high watermark, as before KIP-101.
    TruncateToHighWatermark,
    /// Neither side looks at the epoch of the other's message.
    ForgetEpochCheck,
    /// The high watermark moves while the ISR is smaller than `min.insync.replicas`.
    AdvanceBelowMinIsr,
    /// Under `durability=fsync` a follower counts with what it has, not with what its syncs cover.
    CountUnsynced,
    /// Truncation and loss of leadership begin no generation, so that a producer is told of another's record.
    AnswerOldGeneration,
    /// A broker that lost its tail stays in the ISR and may be elected.
    LeadAfterUncleanRestart,
    /// A proposal that got no answer is forgotten.
    TakeSilenceForRefusal,
    /// A proposal that was refused is forgotten, although it may be on its way a second time.
    TakeRefusalForTheEnd,
    /// A follower joins the ISR with what this leader knows to be committed, which may be less than its predecessor knew.
    JoinByHighWatermark,
    /// A follower whose log diverges counts as if it had what it asks to read on from.
    RecordDiverging,
    /// A follower takes any answer for the offset at which its log ends, whatever the log was when it asked.
    TakeAnswerByOffset,
    /// A follower joins the ISR with records below its leader's start, which nobody compared.
    JoinBelowStart,
    /// A follower is taken for the process that it was before it lost its tail.
    ForgetBrokerEpoch,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Conduct(pub Option<Mistake>);

impl Conduct {
    fn makes(self, mistake: Mistake) -> bool {
        self.0 == Some(mistake)
    }

    pub(crate) fn rules(self, rules: Rules) -> Rules {
        let min_isr = if self.makes(Mistake::AdvanceBelowMinIsr) { 1 } else { rules.min_isr };
        Rules { min_isr, ..rules }
    }

    pub(crate) fn reach(self, reach: Reach) -> Reach {
        let before_quorum = self.makes(Mistake::AckBeforeQuorum);
        let high_watermark = if before_quorum { reach.reached } else { reach.high_watermark };
        Reach { high_watermark, ..reach }
    }

    pub(crate) fn new_generation(self, log: &mut Log) {
        if !self.makes(Mistake::AnswerOldGeneration) {
            log.new_generation();
        }
    }

    pub(crate) fn before_following(self, log: &mut Log, high_watermark: i64) {
        if self.makes(Mistake::TruncateToHighWatermark) {
            log.truncate_to(high_watermark);
        }
    }

    pub(crate) fn received(self, mut fetch: FollowerFetch) -> FollowerFetch {
        if self.makes(Mistake::ForgetEpochCheck) {
            fetch.asked.current_leader_epoch = -1;
        }
        if self.makes(Mistake::CountUnsynced) {
            fetch.reached = fetch.asked.fetch_offset;
        }
        if self.makes(Mistake::JoinBelowStart) {
            fetch.log_start = fetch.asked.fetch_offset;
        }
        if self.makes(Mistake::ForgetBrokerEpoch) {
            fetch.broker_epoch = -1;
        }
        fetch
    }

    pub(crate) fn sent(self, sent: Sent, own: &Own) -> Sent {
        let leader_epoch =
            if self.makes(Mistake::ForgetEpochCheck) { own.leader_epoch } else { sent.leader_epoch };
        let by_offset = self.makes(Mistake::TakeAnswerByOffset);
        let last_fetched_epoch = if by_offset { own.last_epoch } else { sent.last_fetched_epoch };
        Sent { leader_epoch, last_fetched_epoch, ..sent }
    }

    pub(crate) fn after_verdict(
        self,
        leader: &mut Leader,
        fetch: &FollowerFetch,
        range: &Range,
        verdict: Verdict,
        view: &View<'_>,
    ) {
        if self.makes(Mistake::RecordDiverging) && matches!(verdict, Verdict::Diverging(_)) {
            let mut without_epoch = *fetch;
            without_epoch.asked.last_fetched_epoch = -1;
            leader.fetch(&without_epoch, range, view);
        }
    }

    pub(crate) fn altered(self, leader: &Leader, answer: Answer) -> Answer {
        let forgotten = match answer {
            Answer::Lost => self.makes(Mistake::TakeSilenceForRefusal),
            Answer::Refused(ErrorCode::IneligibleReplica) => self.makes(Mistake::TakeRefusalForTheEnd),
            _ => false,
        };
        if !forgotten {
            return answer;
        }
        let isr = leader.isr();
        Answer::Committed {
            isr: isr.committed().iter().copied().collect(),
            leader_epoch: leader.leader_epoch(),
            partition_epoch: isr.partition_epoch() + 1,
        }
    }

    pub(crate) fn epoch_start(self, log_end: i64, high_watermark: i64) -> i64 {
        if self.makes(Mistake::JoinByHighWatermark) { high_watermark } else { log_end }
    }

    pub(crate) fn unclean_leaves_isr(self) -> bool {
        !self.makes(Mistake::LeadAfterUncleanRestart)
    }
}
