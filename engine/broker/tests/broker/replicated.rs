//! Partitions of three replicas on three brokers, over their sockets.

use plimsoll_records::Codec;
use plimsoll_wire::messages::create_topics_request::CreatableTopicConfig;
use plimsoll_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use plimsoll_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use plimsoll_wire::messages::{ListOffsetsRequest, OffsetForLeaderEpochRequest};
use plimsoll_wire::{ErrorCode, Request, Response};

use super::cluster::{agreed, create, ports, settings, three, topic};
use super::common::{
    Client, Data, TestBroker, Values, batch, each_backend, fetch_one, produce_one, text, topic_name, until,
    values,
};

/// Makes a topic of one partition with three replicas; returns its leader.
fn make(brokers: &[TestBroker], name: &str, configs: &[(&str, &str)]) -> i32 {
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    let wanted = topic(name, 1, 3).with_configs(configs.collect());
    assert_eq!(create(&mut brokers[0].client(), wanted), ErrorCode::None);
    let leader = agreed(&brokers.iter().collect::<Vec<_>>(), name)[0].0;
    let mut client = broker(brokers, leader).client();
    until("its leader leads", || client.fetch(name, 0, 0).error == ErrorCode::None);
    leader
}

fn broker(brokers: &[TestBroker], id: i32) -> &TestBroker {
    &brokers[usize::try_from(id - 1).expect("an id")]
}

fn isr(brokers: &[TestBroker], at: i32, name: &str) -> Vec<i32> {
    let metadata = broker(brokers, at).client().metadata(Some(&[name]));
    metadata.topics[0].partitions[0].isr_nodes.iter().map(|id| id.0).collect()
}

/// What a consumer reads from one broker, which may be a follower; nothing while that is not possible.
fn read(client: &mut Client, name: &str) -> Values {
    let (mut all, mut offset) = (Values::new(), 0);
    loop {
        let answer = client.fetch(name, 0, offset);
        if answer.error != ErrorCode::None {
            return all;
        }
        let some = values(answer.records_bytes());
        let Some((last, _)) = some.last() else { return all };
        (all, offset) = ([all, some.clone()].concat(), last + 1);
    }
}

#[test]
fn e24_what_all_acknowledged_is_read_from_every_replica() {
    each_backend(|backend| {
        let brokers = three(&[backend]);
        let leader = make(&brokers, "t", &[("min.insync.replicas", "3")]);
        let mut client = broker(&brokers, leader).client();
        let mut sent = Values::new();
        for n in 0..50 {
            let value = format!("value {n}");
            assert_eq!(client.produce("t", 0, &batch(&[&value], Codec::None)), n);
            sent.push((n, value));
        }
        for broker in &brokers {
            let mut client = broker.client();
            until("its high watermark is there", || read(&mut client, "t").len() == 50);
            assert_eq!(read(&mut client, "t"), sent);
        }
        assert_eq!(isr(&brokers, leader, "t").len(), 3);
    });
}

#[test]
fn e13_too_few_replicas_in_sync_refuse_acks_all_and_hide_what_acks_1_brings() {
    let mut brokers = three(&[]);
    let leader = make(&brokers, "t", &[("min.insync.replicas", "3")]);
    let mut client = broker(&brokers, leader).client();
    client.produce("t", 0, &batch(&["a"], Codec::None));
    // Another than the leader; two voters are left.
    let gone = brokers.remove(usize::try_from(leader % 3).expect("an index"));
    let _data = gone.stop();
    let refused = |client: &mut Client| client.try_produce("t", 0, &batch(&["refused"], Codec::None)).error;
    until("it has left the ISR", || refused(&mut client) == ErrorCode::NotEnoughReplicas);
    let hidden = client.produce_request(12, produce_one("t", 0, &batch(&["hidden"], Codec::None), 1));
    assert_eq!(hidden.error, ErrorCode::None);
    let answer = client.fetch("t", 0, hidden.base_offset);
    assert_eq!((answer.error, answer.records_len_bytes()), (ErrorCode::None, 0), "nobody sees it");
    assert!(answer.high_watermark <= hidden.base_offset);
}

#[test]
fn e25_a_broker_that_comes_back_catches_up_and_joins_the_isr_again() {
    let ports = ports(3);
    let start = |data: Data, node_id| {
        let settings = settings(&data, node_id, &ports, &[]);
        TestBroker::start_with(data, settings).unwrap_or_else(|error| panic!("node {node_id}: {error}"))
    };
    let mut brokers: Vec<_> = (1..=3).map(|node_id| start(Data::new(), node_id)).collect();
    until("all are in service", || brokers[0].client().metadata(None).brokers.len() == 3);
    make(&brokers, "t", &[]);
    let data = brokers.remove(2).stop();
    until("two are left", || isr(&brokers, 1, "t").len() == 2);
    let leader = agreed(&brokers.iter().collect::<Vec<_>>(), "t")[0].0;
    let mut client = broker(&brokers, leader).client();
    until("acks=all goes on", || {
        client.try_produce("t", 0, &batch(&["while it was gone"], Codec::None)).error == ErrorCode::None
    });
    let sent = read(&mut client, "t");
    brokers.push(start(data, 3));
    until("it is in sync", || isr(&brokers, leader, "t").len() == 3);
    let mut back = brokers[2].client();
    until("it serves what it has caught up with", || read(&mut back, "t") == sent);
}

