//! CreateTopics and DeleteTopics.

use std::collections::{BTreeMap, HashMap};

use plimsoll_controller::{ControlError, Image, Refusal};
use plimsoll_wire::messages::create_topics_request::CreatableTopic;
use plimsoll_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use plimsoll_wire::messages::delete_topics_response::DeletableTopicResult;
use plimsoll_wire::messages::{
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use super::{configs, text};
use crate::broker::{Broker, TopicChangeError};
use crate::config::TopicSettings;

/// Partitions one topic may have: each costs descriptors and memory on this one node.
const PARTITIONS_MAX: usize = 10_000;

type Refusing = (ErrorCode, String);

pub(super) async fn create(
    broker: &Broker,
    version: i16,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut times_named: HashMap<StrBytes, usize> = HashMap::new();
    for topic in &request.topics {
        *times_named.entry(topic.name.0.clone()).or_default() += 1;
    }
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let twice = times_named.get(&topic.name.0).is_some_and(|times| *times > 1);
        let outcome = if twice {
            Err((ErrorCode::InvalidRequest, "the request names this topic twice".to_owned()))
        } else {
            create_one(broker, version, &topic, request.validate_only).await
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
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusing> {
    let name = &*topic.name.0;
    Image::check_topic_name(name)
        .map_err(|refusal| (ErrorCode::InvalidTopicException, refusal.to_string()))?;
    if broker.catalog.by_name(name).is_some() {
        return Err((ErrorCode::TopicAlreadyExists, format!("topic `{name}` already exists")));
    }
    let partitions = partition_count(broker, topic)?;
    let settings = topic_configs(topic)?;
    let topic_id = if validate_only {
        Uuid::nil()
    } else {
        broker.create_topic(name, partitions, settings.clone()).await.map_err(change_failed)?.id
    };
    let result = CreatableTopicResult::default()
        .with_topic_id(topic_id)
        .with_num_partitions(i32::try_from(partitions).unwrap_or(i32::MAX))
        .with_replication_factor(1);
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

/// How many partitions; the replicas all lie on this node.
fn partition_count(broker: &Broker, topic: &CreatableTopic) -> Result<usize, Refusing> {
    if !topic.assignments.is_empty() {
        return assigned(broker, topic);
    }
    match topic.replication_factor {
        -1 | 1 => {}
        factor => {
            return Err((
                ErrorCode::InvalidReplicationFactor,
                format!("replication factor {factor} needs that many brokers, and 1 is alive"),
            ));
        }
    }
    match topic.num_partitions {
        -1 => Ok(broker.settings.count("num.partitions")),
        count => match usize::try_from(count) {
            Ok(count) if (1..=PARTITIONS_MAX).contains(&count) => Ok(count),
            _ => Err(not_so_many(count)),
        },
    }
}

fn not_so_many(count: impl std::fmt::Display) -> Refusing {
    let message = format!("a topic has from 1 to {PARTITIONS_MAX} partitions, not {count}");
    (ErrorCode::InvalidPartitions, message)
}

/// An explicit assignment must name every partition from 0 on, each on this node.
fn assigned(broker: &Broker, topic: &CreatableTopic) -> Result<usize, Refusing> {
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let message = "with an assignment, the partition count and replication factor must be -1";
        return Err((ErrorCode::InvalidRequest, message.to_owned()));
    }
    if topic.assignments.len() > PARTITIONS_MAX {
        return Err(not_so_many(topic.assignments.len()));
    }
    let mut indexes: Vec<_> = topic.assignments.iter().map(|a| a.partition_index).collect();
    indexes.sort_unstable();
    let here = broker.settings.node_id();
    let complete = indexes.iter().zip(0..).all(|(index, expected)| *index == expected);
    let local = topic.assignments.iter().all(|a| a.broker_ids.iter().map(|id| id.0).eq([here]));
    if complete && local {
        return Ok(indexes.len());
    }
    let message = format!("an assignment names each partition from 0 on once, on broker {here}");
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

fn change_failed(error: TopicChangeError) -> Refusing {
    let code = match &error {
        TopicChangeError::Control(ControlError::Refused(Refusal::TopicExists(_))) => {
            ErrorCode::TopicAlreadyExists
        }
        TopicChangeError::Control(ControlError::Refused(Refusal::UnknownTopicId(_))) => {
            ErrorCode::UnknownTopicId
        }
        TopicChangeError::Config(_) => ErrorCode::InvalidConfig,
        _ => ErrorCode::KafkaStorageError,
    };
    (code, error.to_string())
}

pub(super) async fn delete(
    broker: &Broker,
    version: i16,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let named = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
    let listed = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
    let mut results = Vec::new();
    for (name, topic_id) in named.chain(listed) {
        let asked = DeletableTopicResult::default().with_name(name.clone()).with_topic_id(topic_id);
        let (result, code, message) = match delete_one(broker, name.as_ref(), topic_id).await {
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
) -> Result<(StrBytes, Uuid), Refusing> {
    if !broker.settings.flag("delete.topic.enable") {
        let message = "`delete.topic.enable` is false on this broker".to_owned();
        return Err((ErrorCode::TopicDeletionDisabled, message));
    }
    // The metadata also knows topics that could be made only in part, which the catalog does not serve.
    let image = broker.image();
    let found = match name {
        Some(name) => image.topic(&name.0).ok_or(ErrorCode::UnknownTopicOrPartition),
        None => image.topic_by_id(topic_id).ok_or(ErrorCode::UnknownTopicId),
    };
    let topic = found.map_err(|code| (code, "there is no such topic".to_owned()))?;
    broker.delete_topic(topic.topic_id).await.map_err(change_failed)?;
    Ok((text(topic.name.as_str()), topic.topic_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Endpoint, Settings};
    use plimsoll_controller::{Command, Controller};

    #[test]
    fn a_topic_that_was_only_half_made_can_be_deleted() {
        let dir = tempfile::tempdir().expect("a directory");
        let log_dir = format!("log.dirs={}", dir.path().display());
        let settings = Settings::load(None, &[log_dir]).expect("good settings");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let advertised = Endpoint { host: "localhost".into(), port: 9092 };
            let broker = Broker::open(settings, advertised).await.expect("opens");
            let (topic_id, assignment) = (Uuid::new_v4(), vec![vec![broker.settings.node_id()]]);
            let command =
                Command::CreateTopic { name: "t".into(), topic_id, assignment, configs: BTreeMap::new() };
            broker.controller.propose(command).await.expect("in the metadata only");
            std::fs::create_dir(dir.path().join("t-0")).expect("made");
            let request = DeleteTopicsRequest::default().with_topic_names(vec![TopicName(text("t"))]);
            let response = delete(&broker, 5, request).await;
            assert_eq!(response.responses.iter().map(|r| r.error_code).collect::<Vec<_>>(), [0]);
            assert!(!dir.path().join("t-0").exists());
            broker.create_topic("t", 1, BTreeMap::new()).await.expect("the name is free again");
            broker.close().await.expect("closes");
        });
    }
}
