//! The control messages, as `kafka-protocol` defines them.
//!
//! Setting a field that the chosen version lacks makes encoding fail; handlers look at the version.

pub use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ApiVersionsRequest,
    ApiVersionsResponse, BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest,
    CreateTopicsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, DescribeQuorumRequest, DescribeQuorumResponse, ElectLeadersRequest,
    ElectLeadersResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupId,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, MetadataRequest, MetadataResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, ProducerId, TopicName, TransactionalId, UnregisterBrokerRequest,
    UnregisterBrokerResponse, alter_partition_reassignments_request, alter_partition_reassignments_response,
    api_versions_request, api_versions_response, create_partitions_request, create_partitions_response,
    create_topics_request, create_topics_response, delete_records_request, delete_records_response,
    delete_topics_request, delete_topics_response, describe_cluster_request, describe_cluster_response,
    describe_configs_request, describe_configs_response, describe_quorum_request, describe_quorum_response,
    elect_leaders_request, elect_leaders_response, find_coordinator_request, find_coordinator_response,
    incremental_alter_configs_request, incremental_alter_configs_response, init_producer_id_request,
    init_producer_id_response, list_offsets_request, list_offsets_response,
    list_partition_reassignments_request, list_partition_reassignments_response, metadata_request,
    metadata_response, offset_for_leader_epoch_request, offset_for_leader_epoch_response,
};
