//! Responses of every key in every version.

use bytes::Bytes;
use plimsoll_wire::api::{api_versions_response, unsupported_api_versions_response};
use plimsoll_wire::fetch::{
    AbortedTransaction, EpochEndOffset, FetchResponse, PartitionFetchResponse, SnapshotId, TopicFetchResponse,
};
use plimsoll_wire::messages::{
    CreateTopicsResponse, DeleteRecordsResponse, DeleteTopicsResponse, DescribeClusterResponse,
    DescribeConfigsResponse, FindCoordinatorResponse, InitProducerIdResponse, ListOffsetsResponse,
    MetadataResponse, OffsetForLeaderEpochResponse, api_versions_response as versions,
    create_topics_response as create, delete_records_response as records, delete_topics_response as delete,
    describe_cluster_response as cluster, describe_configs_response as configs,
    find_coordinator_response as coordinator, list_offsets_response as offsets,
    metadata_response as metadata, offset_for_leader_epoch_response as epochs,
};
use plimsoll_wire::produce::{PartitionProduceResponse, ProduceResponse, RecordError, TopicProduceResponse};
use plimsoll_wire::{
    ApiKey, ErrorCode, LeaderIdAndEpoch, NoSlice, NodeEndpoint, Part, StrBytes, Uuid, encode_response,
};

mod admin;

use super::{CORRELATION_ID, all_versions, joined, response_header, row, unframed};
use crate::seeds::{Seeds, golden_batches};

type Response = plimsoll_wire::Response<NoSlice>;

const TOPIC_ID: Uuid = Uuid::from_u128(0x00c0_ffee);

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn endpoints() -> Vec<NodeEndpoint> {
    vec![NodeEndpoint { node_id: 2, host: text("host"), port: 9092, rack: Some(text("rack")) }]
}

const LEADER: Option<LeaderIdAndEpoch> = Some(LeaderIdAndEpoch { leader_id: 2, leader_epoch: 9 });

fn produce(name: &'static str, topic_id: Uuid, full: bool) -> Response {
    let plain = PartitionProduceResponse { base_offset: 42, ..PartitionProduceResponse::default() };
    let refused = PartitionProduceResponse {
        index: 1,
        error: ErrorCode::UnsupportedVersion,
        record_errors: vec![RecordError { batch_index: 3, message: Some(text("bad")) }],
        error_message: Some(text("refused")),
        current_leader: LEADER,
        ..plain.clone()
    };
    let partitions = if full { vec![plain, refused] } else { vec![plain] };
    Response::Produce(ProduceResponse {
        topics: vec![TopicProduceResponse { name: text(name), topic_id, partitions }],
        throttle_time_ms: 5,
        node_endpoints: if full { endpoints() } else { Vec::new() },
    })
}

fn fetch(name: &'static str, topic_id: Uuid, full: bool) -> Response {
    let batch = golden_batches().into_iter().min_by_key(Vec::len).unwrap_or_default();
    let plain = PartitionFetchResponse {
        high_watermark: 100,
        last_stable_offset: 90,
        records: vec![Part::Bytes(Bytes::from(batch))],
        ..PartitionFetchResponse::default()
    };
    let refused = PartitionFetchResponse {
        index: 1,
        diverging_epoch: Some(EpochEndOffset { epoch: 3, end_offset: 33 }),
        current_leader: LEADER,
        snapshot_id: Some(SnapshotId { end_offset: 7, epoch: 1 }),
        aborted_transactions: Some(vec![AbortedTransaction { producer_id: 8, first_offset: 9 }]),
        ..PartitionFetchResponse::default()
    };
    let partitions = if full { vec![plain, refused] } else { vec![plain] };
    Response::Fetch(FetchResponse {
        throttle_time_ms: 5,
        topics: vec![TopicFetchResponse { name: text(name), topic_id, partitions }],
        node_endpoints: if full { endpoints() } else { Vec::new() },
        ..FetchResponse::default()
    })
}

fn list_offsets() -> Response {
    let partition =
        offsets::ListOffsetsPartitionResponse::default().with_timestamp(1_700_000_000_000).with_offset(7);
    let topic = offsets::ListOffsetsTopicResponse::default()
        .with_name(text("topic").into())
        .with_partitions(vec![partition.clone(), partition]);
    Response::ListOffsets(ListOffsetsResponse::default().with_topics(vec![topic]))
}

fn metadata(topic_id: Uuid) -> Response {
    let broker = metadata::MetadataResponseBroker::default().with_host(text("host")).with_port(9092);
    let partition = metadata::MetadataResponsePartition::default()
        .with_leader_id(1.into())
        .with_replica_nodes(vec![1.into(), 2.into()])
        .with_isr_nodes(vec![1.into()]);
    let topic = metadata::MetadataResponseTopic::default()
        .with_name(Some(text("topic").into()))
        .with_topic_id(topic_id)
        .with_partitions(vec![partition.clone(), partition]);
    Response::Metadata(MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic]))
}

fn find_coordinator() -> [Response; 2] {
    let one = FindCoordinatorResponse::default().with_host(text("host")).with_port(9092);
    let found = coordinator::Coordinator::default().with_key(text("group")).with_host(text("host"));
    let many = FindCoordinatorResponse::default().with_coordinators(vec![found.clone(), found]);
    [Response::FindCoordinator(one), Response::FindCoordinator(many)]
}

fn api_versions() -> [Response; 3] {
    let supported = versions::SupportedFeatureKey::default().with_name(text("feature")).with_max_version(1);
    let finalized =
        versions::FinalizedFeatureKey::default().with_name(text("feature")).with_max_version_level(1);
    let featured = api_versions_response()
        .with_supported_features(vec![supported])
        .with_finalized_features(vec![finalized])
        .with_finalized_features_epoch(3);
    [api_versions_response(), featured, unsupported_api_versions_response()].map(Response::ApiVersions)
}

