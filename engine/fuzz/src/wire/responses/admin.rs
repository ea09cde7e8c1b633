//! Responses that look after a cluster.

use plimsoll_wire::ApiKey;
use plimsoll_wire::messages::{
    AlterPartitionReassignmentsResponse, CreatePartitionsResponse, DescribeQuorumResponse,
    ElectLeadersResponse, IncrementalAlterConfigsResponse, ListPartitionReassignmentsResponse,
    UnregisterBrokerResponse, alter_partition_reassignments_response as moves,
    create_partitions_response as create, describe_quorum_response as quorum,
    elect_leaders_response as elect, incremental_alter_configs_response as configs,
    list_partition_reassignments_response as list,
};

use super::{Response, TOPIC_ID, text};

/// Responses of one key; none for others.
pub(super) fn candidates(key: ApiKey) -> Vec<Response> {
    match key {
        ApiKey::CreatePartitions => {
            let result = create::CreatePartitionsTopicResult::default()
                .with_name(text("topic").into())
                .with_error_message(Some(text("words")));
            vec![Response::CreatePartitions(CreatePartitionsResponse::default().with_results(vec![result]))]
        }
        ApiKey::ElectLeaders => {
            let partition = elect::PartitionResult::default().with_partition_id(3).with_error_code(84);
            let topic = elect::ReplicaElectionResult::default()
                .with_topic(text("topic").into())
                .with_partition_result(vec![partition]);
            let response = ElectLeadersResponse::default().with_replica_election_results(vec![topic]);
            vec![Response::ElectLeaders(response)]
        }
        ApiKey::IncrementalAlterConfigs => {
            let row = configs::AlterConfigsResourceResponse::default()
                .with_resource_type(2)
                .with_resource_name(text("topic"));
            let response = IncrementalAlterConfigsResponse::default().with_responses(vec![row]);
            vec![Response::IncrementalAlterConfigs(response)]
        }
        ApiKey::AlterPartitionReassignments => {
            let partition = moves::ReassignablePartitionResponse::default().with_partition_index(1);
            let topic = moves::ReassignableTopicResponse::default()
                .with_name(text("topic").into())
                .with_partitions(vec![partition]);
            let response = AlterPartitionReassignmentsResponse::default().with_responses(vec![topic]);
            vec![Response::AlterPartitionReassignments(response)]
        }
        ApiKey::ListPartitionReassignments => {
            let partition = list::OngoingPartitionReassignment::default()
                .with_replicas(vec![1.into(), 2.into()])
                .with_adding_replicas(vec![2.into()]);
            let topic = list::OngoingTopicReassignment::default()
                .with_name(text("topic").into())
                .with_partitions(vec![partition]);
            let response = ListPartitionReassignmentsResponse::default().with_topics(vec![topic]);
            vec![Response::ListPartitionReassignments(response)]
        }
        ApiKey::DescribeQuorum => vec![describe_quorum(false), describe_quorum(true)],
        ApiKey::UnregisterBroker => {
            let response = UnregisterBrokerResponse::default().with_error_message(Some(text("words")));
            vec![Response::UnregisterBroker(response)]
        }
        _ => Vec::new(),
    }
}

fn describe_quorum(full: bool) -> Response {
    let replica = quorum::ReplicaState::default().with_replica_id(1.into()).with_log_end_offset(77);
    let replica = if full { replica.with_replica_directory_id(TOPIC_ID) } else { replica };
    let partition = quorum::PartitionData::default()
        .with_leader_id(1.into())
        .with_high_watermark(76)
        .with_current_voters(vec![replica]);
    let topic = quorum::TopicData::default()
        .with_topic_name(text("__cluster_metadata").into())
        .with_partitions(vec![partition]);
    let listener =
        quorum::Listener::default().with_name(text("CONTROLLER")).with_host(text("host")).with_port(9093);
    let node = quorum::Node::default().with_node_id(1.into()).with_listeners(vec![listener]);
    let response = DescribeQuorumResponse::default().with_topics(vec![topic]);
    Response::DescribeQuorum(if full { response.with_nodes(vec![node]) } else { response })
}
