//! Which brokers get a new partition's replicas.
//!
//! The aims are those of Kafka's `StripedReplicaPlacer` (`org.apache.kafka.metadata.placement`), in this order: as many
//! racks as there can be for each partition, even racks, even brokers within a rack, even leaders. Kafka stripes over
//! shuffled lists and is even on average; here the least loaded is taken, which is even at every step, and `leaders` are
//! evened out in the end.

mod leaders;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::command::Refusal;
use crate::image::{BrokerState, Image, NodeId};

/// A broker that may get replicas.
struct Candidate {
    node_id: NodeId,
    replicas: usize,
    leaders: usize,
    /// Breaks ties, so that not every topic begins at the same broker.
    rank: u64,
}

/// Brokers that fail together. Brokers without a rack are a rack of their own, together.
type Rack = Vec<Candidate>;

/// Replicas for `partitions` new partitions, the leader first in each, on brokers that are in service. `existing` are the
/// topic's partitions so far, which count as load; `seed` breaks ties, and the same one gives the same answer.
///
/// Within a rack, replicas per broker differ by at most 1; with racks of one size, or none, over all brokers.
pub fn place(
    image: &Image,
    existing: &[Vec<NodeId>],
    partitions: usize,
    replication_factor: i16,
    seed: u64,
) -> Result<Vec<Vec<NodeId>>, Refusal> {
    let mut racks = racks(image, existing, seed);
    let live_brokers = racks.iter().map(Vec::len).sum();
    let wanted = usize::try_from(replication_factor).unwrap_or(0);
    if wanted == 0 || wanted > live_brokers {
        return Err(Refusal::InvalidReplicationFactor { replication_factor, live_brokers });
    }
    let mut placed: Vec<_> = (0..partitions).map(|_| place_one(&mut racks, wanted)).collect();
    let mut led = racks.iter().flatten().map(|broker| (broker.node_id, broker.leaders)).collect();
    leaders::even_out(&mut placed, &mut led);
    Ok(placed)
}

fn racks(image: &Image, existing: &[Vec<NodeId>], seed: u64) -> Vec<Rack> {
    let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
    for (node_id, broker) in image.brokers().filter(|(_, broker)| broker.state == BrokerState::Active) {
        let replicas = existing.iter().filter(|replicas| replicas.contains(&node_id)).count();
        let leaders = existing.iter().filter(|replicas| replicas.first() == Some(&node_id)).count();
        let rank = scatter(seed ^ u64::from(node_id.unsigned_abs()));
        racks.entry(broker.rack.as_deref()).or_default().push(Candidate { node_id, replicas, leaders, rank });
    }
    racks.into_values().collect()
}

/// Replicas of one partition, counted.
fn place_one(racks: &mut [Rack], replication_factor: usize) -> Vec<NodeId> {
    let counts = replicas_per_rack(racks, replication_factor);
    let mut chosen: Vec<&mut Candidate> = Vec::with_capacity(replication_factor);
    for (rack, count) in racks.iter_mut().zip(counts) {
        rack.sort_by_key(|broker| (broker.replicas, broker.leaders, broker.rank));
        chosen.extend(rack.iter_mut().take(count));
    }
    chosen.sort_by_key(|broker| (broker.leaders, Reverse(broker.replicas), broker.rank));
    if let Some(leader) = chosen.first_mut() {
        leader.leaders += 1;
    }
    chosen.iter_mut().for_each(|broker| broker.replicas += 1);
    chosen.iter().map(|broker| broker.node_id).collect()
}

/// How many replicas each rack gets: one after the other goes to the rack with the fewest of this partition, of these to
/// the one that bears least for each of its brokers.
fn replicas_per_rack(racks: &[Rack], replication_factor: usize) -> Vec<usize> {
    let mut counts = vec![0; racks.len()];
    for _ in 0..replication_factor {
        let open = racks.iter().zip(&mut counts).filter(|(rack, count)| **count < rack.len());
        let next = open.min_by(|(a, a_count), (b, b_count)| {
            let load = |rack: &Rack| rack.iter().map(|broker| broker.replicas).sum::<usize>();
            // Compares load / size without dividing.
            let by_load = (load(a) * b.len()).cmp(&(load(b) * a.len()));
            let leaders = |rack: &Rack| rack.iter().map(|broker| broker.leaders).sum::<usize>();
            let rank = |rack: &Rack| rack.iter().map(|broker| broker.rank).min();
            let ties = leaders(a).cmp(&leaders(b)).then_with(|| rank(a).cmp(&rank(b)));
            a_count.cmp(b_count).then(by_load).then(ties)
        });
        if let Some((_, count)) = next {
            *count += 1;
        }
    }
    counts
}

