//! Topics: made, found, removed, made again.

use std::sync::Barrier;

use plimsoll_records::Codec;
use plimsoll_wire::messages::create_topics_request::{CreatableReplicaAssignment, CreatableTopic};
use plimsoll_wire::messages::delete_topics_request::DeleteTopicState;
use plimsoll_wire::messages::metadata_request::MetadataRequestTopic;
use plimsoll_wire::messages::{CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest, MetadataResponse};
use plimsoll_wire::{ErrorCode, Request, Response};

use super::common::{Client, TestBroker, batch, each_backend, topic_name};

fn metadata(client: &mut Client, version: i16, request: MetadataRequest) -> MetadataResponse {
    match client.ask(version, &Request::Metadata(request)) {
        Response::Metadata(response) => response,
        other => panic!("{other:?}"),
    }
}

fn names(response: &MetadataResponse) -> Vec<String> {
    response
        .topics
        .iter()
        .map(|topic| topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default())
        .collect()
}

#[test]
fn e7_null_and_empty_mean_all_or_none_by_version() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("a", 1, &[]);
    client.create("b", 1, &[]);
    let empty = || MetadataRequest::default().with_topics(Some(vec![]));
    assert_eq!(names(&metadata(&mut client, 0, empty())), ["a", "b"]);
    for version in 1..=13 {
        assert!(names(&metadata(&mut client, version, empty())).is_empty(), "version {version}");
        let null = MetadataRequest::default().with_topics(None);
        assert_eq!(names(&metadata(&mut client, version, null)), ["a", "b"], "version {version}");
    }
}

#[test]
fn e8_metadata_finds_topics_by_id() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let id = client.create("t", 3, &[]);
    let by_id = |id| {
        let topic = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
        MetadataRequest::default().with_topics(Some(vec![topic]))
    };
    let found = metadata(&mut client, 12, by_id(id));
    assert_eq!((names(&found), found.topics[0].partitions.len()), (vec!["t".to_owned()], 3));
    let unknown = metadata(&mut client, 12, by_id(plimsoll_wire::Uuid::from_u128(1)));
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UnknownTopicId.code());
}

#[test]
fn e44_asking_for_metadata_creates_a_topic_if_both_sides_want_it() {
    let broker = TestBroker::start(&["num.partitions=3"]);
    let mut client = broker.client();
    let unknown = client.metadata_with(Some(&["t"]), false);
    assert_eq!(unknown.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    let made = client.metadata_with(Some(&["t"]), true);
    assert!([0, ErrorCode::LeaderNotAvailable.code()].contains(&made.topics[0].error_code));
    let there = client.metadata(Some(&["t"]));
    assert_eq!((there.topics[0].error_code, there.topics[0].partitions.len()), (0, 3));
    for bad in ["", ".", "..", "a b", "ü", "__cluster_metadata", &"n".repeat(250)] {
        let answer = client.metadata_with(Some(&[bad]), true);
        assert_eq!(answer.topics[0].error_code, ErrorCode::InvalidTopicException.code(), "`{bad}`");
    }
    let old_clients_always_want_it = client.ask(1, &Request::Metadata(named("u")));
    drop(old_clients_always_want_it);
    assert_eq!(client.metadata(Some(&["u"])).topics[0].error_code, 0);
}

fn named(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default().with_topics(Some(vec![topic]))
}

#[test]
fn e44_a_broker_may_be_told_not_to_create_topics() {
    let broker = TestBroker::start(&["auto.create.topics.enable=false"]);
    let answer = broker.client().metadata_with(Some(&["t"]), true);
    assert_eq!(answer.topics[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
    assert!(broker.client().metadata(None).topics.is_empty());
}

#[test]
fn e44_many_connections_that_ask_at_once_make_one_topic() {
    let broker = TestBroker::start(&[]);
    let start = Barrier::new(8);
    for round in 0..5 {
        let name = format!("t{round}");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut client = broker.client();
                    start.wait();
                    let code = client.metadata_with(Some(&[&name]), true).topics[0].error_code;
                    assert!([0, ErrorCode::LeaderNotAvailable.code()].contains(&code), "{code}");
                });
            }
        });
        assert_eq!(broker.client().metadata(Some(&[&name])).topics[0].error_code, 0);
    }
    assert_eq!(broker.client().metadata(None).topics.len(), 5);
}

