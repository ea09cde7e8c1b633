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

#[test]
fn leaderships_go_back_by_themselves_once_their_preferred_leaders_have_caught_up() {
    let mut first = TestNode::new(1, Role::Bootstrap, None);
    first.kill();
    first.config.rebalance_every = Some(Duration::from_millis(200));
    first.start();
    let _session = start(&first);
    eventually("it is unfenced", || state(&first, &first) == Some(BrokerState::Active));
    let other = |incarnation| {
        let Command::RegisterBroker { endpoints, rack, log_dirs, clean_shutdown_epoch, .. } = registration(2)
        else {
            panic!("a registration");
        };
        let (node_id, incarnation) = (2, Uuid::from_u128(incarnation));
        let command =
            Command::RegisterBroker { node_id, incarnation, endpoints, rack, log_dirs, clean_shutdown_epoch };
        let mut outcome = None;
        eventually("an earlier session is over", || {
            outcome = first.propose(command.clone()).ok();
            outcome.is_some()
        });
        let Some(Outcome::Registered { broker_epoch }) = outcome else { panic!("{outcome:?}") };
        let answer = first.block_on(async {
            let heartbeat =
                crate::Heartbeat { node_id, broker_epoch, want_fence: false, want_shutdown: false };
            first.controller().heartbeat(heartbeat).await
        });
        answer.expect("heard");
        eventually("it is unfenced", || {
            first.image().broker(2).map(|b| b.state) == Some(BrokerState::Active)
        });
        broker_epoch
    };
    other(1);
    topic(&first, vec![vec![2, 1]]);
    let epoch = other(2);
    assert_eq!(leader(&first), Some(1), "it restarted");
    let record = first.image().topic("t").and_then(|topic| topic.partition(0).cloned()).expect("there");
    let partition = crate::PartitionId { topic_id: Uuid::from_u128(7), partition: 0 };
    let (leader_epoch, partition_epoch) = (record.leader_epoch, record.partition_epoch);
    let new_isr = vec![(1, -1), (2, epoch)];
    let changes = vec![crate::IsrChange { partition, leader_epoch, partition_epoch, new_isr }];
    let broker_epoch = first.image().broker(1).expect("there").broker_epoch;
    first.propose(Command::AlterPartition { node_id: 1, broker_epoch, changes }).expect("grows");
    eventually("it leads again", || leader(&first) == Some(2));
}
