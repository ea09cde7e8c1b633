//! Topics and their partitions changed, and the quorum described.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use plimsoll_wire::messages::create_partitions_request::CreatePartitionsTopic;
use plimsoll_wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use plimsoll_wire::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, CreatePartitionsRequest, DescribeQuorumRequest,
    IncrementalAlterConfigsRequest, ListPartitionReassignmentsRequest, TopicName, describe_quorum_request,
};
use plimsoll_wire::{ErrorCode, Request, Response, StrBytes};

use crate::connection::Connection;
use crate::error::ClientError;
use crate::pending::Asked;

/// Longest wait for the cluster to agree.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kind of resource that is a topic.
const TOPIC: i8 = 2;
/// `config_operation`: set, and remove.
const SET: i8 = 0;
const DELETE: i8 = 1;
/// The topic that the quorum keeps.
const METADATA: &str = "__cluster_metadata";

/// A partition that is being moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// Its topic.
    pub topic: String,
    /// Its index.
    pub partition: i32,
    /// Everybody who has a replica now.
    pub replicas: Vec<i32>,
    /// Who is to get one.
    pub adding: Vec<i32>,
    /// Who is to lose one.
    pub removing: Vec<i32>,
}

/// Who keeps the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The active controller, -1 while there is none.
    pub leader: i32,
    /// Its epoch.
    pub epoch: i32,
    /// Who votes.
    pub voters: Vec<i32>,
    /// Who only follows.
    pub observers: Vec<i32>,
}

impl Connection {
    /// Gives a topic as many partitions as `count` says in all.
    pub async fn create_partitions(&self, topic: &str, count: i32) -> Result<(), ClientError> {
        let wanted =
            CreatePartitionsTopic::default().with_name(named(topic)).with_count(count).with_assignments(None);
        let request = CreatePartitionsRequest::default().with_topics(vec![wanted]).with_timeout_ms(wait_ms());
        let subject = topic.to_owned();
        let interpret = move |response, asked: &Asked| match response {
            Some(Response::CreatePartitions(response)) => {
                let result = response.results.into_iter().next();
                let result = result.ok_or_else(|| asked.incomplete("the topic asked for"))?;
                asked.check(result.error_code, || subject, result.error_message.as_deref())
            }
            _ => Err(asked.incomplete("the partitions made")),
        };
        self.call(&Request::CreatePartitions(request), PATIENCE, interpret).await.map(|timed| timed.value)
    }

    /// Sets and removes settings of a topic, all or none.
    pub async fn alter_topic(
        &self,
        topic: &str,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<(), ClientError> {
        let change = |name: &String, operation, value: Option<&String>| {
            AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(operation)
                .with_value(value.map(|value| text(value)))
        };
        let set = set.iter().map(|(name, value)| change(name, SET, Some(value)));
        let configs = set.chain(remove.iter().map(|name| change(name, DELETE, None))).collect();
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(configs);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let subject = format!("the settings of {topic}");
        let interpret = move |response, asked: &Asked| match response {
            Some(Response::IncrementalAlterConfigs(response)) => {
                let result = response.responses.into_iter().next();
                let result = result.ok_or_else(|| asked.incomplete("the topic asked for"))?;
                asked.check(result.error_code, || subject, result.error_message.as_deref())
            }
            _ => Err(asked.incomplete("the settings changed")),
        };
        self.call(&Request::IncrementalAlterConfigs(request), PATIENCE, interpret)
            .await
            .map(|timed| timed.value)
    }

    /// Begins to move partitions of a topic to these replicas, the preferred leader first; `None` ends a move under way.
    /// Each partition's fate is its own.
    pub async fn reassign(
        &self,
        topic: &str,
        moves: &[(i32, Option<Vec<i32>>)],
    ) -> Result<Vec<(i32, ErrorCode, Option<String>)>, ClientError> {
        let partition = |(index, replicas): &(i32, Option<Vec<i32>>)| {
            let replicas = replicas.as_ref().map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
            ReassignablePartition::default().with_partition_index(*index).with_replicas(replicas)
        };
        let wanted = ReassignableTopic::default()
            .with_name(named(topic))
            .with_partitions(moves.iter().map(partition).collect());
        let request = AlterPartitionReassignmentsRequest::default()
            .with_topics(vec![wanted])
            .with_timeout_ms(wait_ms());
        let interpret = |response, asked: &Asked| match response {
            Some(Response::AlterPartitionReassignments(response)) => {
                asked.check(
                    response.error_code,
                    || "the move".to_owned(),
                    response.error_message.as_deref(),
                )?;
                let partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
                let fate = partitions.map(|partition| {
                    let words = partition.error_message.map(|message| message.to_string());
                    (partition.partition_index, partition.error_code.into(), words)
                });
                Ok(fate.collect())
            }
            _ => Err(asked.incomplete("the move")),
        };
        let request = Request::AlterPartitionReassignments(request);
        self.call(&request, PATIENCE, interpret).await.map(|timed| timed.value)
    }

    /// Every partition that is being moved.
    pub async fn reassignments(&self) -> Result<Vec<Reassignment>, ClientError> {
        let request =
            ListPartitionReassignmentsRequest::default().with_topics(None).with_timeout_ms(wait_ms());
        let interpret = |response, asked: &Asked| match response {
            Some(Response::ListPartitionReassignments(response)) => {
                asked.check(response.error_code, || "moves".to_owned(), response.error_message.as_deref())?;
                let ids = |ids: Vec<BrokerId>| ids.into_iter().map(|id| id.0).collect();
                let mut all = Vec::new();
                for topic in response.topics {
                    all.extend(topic.partitions.into_iter().map(|partition| Reassignment {
                        topic: topic.name.to_string(),
                        partition: partition.partition_index,
                        replicas: ids(partition.replicas),
                        adding: ids(partition.adding_replicas),
                        removing: ids(partition.removing_replicas),
                    }));
                }
                Ok(all)
            }
            _ => Err(asked.incomplete("moves")),
        };
        let request = Request::ListPartitionReassignments(request);
        self.call(&request, PATIENCE, interpret).await.map(|timed| timed.value)
    }

    /// The quorum that keeps the metadata.
    pub async fn describe_quorum(&self) -> Result<Quorum, ClientError> {
        let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
        let topic = describe_quorum_request::TopicData::default()
            .with_topic_name(named(METADATA))
            .with_partitions(vec![partition]);
        let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
        let interpret = |response, asked: &Asked| match response {
            Some(Response::DescribeQuorum(response)) => {
                asked.check(
                    response.error_code,
                    || "the quorum".to_owned(),
                    response.error_message.as_deref(),
                )?;
                let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
                let partition = partition.ok_or_else(|| asked.incomplete("the quorum"))?;
                asked.check(
                    partition.error_code,
                    || "the quorum".to_owned(),
                    partition.error_message.as_deref(),
                )?;
                Ok(Quorum {
                    leader: partition.leader_id.0,
                    epoch: partition.leader_epoch,
                    voters: partition.current_voters.iter().map(|voter| voter.replica_id.0).collect(),
                    observers: partition.observers.iter().map(|observer| observer.replica_id.0).collect(),
                })
            }
            _ => Err(asked.incomplete("the quorum")),
        };
        self.call(&Request::DescribeQuorum(request), PATIENCE, interpret).await.map(|timed| timed.value)
    }
}

fn wait_ms() -> i32 {
    i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX)
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn named(topic: &str) -> TopicName {
    TopicName(text(topic))
}