fn create_topics(full: bool) -> Response {
    let config = create::CreatableTopicConfigs::default()
        .with_name(text("segment.bytes"))
        .with_value(Some(text("1024")));
    let mut topic = create::CreatableTopicResult::default().with_name(text("topic").into());
    if full {
        topic = topic.with_topic_id(TOPIC_ID).with_num_partitions(3).with_configs(Some(vec![config]));
    }
    Response::CreateTopics(CreateTopicsResponse::default().with_topics(vec![topic]))
}

fn delete_topics(topic_id: Uuid) -> Response {
    let result =
        delete::DeletableTopicResult::default().with_name(Some(text("topic").into())).with_topic_id(topic_id);
    Response::DeleteTopics(DeleteTopicsResponse::default().with_responses(vec![result]))
}

fn delete_records() -> Response {
    let partition = records::DeleteRecordsPartitionResult::default().with_low_watermark(77);
    let topic = records::DeleteRecordsTopicResult::default()
        .with_name(text("topic").into())
        .with_partitions(vec![partition]);
    Response::DeleteRecords(DeleteRecordsResponse::default().with_topics(vec![topic]))
}

fn offset_for_leader_epoch() -> Response {
    let partition = epochs::EpochEndOffset::default().with_leader_epoch(3).with_end_offset(77);
    let topic = epochs::OffsetForLeaderTopicResult::default()
        .with_topic(text("topic").into())
        .with_partitions(vec![partition]);
    Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse::default().with_topics(vec![topic]))
}

fn describe_configs(full: bool) -> Response {
    let mut config = configs::DescribeConfigsResourceResult::default()
        .with_name(text("segment.bytes"))
        .with_value(Some(text("1024")));
    if full {
        let synonym = configs::DescribeConfigsSynonym::default().with_name(text("log.segment.bytes"));
        config =
            config.with_synonyms(vec![synonym]).with_documentation(Some(text("words"))).with_config_type(3);
    }
    let result = configs::DescribeConfigsResult::default()
        .with_resource_name(text("topic"))
        .with_configs(vec![config.clone(), config]);
    Response::DescribeConfigs(DescribeConfigsResponse::default().with_results(vec![result]))
}

fn describe_cluster() -> Response {
    let broker = cluster::DescribeClusterBroker::default().with_host(text("host")).with_port(9092);
    Response::DescribeCluster(
        DescribeClusterResponse::default().with_cluster_id(text("cluster")).with_brokers(vec![broker]),
    )
}

/// Responses of one key; each version takes those that it can express.
fn candidates(key: ApiKey) -> Vec<Response> {
    match key {
        ApiKey::Produce => [("topic", Uuid::nil()), ("", TOPIC_ID)]
            .into_iter()
            .flat_map(|(name, id)| [produce(name, id, false), produce(name, id, true)])
            .collect(),
        ApiKey::Fetch => [("topic", Uuid::nil()), ("", TOPIC_ID)]
            .into_iter()
            .flat_map(|(name, id)| [fetch(name, id, false), fetch(name, id, true)])
            .collect(),
        ApiKey::ListOffsets => vec![list_offsets()],
        ApiKey::Metadata => vec![metadata(Uuid::nil()), metadata(TOPIC_ID)],
        ApiKey::FindCoordinator => find_coordinator().to_vec(),
        ApiKey::ApiVersions => api_versions().to_vec(),
        ApiKey::CreateTopics => vec![create_topics(false), create_topics(true)],
        ApiKey::DeleteTopics => vec![delete_topics(Uuid::nil()), delete_topics(TOPIC_ID)],
        ApiKey::DeleteRecords => vec![delete_records()],
        ApiKey::InitProducerId => vec![Response::InitProducerId(InitProducerIdResponse::default())],
        ApiKey::OffsetForLeaderEpoch => vec![offset_for_leader_epoch()],
        ApiKey::DescribeConfigs => vec![describe_configs(false), describe_configs(true)],
        ApiKey::DescribeCluster => vec![describe_cluster()],
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

/// The version in which `response` answers a request of `version`: a refusal is always one of 0 (rule E3).
fn answered_in(response: &Response, version: i16) -> i16 {
    let unsupported = ErrorCode::UnsupportedVersion.code();
    match response {
        Response::ApiVersions(response) if response.error_code == unsupported => 0,
        _ => version,
    }
}

/// Every key × version with the frames of its responses.
///
/// # Panics
/// When a served version has none: a fuzzer would be blind there.
fn all_frames() -> Vec<(usize, [u8; 2], Bytes)> {
    let mut frames = Vec::new();
    for (api, version) in all_versions() {
        let encode = |it| encode_response(answered_in(&it, version), CORRELATION_ID, it).ok();
        let framed: Vec<_> = candidates(api.key).into_iter().filter_map(encode).map(joined).collect();
        assert!(!framed.is_empty(), "{} v{version} has no seed", api.key);
        let (header_bytes, row) =
            (response_header(api, version).len(), row(api, version).unwrap_or_default());
        frames.extend(framed.iter().map(|framed| (header_bytes, row, unframed(framed))));
    }
    frames
}

/// Whole response frames of every key and version, behind the two bytes that choose what they answer.
pub fn response_seeds() -> Seeds {
    Seeds::new(all_frames().into_iter().map(|(_, row, frame)| [&row, &frame[..]].concat()).collect())
}

/// Response bodies of every key and version, behind the two bytes that choose it.
pub fn response_body_seeds() -> Seeds {
    let body = |(header_bytes, row, frame): (usize, [u8; 2], Bytes)| [&row, &frame[header_bytes..]].concat();
    Seeds::new(all_frames().into_iter().map(body).collect())
}
