//! The typed calls, in their oldest and newest versions.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::connect;
use bytes::Bytes;
use plimsoll_client::records::{BatchBuilder, Codec, Compressor};
use plimsoll_client::wire::fetch::{FetchResponse, PartitionFetchResponse, TopicFetchResponse};
use plimsoll_client::wire::messages::{
    self, BrokerId, TopicName, create_topics_response, delete_topics_response, describe_cluster_response,
    describe_configs_response, find_coordinator_response, list_offsets_response, metadata_response,
};
use plimsoll_client::wire::{Api, ApiKey, ErrorCode, NoSlice, Part, Request, Response, Uuid};
use plimsoll_client::{
    Acks, ConfigResource, ConnectOptions, FetchFrom, FetchSpec, NewTopic, OffsetSpec, ProduceSpec, TopicRef,
};

fn pinned(key: ApiKey, version: i16) -> ConnectOptions {
    ConnectOptions::default().with_max_version(key, version)
}

fn served(key: ApiKey) -> std::ops::RangeInclusive<i16> {
    let api = Api::of(key).unwrap();
    api.served_min..=api.max
}

#[tokio::test]
async fn e7_metadata_of_all_and_of_named_topics_in_every_version() {
    for version in served(ApiKey::Metadata) {
        let (connection, mut mock) = connect(pinned(ApiKey::Metadata, version)).await;
        let partition = metadata_response::MetadataResponsePartition::default()
            .with_partition_index(1)
            .with_leader_id(BrokerId(7))
            .with_replica_nodes(vec![BrokerId(7), BrokerId(8)])
            .with_isr_nodes(vec![BrokerId(7)]);
        let topic = metadata_response::MetadataResponseTopic::default()
            .with_name(Some(TopicName("t".into())))
            .with_partitions(vec![partition.clone().with_partition_index(2), partition]);
        let broker = metadata_response::MetadataResponseBroker::default()
            .with_node_id(BrokerId(7))
            .with_host("::1".into())
            .with_port(9092);
        let response =
            messages::MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic]);
        let (cluster, request) = tokio::join!(
            connection.metadata(Some(&["t"]), true),
            mock.expect_and_answer(Response::Metadata(response.clone()))
        );
        let cluster = cluster.unwrap();
        let topic = cluster.topic("t").unwrap();
        assert!(topic.is_ready());
        assert_eq!(topic.partitions.iter().map(|p| p.index).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((topic.partitions[0].leader_id, &topic.partitions[0].replicas[..]), (7, &[7, 8][..]));
        assert_eq!(cluster.broker(7).unwrap().address(), "[::1]:9092");
        let Request::Metadata(request) = request else { panic!() };
        assert_eq!(request.topics.unwrap().len(), 1);
        assert!(request.allow_auto_topic_creation);

        let (_, request) = tokio::join!(
            connection.metadata(None, false),
            mock.expect_and_answer(Response::Metadata(response))
        );
        let Request::Metadata(request) = request else { panic!() };
        assert_eq!(request.topics.map(|topics| topics.len()), (version == 0).then_some(0));
        assert_eq!(request.allow_auto_topic_creation, version < 4);
    }
}

#[tokio::test]
async fn topics_are_created_and_deleted_in_every_version() {
    for version in served(ApiKey::CreateTopics) {
        let (connection, mut mock) = connect(pinned(ApiKey::CreateTopics, version)).await;
        let topic = NewTopic {
            name: "t".into(),
            partitions: 3,
            replication_factor: 1,
            configs: BTreeMap::from([("segment.bytes".into(), "1048576".into())]),
        };
        let result = create_topics_response::CreatableTopicResult::default()
            .with_name(TopicName("t".into()))
            .with_error_code(36)
            .with_error_message(Some("there already".into()));
        let response = messages::CreateTopicsResponse::default().with_topics(vec![result]);
        let (outcome, request) = tokio::join!(
            connection.create_topics(std::slice::from_ref(&topic), Duration::from_secs(1)),
            mock.expect_and_answer(Response::CreateTopics(response))
        );
        let outcome = &outcome.unwrap()[0];
        assert_eq!((outcome.error, &*outcome.topic.name), (ErrorCode::TopicAlreadyExists, "t"));
        assert_eq!(outcome.message.as_deref(), Some("there already"));
        let Request::CreateTopics(request) = request else { panic!() };
        assert_eq!((request.topics[0].num_partitions, request.timeout_ms), (3, 1000));
        assert_eq!(&*request.topics[0].configs[0].name, "segment.bytes");
    }
    for version in served(ApiKey::DeleteTopics) {
        let (connection, mut mock) = connect(pinned(ApiKey::DeleteTopics, version)).await;
        let result = delete_topics_response::DeletableTopicResult::default()
            .with_name(Some(TopicName("t".into())))
            .with_error_code(3);
        let response = messages::DeleteTopicsResponse::default().with_responses(vec![result]);
        let (outcome, request) = tokio::join!(
            connection.delete_topics(&["t"], Duration::from_secs(1)),
            mock.expect_and_answer(Response::DeleteTopics(response))
        );
        assert_eq!(outcome.unwrap()[0].error, ErrorCode::UnknownTopicOrPartition);
        let Request::DeleteTopics(request) = request else { panic!() };
        assert_eq!(request.topics.len() + request.topic_names.len(), 1);
    }
}

