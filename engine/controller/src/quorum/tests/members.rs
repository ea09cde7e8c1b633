//! Nodes join, vote and leave while the others go on.

use super::*;
use crate::Stranger;

#[test]
fn a_learner_catches_up_by_snapshot() {
    let first = TestNode::new(1, Role::Bootstrap, None);
    for _ in 0..600 {
        allocate(&first).expect("committed");
    }
    eventually("a snapshot is made", || checkpoints(first.disk.path()) == 1);
    let mut learner = TestNode::new(2, Role::Learner, Some(first.port()));
    let image = first.image();
    eventually("it has everything", || learner.image() == image);
    assert_eq!(checkpoints(learner.disk.path()), 1, "by a snapshot");
    let status = first.status();
    assert_eq!((status.voters, status.learners), ([1].into(), [2].into()));
    learner.kill();
    learner.start();
    eventually("also after a restart", || learner.image() == image);
    assert!(allocate(&learner).is_ok(), "and it proposes through the leader");
}

#[test]
fn voters_change_from_one_to_three_and_back_and_a_learner_leaves() {
    let first = TestNode::new(1, Role::Bootstrap, None);
    let learners = [2, 3, 4].map(|id| TestNode::new(id, Role::Learner, Some(first.port())));
    eventually("they joined", || first.status().learners == [2, 3, 4].into());
    let refused = first.block_on(learners[0].controller().change_voters([1, 2].into()));
    assert!(matches!(refused, Err(ControlError::Quorum(_))), "two voters are no better than one");
    let refused = first.block_on(first.controller().change_voters([1, 2, 9].into()));
    assert!(matches!(refused, Err(ControlError::Quorum(_))), "nobody knows 9");
    first.block_on(learners[0].controller().change_voters([1, 2, 3].into())).expect("changes");
    eventually("three vote", || learners[2].status().voters == [1, 2, 3].into());
    assert!(allocate(&learners[2]).is_ok());
    assert!(matches!(first.block_on(first.controller().remove(3)), Err(ControlError::Quorum(_))), "it votes");
    first.block_on(first.controller().change_voters([2].into())).expect("changes");
    eventually("another leads", || learners[2].status().leader == Some(2));
    assert!(allocate(&learners[2]).is_ok());
    learners[0].block_on(learners[0].controller().remove(3)).expect("is forgotten");
}

#[test]
fn a_wiped_node_is_refused_until_it_takes_a_new_id() {
    let mut nodes = three();
    allocate(&nodes[0]).expect("committed");
    let wiped = (active(&nodes) + 1) % 3;
    let through = nodes[(wiped + 1) % 3].port();
    let node_id = nodes[wiped].id();
    nodes[wiped].kill();
    nodes[wiped] = TestNode::new(node_id, Role::Voter, Some(through));
    let refused = nodes[wiped].block_on(nodes[wiped].controller().join());
    let Err(ControlError::Stranger(Stranger::OtherDirectory { node_id: known, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(known, node_id);
    assert_eq!(nodes[wiped].status().last_index, None, "nobody tells it anything");
    assert!(allocate(&nodes[(wiped + 1) % 3]).is_ok(), "the others go on");
    nodes[wiped].kill();
    nodes[wiped] = TestNode::new(7, Role::Learner, Some(through));
    let image = nodes[(wiped + 1) % 3].image();
    eventually("under a new id it joins", || nodes[wiped].image() == image);
}

#[test]
fn a_node_that_moved_is_found_at_its_new_place() {
    let mut nodes = three();
    allocate(&nodes[0]).expect("committed");
    let moved = (active(&nodes) + 1) % 3;
    let (id, through) = (nodes[moved].id(), nodes[(moved + 1) % 3].port());
    nodes[moved].kill();
    let port = free_port();
    (nodes[moved].listen_port, nodes[moved].config.advertised_port) = (port, port);
    nodes[moved].config.bootstrap_servers = vec![("127.0.0.1".into(), through)];
    nodes[moved].start();
    let known = |by: &TestNode| by.controller().node.member(id).map(|member| member.port);
    eventually("all know", || nodes.iter().all(|node| known(node) == Some(port)));
    allocate(&nodes[(moved + 1) % 3]).expect("committed");
    let image = nodes[(moved + 1) % 3].image();
    eventually("it is told again", || nodes[moved].image() == image);
}

#[test]
fn a_first_node_that_lost_its_disk_does_not_begin_the_cluster_again() {
    let mut nodes = three();
    allocate(&nodes[0]).expect("committed");
    nodes[0].kill();
    active(&nodes);
    let disk = tempfile::tempdir().expect("a directory");
    let servers = nodes.iter().map(|node| ("127.0.0.1".to_owned(), node.port())).collect();
    let wiped = QuorumConfig {
        directory_id: Uuid::new_v4(),
        log_dir: disk.path().to_owned(),
        bootstrap_servers: servers,
        ..nodes[0].config.clone()
    };
    let open = |config: QuorumConfig| {
        nodes[1].block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
            RaftController::open(config, page_cache, listener).await.map(|_| ())
        })
    };
    assert!(matches!(open(wiped.clone()), Err(ControlError::Stranger(Stranger::OtherDirectory { .. }))));
    let other_id = QuorumConfig { node_id: 9, ..wiped.clone() };
    assert!(matches!(open(other_id), Err(ControlError::Quorum(_))), "nor does another node");
    let no_id = QuorumConfig { node_id: -1, ..wiped };
    assert!(matches!(open(no_id), Err(ControlError::Quorum(_))));
    nodes[0].start();
    assert!(allocate(&nodes[0]).is_ok(), "with its own disk it is welcome");
}
