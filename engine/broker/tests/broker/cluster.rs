//! Brokers that share their metadata. Each has a thread and a directory of its own, and ports that outlive it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use plimsoll_broker::config::Settings;
use plimsoll_records::Codec;
use plimsoll_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use plimsoll_wire::messages::{BrokerId, CreateTopicsRequest, DescribeClusterRequest, MetadataResponse};
use plimsoll_wire::{ErrorCode, Request, Response};

use super::common::{Client, Data, TestBroker, batch, failing_disk, topic_name, until};
use super::log_dirs::{dirs, held, produced};

/// How a node of a test cluster is told apart: its id and what else it is told.
pub(crate) fn settings(data: &Data, node_id: i32, ports: &[u16], more: &[&str]) -> Settings {
    let voters = (1..).zip(ports).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect::<Vec<_>>();
    let voters = format!("controller.quorum.voters={}", voters.join(","));
    let id = format!("node.id={node_id}");
    let fixed = ["plimsoll.cluster.id=test", &id, &voters, "controller.quorum.request.timeout.ms=1000"];
    data.settings(&[&fixed, more].concat())
}

/// Ports that the system gives to nobody by itself, so that they are free again after a stop.
pub(crate) fn ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let candidates = std::iter::repeat_with(|| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        20_000 + (std::process::id().wrapping_mul(101).wrapping_add(next) % 12_000) as u16
    });
    candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect()
}

/// Nodes 1 to 3, which serve and vote.
pub(crate) fn three(more: &[&str]) -> Vec<TestBroker> {
    let ports = ports(3);
    let start = |node_id| {
        let data = Data::new();
        let settings = settings(&data, node_id, &ports, more);
        TestBroker::start_with(data, settings).unwrap_or_else(|error| panic!("node {node_id}: {error}"))
    };
    let brokers: Vec<_> = (1..=3).map(start).collect();
    for broker in &brokers {
        until("all know each other", || broker.client().metadata(None).brokers.len() == 3);
    }
    brokers
}

/// What `topic` looks like to the client of one broker: leader and replicas of each partition.
pub(crate) fn seen(client: &mut Client, topic: &str) -> Vec<(i32, Vec<i32>)> {
    let MetadataResponse { mut topics, .. } = client.metadata(Some(&[topic]));
    let partitions = topics.remove(0).partitions;
    let ids = |ids: &[plimsoll_wire::messages::BrokerId]| ids.iter().map(|id| id.0).collect();
    partitions.iter().map(|p| (p.leader_id.0, ids(&p.replica_nodes))).collect()
}

pub(crate) fn create(client: &mut Client, topic: CreatableTopic) -> ErrorCode {
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let Response::CreateTopics(answer) = client.ask(7, &Request::CreateTopics(request)) else { panic!() };
    ErrorCode::from_code(answer.topics[0].error_code)
}

pub(crate) fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

/// Waits until all see the topic alike and every partition is led.
pub(crate) fn agreed(brokers: &[&TestBroker], topic: &str) -> Vec<(i32, Vec<i32>)> {
    let mut views = Vec::new();
    until("all see the topic alike", || {
        views = brokers.iter().map(|broker| seen(&mut broker.client(), topic)).collect();
        views.iter().all(|view| *view == views[0])
            && !views[0].is_empty()
            && views[0].iter().all(|p| p.0 >= 0)
    });
    views.remove(0)
}

#[test]
fn a_topic_made_through_any_broker_is_known_to_all_and_served_by_its_leaders_alone() {
    let brokers = three(&[]);
    let all: Vec<_> = brokers.iter().collect();
    assert_eq!(create(&mut brokers[1].client(), topic("t", 6, 1)), ErrorCode::None);
    let partitions = agreed(&all, "t");
    let mut led: BTreeMap<i32, usize> = BTreeMap::new();
    partitions.iter().for_each(|(leader, _)| *led.entry(*leader).or_default() += 1);
    assert_eq!(led, [(1, 2), (2, 2), (3, 2)].into(), "spread evenly");
    let sent = batch(&["a"], Codec::None);
    for (index, (leader, _)) in (0..).zip(&partitions) {
        for (broker, node_id) in brokers.iter().zip(1..) {
            let mut client = broker.client();
            let expected = if node_id == *leader { ErrorCode::None } else { ErrorCode::NotLeaderOrFollower };
            until("its leader knows", || client.try_produce("t", index, &sent).error == expected);
            assert_eq!(client.fetch("t", index, 0).error, expected);
            let has_log = broker.data().file(&format!("t-{index}")).is_dir();
            assert_eq!(has_log, node_id == *leader, "only where it is assigned");
        }
    }
    assert_eq!(brokers[2].client().delete("t"), 0);
    for broker in &brokers {
        until("it is gone everywhere", || {
            (0..6).all(|index| !broker.data().file(&format!("t-{index}")).exists())
                && broker.client().fetch("t", 0, 0).error == ErrorCode::UnknownTopicOrPartition
        });
    }
}

