//! Every advertised key in every version: asked in a realistic way, answered in a readable one (rule E45).

use plimsoll_records::Codec;
use plimsoll_wire::fetch::FetchRequest;
use plimsoll_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use plimsoll_wire::messages::create_partitions_request::CreatePartitionsTopic;
use plimsoll_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use plimsoll_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use plimsoll_wire::messages::delete_topics_request::DeleteTopicState;
use plimsoll_wire::messages::describe_configs_request::DescribeConfigsResource;
use plimsoll_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use plimsoll_wire::messages::elect_leaders_request::TopicPartitions;
use plimsoll_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use plimsoll_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use plimsoll_wire::messages::metadata_request::MetadataRequestTopic;
use plimsoll_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use plimsoll_wire::messages::{
    AlterPartitionReassignmentsRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeQuorumRequest, ElectLeadersRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, UnregisterBrokerRequest,
};
use plimsoll_wire::{APIS, Api, ApiKey, ErrorCode, NoSlice, Request, Response, Uuid};

use super::common::{Client, TestBroker, batch, fetch_one, produce_one, text, topic_name, values};

/// A request as a client of that version sends it. `id` is the id of topic "t".
fn request(key: ApiKey, version: i16, id: Uuid) -> Request {
    match key {
        ApiKey::Produce => {
            let mut request = produce_one("t", 0, &batch(&["a"], Codec::None), 1);
            request.topics[0].topic_id = id;
            Request::Produce(request)
        }
        ApiKey::Fetch => Request::Fetch(fetch(version, id)),
        ApiKey::ListOffsets => {
            let partition = ListOffsetsPartition::default().with_timestamp(-1);
            let topic =
                ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
            Request::ListOffsets(
                ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]),
            )
        }
        ApiKey::Metadata => {
            let topics = ["t", "nobody!"]
                .map(|name| MetadataRequestTopic::default().with_name(Some(topic_name(name))));
            Request::Metadata(MetadataRequest::default().with_topics(Some(topics.to_vec())))
        }
        ApiKey::FindCoordinator if version >= 4 => {
            Request::FindCoordinator(FindCoordinatorRequest::default().with_coordinator_keys(vec![text("g")]))
        }
        ApiKey::FindCoordinator => {
            Request::FindCoordinator(FindCoordinatorRequest::default().with_key(text("g")))
        }
        ApiKey::ApiVersions if version >= 3 => Request::ApiVersions(
            ApiVersionsRequest::default()
                .with_client_software_name(text("test"))
                .with_client_software_version(text("1.0")),
        ),
        ApiKey::ApiVersions => Request::ApiVersions(ApiVersionsRequest::default()),
        ApiKey::CreateTopics => {
            let config = CreatableTopicConfig::default()
                .with_name(text("segment.bytes"))
                .with_value(Some(text("100000")));
            let topic = CreatableTopic::default()
                .with_name(topic_name(&format!("made-{version}")))
                .with_num_partitions(1)
                .with_replication_factor(1)
                .with_configs(vec![config]);
            Request::CreateTopics(CreateTopicsRequest::default().with_topics(vec![topic]))
        }
        ApiKey::DeleteRecords => {
            let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(0);
            let topic =
                DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
            Request::DeleteRecords(DeleteRecordsRequest::default().with_topics(vec![topic]))
        }
        ApiKey::DeleteTopics if version >= 6 => {
            let topic = DeleteTopicState::default().with_name(Some(topic_name("nobody")));
            Request::DeleteTopics(DeleteTopicsRequest::default().with_topics(vec![topic]))
        }
        ApiKey::DeleteTopics => {
            Request::DeleteTopics(DeleteTopicsRequest::default().with_topic_names(vec![topic_name("nobody")]))
        }
        ApiKey::InitProducerId => {
            Request::InitProducerId(InitProducerIdRequest::default().with_transactional_id(None))
        }
        ApiKey::OffsetForLeaderEpoch => {
            let partition =
                OffsetForLeaderPartition::default().with_current_leader_epoch(-1).with_leader_epoch(0);
            let topic =
                OffsetForLeaderTopic::default().with_topic(topic_name("t")).with_partitions(vec![partition]);
            Request::OffsetForLeaderEpoch(OffsetForLeaderEpochRequest::default().with_topics(vec![topic]))
        }
        ApiKey::DescribeConfigs => {
            let resource = DescribeConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configuration_keys(None);
            Request::DescribeConfigs(DescribeConfigsRequest::default().with_resources(vec![resource]))
        }
        ApiKey::DescribeCluster => Request::DescribeCluster(DescribeClusterRequest::default()),
        ApiKey::CreatePartitions => {
            let topic = CreatePartitionsTopic::default()
                .with_name(topic_name("t"))
                .with_count(2 + i32::from(version))
                .with_assignments(None);
            Request::CreatePartitions(CreatePartitionsRequest::default().with_topics(vec![topic]))
        }
        ApiKey::ElectLeaders => {
            let topic = TopicPartitions::default().with_topic(topic_name("t")).with_partitions(vec![0]);
            Request::ElectLeaders(ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic])))
        }
        ApiKey::IncrementalAlterConfigs => {
            let config = AlterableConfig::default()
                .with_name(text("retention.ms"))
                .with_value(Some(text(&(1000 + version).to_string())));
            let resource = AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"))
                .with_configs(vec![config]);
            Request::IncrementalAlterConfigs(
                IncrementalAlterConfigsRequest::default().with_resources(vec![resource]),
            )
        }
        ApiKey::AlterPartitionReassignments => {
            let partition = ReassignablePartition::default().with_replicas(None);
            let topic =
                ReassignableTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
            Request::AlterPartitionReassignments(
                AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]),
            )
        }
        ApiKey::ListPartitionReassignments => {
            let request = ListPartitionReassignmentsRequest::default().with_topics(None);
            Request::ListPartitionReassignments(request)
        }
        ApiKey::DescribeQuorum => {
            let topic = TopicData::default()
                .with_topic_name(topic_name("__cluster_metadata"))
                .with_partitions(vec![PartitionData::default()]);
            Request::DescribeQuorum(DescribeQuorumRequest::default().with_topics(vec![topic]))
        }
        ApiKey::UnregisterBroker => {
            Request::UnregisterBroker(UnregisterBrokerRequest::default().with_broker_id(9.into()))
        }
        other => panic!("{other} is advertised but not asked for here"),
    }
}

