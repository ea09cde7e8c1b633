//! Partitions change: ISRs by their leaders (KIP-497, KIP-903), preferred leaders, reassignments.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Image;
use super::configs::unclean_elections;
use super::election::{Electorate, isr_without};
use super::reassignment;
use super::records::{NodeId, PartitionRecord};
use crate::command::{IsrChange, Outcome, PartitionId, PartitionState, Reassignment, Refusal};

impl PartitionRecord {
    /// What a leader must know of it.
    pub fn state(&self) -> PartitionState {
        PartitionState {
            leader: self.leader,
            leader_epoch: self.leader_epoch,
            isr: self.isr.clone(),
            partition_epoch: self.partition_epoch,
        }
    }
}

impl Image {
    /// The partition of this id.
    pub fn partition(&self, id: PartitionId) -> Result<&PartitionRecord, Refusal> {
        let topic = self.topic_by_id(id.topic_id).ok_or(Refusal::UnknownTopicId(id.topic_id))?;
        topic.partition(id.partition).ok_or(Refusal::UnknownPartition(id))
    }

    pub(super) fn alter_partitions(
        &mut self,
        node_id: NodeId,
        broker_epoch: i64,
        changes: &[IsrChange],
    ) -> Result<Outcome, Refusal> {
        self.check_epoch(node_id, broker_epoch)?;
        Ok(self.each(changes, |change| change.partition, |image, change| image.alter_isr(node_id, change)))
    }

    /// The disk under these replicas failed (KIP-112, KIP-858): they leave every ISR that has another member, and lead
    /// nothing, until their broker registers again.
    pub(super) fn take_offline(
        &mut self,
        node_id: NodeId,
        broker_epoch: i64,
        partitions: &[PartitionId],
    ) -> Result<Outcome, Refusal> {
        self.check_epoch(node_id, broker_epoch)?;
        Ok(self.each(
            partitions,
            |id| *id,
            |image, id| {
                image.change(*id, |electorate, partition| {
                    if !partition.replicas.contains(&node_id) || partition.offline.contains(&node_id) {
                        return Ok(None);
                    }
                    let isr = isr_without(&partition.isr, node_id);
                    let offline = partition.offline.iter().copied().chain([node_id]).collect();
                    let wanted = PartitionRecord { isr, offline, ..partition.clone() };
                    Ok(electorate.settle(partition, wanted))
                })
            },
        ))
    }

    /// Whether a broker speaks for its present registration.
    fn check_epoch(&self, node_id: NodeId, given: i64) -> Result<(), Refusal> {
        match self.brokers.get(&node_id).ok_or(Refusal::UnknownBroker(node_id))?.broker_epoch {
            current if current == given => Ok(()),
            current => Err(Refusal::StaleBrokerEpoch { node_id, given, current }),
        }
    }

    pub(super) fn elect_preferred(&mut self, partitions: &[PartitionId]) -> Outcome {
        self.each(partitions, |id| *id, |image, id| image.change(*id, |electorate, p| electorate.prefer(p)))
    }

    pub(super) fn reassign(&mut self, changes: &[Reassignment]) -> Outcome {
        self.each(changes, |change| change.partition, |image, change| image.move_partition(change))
    }

    fn move_partition(&mut self, change: &Reassignment) -> Result<PartitionState, Refusal> {
        let Some(target) = &change.replicas else {
            return self.change(change.partition, reassignment::cancel);
        };
        if !self.are_replicas(target) {
            let partition = usize::try_from(change.partition.partition).unwrap_or_default();
            return Err(Refusal::InvalidReplicas { partition, replicas: target.clone() });
        }
        self.change(change.partition, |electorate, partition| {
            reassignment::begin(electorate, partition, target)
        })
    }

    fn alter_isr(&mut self, node_id: NodeId, change: &IsrChange) -> Result<PartitionState, Refusal> {
        let isr = self.checked_isr(node_id, change)?;
        let state = self.change(change.partition, |electorate, partition| {
            Ok(Some(electorate.grant(partition, PartitionRecord { isr, ..partition.clone() })))
        })?;
        if state.leader == node_id { Ok(state) } else { Err(Refusal::NewLeaderElected(state.leader)) }
    }