#[test]
fn a_topic_deleted_and_made_again_is_empty_and_another() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        let mut ids = Vec::new();
        for round in 0..3 {
            ids.push(client.create("t", 2, &[]));
            for _ in 0..=round {
                client.produce("t", 1, &batch(&["a"], Codec::None));
            }
            assert_eq!(client.fetch("t", 1, 0).high_watermark, round + 1);
            assert_eq!(client.delete("t"), 0);
            assert_eq!(client.fetch("t", 1, 0).error, ErrorCode::UnknownTopicOrPartition);
            assert_eq!(client.delete("t"), ErrorCode::UnknownTopicOrPartition.code());
        }
        ids.dedup();
        assert_eq!(ids.len(), 3);
        assert!(directories_of(&broker, "t-").is_empty());
    });
}

fn directories_of(broker: &TestBroker, start: &str) -> Vec<String> {
    std::fs::read_dir(broker.data().path())
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(start))
        .collect()
}

#[test]
fn a_topic_with_the_longest_name_can_be_made_and_deleted() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let name = "n".repeat(249);
    client.create(&name, 1, &[]);
    client.produce(&name, 0, &batch(&["a"], Codec::None));
    assert_eq!(client.delete(&name), 0);
    assert!(directories_of(&broker, "nnn").is_empty());
    client.create(&name, 1, &[]);
    assert_eq!(client.fetch(&name, 0, 0).high_watermark, 0);
}

#[test]
fn topics_are_deleted_by_id_and_the_answer_names_them() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let id = client.create("t", 1, &[]);
    let state = DeleteTopicState::default().with_name(None).with_topic_id(id);
    let request = DeleteTopicsRequest::default().with_topics(vec![state]);
    let Response::DeleteTopics(answer) = client.ask(6, &Request::DeleteTopics(request.clone())) else {
        panic!()
    };
    let gone = &answer.responses[0];
    assert_eq!((gone.error_code, gone.topic_id), (0, id));
    assert_eq!(gone.name, Some(topic_name("t")));
    let Response::DeleteTopics(again) = client.ask(6, &Request::DeleteTopics(request)) else { panic!() };
    assert_eq!(again.responses[0].error_code, ErrorCode::UnknownTopicId.code());
}

