//! Who leads a partition: every change of a partition ends here, so that what comes out keeps the invariants of
//! [`PartitionRecord`]. The rules are those of Kafka's `PartitionChangeBuilder`.

use std::collections::BTreeMap;

use super::reassignment;
use super::records::{BrokerRecord, BrokerState, NO_LEADER, NodeId, PartitionRecord};
use crate::command::Refusal;

/// Who may be elected.
#[derive(Clone, Copy)]
pub(super) struct Electorate<'a> {
    pub(super) brokers: &'a BTreeMap<NodeId, BrokerRecord>,
    /// `unclean.leader.election.enable` of the topic.
    pub(super) unclean: bool,
}

impl Electorate<'_> {
    /// Whether this broker may lead and join an ISR.
    pub(super) fn is_active(&self, node_id: NodeId) -> bool {
        self.brokers.get(&node_id).is_some_and(|broker| broker.state == BrokerState::Active)
    }

    /// Whether this broker may lead this partition and join its ISR.
    pub(super) fn is_fit(&self, partition: &PartitionRecord, node_id: NodeId) -> bool {
        self.is_active(node_id) && !partition.offline.contains(&node_id)
    }

    /// Makes `wanted` the successor of `before`: ends a reassignment that is complete, elects a leader if there is none
    /// that may stay, and counts the epochs. `None` if nothing changes.
    pub(super) fn settle(
        &self,
        before: &PartitionRecord,
        wanted: PartitionRecord,
    ) -> Option<PartitionRecord> {
        let mut next = reassignment::completed(wanted);
        next.offline.retain(|id| next.replicas.contains(id));
        self.elect(&mut next);
        if next == *before {
            return None;
        }
        let shrunk = before.replicas.iter().any(|id| !next.replicas.contains(id));
        if next.leader != before.leader || shrunk {
            // Followers that were taken away must not go on fetching from a leader that has not noticed.
            next.leader_epoch = before.leader_epoch.saturating_add(1);
        }
        next.partition_epoch = before.partition_epoch.saturating_add(1);
        Some(next)
    }

    /// As [`Self::settle`], for what a leader proposed: an answer always carries a newer partition epoch, also when the ISR is
    /// what it was. It makes every earlier proposal of that leader void, so that none still under way can be committed
    /// behind its back.
    pub(super) fn grant(&self, before: &PartitionRecord, wanted: PartitionRecord) -> PartitionRecord {
        let partition_epoch = before.partition_epoch.saturating_add(1);
        self.settle(before, wanted).unwrap_or_else(|| PartitionRecord { partition_epoch, ..before.clone() })
    }

    /// The partition led by its preferred leader.
    pub(super) fn prefer(&self, before: &PartitionRecord) -> Result<Option<PartitionRecord>, Refusal> {
        let leader = before.preferred_leader();
        if before.leader == leader {
            return Err(Refusal::ElectionNotNeeded);
        }
        if !before.isr.contains(&leader) || !self.is_fit(before, leader) {
            return Err(Refusal::PreferredLeaderNotAvailable(leader));
        }
        Ok(self.settle(before, PartitionRecord { leader, ..before.clone() }))
    }

    /// The present leader stays if it may; else the first replica in sync that may; else, only where unclean elections
    /// are configured, any replica that may, with what it has.
    fn elect(&self, next: &mut PartitionRecord) {
        let fit = |id: &NodeId| next.isr.contains(id) && self.is_fit(next, *id);
        if fit(&next.leader) {
            return;
        }
        let clean = next.replicas.iter().copied().find(fit);
        let unclean = || next.replicas.iter().copied().find(|id| self.unclean && self.is_fit(next, *id));
        match clean.or_else(unclean) {
            Some(leader) => {
                next.leader = leader;
                if clean.is_none() {
                    next.isr = vec![leader];
                }
            }
            None => next.leader = NO_LEADER,
        }
    }
}

