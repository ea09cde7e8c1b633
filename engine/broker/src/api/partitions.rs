//! CreatePartitions: topics get more partitions, never fewer.

use std::collections::HashMap;

use plimsoll_controller::{Command, Controller, Image, NodeId, TopicRecord, placement};
use plimsoll_wire::messages::create_partitions_request::CreatePartitionsTopic;
use plimsoll_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use plimsoll_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use super::refused::{Refusing, refusal_code, refusing};
use super::text;
use super::topics::{PARTITIONS_MAX, not_so_many, patience};
use crate::broker::Broker;

pub(super) async fn create(broker: &Broker, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut times_named: HashMap<StrBytes, usize> = HashMap::new();
    for topic in &request.topics {
        *times_named.entry(topic.name.0.clone()).or_default() += 1;
    }
    let limit = patience(request.timeout_ms);
    let mut results = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let outcome = match command(broker, &topic) {
            _ if times_named.get(&topic.name.0).is_some_and(|times| *times > 1) => {
                Err((ErrorCode::InvalidRequest, "the request names this topic twice".to_owned()))
            }
            Err(refused) => Err(refused),
            Ok(command) if request.validate_only => check(broker, &command),
            Ok(command) => broker.propose(command).await.map(drop).map_err(refusing),
        };
        if outcome.is_ok() && !request.validate_only {
            let wanted = usize::try_from(topic.count).unwrap_or_default();
            let grown =
                |image: &Image| image.topic(&topic.name.0).is_none_or(|t| t.partitions.len() >= wanted);
            broker.has_applied(limit, grown).await;
        }
        let (code, message) =
            outcome.err().map_or((ErrorCode::None, None), |(code, said)| (code, Some(text(said))));
        results.push(
            CreatePartitionsTopicResult::default()
                .with_name(topic.name)
                .with_error_code(code.code())
                .with_error_message(message),
        );
    }
    CreatePartitionsResponse::default().with_results(results)
}

/// What is to be proposed, with the replicas that the client names or such that brokers and racks bear alike.
fn command(broker: &Broker, asked: &CreatePartitionsTopic) -> Result<Command, Refusing> {
    let image = broker.quorum.controller().image();
    let unknown = || (ErrorCode::UnknownTopicOrPartition, "there is no such topic".to_owned());
    let topic = image.topic(&asked.name.0).ok_or_else(unknown)?;
    let existing = topic.partitions.len();
    let wanted = usize::try_from(asked.count).unwrap_or_default();
    if wanted <= existing {
        let message = format!("the topic has {existing} partitions already; it can only get more");
        return Err((ErrorCode::InvalidPartitions, message));
    }
    if wanted > PARTITIONS_MAX {
        return Err(not_so_many(wanted));
    }
    let assignment = match &asked.assignments {
        Some(named) => {
            let ids = named.iter().map(|one| one.broker_ids.iter().map(|id| id.0).collect());
            assigned(topic, ids.collect(), wanted - existing)?
        }
        None => {
            let replicas: Vec<_> = topic.partitions.iter().map(|p| p.replicas.clone()).collect();
            let factor = i16::try_from(factor(topic)).unwrap_or(i16::MAX);
            let seed = Uuid::new_v4().as_u64_pair().0;
            placement::place(&image, &replicas, wanted - existing, factor, seed)
                .map_err(|refusal| (refusal_code(&refusal), refusal.to_string()))?
        }
    };
    Ok(Command::AddPartitions { topic_id: topic.topic_id, existing, assignment })
}

/// How many replicas the topic's partitions have when nothing moves.
fn factor(topic: &TopicRecord) -> usize {
    topic.partitions.first().map_or(1, |partition| partition.replicas.len() - partition.removing.len()).max(1)
}

fn assigned(
    topic: &TopicRecord,
    assignment: Vec<Vec<NodeId>>,
    added: usize,
) -> Result<Vec<Vec<NodeId>>, Refusing> {
    let factor = factor(topic);
    if assignment.len() == added && assignment.iter().all(|replicas| replicas.len() == factor) {
        return Ok(assignment);
    }
    let message = format!("the assignment must name {factor} replicas for each of {added} new partitions");
    Err((ErrorCode::InvalidReplicaAssignment, message))
}

/// Whether it could be done now.
fn check(broker: &Broker, command: &Command) -> Result<(), Refusing> {
    let applied = Image::clone(&broker.quorum.controller().image()).apply(command);
    applied.map(drop).map_err(|refusal| (refusal_code(&refusal), refusal.to_string()))
}
