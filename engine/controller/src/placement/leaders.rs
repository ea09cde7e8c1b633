//! Evens out who leads, within replicas that are placed already.

use std::collections::{BTreeMap, VecDeque};

use crate::image::NodeId;

/// Leaderships per broker.
pub(super) type Leaders = BTreeMap<NodeId, usize>;

/// Hands leaderships on within partitions, along chains of them if need be, until no chain leads from a broker to one
/// that leads fewer by two. With replicas that are even, that is when leaders differ by at most 1.
pub(super) fn even_out(placed: &mut [Vec<NodeId>], leaders: &mut Leaders) {
    while let Some(chain) = chain(placed, leaders) {
        for (partition, to) in chain {
            let Some(replicas) = placed.get_mut(partition) else { continue };
            if let Some(at) = replicas.iter().position(|id| *id == to) {
                count(leaders, replicas, usize::wrapping_sub);
                replicas.swap(0, at);
                count(leaders, replicas, usize::wrapping_add);
            }
        }
    }
}

fn count(leaders: &mut Leaders, replicas: &[NodeId], by: impl Fn(usize, usize) -> usize) {
    if let Some(led) = replicas.first().and_then(|leader| leaders.get_mut(leader)) {
        *led = by(*led, 1);
    }
}

/// Which partitions go to whom so that one of those that lead most leads one fewer.
fn chain(placed: &[Vec<NodeId>], leaders: &Leaders) -> Option<Vec<(usize, NodeId)>> {
    let most = leaders.values().copied().max()?;
    let mut came_by: BTreeMap<NodeId, Option<(usize, NodeId)>> = BTreeMap::new();
    let mut queue: VecDeque<NodeId> =
        leaders.iter().filter(|(_, led)| **led == most).map(|(id, _)| *id).collect();
    came_by.extend(queue.iter().map(|id| (*id, None)));
    while let Some(from) = queue.pop_front() {
        for (partition, replicas) in placed.iter().enumerate().filter(|(_, r)| r.first() == Some(&from)) {
            for to in replicas.iter().skip(1).filter(|id| leaders.contains_key(id)) {
                if came_by.contains_key(to) {
                    continue;
                }
                came_by.insert(*to, Some((partition, from)));
                if leaders.get(to).is_some_and(|led| led + 2 <= most) {
                    return Some(walk_back(&came_by, *to));
                }
                queue.push_back(*to);
            }
        }
    }
    None
}

fn walk_back(came_by: &BTreeMap<NodeId, Option<(usize, NodeId)>>, end: NodeId) -> Vec<(usize, NodeId)> {
    let (mut chain, mut at) = (Vec::new(), end);
    while let Some(Some((partition, from))) = came_by.get(&at) {
        chain.push((*partition, at));
        at = *from;
    }
    chain
}