#[tokio::test]
async fn offsets_are_listed_in_every_version() {
    for version in served(ApiKey::ListOffsets) {
        let (connection, mut mock) = connect(pinned(ApiKey::ListOffsets, version)).await;
        let partition = list_offsets_response::ListOffsetsPartitionResponse::default()
            .with_partition_index(4)
            .with_offset(99)
            .with_timestamp(-1);
        let topic = list_offsets_response::ListOffsetsTopicResponse::default()
            .with_name(TopicName("t".into()))
            .with_partitions(vec![partition]);
        let response = messages::ListOffsetsResponse::default().with_topics(vec![topic]);
        let (listed, request) = tokio::join!(
            connection.list_offsets("t", &[4], OffsetSpec::Latest, true),
            mock.expect_and_answer(Response::ListOffsets(response))
        );
        let listed = listed.unwrap();
        assert_eq!((listed[0].partition, listed[0].offset, listed[0].error), (4, 99, ErrorCode::None));
        let Request::ListOffsets(request) = request else { panic!() };
        assert_eq!(request.topics[0].partitions[0].timestamp, -1);
        assert_eq!(request.replica_id.0, -1);
        assert_eq!(request.isolation_level, i8::from(version >= 2));
    }
}

#[tokio::test]
async fn coordinators_are_found_in_every_version() {
    for version in served(ApiKey::FindCoordinator) {
        let (connection, mut mock) = connect(pinned(ApiKey::FindCoordinator, version)).await;
        let response = if version >= 4 {
            let found = find_coordinator_response::Coordinator::default()
                .with_key("group".into())
                .with_node_id(BrokerId(2))
                .with_host("h".into())
                .with_port(9);
            messages::FindCoordinatorResponse::default().with_coordinators(vec![found])
        } else {
            messages::FindCoordinatorResponse::default()
                .with_node_id(BrokerId(2))
                .with_host("h".into())
                .with_port(9)
        };
        let (found, _) = tokio::join!(
            connection.find_coordinator("group", 0),
            mock.expect_and_answer(Response::FindCoordinator(response))
        );
        let found = found.unwrap();
        assert_eq!((found.id, found.address()), (2, "h:9".to_owned()));
    }
}

#[tokio::test]
async fn configs_and_cluster_are_described_in_every_version() {
    for version in served(ApiKey::DescribeConfigs) {
        let (connection, mut mock) = connect(pinned(ApiKey::DescribeConfigs, version)).await;
        let entry = describe_configs_response::DescribeConfigsResourceResult::default()
            .with_name("segment.bytes".into())
            .with_value(Some("1".into()))
            .with_config_source(1);
        let result = describe_configs_response::DescribeConfigsResult::default()
            .with_resource_name("t".into())
            .with_configs(vec![entry]);
        let response = messages::DescribeConfigsResponse::default().with_results(vec![result]);
        let (entries, request) = tokio::join!(
            async { connection.describe_configs(&ConfigResource::Topic("t".into())).await },
            mock.expect_and_answer(Response::DescribeConfigs(response))
        );
        let entry = &entries.unwrap()[0];
        assert_eq!((&*entry.name, entry.value.as_deref(), entry.source), ("segment.bytes", Some("1"), 1));
        let Request::DescribeConfigs(request) = request else { panic!() };
        assert_eq!(
            (request.resources[0].resource_type, &request.resources[0].configuration_keys),
            (2, &None)
        );
    }
    for version in served(ApiKey::DescribeCluster) {
        let (connection, mut mock) = connect(pinned(ApiKey::DescribeCluster, version)).await;
        let broker = describe_cluster_response::DescribeClusterBroker::default()
            .with_broker_id(BrokerId(1))
            .with_host("h".into())
            .with_port(9);
        let response = messages::DescribeClusterResponse::default()
            .with_cluster_id("c".into())
            .with_controller_id(BrokerId(1))
            .with_brokers(vec![broker]);
        let (cluster, _) = tokio::join!(
            connection.describe_cluster(),
            mock.expect_and_answer(Response::DescribeCluster(response))
        );
        let cluster = cluster.unwrap();
        assert_eq!((&*cluster.cluster_id, cluster.controller_id, cluster.brokers.len()), ("c", 1, 1));
    }
}

