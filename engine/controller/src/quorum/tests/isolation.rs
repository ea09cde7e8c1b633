//! Nodes that are cut off without anybody being told: silence, no closed connection.

use super::*;

/// Nobody hears node `chosen`, and it hears nobody.
pub(super) fn isolate(nodes: &[TestNode], chosen: usize) {
    let id = nodes[chosen].id();
    for node in nodes {
        let others = nodes.iter().map(TestNode::id).filter(|other| *other != id);
        let cut: Vec<_> = if node.id() == id { others.collect() } else { vec![id] };
        node.proxy.as_ref().expect("behind a proxy").cut(cut);
    }
}

pub(super) fn heal(nodes: &[TestNode]) {
    nodes.iter().for_each(|node| node.proxy.as_ref().expect("behind a proxy").cut([]));
}

#[test]
fn a_controller_that_is_cut_off_stops_acting_and_another_goes_on() {
    let nodes = three_by(TestNode::behind_proxy);
    allocate(&nodes[0]).expect("committed");
    for _ in 0..2 {
        let old = active(&nodes);
        isolate(&nodes, old);
        let failed = nodes[old].propose(registration(50));
        assert!(matches!(failed, Err(ControlError::Unavailable { .. })), "{failed:?}");
        eventually("it stops acting", || !nodes[old].status().active);
        let mut new = old;
        eventually("another acts", || {
            new = (0..3).find(|i| *i != old && nodes[*i].status().active).unwrap_or(old);
            new != old
        });
        let mut first = None;
        eventually("commands are taken", || {
            first = allocate(&nodes[new]).ok();
            first.is_some()
        });
        assert!(nodes[old].image().producer_id_next() <= first.expect("one"), "what it has not heard of");
        heal(&nodes);
        let image = nodes[new].image();
        eventually("it catches up", || nodes[old].image() == image);
        assert!(image.broker(50).is_none(), "what only it had is gone");
    }
}

#[test]
fn a_follower_that_is_cut_off_disturbs_nobody_for_long() {
    let nodes = three_by(TestNode::behind_proxy);
    let leader = active(&nodes);
    let follower = (leader + 1) % 3;
    isolate(&nodes, follower);
    for _ in 0..5 {
        allocate(&nodes[leader]).expect("two are a majority");
    }
    let failed = allocate(&nodes[follower]);
    assert!(matches!(failed, Err(ControlError::Unavailable { .. })), "{failed:?}");
    heal(&nodes);
    eventually("commands are taken through it", || allocate(&nodes[follower]).is_ok());
    let image = nodes[follower].image();
    eventually("all have the same", || nodes.iter().all(|node| node.image() == image));
}