#[test]
fn deletion_can_be_switched_off() {
    let broker = TestBroker::start(&["delete.topic.enable=false"]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    assert_eq!(client.delete("t"), ErrorCode::TopicDeletionDisabled.code());
    client.produce("t", 0, &batch(&["a"], Codec::None));
}

#[test]
fn a_partition_whose_log_cannot_be_made_is_offline_until_a_restart_finds_room_for_it() {
    let broker = TestBroker::start(&[]);
    let in_the_way = broker.data().file("t-0");
    std::fs::write(&in_the_way, b"no directory").expect("written");
    let mut client = broker.client();
    client.create("t", 2, &[]);
    let sent = batch(&["a"], Codec::None);
    assert_eq!(client.try_produce("t", 0, &sent).error, ErrorCode::KafkaStorageError);
    assert_eq!(client.fetch("t", 0, 0).error, ErrorCode::KafkaStorageError);
    let partitions = client.metadata(Some(&["t"])).topics.remove(0).partitions;
    assert_eq!(
        (partitions[0].leader_id.0, partitions[0].error_code, partitions[0].offline_replicas.len()),
        (-1, ErrorCode::LeaderNotAvailable.code(), 1)
    );
    assert_eq!(client.produce("t", 1, &sent), 0, "the other is not concerned");
    let data = broker.stop();
    std::fs::remove_file(in_the_way).expect("removed");
    let broker = data.start(&[]);
    let mut client = broker.client();
    assert_eq!((client.produce("t", 0, &sent), client.produce("t", 1, &sent)), (0, 1));
    assert_eq!(client.delete("t"), 0);
    assert!(directories_of(&broker, "t-").is_empty());
}

#[test]
fn create_topics_says_what_is_wrong_with_each() {
    let broker = TestBroker::start(&["num.partitions=2"]);
    let mut client = broker.client();
    let topic = |name: &str| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(1)
            .with_replication_factor(1)
    };
    let assigned = |index: i32, node: i32| {
        let assignment = CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(vec![node.into()]);
        topic("x").with_num_partitions(-1).with_replication_factor(-1).with_assignments(vec![assignment])
    };
    let cases = [
        (topic("a/b"), ErrorCode::InvalidTopicException),
        (topic("p").with_num_partitions(0), ErrorCode::InvalidPartitions),
        (topic("p").with_num_partitions(i32::MAX), ErrorCode::InvalidPartitions),
        (topic("r").with_replication_factor(3), ErrorCode::InvalidReplicationFactor),
        (assigned(1, 1), ErrorCode::InvalidReplicaAssignment),
        (assigned(0, 9), ErrorCode::InvalidReplicaAssignment),
        (assigned(0, 1).with_num_partitions(1), ErrorCode::InvalidRequest),
    ];
    for (topic, expected) in cases {
        let request = CreateTopicsRequest::default().with_topics(vec![topic.clone()]);
        let Response::CreateTopics(answer) = client.ask(7, &Request::CreateTopics(request)) else { panic!() };
        assert_eq!(answer.topics[0].error_code, expected.code(), "{topic:?}");
        assert!(answer.topics[0].error_message.is_some());
    }
    assert!(client.metadata(None).topics.is_empty(), "nothing of it came to be");
    let (code, _, message) = client.try_create("c", 1, &[("remote.storage.enable", "true")]);
    assert_eq!(code, ErrorCode::InvalidConfig.code(), "e45: what is not enforced is refused: {message}");
    let twice = CreateTopicsRequest::default().with_topics(vec![topic("d"), topic("d")]);
    let Response::CreateTopics(answer) = client.ask(7, &Request::CreateTopics(twice)) else { panic!() };
    assert!(answer.topics.iter().all(|topic| topic.error_code == ErrorCode::InvalidRequest.code()));
    let replica = |index| {
        CreatableReplicaAssignment::default().with_partition_index(index).with_broker_ids(vec![1.into()])
    };
    let too_many = assigned(0, 1).with_assignments((0..10_001).map(replica).collect());
    let too_many = CreateTopicsRequest::default().with_topics(vec![too_many]).with_validate_only(true);
    let Response::CreateTopics(answer) = client.ask(7, &Request::CreateTopics(too_many)) else { panic!() };
    assert_eq!(answer.topics[0].error_code, ErrorCode::InvalidPartitions.code());
    let only_checked = CreateTopicsRequest::default().with_topics(vec![topic("v")]).with_validate_only(true);
    let Response::CreateTopics(answer) = client.ask(7, &Request::CreateTopics(only_checked)) else {
        panic!()
    };
    assert_eq!(answer.topics[0].error_code, 0);
    assert!(client.metadata(None).topics.is_empty());
    client.create("e", -1, &[]);
    assert_eq!(client.metadata(Some(&["e"])).topics[0].partitions.len(), 2);
    assert_eq!(client.try_create("e", 1, &[]).0, ErrorCode::TopicAlreadyExists.code());
}

#[test]
fn a_topic_can_be_deleted_under_load() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let over = std::sync::atomic::AtomicBool::new(false);
        broker.client().create("t", 1, &[]);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut client = broker.client();
                    while !over.load(std::sync::atomic::Ordering::SeqCst) {
                        let error = client.try_produce("t", 0, &batch(&["a"], Codec::None)).error;
                        let gone = [ErrorCode::UnknownTopicOrPartition, ErrorCode::NotLeaderOrFollower];
                        assert!(error == ErrorCode::None || gone.contains(&error), "{error:?}");
                        let error = client.fetch("t", 0, 0).error;
                        let lost =
                            [gone[0], gone[1], ErrorCode::OffsetOutOfRange, ErrorCode::KafkaStorageError];
                        assert!(error == ErrorCode::None || lost.contains(&error), "{error:?}");
                    }
                });
            }
            let mut client = broker.client();
            for _ in 0..10 {
                std::thread::sleep(std::time::Duration::from_millis(10));
                let deleted = client.delete("t");
                let made = client.try_create("t", 1, &[]).0;
                over.store(deleted != 0 || made != 0, std::sync::atomic::Ordering::SeqCst);
                assert_eq!((deleted, made), (0, 0));
            }
            over.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        broker.client().produce("t", 0, &batch(&["a"], Codec::None));
    });
}
