//! `topic describe`.

use std::collections::BTreeMap;

use plimsoll_client::{ConfigResource, Connection, ErrorCode, PartitionMetadata, TopicMetadata};
use plimsoll_results::Exit;
use serde::Serialize;

use super::options::DescribeOptions;
use super::refused::Fate;

/// Where a setting comes from that is the topic's own.
const OF_THE_TOPIC: i8 = 1;

#[derive(Debug, Serialize)]
struct Described {
    name: String,
    id: String,
    internal: bool,
    replication_factor: usize,
    /// Settings of its own.
    config: BTreeMap<String, String>,
    partitions: Vec<Partition>,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: i32,
    /// -1 for nobody.
    leader: i32,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    offline: Vec<i32>,
}

pub(super) async fn run(options: &DescribeOptions) -> anyhow::Result<Exit> {
    let names: Vec<&str> = options.names.iter().chain(&options.topic).map(String::as_str).collect();
    let connection = options.at.connect().await?;
    let cluster = connection.metadata(if names.is_empty() { None } else { Some(&names) }, false).await?;
    let (mut described, mut refused) = (Vec::new(), Vec::new());
    for topic in &cluster.topics {
        let unknown =
            matches!(topic.error, ErrorCode::UnknownTopicOrPartition | ErrorCode::InvalidTopicException);
        if unknown {
            refused.push(Fate::of(topic.topic.to_string(), topic.error, None));
        } else {
            described.push(describe(&connection, topic, options).await);
        }
    }
    described.sort_by(|a, b| a.name.cmp(&b.name));
    if options.at.json {
        let status = if refused.is_empty() { "ok" } else { "failed" };
        let document = serde_json::json!({ "status": status, "topics": described, "refused": refused });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        described.iter().for_each(|topic| print!("{}", text(topic)));
        refused.iter().for_each(|fate| {
            eprintln!("error: {}: {}", fate.name, fate.message.as_deref().unwrap_or_default())
        });
    }
    Ok(if refused.is_empty() { Exit::Pass } else { Exit::Failed })
}

async fn describe(connection: &Connection, topic: &TopicMetadata, options: &DescribeOptions) -> Described {
    let name = topic.topic.to_string();
    // Not everybody may read settings; the partitions are told all the same.
    let entries = connection.describe_configs(&ConfigResource::Topic(name.clone())).await.unwrap_or_default();
    let own = entries.into_iter().filter(|entry| entry.source == OF_THE_TOPIC);
    let shown = |partition: &&PartitionMetadata| {
        let under = partition.isr.len() < partition.replicas.len();
        (!options.under_replicated_partitions || under)
            && (!options.unavailable_partitions || partition.leader_id < 0)
    };
    Described {
        id: topic.topic.id.to_string(),
        internal: topic.is_internal,
        replication_factor: topic.partitions.iter().map(|p| p.replicas.len()).min().unwrap_or(0),
        config: own.filter_map(|entry| Some((entry.name, entry.value?))).collect(),
        partitions: topic
            .partitions
            .iter()
            .filter(shown)
            .map(|partition| Partition {
                partition: partition.index,
                leader: partition.leader_id,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replicas.clone(),
                isr: partition.isr.clone(),
                offline: partition.offline.clone(),
            })
            .collect(),
        name,
    }
}

/// In the words of Kafka's tool, whose output scripts read.
fn text(topic: &Described) -> String {
    let ids = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let config: Vec<String> = topic.config.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut text = format!(
        "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}\n",
        topic.name,
        topic.id,
        topic.partitions.len(),
        topic.replication_factor,
        config.join(",")
    );
    for partition in &topic.partitions {
        let leader = if partition.leader < 0 { "none".to_owned() } else { partition.leader.to_string() };
        text += &format!(
            "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\n",
            topic.name,
            partition.partition,
            ids(&partition.replicas),
            ids(&partition.isr)
        );
    }
    text
}
