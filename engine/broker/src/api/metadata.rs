//! Metadata: brokers, topics, partitions; and topics that come to be by being asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_controller::{ControlError, Image, Refusal};
use plimsoll_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use plimsoll_wire::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};
use tracing::error;

use super::text;
use crate::broker::{Broker, TopicChangeError};
use crate::catalog::Topic;

/// Read, write, create, delete, alter, describe, describe and alter configs: nobody is refused anything.
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

/// Cluster-level operations, for versions 8 to 10.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

pub(super) async fn handle(broker: &Broker, version: i16, request: MetadataRequest) -> MetadataResponse {
    let node_id = BrokerId(broker.settings.node_id());
    let topics = answer_topics(broker, version, &request).await;
    let this = MetadataResponseBroker::default()
        .with_node_id(node_id)
        .with_host(text(broker.advertised.host.clone()))
        .with_port(i32::from(broker.advertised.port));
    let response =
        MetadataResponse::default().with_brokers(vec![this]).with_controller_id(node_id).with_topics(topics);
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
    match broker.create_topic(name, broker.settings.count("num.partitions"), BTreeMap::new()).await {
        Ok(topic) => Ok(topic),
        // Another connection was faster; its topic appears once its logs are open.
        Err(TopicChangeError::Control(ControlError::Refused(Refusal::TopicExists(_)))) => {
            broker.catalog.by_name(name).ok_or(ErrorCode::LeaderNotAvailable)
        }
        Err(failed) => {
            error!("topic {name} could not be created: {failed}");
            Err(ErrorCode::LeaderNotAvailable)
        }
    }
}

fn described(broker: &Broker, topic: &Topic, operations: Option<i32>) -> MetadataResponseTopic {
    let node_id = BrokerId(broker.settings.node_id());
    let partitions = (0_i32..).zip(&topic.partitions).map(|(index, partition)| {
        let offline = partition.as_ref().is_none_or(|partition| partition.is_offline());
        let here = vec![node_id];
        MetadataResponsePartition::default()
            .with_error_code(if offline { ErrorCode::LeaderNotAvailable.code() } else { 0 })
            .with_partition_index(index)
            .with_leader_id(if offline { BrokerId(-1) } else { node_id })
            .with_leader_epoch(partition.as_ref().map_or(-1, |partition| partition.leader_epoch()))
            .with_replica_nodes(here.clone())
            .with_isr_nodes(here.clone())
            .with_offline_replicas(if offline { here } else { Vec::new() })
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
