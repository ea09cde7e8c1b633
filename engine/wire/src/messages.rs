//! The control messages, as `kafka-protocol` defines them.
//!
//! Setting a field that the chosen version lacks makes encoding fail; handlers look at the version.

pub use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, CreateTopicsRequest, CreateTopicsResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, InitProducerIdRequest, InitProducerIdResponse,
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, ProducerId, TopicName,
    TransactionalId, api_versions_request, api_versions_response, create_topics_request,
    create_topics_response, delete_records_request, delete_records_response, delete_topics_request,
    delete_topics_response, describe_cluster_request, describe_cluster_response, describe_configs_request,
    describe_configs_response, find_coordinator_request, find_coordinator_response, init_producer_id_request,
    init_producer_id_response, list_offsets_request, list_offsets_response, metadata_request,
    metadata_response,
};
