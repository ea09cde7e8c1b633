//! Requests of every key in every version.

use bytes::Bytes;
use plimsoll_wire::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic, ReplicaState};
use plimsoll_wire::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    DescribeClusterRequest, DescribeConfigsRequest, FindCoordinatorRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest, create_topics_request as create,
    delete_records_request as records, delete_topics_request as delete, describe_configs_request as configs,
    list_offsets_request as offsets, metadata_request as metadata, offset_for_leader_epoch_request as epochs,
};
use plimsoll_wire::produce::{PartitionProduce, ProduceRecords, ProduceRequest, TopicProduce};
use plimsoll_wire::{ApiKey, Request, RequestHeader, StrBytes, Uuid, encode_request};

mod admin;

use super::{CORRELATION_ID, all_versions, request_header, row, unframed};
use crate::seeds::{Seeds, golden_batches};

const TOPIC_ID: Uuid = Uuid::from_u128(0x00c0_ffee);

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn produce(name: &'static str, topic_id: Uuid) -> Request {
    let mut batches = golden_batches();
    batches.sort_by_key(Vec::len);
    let records = batches.into_iter().take(2).map(|bytes| ProduceRecords::Whole(Bytes::from(bytes)));
    let partition = |(index, records)| PartitionProduce { index, records };
    let partitions = (0..).zip(records.chain([ProduceRecords::Null])).map(partition).collect();
    Request::Produce(ProduceRequest {
        transactional_id: Some(text("tx")),
        acks: -1,
        timeout_ms: 30_000,
        topics: vec![TopicProduce { name: text(name), topic_id, partitions }],
    })
}

fn fetch(name: &'static str, topic_id: Uuid) -> FetchRequest {
    let partitions = vec![
        FetchPartition::default(),
        FetchPartition {
            index: 1,
            fetch_offset: 99,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        },
    ];
    FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic { name: text(name), topic_id, partitions }],
        ..FetchRequest::default()
    }
}

fn follower_fetch(name: &'static str, topic_id: Uuid) -> Request {
    let mut request = fetch(name, topic_id);
    request.replica = ReplicaState { replica_id: 2, replica_epoch: 5 };
    request.cluster_id = Some(text("cluster"));
    (request.session_id, request.session_epoch) = (77, 3);
    request.rack_id = text("rack");
    request.forgotten_topics = vec![ForgottenTopic { name: text(name), topic_id, partitions: vec![0, 4] }];
    for partition in request.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        (partition.current_leader_epoch, partition.last_fetched_epoch) = (4, 3);
        (partition.log_start_offset, partition.high_watermark) = (10, 90);
        partition.replica_directory_id = TOPIC_ID;
        partition.durable_offset = 70;
    }
    Request::Fetch(request)
}

fn list_offsets(leader_epoch: i32, isolation_level: i8, timeout_ms: i32) -> Request {
    let partition = |timestamp| {
        offsets::ListOffsetsPartition::default()
            .with_timestamp(timestamp)
            .with_current_leader_epoch(leader_epoch)
    };
    let partitions = vec![partition(-1), partition(1_700_000_000_000)];
    let topic =
        offsets::ListOffsetsTopic::default().with_name(text("topic").into()).with_partitions(partitions);
    Request::ListOffsets(
        ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation_level)
            .with_topics(vec![topic])
            .with_timeout_ms(timeout_ms),
    )
}

fn metadata(topic_id: Uuid, auto_create: bool) -> Request {
    let topic = |name| {
        metadata::MetadataRequestTopic::default().with_name(Some(text(name).into())).with_topic_id(topic_id)
    };
    let topics = vec![topic("one"), topic("two")];
    Request::Metadata(
        MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(auto_create),
    )
}

fn create_topics() -> Request {
    let assignment =
        create::CreatableReplicaAssignment::default().with_broker_ids(vec![1.into(), 2.into(), 3.into()]);
    let config = create::CreatableTopicConfig::default()
        .with_name(text("segment.bytes"))
        .with_value(Some(text("1024")));
    let topic = create::CreatableTopic::default()
        .with_name(text("topic").into())
        .with_num_partitions(3)
        .with_replication_factor(1)
        .with_assignments(vec![assignment])
        .with_configs(vec![config]);
    Request::CreateTopics(CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5_000))
}

fn delete_topics() -> [Request; 2] {
    let state = |name| delete::DeleteTopicState::default().with_name(Some(text(name).into()));
    let by_state = DeleteTopicsRequest::default().with_topics(vec![state("one"), state("two")]);
    let by_name =
        DeleteTopicsRequest::default().with_topic_names(vec![text("one").into(), text("two").into()]);
    [Request::DeleteTopics(by_state), Request::DeleteTopics(by_name)]
}

fn delete_records() -> Request {
    let partition =
        |index| records::DeleteRecordsPartition::default().with_partition_index(index).with_offset(77);
    let topic = records::DeleteRecordsTopic::default()
        .with_name(text("topic").into())
        .with_partitions(vec![partition(0), partition(1)]);
    Request::DeleteRecords(DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(5_000))
}

fn offset_for_leader_epoch() -> Request {
    let partition = |index| {
        epochs::OffsetForLeaderPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(4)
            .with_leader_epoch(3)
    };
    let topic = epochs::OffsetForLeaderTopic::default()
        .with_topic(text("topic").into())
        .with_partitions(vec![partition(0), partition(1)]);
    Request::OffsetForLeaderEpoch(OffsetForLeaderEpochRequest::default().with_topics(vec![topic]))
}

