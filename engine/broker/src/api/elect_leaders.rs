//! ElectLeaders: preferred leaders take over where they can (KIP-460).

use std::collections::{BTreeMap, HashMap};

use plimsoll_controller::{Command, Controller, Outcome, PartitionId, Refusal};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use plimsoll_wire::messages::{ElectLeadersRequest, ElectLeadersResponse, TopicName};

use super::refused::{Refusing, refusal_code, refusing};
use super::text;
use crate::broker::Broker;

/// The only kind of election that a client may ask for.
const PREFERRED: i8 = 0;

/// From this version on the answer has an error of its own.
const OWN_ERROR_FROM_VERSION: i16 = 1;

pub(super) async fn handle(
    broker: &Broker,
    version: i16,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let image = broker.quorum.controller().image();
    let everywhere = request.topic_partitions.is_none();
    let mut asked: Vec<(TopicName, i32, Option<PartitionId>)> = Vec::new();
    match request.topic_partitions {
        Some(topics) => {
            for topic in topics {
                let record = image.topic(&topic.topic.0);
                for partition in topic.partitions {
                    let known = record.filter(|record| record.partition(partition).is_some());
                    let id = known.map(|record| PartitionId { topic_id: record.topic_id, partition });
                    asked.push((topic.topic.clone(), partition, id));
                }
            }
        }
        None => {
            for record in image.topics() {
                let moved = (0..).zip(&record.partitions).filter(|(_, p)| p.leader != p.preferred_leader());
                asked.extend(moved.map(|(partition, _)| {
                    let id = PartitionId { topic_id: record.topic_id, partition };
                    (TopicName(text(record.name.as_str())), partition, Some(id))
                }));
            }
        }
    }
    let partitions: Vec<_> = asked.iter().filter_map(|(_, _, id)| *id).collect();
    let outcomes = match request.election_type {
        PREFERRED => elect(broker, partitions).await,
        // Who wants a replica that is not in sync to lead says so by the topic's configuration.
        other => {
            Err((ErrorCode::InvalidRequest, format!("election type {other} cannot be asked for, only 0")))
        }
    };
    let whole = outcomes.as_ref().err().map_or(ErrorCode::None, |(code, _)| *code);
    let mut topics: BTreeMap<TopicName, Vec<PartitionResult>> = BTreeMap::new();
    for (name, index, id) in asked {
        let (code, message) = match (&outcomes, id) {
            (Err((code, message)), _) => (*code, Some(message.clone())),
            (Ok(_), None) => {
                (ErrorCode::UnknownTopicOrPartition, Some("there is no such partition".to_owned()))
            }
            (Ok(outcomes), Some(id)) => match outcomes.get(&id).cloned().flatten() {
                None => (ErrorCode::None, None),
                // Who asks for all wants to hear of those only that something was done about.
                Some(Refusal::ElectionNotNeeded) if everywhere => continue,
                Some(refusal) => (refusal_code(&refusal), Some(refusal.to_string())),
            },
        };
        let row = PartitionResult::default()
            .with_partition_id(index)
            .with_error_code(code.code())
            .with_error_message(message.map(text));
        topics.entry(name).or_default().push(row);
    }
    let results = topics
        .into_iter()
        .map(|(name, rows)| ReplicaElectionResult::default().with_topic(name).with_partition_result(rows));
    let answer = ElectLeadersResponse::default().with_replica_election_results(results.collect());
    match version {
        ..OWN_ERROR_FROM_VERSION => answer,
        _ => answer.with_error_code(whole.code()),
    }
}

/// Why each partition stayed with its leader; `None` where it did not.
async fn elect(
    broker: &Broker,
    partitions: Vec<PartitionId>,
) -> Result<HashMap<PartitionId, Option<Refusal>>, Refusing> {
    if partitions.is_empty() {
        return Ok(HashMap::new());
    }
    match broker.propose(Command::ElectPreferredLeaders { partitions }).await.map_err(refusing)? {
        Outcome::Partitions(outcomes) => {
            Ok(outcomes.into_iter().map(|(id, outcome)| (id, outcome.err())).collect())
        }
        other => Err((ErrorCode::UnknownServerError, format!("an unexpected outcome: {other:?}"))),
    }
}
