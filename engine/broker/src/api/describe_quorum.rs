//! DescribeQuorum: who votes on the metadata, who follows it, and how far each is (KIP-595), as the active controller knows.

use plimsoll_controller::{METADATA_LOG, NodeId, QuorumStatus};
use plimsoll_wire::messages::describe_quorum_response::{
    Listener, Node, PartitionData, ReplicaState, TopicData,
};
use plimsoll_wire::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse, TopicName};
use plimsoll_wire::{ErrorCode, StrBytes};

use super::refused::refusing;
use super::text;
use crate::broker::Broker;

/// From this version on messages, directories and addresses are said.
const NODES_FROM_VERSION: i16 = 2;

pub(super) async fn handle(
    broker: &Broker,
    version: i16,
    request: &DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let told = match broker.quorum.controller().describe().await {
        Ok(told) => told,
        Err(error) => {
            let (code, message) = refusing(error);
            let answer = DescribeQuorumResponse::default().with_error_code(code.code());
            return match version {
                ..NODES_FROM_VERSION => answer,
                _ => answer.with_error_message(Some(text(message))),
            };
        }
    };
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            match is_metadata_log(&topic.topic_name, asked.partition_index) {
                true => described(&told, version),
                false => PartitionData::default()
                    .with_partition_index(asked.partition_index)
                    .with_error_code(ErrorCode::UnknownTopicOrPartition.code()),
            }
        });
        TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
    });
    let answer = DescribeQuorumResponse::default().with_topics(topics.collect());
    match version {
        ..NODES_FROM_VERSION => answer,
        _ => answer.with_nodes(nodes(broker, &told)),
    }
}

/// Whether this names the one partition that the quorum has.
fn is_metadata_log(topic: &TopicName, index: i32) -> bool {
    METADATA_LOG.strip_prefix(&*topic.0).and_then(|rest| rest.strip_prefix('-')) == Some(&*index.to_string())
}

fn described(told: &QuorumStatus, version: i16) -> PartitionData {
    let offset = |index: Option<u64>| index.map_or(0, |index| i64::try_from(index).unwrap_or(i64::MAX) + 1);
    let replica = |node_id: &NodeId| {
        let end = told.reached.get(node_id).map_or(-1, |index| offset(Some(*index)));
        let state = ReplicaState::default().with_replica_id(BrokerId(*node_id)).with_log_end_offset(end);
        let state = match version {
            0 => state,
            _ => state.with_last_fetch_timestamp(-1).with_last_caught_up_timestamp(-1),
        };
        let directory = told.members.get(node_id).map(|member| member.directory_id);
        match version {
            ..NODES_FROM_VERSION => state,
            _ => state.with_replica_directory_id(directory.unwrap_or_default()),
        }
    };
    PartitionData::default()
        .with_leader_id(BrokerId(told.leader.unwrap_or(-1)))
        .with_leader_epoch(i32::try_from(told.term).unwrap_or(i32::MAX))
        .with_high_watermark(offset(told.applied_index))
        .with_current_voters(told.voters.iter().map(replica).collect())
        .with_observers(told.learners.iter().map(replica).collect())
}

fn nodes(broker: &Broker, told: &QuorumStatus) -> Vec<Node> {
    let name = StrBytes::from_string(broker.settings.text("controller.listener.names").to_owned());
    let node = |(node_id, member): (&NodeId, &plimsoll_controller::Member)| {
        let listener = Listener::default()
            .with_name(name.clone())
            .with_host(text(member.host.clone()))
            .with_port(member.port);
        Node::default().with_node_id(BrokerId(*node_id)).with_listeners(vec![listener])
    };
    told.members.iter().map(node).collect()
}