fn describe_configs(documentation: bool) -> Request {
    let keys = vec![text("segment.bytes"), text("retention.ms")];
    let resource = configs::DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("topic"))
        .with_configuration_keys(Some(keys));
    Request::DescribeConfigs(
        DescribeConfigsRequest::default()
            .with_resources(vec![resource.clone(), resource.with_configuration_keys(None)])
            .with_include_documentation(documentation),
    )
}

/// Requests of one key; each version takes those that it can express.
fn candidates(key: ApiKey) -> Vec<Request> {
    let init = InitProducerIdRequest::default().with_transaction_timeout_ms(60_000);
    match key {
        ApiKey::Produce => vec![produce("topic", Uuid::nil()), produce("", TOPIC_ID)],
        ApiKey::Fetch => vec![
            Request::Fetch(fetch("topic", Uuid::nil())),
            Request::Fetch(fetch("", TOPIC_ID)),
            follower_fetch("topic", Uuid::nil()),
            follower_fetch("", TOPIC_ID),
        ],
        ApiKey::ListOffsets => vec![list_offsets(-1, 0, 0), list_offsets(3, 1, 0), list_offsets(3, 1, 500)],
        ApiKey::Metadata => vec![
            metadata(Uuid::nil(), true),
            metadata(TOPIC_ID, false),
            Request::Metadata(MetadataRequest::default().with_topics(None)),
        ],
        ApiKey::FindCoordinator => vec![
            Request::FindCoordinator(FindCoordinatorRequest::default().with_key(text("group"))),
            Request::FindCoordinator(
                FindCoordinatorRequest::default().with_coordinator_keys(vec![text("one"), text("two")]),
            ),
        ],
        ApiKey::ApiVersions => vec![
            Request::ApiVersions(ApiVersionsRequest::default()),
            Request::ApiVersions(
                ApiVersionsRequest::default()
                    .with_client_software_name(text("client"))
                    .with_client_software_version(text("1.2.3")),
            ),
        ],
        ApiKey::CreateTopics => vec![create_topics()],
        ApiKey::DeleteTopics => delete_topics().to_vec(),
        ApiKey::DeleteRecords => vec![delete_records()],
        ApiKey::InitProducerId => vec![
            Request::InitProducerId(init.clone()),
            Request::InitProducerId(
                init.with_transactional_id(Some(text("tx").into())).with_producer_epoch(2),
            ),
        ],
        ApiKey::OffsetForLeaderEpoch => vec![offset_for_leader_epoch()],
        ApiKey::DescribeConfigs => vec![describe_configs(false), describe_configs(true)],
        ApiKey::DescribeCluster => vec![Request::DescribeCluster(DescribeClusterRequest::default())],
        ApiKey::CreatePartitions
        | ApiKey::ElectLeaders
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::AlterPartitionReassignments
        | ApiKey::ListPartitionReassignments
        | ApiKey::DescribeQuorum
        | ApiKey::UnregisterBroker => admin::candidates(key),
        other => panic!("{other} is served and needs a seed"),
    }
}

/// Every key × version with the frames of its requests, without client id.
///
/// # Panics
/// When a served version has none: a fuzzer would be blind there.
fn all_frames() -> Vec<(usize, [u8; 2], Bytes)> {
    let mut frames = Vec::new();
    for (api, version) in all_versions() {
        let header = RequestHeader {
            api_key: api.key,
            api_version: version,
            correlation_id: CORRELATION_ID,
            client_id: None,
        };
        let row = row(api, version).unwrap_or_default();
        let expressible = candidates(api.key).into_iter().filter_map(|it| encode_request(&header, &it).ok());
        let framed: Vec<_> = expressible.map(|runs| unframed(&runs.concat())).collect();
        assert!(!framed.is_empty(), "{} v{version} has no seed", api.key);
        let header_bytes = request_header(api, version).len();
        frames.extend(framed.into_iter().map(|frame| (header_bytes, row, frame)));
    }
    frames
}

/// Whole request frames of every key and version.
pub fn request_seeds() -> Seeds {
    Seeds::new(all_frames().into_iter().map(|(_, _, frame)| frame.to_vec()).collect())
}

/// Request bodies of every key and version, behind the two bytes that choose it.
pub fn request_body_seeds() -> Seeds {
    let body = |(header_bytes, row, frame): (usize, [u8; 2], Bytes)| [&row, &frame[header_bytes..]].concat();
    Seeds::new(all_frames().into_iter().map(body).collect())
}

/// Requests whose version or key is not served: every key one version above the highest and one below the
/// lowest, and keys that do not exist.
pub fn unsupported_seeds() -> Seeds {
    let frame = |key: i16, version: i16, body: &[u8]| {
        [&key.to_be_bytes()[..], &version.to_be_bytes(), &CORRELATION_ID.to_be_bytes(), &[0, 1, b'c'], body]
            .concat()
    };
    let served = all_frames().into_iter().flat_map(|(header_bytes, _, bytes)| {
        let (key, body) = (i16::from_be_bytes([bytes[0], bytes[1]]), bytes.slice(header_bytes..));
        [0, 2, 99].map(|version| frame(key, version, &body))
    });
    let other =
        ApiKey::ALL.iter().map(|key| frame(key.code(), 0, &[])).chain([-1, 93].map(|key| frame(key, 0, &[])));
    Seeds::new(served.chain(other).collect())
}
