//! CreateTopics and DeleteTopics.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use plimsoll_controller::{Command, Controller, Image, NodeId};
use plimsoll_wire::messages::create_topics_request::CreatableTopic;
use plimsoll_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use plimsoll_wire::messages::delete_topics_response::DeletableTopicResult;
use plimsoll_wire::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use super::refused::{Refusing, refusal_code, refusing};
use super::{configs, text};
use crate::broker::Broker;
use crate::config::TopicSettings;

/// Partitions one topic may have: each costs descriptors and memory on its brokers.
pub(super) const PARTITIONS_MAX: usize = 10_000;

/// How long a client waits that does not say so.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client waits until what it asked for is true here. It is committed in any case, unless the answer says
/// otherwise.
pub(super) fn patience(timeout_ms: i32) -> Duration {
    match u64::try_from(timeout_ms) {
        Ok(0) | Err(_) => PATIENCE,
        Ok(timeout_ms) => Duration::from_millis(timeout_ms),
    }
}

pub(super) async fn create(
    broker: &Broker,
    version: i16,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times_named: HashMap<StrBytes, usize> = HashMap::new();
    for topic in &request.topics {
        *times_named.entry(topic.name.0.clone()).or_default() += 1;
    }
    let limit = patience(request.timeout_ms);
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let twice = times_named.get(&topic.name.0).is_some_and(|times| *times > 1);
        let outcome = if twice {
            Err((ErrorCode::InvalidRequest, "the request names this topic twice".to_owned()))
        } else {
            create_one(broker, version, &topic, (request.validate_only, limit)).await
        };
        results.push(outcome.unwrap_or_else(|(code, message)| {
            CreatableTopicResult::default()
                .with_error_code(code.code())
                .with_error_message(Some(text(message)))
                .with_num_partitions(-1)
                .with_replication_factor(-1)
        }));
        if let Some(result) = results.last_mut() {
            result.name = topic.name;
        }
    }
    CreateTopicsResponse::default().with_topics(results)
}

async fn create_one(
    broker: &Broker,
    version: i16,
    topic: &CreatableTopic,
    (validate_only, limit): (bool, Duration),
) -> Result<CreatableTopicResult, Refusing> {
    let name = &*topic.name.0;
    Image::check_topic_name(name).map_err(|refusal| (refusal_code(&refusal), refusal.to_string()))?;
    if broker.catalog.by_name(name).is_some() {
        return Err((ErrorCode::TopicAlreadyExists, format!("topic `{name}` already exists")));
    }
    let assignment = assignment(broker, topic)?;
    let settings = topic_configs(topic)?;
    let (partitions, replicas) = (assignment.len(), assignment.first().map_or(0, Vec::len));
    let topic_id = if validate_only {
        check(broker, name, assignment, settings.clone())?;
        Uuid::nil()
    } else {
        broker.create_topic(name, assignment, settings.clone(), limit).await.map_err(refusing)?
    };
    let result = CreatableTopicResult::default()
        .with_topic_id(topic_id)
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(i16::try_from(replicas).unwrap_or(i16::MAX));
    if version < 5 {
        return Ok(result.with_num_partitions(-1).with_replication_factor(-1));
    }
    let described = configs::topic_rows(&broker.settings, &settings).map(|row| {
        CreatableTopicConfigs::default()
            .with_name(text(row.name))
            .with_value(Some(text(row.value)))
            .with_read_only(row.read_only)
            .with_config_source(row.source)
    });
    Ok(result.with_configs(Some(described.collect())))
}

/// Whether the topic could be made now.
fn check(
    broker: &Broker,
    name: &str,
    assignment: Vec<Vec<NodeId>>,
    configs: BTreeMap<String, String>,
) -> Result<(), Refusing> {
    let (name, topic_id) = (name.to_owned(), Uuid::new_v4());
    let mut trial = Image::clone(&broker.quorum.controller().image());
    let applied = trial.apply(&Command::CreateTopic { name, topic_id, assignment, configs });
    applied.map(drop).map_err(|refusal| (refusal_code(&refusal), refusal.to_string()))
}

