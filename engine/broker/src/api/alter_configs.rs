//! IncrementalAlterConfigs: entries of topics are set and removed while brokers run (KIP-339, rule E43).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use plimsoll_controller::{Command, ConfigResource, Controller, Image, TopicRecord};
use plimsoll_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use plimsoll_wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use plimsoll_wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use plimsoll_wire::{ErrorCode, StrBytes};

use super::configs::{BROKER, TOPIC};
use super::refused::{Refusing, refusing};
use super::text;
use crate::broker::Broker;
use crate::config::{TOPIC_KEYS, TopicSettings};

/// How long a change may take to be true here; it is committed in any case.
const LIMIT: Duration = Duration::from_secs(5);

/// Kafka's numbers for what is done to an entry.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

/// Keys that an open log takes in only when it is opened: to say yes to them would change nothing.
const FIXED: &[&str] = &[
    "flush.messages",
    "flush.ms",
    "index.interval.bytes",
    "segment.bytes",
    "segment.index.bytes",
    "segment.ms",
];

/// Keys whose values are lists.
const LISTS: &[&str] = &["cleanup.policy"];

pub(super) async fn incremental(
    broker: &Broker,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut times_named: HashMap<(i8, StrBytes), usize> = HashMap::new();
    for resource in &request.resources {
        *times_named.entry((resource.resource_type, resource.resource_name.clone())).or_default() += 1;
    }
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in request.resources {
        let named = (resource.resource_type, resource.resource_name.clone());
        let outcome = match times_named.get(&named) {
            Some(1) => alter(broker, &resource, request.validate_only).await,
            _ => Err((ErrorCode::InvalidRequest, "the request names this resource twice".to_owned())),
        };
        let (code, message) =
            outcome.err().map_or((ErrorCode::None, None), |(code, said)| (code, Some(text(said))));
        responses.push(
            AlterConfigsResourceResponse::default()
                .with_resource_type(named.0)
                .with_resource_name(named.1)
                .with_error_code(code.code())
                .with_error_message(message),
        );
    }
    IncrementalAlterConfigsResponse::default().with_responses(responses)
}

async fn alter(
    broker: &Broker,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refusing> {
    let name = &*resource.resource_name;
    match resource.resource_type {
        TOPIC => {}
        BROKER => {
            let message = "no setting of a broker can be changed while it runs; change its configuration and start it again";
            return Err((ErrorCode::InvalidRequest, message.to_owned()));
        }
        other => {
            let message = format!("resource type {other} has no configuration here");
            return Err((ErrorCode::InvalidRequest, message));
        }
    }
    let image = broker.quorum.controller().image();
    let unknown = || (ErrorCode::UnknownTopicOrPartition, format!("there is no topic `{name}`"));
    let topic = image.topic(name).ok_or_else(unknown)?;
    let changes = changes(broker, topic, &resource.configs)?;
    let mut after = topic.configs.clone();
    for (key, value) in &changes {
        match value {
            Some(value) => after.insert(key.clone(), value.clone()),
            None => after.remove(key),
        };
    }
    TopicSettings::check(&after).map_err(|message| (ErrorCode::InvalidConfig, message))?;
    if validate_only {
        return Ok(());
    }
    let command =
        Command::AlterConfigs { resource: ConfigResource::Topic(topic.topic_id), changes: changes.clone() };
    broker.propose(command).await.map_err(refusing)?;
    let is_so = |image: &Image| image.topic_by_id(topic.topic_id).is_none_or(|now| holds(now, &changes));
    broker.has_applied(LIMIT, is_so).await;
    Ok(())
}

/// Whether a topic is as the changes make it.
fn holds(topic: &TopicRecord, changes: &BTreeMap<String, Option<String>>) -> bool {
    changes.iter().all(|(key, value)| topic.configs.get(key) == value.as_ref())
}

/// The new value of each entry that is named; `None` removes it.
fn changes(
    broker: &Broker,
    topic: &TopicRecord,
    asked: &[AlterableConfig],
) -> Result<BTreeMap<String, Option<String>>, Refusing> {
    let mut changes = BTreeMap::new();
    let mut named = BTreeSet::new();
    for config in asked {
        let key = config.name.to_string();
        if !named.insert(key.clone()) {
            return Err((ErrorCode::InvalidRequest, format!("the request names `{key}` twice")));
        }
        if FIXED.contains(&&*key) {
            let message = format!("`{key}` is fixed when the topic is made");
            return Err((ErrorCode::InvalidConfig, message));
        }
        let value = || {
            let missing = || (ErrorCode::InvalidConfig, format!("`{key}` has no value"));
            config.value.as_deref().ok_or_else(missing)
        };
        let change = match config.config_operation {
            SET => Some(value()?.to_owned()),
            DELETE => None,
            APPEND | SUBTRACT if LISTS.contains(&&*key) => {
                let now =
                    topic.configs.get(&key).map(String::as_str).unwrap_or_else(|| default(broker, &key));
                Some(edited(now, value()?, config.config_operation == APPEND))
            }
            APPEND | SUBTRACT => return Err((ErrorCode::InvalidConfig, format!("`{key}` is no list"))),
            other => return Err((ErrorCode::InvalidRequest, format!("operation {other} is not known"))),
        };
        changes.insert(key, change);
    }
    Ok(changes)
}

/// What a topic has that does not set `key`.
fn default<'a>(broker: &'a Broker, key: &str) -> &'a str {
    TOPIC_KEYS
        .iter()
        .find(|known| known.name == key)
        .map_or("", |known| known.default_value(&broker.settings))
}

/// The list with more or fewer words; none twice.
fn edited(now: &str, words: &str, append: bool) -> String {
    let split = |list: &str| {
        list.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect::<Vec<_>>()
    };
    let (mut list, words) = (split(now), split(words));
    list.retain(|word| append || !words.contains(word));
    for word in words.into_iter().filter(|_| append) {
        if !list.contains(&word) {
            list.push(word);
        }
    }
    list.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e43_lists_grow_and_shrink_by_words() {
        for (now, words, append, expected) in [
            ("delete", "compact", true, "delete,compact"),
            ("delete", "delete", true, "delete"),
            ("compact,delete", "delete", false, "compact"),
            ("compact", "delete", false, "compact"),
            ("delete", "delete", false, ""),
        ] {
            assert_eq!(edited(now, words, append), expected, "{now} {words} {append}");
        }
    }
}
