//! Metadata: brokers, topics, partitions; and topics that come to be by being asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_controller::{ControlError, Image, NO_LEADER, NodeId, Refusal};
use plimsoll_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use plimsoll_wire::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};
use tracing::error;

use super::cluster::{CLUSTER_OPERATIONS, controller_id, in_service};
use super::text;
use crate::broker::Broker;
use crate::catalog::{Slot, Topic};

/// Read, write, create, delete, alter, describe, describe and alter configs: nobody is refused anything.
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// How long a topic that is made by being asked for may take to be there; afterwards the client asks again.
const CREATE_LIMIT: Duration = Duration::from_secs(5);

pub(super) async fn handle(broker: &Broker, version: i16, request: MetadataRequest) -> MetadataResponse {
    let topics = answer_topics(broker, version, &request).await;
    let image = broker.applied();
    let brokers = in_service(broker, &image).map(|(node_id, record, endpoint)| {
        let row = MetadataResponseBroker::default()
            .with_node_id(BrokerId(node_id))
            .with_host(text(endpoint.host.clone()))
            .with_port(i32::from(endpoint.port));
        if version >= 1 { row.with_rack(record.rack.clone().map(text)) } else { row }
    });
    let response = MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_controller_id(BrokerId(controller_id(broker, &image)))
        .with_topics(topics);
    let response = match version {
        0 | 1 => response,
        _ => response.with_cluster_id(Some(text(broker.cluster_id.clone()))),
    };
    if (8..=10).contains(&version) && request.include_cluster_authorized_operations {
        return response.with_cluster_authorized_operations(CLUSTER_OPERATIONS);
    }
    response
}

async fn answer_topics(
    broker: &Broker,
    version: i16,
    request: &MetadataRequest,
) -> Vec<MetadataResponseTopic> {
    let operations = request.include_topic_authorized_operations.then_some(TOPIC_OPERATIONS);
    let describe = |topic: &Topic| described(broker, topic, operations);
    // Rule E7: in version 0 an empty list means all topics, later null does.
    let asked = match &request.topics {
        None => return broker.catalog.all().iter().map(|topic| describe(topic)).collect(),
        Some(topics) if version == 0 && topics.is_empty() => {
            return broker.catalog.all().iter().map(|topic| describe(topic)).collect();
        }
        Some(topics) => topics,
    };
    let may_create = request.allow_auto_topic_creation && broker.settings.flag("auto.create.topics.enable");
    let mut answers = Vec::with_capacity(asked.len());
    for topic in asked {
        let found = match &topic.name {
            Some(name) => by_name(broker, name, may_create).await,
            None => broker.catalog.by_id(topic.topic_id).ok_or(ErrorCode::UnknownTopicId),
        };
        answers.push(match found {
            Ok(found) => describe(&found),
            Err(code) => unknown(topic.name.clone(), topic.topic_id, code),
        });
    }
    answers
}

/// Finds a topic or, if allowed, makes it with the broker's defaults (rule E44).
async fn by_name(broker: &Broker, name: &StrBytes, may_create: bool) -> Result<Arc<Topic>, ErrorCode> {
    if let Some(topic) = broker.catalog.by_name(name) {
        return Ok(topic);
    }
    Image::check_topic_name(name).map_err(|_| ErrorCode::InvalidTopicException)?;
    if !may_create {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let partitions = broker.settings.count("num.partitions");
    let replicas = i16::try_from(broker.settings.int("default.replication.factor")).unwrap_or(i16::MAX);
    let created = match broker.place_replicas(partitions, replicas) {
        Ok(assignment) => {
            broker.create_topic(name, assignment, BTreeMap::new(), CREATE_LIMIT).await.map(drop)
        }
        Err(refused) => Err(refused),
    };
    match created {
        // Here, or about to be.
        Ok(()) | Err(ControlError::Refused(Refusal::TopicExists(_))) => {
            broker.catalog.by_name(name).ok_or(ErrorCode::LeaderNotAvailable)
        }
        Err(ControlError::Refused(Refusal::InvalidReplicationFactor { .. })) => {
            Err(ErrorCode::InvalidReplicationFactor)
        }
        Err(failed) => {
            error!("topic {name} could not be created: {failed}");
            Err(ErrorCode::LeaderNotAvailable)
        }
    }
}

fn described(broker: &Broker, topic: &Topic, operations: Option<i32>) -> MetadataResponseTopic {
    let (image, own) = (broker.applied(), broker.settings.node_id());
    let serving: BTreeSet<NodeId> = in_service(broker, &image).map(|(node_id, ..)| node_id).collect();
    let ids = |ids: &[NodeId]| ids.iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
    let partitions = (0_i32..).zip(&topic.partitions).map(|(index, Slot { record, replica })| {
        let is_offline = |id: &NodeId| !serving.contains(id) || (*id == own && replica.is_offline());
        let leader = Some(record.leader).filter(|leader| !is_offline(leader));
        let offline: Vec<_> = record.replicas.iter().copied().filter(is_offline).collect();
        let code = if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        MetadataResponsePartition::default()
            .with_error_code(code.code())
            .with_partition_index(index)
            .with_leader_id(BrokerId(leader.unwrap_or(NO_LEADER)))
            .with_leader_epoch(record.leader_epoch)
            .with_replica_nodes(ids(&record.replicas))
            .with_isr_nodes(ids(&record.isr))
            .with_offline_replicas(ids(&offline))
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(topic.name.clone())))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations.unwrap_or(i32::MIN))
}

fn unknown(name: Option<TopicName>, topic_id: Uuid, code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_name(name).with_topic_id(topic_id).with_error_code(code.code())
}
