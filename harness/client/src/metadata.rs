//! Who leads what.

use std::time::Duration;

use plimsoll_wire::messages::metadata_request::MetadataRequestTopic;
use plimsoll_wire::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use plimsoll_wire::messages::{MetadataRequest, MetadataResponse, TopicName};
use plimsoll_wire::{ApiKey, ErrorCode, Request, Response, StrBytes};

use crate::admin::BrokerInfo;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::pending::Asked;
use crate::topic::TopicRef;

/// The cluster as one broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterMetadata {
    /// The cluster's id, if the broker says.
    pub cluster_id: Option<String>,
    /// The controller's broker id, -1 if unknown.
    pub controller_id: i32,
    /// The brokers alive.
    pub brokers: Vec<BrokerInfo>,
    /// The topics asked for.
    pub topics: Vec<TopicMetadata>,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Name and id.
    pub topic: TopicRef,
    /// Success or why it cannot be described.
    pub error: ErrorCode,
    /// Whether it is the broker's own.
    pub is_internal: bool,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionMetadata>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its index.
    pub index: i32,
    /// Success or why it cannot be used.
    pub error: ErrorCode,
    /// The leader's broker id, -1 for none.
    pub leader_id: i32,
    /// The leader's epoch, -1 if unknown.
    pub leader_epoch: i32,
    /// All replicas' broker ids.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Those offline.
    pub offline: Vec<i32>,
}

impl ClusterMetadata {
    /// The topic of that name.
    pub fn topic(&self, name: &str) -> Option<&TopicMetadata> {
        self.topics.iter().find(|topic| &*topic.topic.name == name)
    }

    /// The broker with that id.
    pub fn broker(&self, id: i32) -> Option<&BrokerInfo> {
        self.brokers.iter().find(|broker| broker.id == id)
    }
}

impl TopicMetadata {
    /// Whether every partition has a leader.
    pub fn is_ready(&self) -> bool {
        let led = |partition: &PartitionMetadata| partition.error.is_none() && partition.leader_id >= 0;
        self.error.is_none() && !self.partitions.is_empty() && self.partitions.iter().all(led)
    }
}

impl Connection {
    /// Describes the topics named, or all for `None`. With `auto_create` the broker may create those it does
    /// not know; the first answer then usually carries an error (rule E44), so ask again.
    pub async fn metadata(
        &self,
        topics: Option<&[&str]>,
        auto_create: bool,
    ) -> Result<ClusterMetadata, ClientError> {
        let version = self.version(ApiKey::Metadata)?;
        let request = Request::Metadata(request(topics, auto_create, version));
        let interpret = |response, asked: &Asked| match response {
            Some(Response::Metadata(response)) => described(response, asked),
            _ => Err(asked.incomplete("the cluster")),
        };
        let pending = self.start_typed(&request, version, Duration::ZERO, interpret).await?;
        pending.wait().await.map(|timed| timed.value)
    }
}

fn request(topics: Option<&[&str]>, auto_create: bool, version: i16) -> MetadataRequest {
    let named = |name: &&str| {
        MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string((*name).to_owned()))))
    };
    let listed = topics.map(|topics| topics.iter().map(named).collect());
    // In version 0 null does not exist and empty means all (rule E7).
    let topics = if version == 0 { Some(listed.unwrap_or_default()) } else { listed };
    let request = MetadataRequest::default().with_topics(topics);
    // Before version 4 a broker always creates what it may.
    if version >= 4 { request.with_allow_auto_topic_creation(auto_create) } else { request }
}

fn described(response: MetadataResponse, asked: &Asked) -> Result<ClusterMetadata, ClientError> {
    asked.check(response.error_code, || "the cluster".to_owned(), None)?;
    Ok(ClusterMetadata {
        cluster_id: response.cluster_id.map(|id| id.to_string()),
        controller_id: response.controller_id.0,
        brokers: response
            .brokers
            .into_iter()
            .map(|broker| BrokerInfo {
                id: broker.node_id.0,
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.map(|rack| rack.to_string()),
            })
            .collect(),
        topics: response.topics.into_iter().map(topic).collect(),
    })
}

fn topic(topic: MetadataResponseTopic) -> TopicMetadata {
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(partition).collect();
    partitions.sort_by_key(|partition| partition.index);
    TopicMetadata {
        topic: TopicRef { name: topic.name.unwrap_or_default().0, id: topic.topic_id },
        error: topic.error_code.into(),
        is_internal: topic.is_internal,
        partitions,
    }
}

fn partition(partition: MetadataResponsePartition) -> PartitionMetadata {
    let ids = |brokers: Vec<plimsoll_wire::messages::BrokerId>| brokers.into_iter().map(|id| id.0).collect();
    PartitionMetadata {
        index: partition.partition_index,
        error: partition.error_code.into(),
        leader_id: partition.leader_id.0,
        leader_epoch: partition.leader_epoch,
        replicas: ids(partition.replica_nodes),
        isr: ids(partition.isr_nodes),
        offline: ids(partition.offline_replicas),
    }
}