fn fetch(version: i16, id: Uuid) -> FetchRequest {
    let mut request = fetch_one("t", 0, 0);
    request.topics[0].topic_id = id;
    if version < 7 {
        request.session_epoch = -1;
    }
    request
}

/// What a good answer says.
fn check(version: i16, response: &Response<NoSlice>) {
    match response {
        Response::Produce(answer) => assert_eq!(answer.topics[0].partitions[0].error, ErrorCode::None),
        Response::Fetch(answer) => {
            let partition = &answer.topics[0].partitions[0];
            assert_eq!((answer.error, partition.error), (ErrorCode::None, ErrorCode::None));
            assert_eq!(values(partition.records_bytes())[0], (0, "a".to_owned()));
            assert!(version < 5 || partition.log_start_offset == 0);
        }
        Response::ListOffsets(answer) => {
            let partition = &answer.topics[0].partitions[0];
            assert_eq!(partition.error_code, 0);
            assert!(partition.offset > 0);
        }
        Response::Metadata(answer) => {
            let codes: Vec<_> = answer.topics.iter().map(|topic| topic.error_code).collect();
            assert_eq!(codes, [0, ErrorCode::InvalidTopicException.code()]);
            assert_eq!(answer.topics[0].partitions[0].leader_id.0, 1);
            assert!(answer.brokers[0].port > 0 && (version < 2 || answer.cluster_id.is_some()));
        }
        Response::FindCoordinator(answer) => {
            let code = answer.coordinators.first().map_or(answer.error_code, |first| first.error_code);
            assert_eq!(code, ErrorCode::CoordinatorNotAvailable.code());
        }
        Response::ApiVersions(answer) => {
            assert_eq!((answer.error_code, answer.api_keys.len()), (0, APIS.len()));
        }
        Response::CreateTopics(answer) => {
            assert_eq!(answer.topics[0].error_code, 0, "{:?}", answer.topics[0].error_message);
            assert_eq!(answer.topics[0].topic_id.is_nil(), version < 7);
        }
        Response::DeleteRecords(answer) => {
            let partition = &answer.topics[0].partitions[0];
            assert_eq!((partition.error_code, partition.low_watermark), (0, 0));
        }
        Response::DeleteTopics(answer) => {
            assert_eq!(answer.responses[0].error_code, ErrorCode::UnknownTopicOrPartition.code());
        }
        Response::InitProducerId(answer) => assert!(answer.error_code == 0 && answer.producer_id.0 >= 0),
        Response::OffsetForLeaderEpoch(answer) => {
            let end = &answer.topics[0].partitions[0];
            assert_eq!((end.error_code, end.leader_epoch), (0, 0));
            assert!(end.end_offset > 0);
        }
        Response::DescribeConfigs(answer) => {
            assert_eq!(answer.results[0].error_code, 0);
            assert!(answer.results[0].configs.len() > 5);
        }
        Response::DescribeCluster(answer) => {
            assert_eq!((answer.error_code, answer.brokers.len()), (0, 1));
        }
        Response::CreatePartitions(answer) => {
            assert_eq!(answer.results[0].error_code, 0, "{:?}", answer.results[0].error_message);
        }
        Response::ElectLeaders(answer) => {
            let code = answer.replica_election_results[0].partition_result[0].error_code;
            assert_eq!((answer.error_code, code), (0, ErrorCode::ElectionNotNeeded.code()));
        }
        Response::IncrementalAlterConfigs(answer) => assert_eq!(answer.responses[0].error_code, 0),
        Response::AlterPartitionReassignments(answer) => {
            let code = answer.responses[0].partitions[0].error_code;
            assert_eq!((answer.error_code, code), (0, ErrorCode::NoReassignmentInProgress.code()));
        }
        Response::ListPartitionReassignments(answer) => {
            assert_eq!((answer.error_code, answer.topics.len()), (0, 0));
        }
        Response::DescribeQuorum(answer) => {
            let partition = &answer.topics[0].partitions[0];
            assert_eq!((answer.error_code, partition.error_code, partition.leader_id.0), (0, 0, 1));
            assert!(partition.high_watermark > 0 && partition.current_voters[0].log_end_offset > 0);
            assert!(version < 2 || answer.nodes[0].listeners[0].port > 0);
        }
        Response::UnregisterBroker(answer) => {
            assert_eq!(answer.error_code, ErrorCode::BrokerIdNotRegistered.code());
        }
    }
}

