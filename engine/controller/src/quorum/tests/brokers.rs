//! Brokers are heard, fenced and unfenced.

use super::*;
use crate::BrokerState;

fn start(node: &TestNode) -> BrokerSession {
    let registration = Registration {
        incarnation: Uuid::new_v4(),
        endpoints: Vec::new(),
        rack: None,
        log_dirs: Vec::new(),
        clean_shutdown_epoch: None,
    };
    let session = BrokerSession::start(node.controller(), registration);
    session.set_ready();
    session
}

fn state(by: &TestNode, broker: &TestNode) -> Option<BrokerState> {
    by.image().broker(broker.id()).map(|broker| broker.state)
}

/// Two nodes: the controller, and a broker that only follows. Both brokers are active.
fn two() -> (TestNode, TestNode, [BrokerSession; 2]) {
    let first = TestNode::new(1, Role::Bootstrap, None);
    let second = TestNode::new(2, Role::Learner, Some(first.port()));
    let sessions = [start(&first), start(&second)];
    for node in [&first, &second] {
        eventually("it is unfenced", || state(&first, node) == Some(BrokerState::Active));
    }
    (first, second, sessions)
}

fn topic(node: &TestNode, assignment: Vec<Vec<NodeId>>) {
    let (topic_id, configs) = (Uuid::from_u128(7), Default::default());
    node.propose(Command::CreateTopic { name: "t".into(), topic_id, assignment, configs }).expect("created");
}

fn leader(node: &TestNode) -> Option<NodeId> {
    node.image().topic("t").and_then(|topic| topic.partition(0)).map(|partition| partition.leader)
}

#[test]
fn a_killed_broker_is_fenced_its_leaderships_move_and_it_comes_back() {
    let (first, mut second, _sessions) = two();
    topic(&first, vec![vec![2, 1]]);
    assert_eq!(leader(&first), Some(2));
    second.kill();
    eventually("it is fenced", || state(&first, &second) == Some(BrokerState::Fenced));
    assert_eq!(leader(&first), Some(1), "in the same image");
    second.start();
    let again = start(&second);
    eventually("it is unfenced", || state(&first, &second) == Some(BrokerState::Active));
    eventually("it knows", || !again.status().borrow().fenced);
    assert_eq!(leader(&first), Some(1), "it has to catch up before it leads");
}

#[test]
fn a_broker_that_wants_to_stop_gives_up_its_leaderships_first() {
    let (first, second, [_one, session]) = two();
    topic(&first, vec![vec![2, 1]]);
    assert!(second.block_on(session.shut_down(PATIENCE)), "it may stop");
    assert_eq!(leader(&first), Some(1));
    assert_eq!(state(&first, &second), Some(BrokerState::Fenced));
}

#[test]
fn a_second_process_with_a_living_brokers_id_is_refused() {
    let (first, second, _sessions) = two();
    let refused = first.propose(registration(second.id()));
    let expected = crate::Refusal::DuplicateBroker(second.id());
    assert!(matches!(refused, Err(ControlError::Refused(refusal)) if refusal == expected));
}

#[test]
fn brokers_stay_in_service_when_the_controller_is_killed() {
    let mut nodes = three();
    let sessions: Vec<_> = nodes.iter().map(start).collect();
    eventually("all are unfenced", || {
        nodes.iter().all(|node| state(&nodes[0], node) == Some(BrokerState::Active))
    });
    let killed = active(&nodes);
    nodes[killed].kill();
    let leader = active(&nodes);
    eventually("the killed one is fenced", || {
        state(&nodes[leader], &nodes[killed]) == Some(BrokerState::Fenced)
    });
    for node in nodes.iter().filter(|node| node.running.is_some()) {
        assert_eq!(state(&nodes[leader], node), Some(BrokerState::Active), "the others were not");
        let broker = nodes[leader].image().broker(node.id()).cloned().expect("there");
        let status = sessions[node.id() as usize - 1].status().borrow().clone();
        assert_eq!(status.broker_epoch, Some(broker.broker_epoch), "nor did they register anew");
    }
}
