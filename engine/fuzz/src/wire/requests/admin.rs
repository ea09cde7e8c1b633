//! Requests that look after a cluster.

use plimsoll_wire::messages::{
    AlterPartitionReassignmentsRequest, CreatePartitionsRequest, DescribeQuorumRequest, ElectLeadersRequest,
    IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest, UnregisterBrokerRequest,
    alter_partition_reassignments_request as moves, create_partitions_request as create,
    describe_quorum_request as quorum, elect_leaders_request as elect,
    incremental_alter_configs_request as configs, list_partition_reassignments_request as list,
};
use plimsoll_wire::{ApiKey, Request};

use super::text;

/// Requests of one key; none for others.
pub(super) fn candidates(key: ApiKey) -> Vec<Request> {
    match key {
        ApiKey::CreatePartitions => [None, Some(vec![assignment()])].map(create_partitions).to_vec(),
        ApiKey::ElectLeaders => {
            let topic = elect::TopicPartitions::default()
                .with_topic(text("topic").into())
                .with_partitions(vec![0, 7]);
            let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]));
            vec![
                Request::ElectLeaders(request.clone()),
                Request::ElectLeaders(request.with_election_type(1)),
                Request::ElectLeaders(ElectLeadersRequest::default().with_topic_partitions(None)),
            ]
        }
        ApiKey::IncrementalAlterConfigs => {
            let config = configs::AlterableConfig::default()
                .with_name(text("retention.ms"))
                .with_value(Some(text("1")));
            let resource = configs::AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("topic"))
                .with_configs(vec![config.clone(), config.with_config_operation(1).with_value(None)]);
            let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
            vec![Request::IncrementalAlterConfigs(request)]
        }
        ApiKey::AlterPartitionReassignments => [None, Some(vec![1.into(), 2.into()])].map(reassign).to_vec(),
        ApiKey::ListPartitionReassignments => {
            let topic = list::ListPartitionReassignmentsTopics::default()
                .with_name(text("topic").into())
                .with_partition_indexes(vec![3]);
            [None, Some(vec![topic])]
                .map(|topics| {
                    let request = ListPartitionReassignmentsRequest::default().with_topics(topics);
                    Request::ListPartitionReassignments(request)
                })
                .to_vec()
        }
        ApiKey::DescribeQuorum => {
            let topic = quorum::TopicData::default()
                .with_topic_name(text("__cluster_metadata").into())
                .with_partitions(vec![quorum::PartitionData::default()]);
            vec![Request::DescribeQuorum(DescribeQuorumRequest::default().with_topics(vec![topic]))]
        }
        ApiKey::UnregisterBroker => {
            vec![Request::UnregisterBroker(UnregisterBrokerRequest::default().with_broker_id(2.into()))]
        }
        _ => Vec::new(),
    }
}

fn assignment() -> create::CreatePartitionsAssignment {
    create::CreatePartitionsAssignment::default().with_broker_ids(vec![1.into(), 2.into()])
}

fn create_partitions(assignments: Option<Vec<create::CreatePartitionsAssignment>>) -> Request {
    let topic = create::CreatePartitionsTopic::default()
        .with_name(text("topic").into())
        .with_count(4)
        .with_assignments(assignments);
    Request::CreatePartitions(
        CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(5_000),
    )
}

fn reassign(replicas: Option<Vec<plimsoll_wire::messages::BrokerId>>) -> Request {
    let partition = moves::ReassignablePartition::default().with_replicas(replicas);
    let topic =
        moves::ReassignableTopic::default().with_name(text("topic").into()).with_partitions(vec![partition]);
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    Request::AlterPartitionReassignments(request)
}