/// Rule E8: ids from version 13 if they are known, names up to 12 if not.
#[tokio::test]
async fn e8_produce_and_fetch_go_by_id_only_if_it_is_known() {
    let id = Uuid::from_u128(5);
    for (topic, by_id) in [(TopicRef::named("t"), false), (TopicRef::new("t", id), true)] {
        let (connection, mut mock) = connect(ConnectOptions::default()).await;
        let batch = ProduceSpec::one(Acks::Leader, topic.clone(), 0, Bytes::from_static(b"batch"));
        let _pending = connection.start_produce(batch).await.unwrap();
        let (header, request) = mock.next_request().await;
        let Request::Produce(request) = request else { panic!() };
        assert_eq!(header.api_version, if by_id { 13 } else { 12 });
        let expected = if by_id { ("", id) } else { ("t", Uuid::nil()) };
        assert_eq!((&*request.topics[0].name, request.topics[0].topic_id), expected);

        let from = FetchFrom { topic, partition: 0, offset: 3, max_bytes: 1 << 20 };
        let _pending = connection.start_fetch(&FetchSpec::new(vec![from])).await.unwrap();
        let (header, request) = mock.next_request().await;
        let Request::Fetch(request) = request else { panic!() };
        assert_eq!(header.api_version, if by_id { 18 } else { 12 });
        assert_eq!((&*request.topics[0].name, request.topics[0].topic_id), expected);
        assert_eq!((request.session_id, request.session_epoch), (0, -1), "no session");
    }
}

#[tokio::test]
async fn partitions_of_one_topic_share_their_struct() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let topic = TopicRef::new("t", Uuid::from_u128(5));
    let from = |partition| FetchFrom { topic: topic.clone(), partition, offset: 0, max_bytes: 1 };
    let _pending = connection.start_fetch(&FetchSpec::new(vec![from(0), from(1), from(2)])).await.unwrap();
    let Request::Fetch(request) = mock.next_request().await.1 else { panic!() };
    assert_eq!(request.topics.len(), 1);
    assert_eq!(request.topics[0].partitions.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 1, 2]);
}

fn fetched(topic_id: Uuid, name: &'static str, records: Bytes) -> Response<NoSlice> {
    let partition = PartitionFetchResponse {
        high_watermark: 10,
        records: vec![Part::Bytes(records)],
        ..PartitionFetchResponse::default()
    };
    let topics = vec![TopicFetchResponse { name: name.into(), topic_id, partitions: vec![partition] }];
    Response::Fetch(FetchResponse { topics, ..FetchResponse::default() })
}

#[tokio::test]
async fn a_produced_batch_and_a_fetched_batch_are_the_same_bytes() {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(1, Some(b"key"), Some(b"value"), &[]).unwrap();
    let batch = builder.finish(&mut Compressor::new()).unwrap();
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let topic = TopicRef::named("t");
    let _pending =
        connection.start_produce(ProduceSpec::one(Acks::Leader, topic.clone(), 0, &batch)).await.unwrap();
    let Request::Produce(request) = mock.next_request().await.1 else { panic!() };
    let sent = request.topics[0].partitions[0].records.clone().into_bytes().unwrap();
    assert_eq!(sent, batch.to_bytes());

    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let spec = FetchSpec::new(vec![FetchFrom { topic, partition: 0, offset: 0, max_bytes: 1 << 20 }]);
    let (reply, _) = tokio::join!(
        connection.fetch(&spec),
        mock.expect_and_answer(fetched(Uuid::nil(), "t", sent.clone()))
    );
    let partition = &reply.unwrap().value.partitions[0];
    assert_eq!((&partition.records, partition.high_watermark), (&sent, 10));
}

#[tokio::test]
async fn a_fetch_answer_about_a_foreign_topic_is_refused() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let from = FetchFrom { topic: TopicRef::named("t"), partition: 0, offset: 0, max_bytes: 1 };
    let spec = FetchSpec::new(vec![from]);
    let (reply, _) = tokio::join!(
        connection.fetch(&spec),
        mock.expect_and_answer(fetched(Uuid::nil(), "other", Bytes::new()))
    );
    let message = reply.unwrap_err().to_string();
    assert!(message.contains("\"other\""), "{message}");
}