/// The ISR without `node_id`; the last member stays, because nobody else has what it has.
pub(super) fn isr_without(isr: &[NodeId], node_id: NodeId) -> Vec<NodeId> {
    let others: Vec<_> = isr.iter().copied().filter(|id| *id != node_id).collect();
    if others.is_empty() { isr.to_vec() } else { others }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn brokers(states: &[(NodeId, BrokerState)]) -> BTreeMap<NodeId, BrokerRecord> {
        let record = |state| BrokerRecord {
            broker_epoch: 1,
            incarnation: Uuid::nil(),
            endpoints: Vec::new(),
            rack: None,
            log_dirs: Vec::new(),
            state,
            stopped_cleanly: false,
        };
        states.iter().map(|(id, state)| (*id, record(*state))).collect()
    }

    fn partition(replicas: &[NodeId], isr: &[NodeId], leader: NodeId) -> PartitionRecord {
        PartitionRecord {
            replicas: replicas.to_vec(),
            adding: Vec::new(),
            removing: Vec::new(),
            isr: isr.to_vec(),
            offline: Vec::new(),
            leader,
            leader_epoch: 5,
            partition_epoch: 9,
        }
    }

    #[test]
    fn who_is_elected() {
        use BrokerState::{Active, ControlledShutdown, Fenced};
        let all = [(1, Fenced), (2, Active), (3, Active), (4, ControlledShutdown)];
        let brokers = brokers(&all);
        // Replicas, ISR, leader, unclean; then leader, ISR.
        type Case<'a> = (&'a [NodeId], &'a [NodeId], NodeId, bool, NodeId, &'a [NodeId]);
        let cases: &[Case<'_>] = &[
            (&[2, 3], &[2, 3], 3, false, 3, &[2, 3]), // a leader that may stay stays, preferred or not
            (&[1, 2, 3], &[1, 2, 3], 1, false, 2, &[1, 2, 3]), // in the order of the replicas
            (&[1, 2, 3], &[3, 1], 1, false, 3, &[3, 1]), // only from the ISR
            (&[1, 2], &[1], 1, false, -1, &[1]),      // none in sync: nobody
            (&[1, 2], &[1], 1, true, 2, &[2]),        // unclean: with what it has
            (&[1, 4], &[1], 1, true, -1, &[1]),       // one that shuts down does not lead
            (&[4, 2], &[4, 2], 4, false, 2, &[4, 2]),
            (&[5, 2], &[5], -1, false, -1, &[5]), // one that is not registered neither
        ];
        for (replicas, isr, leader, unclean, elected, isr_after) in cases {
            let electorate = Electorate { brokers: &brokers, unclean: *unclean };
            let mut next = partition(replicas, isr, *leader);
            electorate.elect(&mut next);
            assert_eq!((next.leader, &next.isr[..]), (*elected, *isr_after), "{replicas:?} {isr:?} {leader}");
        }
    }

    #[test]
    fn epochs_count_elections_and_changes() {
        let brokers =
            brokers(&[(1, BrokerState::Fenced), (2, BrokerState::Active), (3, BrokerState::Active)]);
        let electorate = Electorate { brokers: &brokers, unclean: false };
        let led = partition(&[2, 3], &[2, 3], 2);
        assert_eq!(electorate.settle(&led, led.clone()), None, "nothing changes");
        let granted = electorate.grant(&led, led.clone());
        assert_eq!(
            granted,
            PartitionRecord { partition_epoch: 10, ..led.clone() },
            "but a proposal was answered"
        );
        let shrunk = electorate.settle(&led, PartitionRecord { isr: vec![2], ..led.clone() });
        assert_eq!(shrunk.map(|p| (p.leader_epoch, p.partition_epoch)), Some((5, 10)), "a smaller ISR");
        let lost = partition(&[1, 2], &[1], 1);
        let lost = electorate.settle(&lost, lost.clone());
        assert_eq!(
            lost.map(|p| (p.leader, p.leader_epoch)),
            Some((NO_LEADER, 6)),
            "nobody is an election too"
        );
        let fewer = PartitionRecord { replicas: vec![2], isr: vec![2], ..led.clone() };
        assert_eq!(
            electorate.settle(&led, fewer).map(|p| p.leader_epoch),
            Some(6),
            "a replica was taken away"
        );
    }

    #[test]
    fn the_last_member_stays_in_the_isr() {
        assert_eq!(isr_without(&[1, 2, 3], 2), [1, 3]);
        assert_eq!(isr_without(&[2], 2), [2]);
        assert_eq!(isr_without(&[1], 2), [1]);
    }
}
