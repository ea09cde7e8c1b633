//! AlterPartitionReassignments and ListPartitionReassignments: partitions move to other brokers (KIP-455).

use std::collections::HashMap;

use plimsoll_controller::{
    Command, Controller, Image, NodeId, Outcome, PartitionId, PartitionRecord, Reassignment, TopicRecord,
};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::alter_partition_reassignments_request::ReassignablePartition;
use plimsoll_wire::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use plimsoll_wire::messages::list_partition_reassignments_response::{
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use plimsoll_wire::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
};

use super::refused::{Refusing, refusal_code, refusing};
use super::text;
use crate::broker::Broker;

/// From this version on a client may forbid that the number of replicas changes (KIP-860).
const FACTOR_FROM_VERSION: i16 = 1;

pub(super) async fn alter(
    broker: &Broker,
    version: i16,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let may_resize = version < FACTOR_FROM_VERSION || request.allow_replication_factor_change;
    let answer = AlterPartitionReassignmentsResponse::default();
    let answer = match version {
        0 => answer,
        _ => answer.with_allow_replication_factor_change(may_resize),
    };
    let image = broker.quorum.controller().image();
    let checked: Vec<_> = request
        .topics
        .into_iter()
        .map(|topic| {
            let record = image.topic(&topic.name.0);
            let each = topic.partitions.into_iter().map(|asked| change(record, asked, may_resize));
            (topic.name, each.collect::<Vec<_>>())
        })
        .collect();
    let wanted = checked.iter().flat_map(|(_, partitions)| partitions);
    let changes: Vec<_> = wanted.filter_map(|(_, change)| change.as_ref().ok().cloned()).collect();
    let outcomes = match changes.is_empty() {
        true => Ok(HashMap::new()),
        false => propose(broker, changes).await,
    };
    match outcomes {
        Ok(outcomes) => {
            let topics = checked.into_iter().map(|(name, partitions)| answered(name, partitions, &outcomes));
            answer.with_responses(topics.collect())
        }
        Err((code, message)) => answer.with_error_code(code.code()).with_error_message(Some(text(message))),
    }
}

/// What was asked for one partition, checked as far as the controllers do not.
type Asked = (i32, Result<Reassignment, Refusing>);

fn change(topic: Option<&TopicRecord>, asked: ReassignablePartition, may_resize: bool) -> Asked {
    let index = asked.partition_index;
    let unknown = || (ErrorCode::UnknownTopicOrPartition, "there is no such partition".to_owned());
    let found = topic.and_then(|topic| Some((topic.topic_id, topic.partition(index)?))).ok_or_else(unknown);
    let checked = found.and_then(|(topic_id, record)| {
        let replicas: Option<Vec<NodeId>> = asked.replicas.map(|ids| ids.iter().map(|id| id.0).collect());
        let now = record.replicas.len() - record.removing.len();
        if !may_resize && replicas.as_ref().is_some_and(|replicas| replicas.len() != now) {
            let message =
                format!("the partition has {now} replicas, which the request does not allow to change");
            return Err((ErrorCode::InvalidReplicationFactor, message));
        }
        Ok(Reassignment { partition: PartitionId { topic_id, partition: index }, replicas })
    });
    (index, checked)
}

/// What became of each.
async fn propose(
    broker: &Broker,
    changes: Vec<Reassignment>,
) -> Result<HashMap<PartitionId, Option<Refusing>>, Refusing> {
    match broker.propose(Command::AlterReassignments { changes }).await.map_err(refusing)? {
        Outcome::Partitions(outcomes) => {
            let refused = |refusal| (refusal_code(&refusal), refusal.to_string());
            Ok(outcomes.into_iter().map(|(id, outcome)| (id, outcome.err().map(refused))).collect())
        }
        other => Err((ErrorCode::UnknownServerError, format!("an unexpected outcome: {other:?}"))),
    }
}

fn answered(
    name: TopicName,
    partitions: Vec<Asked>,
    outcomes: &HashMap<PartitionId, Option<Refusing>>,
) -> ReassignableTopicResponse {
    let rows = partitions.into_iter().map(|(index, change)| {
        let refused = match change {
            Ok(change) => outcomes.get(&change.partition).cloned().flatten(),
            Err(refused) => Some(refused),
        };
        let (code, message) =
            refused.map_or((ErrorCode::None, None), |(code, said)| (code, Some(text(said))));
        ReassignablePartitionResponse::default()
            .with_partition_index(index)
            .with_error_code(code.code())
            .with_error_message(message)
    });
    ReassignableTopicResponse::default().with_name(name).with_partitions(rows.collect())
}

pub(super) fn list(
    broker: &Broker,
    request: &ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let image = broker.applied();
    let topics: Vec<_> = match &request.topics {
        None => image.topics().filter_map(|topic| under_way(topic, None)).collect(),
        Some(asked) => {
            let known = |name: &TopicName| Image::topic(&image, &name.0);
            let each =
                asked.iter().filter_map(|one| under_way(known(&one.name)?, Some(&one.partition_indexes)));
            each.collect()
        }
    };
    ListPartitionReassignmentsResponse::default().with_topics(topics)
}

/// The moves of a topic, or of some of its partitions; `None` if there are none.
fn under_way(topic: &TopicRecord, indexes: Option<&[i32]>) -> Option<OngoingTopicReassignment> {
    let ids = |ids: &[NodeId]| ids.iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
    let row = |(index, record): (i32, &PartitionRecord)| {
        OngoingPartitionReassignment::default()
            .with_partition_index(index)
            .with_replicas(ids(&record.replicas))
            .with_adding_replicas(ids(&record.adding))
            .with_removing_replicas(ids(&record.removing))
    };
    let asked = |index: i32| indexes.is_none_or(|indexes| indexes.contains(&index));
    let numbered = (0..).zip(topic.partitions.iter().map(|record| &**record));
    let rows: Vec<_> =
        numbered.filter(|(index, record)| asked(*index) && record.is_reassigning()).map(row).collect();
    (!rows.is_empty()).then(|| {
        OngoingTopicReassignment::default()
            .with_name(TopicName(text(topic.name.as_str())))
            .with_partitions(rows)
    })
}
