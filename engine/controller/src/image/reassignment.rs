//! Moving a partition: the new replicas are added, catch up, and only then the old ones go (KIP-455).

use super::election::Electorate;
use super::records::{NodeId, PartitionRecord};
use crate::command::Refusal;

/// The partition on its way to `target`, from wherever it is: a reassignment under way is replaced, and what it had
/// begun to add and is not wanted any more goes.
pub(super) fn begin(
    electorate: &Electorate<'_>,
    before: &PartitionRecord,
    target: &[NodeId],
) -> Result<Option<PartitionRecord>, Refusal> {
    let original = original(before);
    let minus = |from: &[NodeId], these: &[NodeId]| -> Vec<NodeId> {
        from.iter().copied().filter(|id| !these.contains(id)).collect()
    };
    let (adding, removing) = (minus(target, &original), minus(&original, target));
    let replicas = [target, &removing].concat();
    let isr = remaining(&before.isr, &replicas)?;
    let wanted = PartitionRecord { replicas, adding, removing, isr, ..before.clone() };
    Ok(electorate.settle(before, wanted))
}

/// The partition as it was before the reassignment under way.
pub(super) fn cancel(
    electorate: &Electorate<'_>,
    before: &PartitionRecord,
) -> Result<Option<PartitionRecord>, Refusal> {
    if !before.is_reassigning() {
        return Err(Refusal::NoReassignment);
    }
    let replicas = original(before);
    let isr = remaining(&before.isr, &replicas)?;
    let wanted =
        PartitionRecord { replicas, adding: Vec::new(), removing: Vec::new(), isr, ..before.clone() };
    Ok(electorate.settle(before, wanted))
}

/// Ends the reassignment once every added replica is in sync and one of those that stay is.
pub(super) fn completed(mut partition: PartitionRecord) -> PartitionRecord {
    let stays = |id: &NodeId| !partition.removing.contains(id);
    let replicas: Vec<_> = partition.replicas.iter().copied().filter(stays).collect();
    let isr: Vec<_> = partition.isr.iter().copied().filter(stays).collect();
    let caught_up = partition.adding.iter().all(|id| isr.contains(id));
    if partition.is_reassigning() && caught_up && !isr.is_empty() {
        (partition.replicas, partition.isr) = (replicas, isr);
        (partition.adding, partition.removing) = (Vec::new(), Vec::new());
    }
    partition
}

/// The replicas without those that the reassignment under way adds.
fn original(partition: &PartitionRecord) -> Vec<NodeId> {
    partition.replicas.iter().copied().filter(|id| !partition.adding.contains(id)).collect()
}

/// Who of the ISR is left among `replicas`. Without anyone the data would be gone.
fn remaining(isr: &[NodeId], replicas: &[NodeId]) -> Result<Vec<NodeId>, Refusal> {
    let isr: Vec<_> = isr.iter().copied().filter(|id| replicas.contains(id)).collect();
    if isr.is_empty() { Err(Refusal::NoReplicaInSync(replicas.to_vec())) } else { Ok(isr) }
}
