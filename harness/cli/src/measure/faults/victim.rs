//! Whom a fault hits. Pure.

use std::collections::BTreeSet;

use plimsoll_load::verify::PartitionId;
use plimsoll_load::workload::FaultTarget;

use super::watch::View;

/// Partition 0 of the first topic: what "the leader" leads.
const FIRST: PartitionId = PartitionId { topic: 0, partition: 0 };

/// The node that `target` means now, among those that run. `None` while nobody is.
pub(super) fn victim(
    target: FaultTarget,
    view: &View,
    running: &[i32],
    brokers: &[i32],
    dice: u64,
) -> Option<i32> {
    let runs = |id: &i32| running.contains(id);
    let pick = |candidates: Vec<i32>| {
        let count = u64::try_from(candidates.len()).ok().filter(|count| *count > 0)?;
        candidates.get(usize::try_from(dice % count).ok()?).copied()
    };
    match target {
        FaultTarget::Leader => view.partitions.get(&FIRST).map(|led| led.leader).filter(runs),
        FaultTarget::Follower => {
            let led = view.partitions.get(&FIRST)?;
            pick(led.replicas.iter().copied().filter(|id| *id != led.leader && runs(id)).collect())
        }
        FaultTarget::Controller => Some(view.controller).filter(runs),
        FaultTarget::Broker(id) => Some(id).filter(runs),
        FaultTarget::Random => pick(brokers.iter().copied().filter(runs).collect()),
    }
}

/// The partitions whose records wait when the node is hit: those that it leads; if there are none, those that it has a
/// replica of; if there are none either, all.
pub(super) fn touched(view: &View, node: i32) -> BTreeSet<PartitionId> {
    let of = |wanted: &dyn Fn(&super::watch::Led) -> bool| -> BTreeSet<PartitionId> {
        view.partitions.iter().filter(|(_, led)| wanted(led)).map(|(id, _)| *id).collect()
    };
    let led = of(&|led| led.leader == node);
    if !led.is_empty() {
        return led;
    }
    let followed = of(&|led| led.replicas.contains(&node));
    if followed.is_empty() { of(&|_| true) } else { followed }
}

/// A number for each fault of a seed (splitmix64).
pub(super) fn dice(seed: u64, fault: usize) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(fault as u64 + 1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::watch::Led;
    use super::*;

    fn view() -> View {
        let led = |leader, replicas: &[i32]| Led { leader, replicas: replicas.to_vec(), isr: replicas.len() };
        let at = |partition| PartitionId { topic: 0, partition };
        View {
            brokers: BTreeSet::from([1, 2, 3]),
            controller: 3,
            partitions: BTreeMap::from([(at(0), led(2, &[2, 3])), (at(1), led(1, &[1, 3]))]),
        }
    }

    fn hit(target: FaultTarget, running: &[i32]) -> Option<i32> {
        victim(target, &view(), running, &[1, 2, 3], 5)
    }

    #[test]
    fn a_target_is_who_it_is_at_that_moment_and_runs() {
        assert_eq!(hit(FaultTarget::Leader, &[1, 2, 3]), Some(2));
        assert_eq!(hit(FaultTarget::Leader, &[1, 3]), None, "it is down already");
        assert_eq!(hit(FaultTarget::Follower, &[1, 2, 3]), Some(3));
        assert_eq!(hit(FaultTarget::Controller, &[1, 2, 3]), Some(3));
        assert_eq!(hit(FaultTarget::Broker(1), &[1, 2]), Some(1));
        assert_eq!(hit(FaultTarget::Random, &[]), None);
        assert_eq!(hit(FaultTarget::Random, &[1, 2, 3]), hit(FaultTarget::Random, &[1, 2, 3]), "seeded");
    }

    #[test]
    fn random_hits_everybody_in_the_end_and_controllers_never() {
        let hits: BTreeSet<i32> = (0..50)
            .filter_map(|fault| {
                victim(FaultTarget::Random, &view(), &[1, 2, 3, 4], &[1, 2, 3], dice(42, fault))
            })
            .collect();
        assert_eq!(hits, BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn partitions_that_wait_are_those_it_leads_or_else_follows_or_else_all() {
        let partitions = |node| touched(&view(), node).iter().map(|id| id.partition).collect::<Vec<_>>();
        assert_eq!(partitions(2), [0]);
        assert_eq!(partitions(3), [0, 1]);
        assert_eq!(partitions(9), [0, 1]);
    }
}
