//! What looks after topics and the cluster: partitions added and moved, leaders elected, settings changed, brokers forgotten.

use plimsoll_records::Codec;
use plimsoll_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use plimsoll_wire::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use plimsoll_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use plimsoll_wire::messages::elect_leaders_request::TopicPartitions;
use plimsoll_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use plimsoll_wire::messages::{
    AlterPartitionReassignmentsRequest, CreatePartitionsRequest, DescribeQuorumRequest, ElectLeadersRequest,
    IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest, UnregisterBrokerRequest,
};
use plimsoll_wire::{ErrorCode, Request, Response};

use super::cluster::{create, seen, three, topic};
use super::common::{Client, TestBroker, batch, text, topic_name, until};
use super::configs::{TOPIC, describe};

fn add_partitions(client: &mut Client, topic: CreatePartitionsTopic, validate_only: bool) -> ErrorCode {
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(30_000)
        .with_validate_only(validate_only);
    let Response::CreatePartitions(answer) = client.ask(3, &Request::CreatePartitions(request)) else {
        panic!()
    };
    assert_eq!(answer.results[0].error_code == 0, answer.results[0].error_message.is_none());
    ErrorCode::from_code(answer.results[0].error_code)
}

fn more(name: &str, count: i32) -> CreatePartitionsTopic {
    CreatePartitionsTopic::default().with_name(topic_name(name)).with_count(count).with_assignments(None)
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 2, &[]);
    client.produce("t", 1, &batch(&["kept"], Codec::None));
    assert_eq!(add_partitions(&mut client, more("t", 5), true), ErrorCode::None);
    assert_eq!(seen(&mut client, "t").len(), 2, "it was only checked");
    assert_eq!(add_partitions(&mut client, more("t", 4), false), ErrorCode::None);
    assert_eq!(client.produce("t", 3, &batch(&["new"], Codec::None)), 0, "it is there with the answer");
    assert_eq!(client.read_from("t", 1, 0), [(0, "kept".to_owned())]);
    for (count, expected) in [
        (4, ErrorCode::InvalidPartitions),
        (1, ErrorCode::InvalidPartitions),
        (-1, ErrorCode::InvalidPartitions),
        (10_001, ErrorCode::InvalidPartitions),
    ] {
        assert_eq!(add_partitions(&mut client, more("t", count), false), expected, "{count}");
    }
    assert_eq!(add_partitions(&mut client, more("u", 2), false), ErrorCode::UnknownTopicOrPartition);
    let on = |brokers: &[i32]| {
        CreatePartitionsAssignment::default().with_broker_ids(brokers.iter().map(|id| (*id).into()).collect())
    };
    for bad in [vec![on(&[1]), on(&[1])], vec![on(&[9])], vec![on(&[1, 2])], vec![]] {
        let named = more("t", 5).with_assignments(Some(bad.clone()));
        assert_eq!(add_partitions(&mut client, named, false), ErrorCode::InvalidReplicaAssignment, "{bad:?}");
    }
    assert_eq!(
        add_partitions(&mut client, more("t", 5).with_assignments(Some(vec![on(&[1])])), false),
        ErrorCode::None
    );
    let broker = broker.stop().start(&[]);
    assert_eq!(seen(&mut broker.client(), "t").len(), 5);
}

/// Changes entries of topic "t": key, operation, value.
fn alter(client: &mut Client, changes: &[(&str, i8, Option<&str>)], validate_only: bool) -> ErrorCode {
    let config = |(key, operation, value): &(&str, i8, Option<&str>)| {
        AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    };
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(text("t"))
        .with_configs(changes.iter().map(config).collect());
    let request = IncrementalAlterConfigsRequest::default()
        .with_resources(vec![resource])
        .with_validate_only(validate_only);
    let request = Request::IncrementalAlterConfigs(request);
    let Response::IncrementalAlterConfigs(answer) = client.ask(1, &request) else { panic!() };
    ErrorCode::from_code(answer.responses[0].error_code)
}

fn value(client: &mut Client, key: &str) -> (String, i8) {
    let row = describe(client, 4, TOPIC, "t", Some(&[key])).configs.remove(0);
    (row.value.map(|value| value.to_string()).unwrap_or_default(), row.config_source)
}