    /// Kafka's checks of an AlterPartition, in its order (`ReplicationControlManager.validateAlterPartitionData`).
    fn checked_isr(&self, node_id: NodeId, change: &IsrChange) -> Result<Vec<NodeId>, Refusal> {
        let partition = self.partition(change.partition)?;
        let (given, current) = (change.leader_epoch, partition.leader_epoch);
        if given > current || change.partition_epoch > partition.partition_epoch {
            return Err(Refusal::ControllerBehind);
        }
        if given < current {
            return Err(Refusal::FencedLeaderEpoch { given, current });
        }
        let isr: Vec<NodeId> = change.new_isr.iter().map(|(id, _)| *id).collect();
        let distinct: BTreeSet<_> = isr.iter().collect();
        let of_replicas = isr.iter().all(|id| partition.replicas.contains(id));
        let by_leader = partition.leader == node_id && isr.contains(&node_id);
        let (given, current) = (change.partition_epoch, partition.partition_epoch);
        match () {
            () if partition.leader != node_id => Err(Refusal::InvalidIsr(isr)),
            () if given < current => Err(Refusal::InvalidPartitionEpoch { given, current }),
            () if !by_leader || !of_replicas || distinct.len() != isr.len() => Err(Refusal::InvalidIsr(isr)),
            () => self.eligible(partition, &change.new_isr).map(|()| isr),
        }
    }

    /// A member of an ISR is active, its disk works, and it has not restarted since it fetched what makes it one (rule E25).
    fn eligible(&self, partition: &PartitionRecord, isr: &[(NodeId, i64)]) -> Result<(), Refusal> {
        let electorate = Electorate { brokers: &self.brokers, unclean: false };
        let restarted = |id: &NodeId, epoch: i64| {
            epoch != -1 && self.brokers.get(id).is_none_or(|broker| broker.broker_epoch != epoch)
        };
        let bad =
            isr.iter().filter(|(id, epoch)| !electorate.is_fit(partition, *id) || restarted(id, *epoch));
        let bad: Vec<NodeId> = bad.map(|(id, _)| *id).collect();
        if bad.is_empty() { Ok(()) } else { Err(Refusal::IneligibleReplicas(bad)) }
    }

    /// Does `change` to each item; one that is refused leaves the others alone.
    fn each<T>(
        &mut self,
        items: &[T],
        id: impl Fn(&T) -> PartitionId,
        change: impl Fn(&mut Self, &T) -> Result<PartitionState, Refusal>,
    ) -> Outcome {
        Outcome::Partitions(items.iter().map(|item| (id(item), change(self, item))).collect())
    }

    /// Replaces one partition by what `change` makes of it.
    fn change(
        &mut self,
        id: PartitionId,
        change: impl FnOnce(&Electorate<'_>, &PartitionRecord) -> Result<Option<PartitionRecord>, Refusal>,
    ) -> Result<PartitionState, Refusal> {
        let Image { brokers, topics, names, broker_default_configs, .. } = self;
        let topic = names.get(&id.topic_id).and_then(|name| topics.get_mut(name));
        let topic = topic.ok_or(Refusal::UnknownTopicId(id.topic_id))?;
        let before = topic.partition(id.partition).ok_or(Refusal::UnknownPartition(id))?;
        let unclean = unclean_elections(&topic.configs, broker_default_configs);
        let Some(next) = change(&Electorate { brokers, unclean }, before)? else { return Ok(before.state()) };
        let state = next.state();
        let index = usize::try_from(id.partition).unwrap_or(usize::MAX);
        if let Some(partition) = Arc::make_mut(topic).partitions.get_mut(index) {
            *partition = Arc::new(next);
        }
        Ok(state)
    }

    /// Asks `wish` what each partition is to be, and settles it. Topics without a change stay shared.
    pub(super) fn revise(&mut self, wish: impl Fn(&PartitionRecord) -> PartitionRecord) {
        let Image { brokers, topics, broker_default_configs, .. } = self;
        for topic in topics.values_mut() {
            let unclean = unclean_elections(&topic.configs, broker_default_configs);
            let electorate = Electorate { brokers, unclean };
            let settled = topic.partitions.iter().map(|p| electorate.settle(p, wish(p)));
            let settled: Vec<_> = settled.enumerate().filter_map(|(i, next)| Some((i, next?))).collect();
            for (index, next) in settled {
                if let Some(partition) = Arc::make_mut(topic).partitions.get_mut(index) {
                    *partition = Arc::new(next);
                }
            }
        }
    }
}