#[test]
fn e45_every_advertised_version_is_served() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let id = client.create("t", 1, &[]);
    for Api { key, served_min, max, .. } in APIS {
        for version in *served_min..=*max {
            eprintln!("{key} version {version}");
            check(version, &client.ask(version, &request(*key, version, id)));
        }
    }
}

/// Sends a header only, which is all a broker needs to see that it does not serve this.
fn closes(broker: &TestBroker, key: i16, version: i16) {
    let mut client: Client = broker.client();
    let body = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0, 1, b't', 0]].concat();
    let size = i32::try_from(body.len()).expect("small");
    client.send_bytes(&[&size.to_be_bytes()[..], &body].concat());
    client.expect_closed();
}

#[test]
fn e45_what_is_not_advertised_closes_the_connection_and_no_other() {
    let broker = TestBroker::start(&[]);
    let mut bystander = broker.client();
    for key in 0..=95 {
        match Api::of(ApiKey::from_code(key).unwrap_or(ApiKey::Vote)) {
            Some(api) if key != ApiKey::ApiVersions.code() => closes(&broker, key, api.max + 1),
            Some(_) => {}
            None => closes(&broker, key, 0),
        }
    }
    for (key, version) in [(1, 3), (2, 0), (19, 1), (32, 0), (-1, 0), (i16::MAX, 0), (3, -1)] {
        closes(&broker, key, version);
    }
    bystander.expect_served();
}
