//! The topics of a run: made before it, described as they are in force, removed where they are a guest's.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_client::{
    ClientError, ConfigResource, ConnectOptions, Connection, ErrorCode, NewTopic, TopicOutcome,
};

use super::error::RunError;
use super::threads::runtime;
use crate::workload::{SystemKind, Workload};

/// How long creating or deleting topics may take.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A topic as the cluster has it, read back and not assumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicInForce {
    /// Replicas of the partition that has fewest.
    pub replicas: u16,
    /// Effective settings by Kafka's names, the broker's defaults among them.
    pub config: BTreeMap<String, String>,
}

/// The topics of a run, and which of them it made itself.
#[derive(Debug, Default)]
pub(super) struct Topics {
    created: Vec<String>,
    found: Vec<String>,
}

impl Topics {
    /// Creates the topics. One that is there already is used as it is: an external cluster may want that.
    pub(super) async fn create(workload: &Workload, bootstrap: &str) -> Result<Topics, RunError> {
        let mut topics = Topics::default();
        if workload.chosen().1.kind == SystemKind::RdkafkaMock {
            // It was started with them, and has no request that makes any.
            return Ok(topics);
        }
        let connection = Connection::to_any(bootstrap, ConnectOptions::default()).await?;
        let mut refused = None;
        // Any broker may be asked; those that are not the controller say who is or forward it.
        for outcome in connection.create_topics(&wanted(workload), ADMIN_TIMEOUT).await? {
            let name = outcome.topic.to_string();
            match outcome.error {
                ErrorCode::None => topics.created.push(name),
                ErrorCode::TopicAlreadyExists => topics.found.push(name),
                error => refused = Some(RunError::Topic { topic: name, error, message: outcome.message }),
            }
        }
        match refused {
            Some(refused) => {
                topics.remove(workload, bootstrap).await;
                Err(refused)
            }
            None => Ok(topics),
        }
    }

    /// What their reader should know of them.
    pub(super) fn remarks(&self) -> Vec<String> {
        let found = self.found.iter();
        found.map(|name| format!("topic {name} was there before and is used as it is")).collect()
    }

    /// Deletes what this run made on a cluster that is not ours; a cluster of ours goes away with its data.
    /// Says what could not be deleted.
    pub(super) async fn remove(&self, workload: &Workload, bootstrap: &str) -> Vec<String> {
        if workload.chosen().1.kind != SystemKind::External || self.created.is_empty() {
            return Vec::new();
        }
        match delete(&self.created, bootstrap).await {
            Ok(outcomes) => {
                outcomes.into_iter().filter(|outcome| !outcome.error.is_none()).map(left).collect()
            }
            Err(error) => {
                vec![format!("topics {} could not be deleted: {error}", self.created.join(", "))]
            }
        }
    }
}

/// What the settings of a run's topic would be: makes it as a run does, asks, and removes it as a run does. `None`
/// where the target keeps nothing, or does not tell.
///
/// # Errors
/// [`RunError`] when the topic cannot be made.
pub fn topic_in_force(workload: &Workload, bootstrap: &str) -> Result<Option<TopicInForce>, RunError> {
    if !keeps_records(workload) {
        return Ok(None);
    }
    let runtime = runtime("asking")?;
    let topics = runtime.block_on(Topics::create(workload, bootstrap))?;
    let found = runtime.block_on(in_force(workload, bootstrap)).ok();
    runtime.block_on(topics.remove(workload, bootstrap));
    Ok(found)
}

/// The small servers keep nothing to read.
pub(super) fn keeps_records(workload: &Workload) -> bool {
    !matches!(workload.chosen().1.kind, SystemKind::Null | SystemKind::Floor)
}

/// What the cluster says of the run's first topic; the others are made alike.
pub(super) async fn in_force(workload: &Workload, bootstrap: &str) -> Result<TopicInForce, ClientError> {
    let name = workload.topic_names().into_iter().next().unwrap_or_default();
    let connection = Connection::to_any(bootstrap, ConnectOptions::default()).await?;
    let cluster = connection.metadata(Some(&[name.as_str()]), false).await?;
    let partitions = cluster.topic(&name).map(|topic| topic.partitions.as_slice()).unwrap_or_default();
    let replicas = partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or_default();
    let entries = connection.describe_configs(&ConfigResource::Topic(name)).await?;
    Ok(TopicInForce {
        replicas: u16::try_from(replicas).unwrap_or(u16::MAX),
        config: entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect(),
    })
}

fn wanted(workload: &Workload) -> Vec<NewTopic> {
    let mut configs = workload.topic.config.clone();
    if workload.topic.min_insync > 1 {
        configs.insert("min.insync.replicas".into(), workload.topic.min_insync.to_string());
    }
    let topic = |name| NewTopic {
        name,
        partitions: workload.topic.partitions,
        replication_factor: workload.topic.replication,
        configs: configs.clone(),
    };
    workload.topic_names().into_iter().map(topic).collect()
}

async fn delete(names: &[String], bootstrap: &str) -> Result<Vec<TopicOutcome>, ClientError> {
    let connection = Connection::to_any(bootstrap, ConnectOptions::default()).await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    connection.delete_topics(&names, ADMIN_TIMEOUT).await
}

fn left(outcome: TopicOutcome) -> String {
    let words = outcome.message.map_or_else(String::new, |message| format!(" ({message})"));
    format!("topic {} could not be deleted: {}{words}", outcome.topic, outcome.error)
}