#[test]
fn e43_topic_settings_change_while_the_broker_runs_and_hold_from_the_answer_on() {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let large = batch(&[&"x".repeat(5_000)], Codec::None);
    client.produce("t", 0, &large);
    assert_eq!(alter(&mut client, &[("max.message.bytes", SET, Some("1000"))], true), ErrorCode::None);
    assert_eq!(value(&mut client, "max.message.bytes").1, 5, "it was only checked");
    assert_eq!(alter(&mut client, &[("max.message.bytes", SET, Some("1000"))], false), ErrorCode::None);
    assert_eq!(value(&mut client, "max.message.bytes"), ("1000".to_owned(), 1));
    assert_eq!(client.try_produce("t", 0, &large).error, ErrorCode::MessageTooLarge);
    assert_eq!(alter(&mut client, &[("max.message.bytes", DELETE, None)], false), ErrorCode::None);
    client.produce("t", 0, &large);
    assert_eq!(alter(&mut client, &[("cleanup.policy", APPEND, Some("compact"))], false), ErrorCode::None);
    assert_eq!(value(&mut client, "cleanup.policy").0, "delete,compact");
    assert_eq!(alter(&mut client, &[("cleanup.policy", SUBTRACT, Some("delete"))], false), ErrorCode::None);
    assert_eq!(value(&mut client, "cleanup.policy").0, "compact");
    assert_eq!(client.try_produce("t", 0, &large).error, ErrorCode::InvalidRecord, "it has no key");
    for (changes, expected) in [
        (&[("max.message.bytes", SET, Some("much"))][..], ErrorCode::InvalidConfig),
        (&[("max.message.bytes", SET, None)], ErrorCode::InvalidConfig),
        (&[("max.message.bytes", APPEND, Some("1"))], ErrorCode::InvalidConfig),
        (&[("segment.bytes", SET, Some("5000"))], ErrorCode::InvalidConfig),
        (&[("remote.storage.enable", SET, Some("true"))], ErrorCode::InvalidConfig),
        (&[("cleanup.policy", SUBTRACT, Some("compact"))], ErrorCode::InvalidConfig),
        (&[("retention.ms", 9, Some("1"))], ErrorCode::InvalidRequest),
        (&[("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))], ErrorCode::InvalidRequest),
    ] {
        assert_eq!(alter(&mut client, changes, false), expected, "{changes:?}");
    }
    let broker = broker.stop().start(&[]);
    assert_eq!(value(&mut broker.client(), "cleanup.policy").0, "compact", "also after a restart");
}

fn reassign(client: &mut Client, name: &str, index: i32, to: Option<&[i32]>) -> ErrorCode {
    let partition = ReassignablePartition::default()
        .with_partition_index(index)
        .with_replicas(to.map(|ids| ids.iter().map(|id| (*id).into()).collect()));
    let topic = ReassignableTopic::default().with_name(topic_name(name)).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    let Response::AlterPartitionReassignments(answer) =
        client.ask(0, &Request::AlterPartitionReassignments(request))
    else {
        panic!()
    };
    assert_eq!(answer.error_code, 0);
    ErrorCode::from_code(answer.responses[0].partitions[0].error_code)
}

/// A move under way: partition, replicas, those that are added, those that go.
type Move = (i32, Vec<i32>, Vec<i32>, Vec<i32>);

fn moving(client: &mut Client) -> Vec<Move> {
    let request = ListPartitionReassignmentsRequest::default().with_topics(None);
    let Response::ListPartitionReassignments(answer) =
        client.ask(0, &Request::ListPartitionReassignments(request))
    else {
        panic!()
    };
    let ids = |ids: &[plimsoll_wire::messages::BrokerId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
    let rows = answer.topics.iter().flat_map(|topic| &topic.partitions);
    rows.map(|p| (p.partition_index, ids(&p.replicas), ids(&p.adding_replicas), ids(&p.removing_replicas)))
        .collect()
}

#[test]
fn a_reassignment_can_be_begun_seen_and_cancelled_through_any_broker() {
    let brokers = three(&[]);
    let mut client = brokers[0].client();
    assert_eq!(create(&mut client, topic("t", 1, 1)), ErrorCode::None);
    let (leader, _) = seen(&mut client, "t")[0].clone();
    // Nobody is there yet, so that what is added never catches up.
    let other = leader % 3 + 1;
    for (index, to, expected) in [
        (7, Some(&[1][..]), ErrorCode::UnknownTopicOrPartition),
        (0, Some(&[9]), ErrorCode::InvalidReplicaAssignment),
        (0, Some(&[]), ErrorCode::InvalidReplicaAssignment),
        (0, None, ErrorCode::NoReassignmentInProgress),
    ] {
        assert_eq!(reassign(&mut client, "t", index, to), expected, "{index} {to:?}");
    }
    assert_eq!(reassign(&mut client, "nobody", 0, None), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(reassign(&mut brokers[1].client(), "t", 0, Some(&[leader, other])), ErrorCode::None);
    assert_eq!(reassign(&mut brokers[2].client(), "t", 0, Some(&[leader])), ErrorCode::None);
    until("it is where it was", || {
        brokers.iter().all(|broker| {
            moving(&mut broker.client()).is_empty()
                && seen(&mut broker.client(), "t") == [(leader, vec![leader])]
        })
    });
}

fn elect(client: &mut Client, kind: i8, name: &str) -> (ErrorCode, Vec<ErrorCode>) {
    let topic = TopicPartitions::default().with_topic(topic_name(name)).with_partitions(vec![0]);
    let request =
        ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(Some(vec![topic]));
    let Response::ElectLeaders(answer) = client.ask(2, &Request::ElectLeaders(request)) else { panic!() };
    let rows = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
    (ErrorCode::from_code(answer.error_code), rows.map(|row| ErrorCode::from_code(row.error_code)).collect())
}

#[test]
fn preferred_leaders_can_be_elected_by_hand_and_no_others() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    assert_eq!(elect(&mut client, 0, "t"), (ErrorCode::None, vec![ErrorCode::ElectionNotNeeded]));
    assert_eq!(elect(&mut client, 0, "nobody"), (ErrorCode::None, vec![ErrorCode::UnknownTopicOrPartition]));
    assert_eq!(elect(&mut client, 1, "t"), (ErrorCode::InvalidRequest, vec![ErrorCode::InvalidRequest]));
    let all = ElectLeadersRequest::default().with_topic_partitions(None);
    let Response::ElectLeaders(answer) = client.ask(2, &Request::ElectLeaders(all)) else { panic!() };
    assert_eq!((answer.error_code, answer.replica_election_results.len()), (0, 0));
}

#[test]
fn any_broker_tells_of_the_quorum_what_the_active_controller_knows() {
    let brokers = three(&[]);
    let described = |broker: &TestBroker| {
        let topic = TopicData::default()
            .with_topic_name(topic_name("__cluster_metadata"))
            .with_partitions(vec![PartitionData::default()]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let Response::DescribeQuorum(mut answer) = broker.client().ask(2, &Request::DescribeQuorum(request))
        else {
            panic!()
        };
        assert_eq!((answer.error_code, answer.nodes.len()), (0, 3));
        answer.topics.remove(0).partitions.remove(0)
    };
    for broker in &brokers {
        until("three vote and have everything", || {
            let partition = described(broker);
            let ends: Vec<_> = partition.current_voters.iter().map(|voter| voter.log_end_offset).collect();
            partition.leader_id.0 > 0
                && ends.len() == 3
                && ends.iter().all(|end| *end >= partition.high_watermark)
                && partition.observers.is_empty()
        });
    }
}

#[test]
fn a_broker_is_forgotten_only_once_it_is_out_of_service() {
    let mut brokers = three(&[]);
    let unregister = |client: &mut Client| {
        let request = UnregisterBrokerRequest::default().with_broker_id(3.into());
        let Response::UnregisterBroker(answer) = client.ask(0, &Request::UnregisterBroker(request)) else {
            panic!()
        };
        ErrorCode::from_code(answer.error_code)
    };
    let mut client = brokers[0].client();
    assert_eq!(unregister(&mut client), ErrorCode::InvalidRequest, "it is in service");
    drop(brokers.remove(2).stop());
    until("it is gone", || unregister(&mut client) == ErrorCode::None);
    assert_eq!(unregister(&mut client), ErrorCode::BrokerIdNotRegistered);
}
