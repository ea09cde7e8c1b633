//! Topics made and removed, settings and the cluster described.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use plimsoll_wire::messages::delete_topics_request::DeleteTopicState;
use plimsoll_wire::messages::describe_configs_request::DescribeConfigsResource;
use plimsoll_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use plimsoll_wire::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeClusterResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, TopicName,
};
use plimsoll_wire::{ApiKey, ErrorCode, Request, Response, StrBytes, Uuid};

use crate::connection::Connection;
use crate::error::ClientError;
use crate::pending::Asked;
use crate::topic::TopicRef;

/// A broker and where to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Its id.
    pub id: i32,
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

impl BrokerInfo {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Partitions, -1 for the broker's default.
    pub partitions: i32,
    /// Replicas of each, -1 for the broker's default.
    pub replication_factor: i16,
    /// Settings that differ from the broker's defaults.
    pub configs: BTreeMap<String, String>,
}

/// The fate of one topic in a create or delete call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOutcome {
    /// Name, and id where the version has it.
    pub topic: TopicRef,
    /// Success or the broker's error.
    pub error: ErrorCode,
    /// The broker's words, if any.
    pub message: Option<String>,
}

/// What a setting belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// A broker, by id.
    Broker(i32),
}

impl ConfigResource {
    fn wire(&self) -> (i8, StrBytes) {
        match self {
            Self::Topic(name) => (2, StrBytes::from_string(name.clone())),
            Self::Broker(id) => (4, StrBytes::from_string(id.to_string())),
        }
    }
}

/// One effective setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its key.
    pub name: String,
    /// Its value, `None` if hidden or null.
    pub value: Option<String>,
    /// Where the value comes from: 1 topic, 2 and 3 dynamic broker, 4 static broker, 5 default.
    pub source: i8,
    /// Whether it can be changed at run time.
    pub read_only: bool,
    /// Whether its value is hidden.
    pub is_sensitive: bool,
}

/// The cluster as its brokers agree on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: String,
    /// The controller's broker id, -1 if unknown.
    pub controller_id: i32,
    /// The brokers alive.
    pub brokers: Vec<BrokerInfo>,
}

impl Connection {
    /// Creates topics; each one's fate is its own.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        broker_timeout: Duration,
    ) -> Result<Vec<TopicOutcome>, ClientError> {
        let request = CreateTopicsRequest::default()
            .with_topics(topics.iter().map(creatable).collect())
            .with_timeout_ms(wire_millis(broker_timeout));
        let interpret = |response, asked: &Asked| match response {
            Some(Response::CreateTopics(response)) => Ok(response
                .topics
                .into_iter()
                .map(|topic| outcome(Some(topic.name), topic.topic_id, topic.error_code, topic.error_message))
                .collect()),
            _ => Err(asked.incomplete("the topics created")),
        };
        self.call(&Request::CreateTopics(request), broker_timeout, interpret).await.map(|timed| timed.value)
    }

    /// Deletes topics by name; each one's fate is its own.
    pub async fn delete_topics(
        &self,
        names: &[&str],
        broker_timeout: Duration,
    ) -> Result<Vec<TopicOutcome>, ClientError> {
        let version = self.version(ApiKey::DeleteTopics)?;
        let names = names.iter().map(|name| TopicName(StrBytes::from_string((*name).to_owned())));
        let mut request = DeleteTopicsRequest::default().with_timeout_ms(wire_millis(broker_timeout));
        if version >= 6 {
            request.topics = names.map(|name| DeleteTopicState::default().with_name(Some(name))).collect();
        } else {
            request.topic_names = names.collect();
        }
        let interpret = |response, asked: &Asked| match response {
            Some(Response::DeleteTopics(response)) => Ok(response
                .responses
                .into_iter()
                .map(|topic| outcome(topic.name, topic.topic_id, topic.error_code, topic.error_message))
                .collect()),
            _ => Err(asked.incomplete("the topics deleted")),
        };
        self.call(&Request::DeleteTopics(request), broker_timeout, interpret).await.map(|timed| timed.value)
    }

    /// All effective settings of a topic or broker.
    pub async fn describe_configs(&self, of: &ConfigResource) -> Result<Vec<ConfigEntry>, ClientError> {
        let (resource_type, resource_name) = of.wire();
        let resource = DescribeConfigsResource::default()
            .with_resource_type(resource_type)
            .with_resource_name(resource_name)
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let interpret = |response, asked: &Asked| match response {
            Some(Response::DescribeConfigs(response)) => configs(response, asked),
            _ => Err(asked.incomplete("settings")),
        };
        let request = Request::DescribeConfigs(request);
        self.call(&request, Duration::ZERO, interpret).await.map(|timed| timed.value)
    }

    /// The cluster's id, controller and brokers.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let request = Request::DescribeCluster(DescribeClusterRequest::default());
        let interpret = |response, asked: &Asked| match response {
            Some(Response::DescribeCluster(response)) => cluster(response, asked),
            _ => Err(asked.incomplete("the cluster")),
        };
        self.call(&request, Duration::ZERO, interpret).await.map(|timed| timed.value)
    }
}

fn wire_millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): (&String, &String)| {
        CreatableTopicConfig::default().with_name(name.clone().into()).with_value(Some(value.clone().into()))
    };
    CreatableTopic::default()
        .with_name(TopicName(topic.name.clone().into()))
        .with_num_partitions(topic.partitions)
        .with_replication_factor(topic.replication_factor)
        .with_configs(topic.configs.iter().map(config).collect())
}

fn outcome(name: Option<TopicName>, id: Uuid, error: i16, message: Option<StrBytes>) -> TopicOutcome {
    TopicOutcome {
        topic: TopicRef { name: name.unwrap_or_default().0, id },
        error: error.into(),
        message: message.map(|message| message.to_string()),
    }
}

fn configs(response: DescribeConfigsResponse, asked: &Asked) -> Result<Vec<ConfigEntry>, ClientError> {
    let result =
        response.results.into_iter().next().ok_or_else(|| asked.incomplete("the resource asked for"))?;
    let subject = || format!("the settings of {}", result.resource_name);
    asked.check(result.error_code, subject, result.error_message.as_deref())?;
    Ok(result.configs.into_iter().map(config_entry).collect())
}

fn config_entry(entry: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: entry.name.to_string(),
        value: entry.value.map(|value| value.to_string()),
        source: entry.config_source,
        read_only: entry.read_only,
        is_sensitive: entry.is_sensitive,
    }
}

fn cluster(response: DescribeClusterResponse, asked: &Asked) -> Result<ClusterDescription, ClientError> {
    asked.check(response.error_code, || "the cluster".to_owned(), response.error_message.as_deref())?;
    Ok(ClusterDescription {
        cluster_id: response.cluster_id.to_string(),
        controller_id: response.controller_id.0,
        brokers: response
            .brokers
            .into_iter()
            .map(|broker| BrokerInfo {
                id: broker.broker_id.0,
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.map(|rack| rack.to_string()),
            })
            .collect(),
    })
}