/// The replicas of each partition: those that the client names, or such that brokers and racks bear alike.
fn assignment(broker: &Broker, topic: &CreatableTopic) -> Result<Vec<Vec<NodeId>>, Refusing> {
    if !topic.assignments.is_empty() {
        return assigned(topic);
    }
    let replicas = match topic.replication_factor {
        -1 => i16::try_from(broker.settings.int("default.replication.factor")).unwrap_or(i16::MAX),
        replicas => replicas,
    };
    let partitions = match topic.num_partitions {
        -1 => broker.settings.count("num.partitions"),
        count => match usize::try_from(count) {
            Ok(count) if (1..=PARTITIONS_MAX).contains(&count) => count,
            _ => return Err(not_so_many(count)),
        },
    };
    broker.place_replicas(partitions, replicas).map_err(refusing)
}

pub(super) fn not_so_many(count: impl std::fmt::Display) -> Refusing {
    let message = format!("a topic has from 1 to {PARTITIONS_MAX} partitions, not {count}");
    (ErrorCode::InvalidPartitions, message)
}

/// An explicit assignment must name every partition from 0 on; whether its brokers can be had, the controllers say.
fn assigned(topic: &CreatableTopic) -> Result<Vec<Vec<NodeId>>, Refusing> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "with an assignment, the partition count and replication factor must be -1";
        return Err((ErrorCode::InvalidRequest, message.to_owned()));
    }
    if topic.assignments.len() > PARTITIONS_MAX {
        return Err(not_so_many(topic.assignments.len()));
    }
    let by_index: BTreeMap<i32, Vec<NodeId>> = topic
        .assignments
        .iter()
        .map(|a| (a.partition_index, a.broker_ids.iter().map(|id| id.0).collect()))
        .collect();
    let complete =
        by_index.len() == topic.assignments.len() && by_index.keys().copied().eq((0..).take(by_index.len()));
    if complete {
        return Ok(by_index.into_values().collect());
    }
    let message = "an assignment names each partition from 0 on once".to_owned();
    Err((ErrorCode::InvalidReplicaAssignment, message))
}

fn topic_configs(topic: &CreatableTopic) -> Result<BTreeMap<String, String>, Refusing> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let value = config
            .value
            .as_deref()
            .ok_or_else(|| (ErrorCode::InvalidConfig, format!("`{}` has no value", &*config.name)))?;
        configs.insert(config.name.to_string(), value.to_owned());
    }
    TopicSettings::check(&configs).map_err(|message| (ErrorCode::InvalidConfig, message))?;
    Ok(configs)
}

pub(super) async fn delete(
    broker: &Broker,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let limit = patience(request.timeout_ms);
    let named = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let listed = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
    let mut results = Vec::new();
    for (name, topic_id) in named.chain(listed) {
        let asked = DeletableTopicResult::default().with_name(name.clone()).with_topic_id(topic_id);
        let (result, code, message) = match delete_one(broker, name.as_ref(), topic_id, limit).await {
            Ok((gone, id)) => {
                (asked.with_name(Some(TopicName(gone))).with_topic_id(id), ErrorCode::None, None)
            }
            Err((code, message)) => (asked, code, Some(text(message))),
        };
        let result = result.with_error_code(code.code());
        results.push(if version >= 5 { result.with_error_message(message) } else { result });
    }
    DeleteTopicsResponse::default().with_responses(results)
}

async fn delete_one(
    broker: &Broker,
    name: Option<&TopicName>,
    topic_id: Uuid,
    limit: Duration,
) -> Result<(StrBytes, Uuid), Refusing> {
    if !broker.settings.flag("delete.topic.enable") {
        let message = "`delete.topic.enable` is false on this broker".to_owned();
        return Err((ErrorCode::TopicDeletionDisabled, message));
    }
    let image = broker.quorum.controller().image();
    let found = match name {
        Some(name) => image.topic(&name.0).ok_or(ErrorCode::UnknownTopicOrPartition),
        None => image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicId),
    };
    let topic = found.map_err(|code| (code, "there is no such topic".to_owned()))?;
    broker.delete_topic(topic.topic_id, limit).await.map_err(refusing)?;
    Ok((text(topic.name.as_str()), topic.topic_id))
}