#[test]
fn what_lies_on_a_disk_that_failed_is_led_by_others() {
    let Some(disk) = failing_disk() else { return };
    let ports = ports(2);
    let start = |node_id, more: &[&str]| {
        let data = Data::new();
        let settings = settings(&data, node_id, &ports[..1], more);
        TestBroker::start_with(data, settings).unwrap_or_else(|error| panic!("node {node_id}: {error}"))
    };
    let data = Data::new();
    let both = dirs(&data.path(), &[&disk.dir()]);
    let with_disk = settings(&data, 1, &ports[..1], &[&both, "plimsoll.durability=fsync"]);
    let first = TestBroker::start_with(data, with_disk).expect("node 1");
    let second = start(2, &["process.roles=broker", "plimsoll.durability=fsync"]);
    let brokers = [&first, &second];
    until("both know each other", || {
        brokers.iter().all(|broker| broker.client().metadata(None).brokers.len() == 2)
    });
    let on_first = |index| {
        let replicas = vec![BrokerId(1), BrokerId(2)];
        CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(replicas)
    };
    let wanted = topic("t", -1, -1).with_assignments((0..2).map(on_first).collect());
    assert_eq!(create(&mut first.client(), wanted), ErrorCode::None);
    assert!(agreed(&brokers, "t").iter().all(|(leader, _)| *leader == 1));
    let there = held(&disk.dir());
    assert_eq!(there.len(), 1, "one of two lies on the disk that fails");
    disk.fail();
    until("the failure is noticed", || produced(&mut first.client(), there[0]) != ErrorCode::None);
    until("the other broker leads it", || {
        let views = brokers.map(|broker| seen(&mut broker.client(), "t"));
        views
            .iter()
            .all(|view| (0..2).zip(view).all(|(index, (leader, _))| (*leader == 2) == (index == there[0])))
    });
}

#[test]
fn replicas_go_where_they_are_asked_for_or_spread_and_never_beyond_the_brokers_in_service() {
    let brokers = three(&["default.replication.factor=2"]);
    let all: Vec<_> = brokers.iter().collect();
    let mut client = brokers[0].client();
    assert_eq!(create(&mut client, topic("four", 1, 4)), ErrorCode::InvalidReplicationFactor);
    assert_eq!(create(&mut client, topic("three", 2, 3)), ErrorCode::None);
    assert!(agreed(&all, "three").iter().all(|(_, replicas)| replicas.len() == 3));
    assert_eq!(create(&mut client, topic("default", 1, -1)), ErrorCode::None);
    assert_eq!(agreed(&all, "default")[0].1.len(), 2);
    let named = |ids: &[&[i32]]| {
        let assignment = |(index, ids): (i32, &&[i32])| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index)
                .with_broker_ids(ids.iter().map(|id| (*id).into()).collect())
        };
        topic("named", -1, -1).with_assignments((0..).zip(ids).map(assignment).collect())
    };
    for bad in [&[&[1, 1][..]][..], &[&[9]], &[&[1, 2], &[3]], &[&[]]] {
        assert_eq!(create(&mut client, named(bad)), ErrorCode::InvalidReplicaAssignment, "{bad:?}");
    }
    assert_eq!(create(&mut client, named(&[&[3, 1], &[2, 3]])), ErrorCode::None);
    assert_eq!(agreed(&all, "named"), [(3, vec![3, 1]), (2, vec![2, 3])]);
}