#[test]
fn kip_392_the_leader_sends_a_consumer_to_its_own_rack() {
    let ports = ports(3);
    let selector = "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector";
    let start = |node_id| {
        let (data, rack) = (Data::new(), format!("broker.rack=rack-{node_id}"));
        let settings = settings(&data, node_id, &ports, &[selector, &rack]);
        TestBroker::start_with(data, settings).unwrap_or_else(|error| panic!("node {node_id}: {error}"))
    };
    let brokers: Vec<_> = (1..=3).map(start).collect();
    until("all are in service", || brokers[0].client().metadata(None).brokers.len() == 3);
    let leader = make(&brokers, "t", &[]);
    let other = leader % 3 + 1;
    let mut client = broker(&brokers, leader).client();
    client.produce("t", 0, &batch(&["a"], Codec::None));
    let mut request = fetch_one("t", 0, 0);
    request.rack_id = text(&format!("rack-{other}"));
    until("the follower is known to have it", || {
        client.fetch_request(12, request.clone()).preferred_read_replica == other
    });
    let mut near = broker(&brokers, other).client();
    until("it serves it", || near.fetch_request(12, request.clone()).records_len_bytes() > 0);
    request.rack_id = text(&format!("rack-{leader}"));
    let answer = client.fetch_request(12, request);
    assert!(answer.preferred_read_replica == -1 && answer.records_len_bytes() > 0);
}

#[test]
fn e26_only_the_leader_tells_offsets_and_ends_of_epochs() {
    let brokers = three(&[]);
    let leader = make(&brokers, "t", &[]);
    broker(&brokers, leader).client().produce("t", 0, &batch(&["a", "b"], Codec::None));
    let latest = |id: i32| {
        let asked = ListOffsetsPartition::default().with_timestamp(-1).with_current_leader_epoch(-1);
        let asked = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![asked]);
        let Response::ListOffsets(answer) =
            broker(&brokers, id).client().ask(7, &Request::ListOffsets(request))
        else {
            panic!()
        };
        let found = &answer.topics[0].partitions[0];
        (ErrorCode::from_code(found.error_code), found.offset, found.leader_epoch)
    };
    let (code, offset, epoch) = latest(leader);
    assert_eq!((code, offset), (ErrorCode::None, 2));
    let end = |id: i32, current_leader_epoch: i32| {
        let asked = OffsetForLeaderPartition::default()
            .with_current_leader_epoch(current_leader_epoch)
            .with_leader_epoch(epoch);
        let asked = OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![asked]);
        let request = Request::OffsetForLeaderEpoch(
            OffsetForLeaderEpochRequest::default().with_replica_id((-2).into()).with_topics(vec![asked]),
        );
        let Response::OffsetForLeaderEpoch(answer) = broker(&brokers, id).client().ask(4, &request) else {
            panic!()
        };
        let found = answer.topics[0].partitions[0].clone();
        (ErrorCode::from_code(found.error_code), found.leader_epoch, found.end_offset)
    };
    assert_eq!(end(leader, -1), (ErrorCode::None, epoch, 2));
    assert_eq!(end(leader, epoch), (ErrorCode::None, epoch, 2));
    assert_eq!(end(leader, epoch + 1).0, ErrorCode::UnknownLeaderEpoch);
    for other in (1..=3).filter(|id| *id != leader) {
        assert_eq!(latest(other).0, ErrorCode::NotLeaderOrFollower);
        assert_eq!(end(other, -1).0, ErrorCode::NotLeaderOrFollower);
    }
}

#[test]
fn e30_records_are_deleted_once_they_are_on_all_replicas() {
    let brokers = three(&[]);
    let leader = make(&brokers, "t", &[]);
    let mut client = broker(&brokers, leader).client();
    for value in ["a", "b", "c"] {
        client.produce("t", 0, &batch(&[value], Codec::None));
    }
    until("all have them", || client.fetch("t", 0, 3).high_watermark == 3);
    until("it is gone everywhere", || match client.delete_records(2, "t", 0, 2) {
        Ok(low_watermark) => low_watermark == 2,
        Err(code) => {
            assert_eq!(code, ErrorCode::RequestTimedOut);
            false
        }
    });
    for other in (1..=3).filter(|id| *id != leader) {
        let answer = broker(&brokers, other).client().fetch("t", 0, 0);
        assert_eq!((answer.error, answer.log_start_offset), (ErrorCode::OffsetOutOfRange, 2));
    }
}
