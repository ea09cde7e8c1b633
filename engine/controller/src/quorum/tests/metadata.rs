//! What is committed stays, whoever fails.

use super::*;

#[test]
fn a_proposal_through_any_node_is_committed_and_seen_everywhere() {
    let nodes = three();
    let leader = active(&nodes);
    let mut last = -1;
    for node in &nodes {
        let first = allocate(node).expect("committed");
        assert!(first > last, "{first} after {last}");
        assert!(node.image().producer_id_next() > first, "seen where it was proposed, at once");
        last = first;
    }
    let follower = &nodes[(leader + 1) % 3];
    let refused = follower.propose(Command::AllocateProducerIds { node_id: 77, count: 1 });
    assert!(matches!(refused, Err(ControlError::Refused(crate::Refusal::UnknownBroker(77)))));
    let image = follower.image();
    eventually("all have the same", || nodes.iter().all(|node| node.image() == image));
}

#[test]
fn when_the_leader_is_killed_another_goes_on_and_nothing_is_lost() {
    let mut nodes = three();
    let mut firsts = BTreeSet::from([allocate(&nodes[0]).expect("committed")]);
    for _ in 0..2 {
        let killed = active(&nodes);
        nodes[killed].kill();
        let leader = active(&nodes);
        assert_ne!(leader, killed);
        let survivor = &nodes[(0..3).find(|i| *i != killed && *i != leader).expect("a third")];
        assert!(firsts.insert(allocate(survivor).expect("committed")), "no block twice");
        nodes[killed].start();
        let image = nodes[leader].image();
        eventually("it catches up", || nodes[killed].image() == image);
    }
}

#[test]
fn without_a_majority_proposals_fail_in_time_and_the_image_stays_readable() {
    let mut nodes = three();
    allocate(&nodes[0]).expect("committed");
    let left = active(&nodes);
    let image = nodes[left].image();
    for other in (0..3).filter(|i| *i != left) {
        nodes[other].kill();
    }
    let failed = nodes[left].propose(Command::AllocateProducerIds { node_id: 9, count: 10 });
    assert!(matches!(failed, Err(ControlError::Unavailable { .. })), "{failed:?}");
    assert_eq!(nodes[left].image(), image);
    eventually("it notices that it leads nobody", || !nodes[left].status().active);
    let other = (left + 1) % 3;
    nodes[other].start();
    eventually("two are a majority", || allocate(&nodes[other]).is_ok());
}

#[test]
fn after_all_were_killed_everything_is_there() {
    let mut nodes = three();
    for _ in 0..20 {
        allocate(&nodes[1]).expect("committed");
    }
    let image = nodes[1].image();
    nodes.iter_mut().for_each(TestNode::kill);
    nodes.iter_mut().for_each(TestNode::start);
    active(&nodes);
    eventually("all have it", || nodes.iter().all(|node| node.image() == image));
    let first = allocate(&nodes[2]).expect("committed");
    assert_eq!(first, image.producer_id_next(), "and go on from there");
}

#[test]
fn a_single_node_is_a_quorum_and_closes_cleanly() {
    let mut nodes = vec![TestNode::new(1, Role::Bootstrap, None)];
    active(&nodes);
    let mut images = nodes[0].controller().images();
    images.mark_unchanged();
    allocate(&nodes[0]).expect("committed");
    assert!(images.has_changed().expect("watched"), "whoever watches is told");
    let image = nodes[0].image();
    let Running { runtime, controller } = nodes[0].running.take().expect("it runs");
    let stopped = controller.stopped();
    runtime.block_on(controller.close()).expect("closes");
    drop(controller);
    runtime.shutdown_timeout(PATIENCE);
    Builder::new_current_thread().build().expect("a runtime").block_on(stopped);
    nodes[0].start();
    assert_eq!(nodes[0].controller().recovery().truncated_bytes, 0);
    eventually("it is there again", || nodes[0].image() == image);
}

#[test]
fn a_node_that_cannot_write_its_log_says_so_and_stops() {
    let nodes = [TestNode::new(1, Role::Bootstrap, None)];
    active(&nodes);
    allocate(&nodes[0]).expect("committed");
    let failed = nodes[0].controller().failed();
    let dir = nodes[0].disk.path().join(crate::METADATA_LOG);
    std::fs::rename(&dir, dir.with_extension("away")).expect("renamed");
    let refused = allocate(&nodes[0]);
    assert!(matches!(refused, Err(ControlError::Unavailable { .. })), "{refused:?}");
    let reason = nodes[0].block_on(failed);
    assert!(reason.contains(crate::METADATA_LOG), "{reason}");
}