#[test]
fn a_broker_that_is_told_to_stop_hands_its_leaderships_on_and_comes_back_fenced_no_longer() {
    let ports = ports(3);
    let start = |data: Data, node_id| {
        let settings = settings(&data, node_id, &ports, &[]);
        TestBroker::start_with(data, settings).unwrap_or_else(|error| panic!("node {node_id}: {error}"))
    };
    let mut brokers: Vec<_> = (1..=3).map(|node_id| start(Data::new(), node_id)).collect();
    until("all are in service", || brokers[0].client().metadata(None).brokers.len() == 3);
    assert_eq!(create(&mut brokers[0].client(), topic("t", 3, 3)), ErrorCode::None);
    agreed(&brokers.iter().collect::<Vec<_>>(), "t");
    let data = brokers.remove(2).stop();
    let rest: Vec<_> = brokers.iter().collect();
    let leaders: BTreeSet<i32> = seen(&mut brokers[0].client(), "t").iter().map(|p| p.0).collect();
    assert!(!leaders.contains(&3), "given away before it was gone: {leaders:?}");
    until("it is out of service", || {
        rest.iter().all(|broker| broker.client().metadata(None).brokers.len() == 2)
    });
    let sent = batch(&["a"], Codec::None);
    for (index, (leader, _)) in (0..).zip(agreed(&rest, "t")) {
        let leader = &brokers[usize::try_from(leader - 1).expect("of the rest")];
        until("the new leader leads", || {
            leader.client().try_produce("t", index, &sent).error == ErrorCode::None
        });
    }
    let back = start(data, 3);
    until("it is in service again", || back.client().metadata(None).brokers.len() == 3);
}

#[test]
fn kip_1073_a_broker_out_of_service_is_described_to_those_who_ask_for_it() {
    let mut brokers = three(&[]);
    brokers.pop().expect("three").stop();
    let described = |include_fenced: bool| {
        let request = DescribeClusterRequest::default().with_include_fenced_brokers(include_fenced);
        let Response::DescribeCluster(answer) =
            brokers[0].client().ask(2, &Request::DescribeCluster(request))
        else {
            panic!()
        };
        answer.brokers.iter().map(|broker| (broker.broker_id.0, broker.is_fenced)).collect::<Vec<_>>()
    };
    until("it is out of service", || described(false) == [(1, false), (2, false)]);
    assert_eq!(described(true), [(1, false), (2, false), (3, true)]);
}

#[test]
fn every_broker_names_the_same_controller_and_hands_out_ids_of_its_own() {
    let brokers = three(&["broker.rack=r"]);
    let described = |broker: &TestBroker| {
        let request = Request::DescribeCluster(DescribeClusterRequest::default());
        let Response::DescribeCluster(answer) = broker.client().ask(0, &request) else { panic!() };
        answer
    };
    let answers: Vec<_> = brokers.iter().map(described).collect();
    assert!(answers.iter().all(|answer| *answer.cluster_id == *"test" && answer.brokers.len() == 3));
    assert!(answers[0].brokers.iter().all(|broker| broker.rack.as_deref() == Some("r")));
    until("all know the same controller", || {
        let named: BTreeSet<i32> = brokers.iter().map(|broker| described(broker).controller_id.0).collect();
        named.len() == 1
    });
    let mut ids: Vec<_> = brokers
        .iter()
        .flat_map(|broker| {
            let mut client = broker.client();
            (0..3).map(|_| client.init_producer_id()).collect::<Vec<_>>()
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 9);
}

#[test]
fn a_node_of_a_cluster_is_told_which_and_one_with_another_disk_is_turned_away() {
    let ports = ports(3);
    let data = Data::new();
    let alone = settings(&data, 1, &ports[..1], &["plimsoll.cluster.id=here"]);
    let first = TestBroker::start_with(data, alone).expect("starts");
    let server = format!("controller.quorum.bootstrap.servers={}", first.handle().controller_address());
    let joins = |data: Data, more: &[&str]| {
        let settings = data.settings(&[&["node.id=2", "process.roles=broker", &server][..], more].concat());
        TestBroker::start_with(data, settings)
    };
    let refused = joins(Data::new(), &[]).err().expect("no cluster is named").to_string();
    assert!(refused.contains("plimsoll.cluster.id"), "{refused}");
    let second = joins(Data::new(), &["plimsoll.cluster.id=here"]).expect("starts");
    assert_eq!(second.client().metadata(None).brokers.len(), 2);
    drop(second.stop());
    let refused =
        joins(Data::new(), &["plimsoll.cluster.id=here"]).err().expect("its disk is new").to_string();
    assert!(
        refused.contains("node 2 is known with directory") && refused.contains("new node.id"),
        "{refused}"
    );
    let data = first.stop();
    let other = data.settings(&["plimsoll.cluster.id=elsewhere"]);
    let refused = TestBroker::start_with(data, other).err().expect("another cluster's").to_string();
    assert!(refused.contains("cluster here") && refused.contains("elsewhere"), "{refused}");
}