/// SplitMix64's finaliser: near inputs, far outputs.
fn scatter(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::Command;

    /// Brokers in service, numbered from 1, in racks of these sizes; no rack if there is one size only.
    fn cluster(sizes: &[usize]) -> (Image, BTreeMap<NodeId, usize>) {
        let (mut image, mut rack_of) = (Image::default(), BTreeMap::new());
        for (rack, size) in sizes.iter().enumerate() {
            for _ in 0..*size {
                let node_id = rack_of.len() as NodeId + 1;
                rack_of.insert(node_id, rack);
                register(&mut image, node_id, (sizes.len() > 1).then(|| format!("rack-{rack}")), true);
            }
        }
        (image, rack_of)
    }

    fn register(image: &mut Image, node_id: NodeId, rack: Option<String>, active: bool) {
        let registration = Command::RegisterBroker {
            node_id,
            incarnation: Uuid::from_u128(node_id as u128),
            endpoints: Vec::new(),
            rack,
            log_dirs: Vec::new(),
            clean_shutdown_epoch: None,
        };
        image.apply(&registration).expect("registers");
        let broker_epoch = image.broker(node_id).expect("there").broker_epoch;
        if active {
            image.apply(&Command::UnfenceBroker { node_id, broker_epoch }).expect("unfences");
        }
    }

    fn spread(counts: impl Iterator<Item = usize> + Clone) -> usize {
        counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
    }

    #[test]
    fn more_replicas_than_brokers_in_service_are_refused() {
        let (mut image, _) = cluster(&[3]);
        register(&mut image, 9, None, false);
        for replication_factor in [-1, 0, 4] {
            let refused = place(&image, &[], 1, replication_factor, 0);
            let expected = Refusal::InvalidReplicationFactor { replication_factor, live_brokers: 3 };
            assert_eq!(refused, Err(expected));
        }
        let placed = place(&image, &[], 4, 3, 0).expect("three are in service");
        assert!(placed.iter().all(|replicas| !replicas.contains(&9)), "never on a fenced broker");
    }

    #[test]
    fn topics_begin_at_different_brokers() {
        let (image, _) = cluster(&[5]);
        let leaders: BTreeSet<_> =
            (0..64).map(|seed| place(&image, &[], 1, 1, seed).expect("placed")[0][0]).collect();
        assert_eq!(leaders.len(), 5);
    }

    proptest! {
        #[test]
        fn replicas_are_distinct_and_racks_are_as_many_as_can_be(
            sizes in prop::collection::vec(1usize..5, 1..5), factor in 1usize..6, partitions in 1usize..60, seed: u64,
        ) {
            let (image, rack_of) = cluster(&sizes);
            prop_assume!(factor <= rack_of.len());
            let placed = place(&image, &[], partitions, factor as i16, seed).expect("placed");
            prop_assert_eq!(placed.len(), partitions);
            for replicas in &placed {
                let distinct: BTreeSet<_> = replicas.iter().collect();
                let racks: BTreeSet<_> = replicas.iter().map(|id| rack_of[id]).collect();
                prop_assert_eq!((distinct.len(), racks.len()), (factor, factor.min(sizes.len())));
            }
            let count = |id: &NodeId| placed.iter().filter(|replicas| replicas.contains(id)).count();
            for rack in 0..sizes.len() {
                let members = rack_of.iter().filter(|(_, r)| **r == rack).map(|(id, _)| count(id));
                prop_assert!(spread(members) <= 1, "within a rack: {:?}", placed);
            }
        }

        #[test]
        fn with_racks_of_one_size_all_brokers_bear_the_same(
            racks in 1usize..5, size in 1usize..5, factor in 1usize..6, partitions in 1usize..60, seed: u64,
        ) {
            let (image, rack_of) = cluster(&vec![size; racks]);
            prop_assume!(factor <= rack_of.len());
            let placed = place(&image, &[], partitions, factor as i16, seed).expect("placed");
            let replicas = rack_of.keys().map(|id| placed.iter().filter(|r| r.contains(id)).count());
            prop_assert!(spread(replicas) <= 1, "replicas: {:?}", placed);
            let leaders = rack_of.keys().map(|id| placed.iter().filter(|r| r[0] == *id).count());
            prop_assert!(spread(leaders) <= 1, "leaders: {:?}", placed);
        }

        #[test]
        fn what_a_topic_has_counts_as_load(first in 1usize..20, more in 1usize..20, seed: u64) {
            let (image, rack_of) = cluster(&[4]);
            let mut all = place(&image, &[], first, 2, seed).expect("placed");
            all.extend(place(&image, &all, more, 2, seed).expect("placed"));
            let replicas = rack_of.keys().map(|id| all.iter().filter(|r| r.contains(id)).count());
            prop_assert!(spread(replicas) <= 1, "{:?}", all);
        }
    }
}
