//! Topics and nothing more: the answers a client needs before and after it produces.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use plimsoll_client::wire::messages::api_versions_response::ApiVersion;
use plimsoll_client::wire::messages::create_topics_response::CreatableTopicResult;
use plimsoll_client::wire::messages::describe_configs_response::DescribeConfigsResult;
use plimsoll_client::wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use plimsoll_client::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use plimsoll_client::wire::messages::{
    ApiVersionsResponse, BrokerId, CreateTopicsRequest, CreateTopicsResponse, DescribeConfigsRequest,
    DescribeConfigsResponse, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse,
    MetadataRequest, MetadataResponse, ProducerId, TopicName,
};
use plimsoll_client::wire::{Api, ApiKey, ErrorCode, NoSlice, Request, Response, StrBytes, Uuid};

use super::produce;

/// The first broker, and where there is one only, that.
const NODE: BrokerId = BrokerId(1);
/// The one that takes over.
pub(super) const HEIR: i32 = 2;
/// Partitions of a topic that is made by being asked for.
const AUTO_PARTITIONS: i32 = 1;
/// Topics kept, so that a misguided client cannot fill memory.
const TOPICS_MAX: usize = 10_000;
/// `timestamp` of a ListOffsets request that asks for the first offset.
const EARLIEST: i64 = -2;

const KEYS: &[ApiKey] = &[
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::Metadata,
    ApiKey::ApiVersions,
    ApiKey::CreateTopics,
    ApiKey::InitProducerId,
    ApiKey::DescribeConfigs,
];

#[derive(Clone, Copy)]
struct Topic {
    id: Uuid,
    partitions: i32,
}

/// What the small servers know.
pub(super) struct World {
    address: SocketAddr,
    /// Where the second broker is, if there is one.
    heir: Option<SocketAddr>,
    /// Who leads everything; -1 while nobody does.
    leader: AtomicI32,
    topics: Mutex<BTreeMap<String, Topic>>,
    next_producer_id: AtomicI64,
    produce_max: i16,
}

impl World {
    pub(super) fn new(address: SocketAddr) -> World {
        let (topics, next_producer_id) = (Mutex::default(), AtomicI64::new(1));
        let leader = AtomicI32::new(NODE.0);
        World { address, heir: None, leader, topics, next_producer_id, produce_max: produce::MAX_VERSION }
    }

    /// The same with a second broker.
    pub(super) fn with_heir(self, heir: SocketAddr) -> World {
        World { heir: Some(heir), ..self }
    }

    /// Who leads now.
    pub(super) fn leader(&self) -> i32 {
        self.leader.load(Ordering::Acquire)
    }

    /// From now on `leader` leads, -1 for nobody. The first broker is gone once it does not.
    pub(super) fn lead(&self, leader: i32) {
        self.leader.store(leader, Ordering::Release);
    }

    /// The answer to a control request, or `None` for what this server does not do. `end` says where a
    /// partition's log ends.
    pub(super) fn answer(
        &self,
        request: &Request,
        end: impl Fn(&str, i32) -> i64,
    ) -> Option<Response<NoSlice>> {
        Some(match request {
            Request::ApiVersions(_) => Response::ApiVersions(self.versions()),
            Request::Metadata(request) => Response::Metadata(self.metadata(request)),
            Request::CreateTopics(request) => Response::CreateTopics(self.create(request)),
            Request::InitProducerId(_) => Response::InitProducerId(self.producer()),
            Request::ListOffsets(request) => Response::ListOffsets(offsets(request, end)),
            Request::DescribeConfigs(request) => Response::DescribeConfigs(configs(request)),
            _ => return None,
        })
    }

    /// The name of a topic known by its id.
    pub(super) fn name_of(&self, id: Uuid) -> Option<String> {
        self.topics().iter().find(|(_, topic)| topic.id == id).map(|(name, _)| name.clone())
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn versions(&self) -> ApiVersionsResponse {
        let row = |key: &ApiKey| {
            let api = Api::of(*key)?;
            let produce = *key == ApiKey::Produce;
            let max = if produce { self.produce_max } else { api.max };
            let min = if produce { produce::MIN_VERSION } else { api.served_min };
            Some(ApiVersion::default().with_api_key(key.code()).with_min_version(min).with_max_version(max))
        };
        ApiVersionsResponse::default().with_api_keys(KEYS.iter().filter_map(row).collect())
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let broker = |(id, at): (BrokerId, SocketAddr)| {
            MetadataResponseBroker::default()
                .with_node_id(id)
                .with_host(at.ip().to_string().into())
                .with_port(i32::from(at.port()))
        };
        let first = Some((NODE, self.address)).filter(|_| self.leader() == NODE.0);
        let brokers = first.into_iter().chain(self.heir.map(|at| (BrokerId(HEIR), at))).map(broker).collect();
        let leader = BrokerId(self.leader());
        let described = |name: &str, topic: Topic| described(name, topic, leader);
        let topics = match &request.topics {
            None => self.topics().iter().map(|(name, topic)| described(name, *topic)).collect(),
            Some(asked) => {
                asked.iter().map(|topic| self.asked(topic.name.as_ref(), topic.topic_id, leader)).collect()
            }
        };
        MetadataResponse::default()
            .with_brokers(brokers)
            .with_cluster_id(Some(StrBytes::from_static_str("plimsoll-target")))
            .with_controller_id(NODE)
            .with_topics(topics)
    }

    fn asked(&self, name: Option<&TopicName>, id: Uuid, leader: BrokerId) -> MetadataResponseTopic {
        let name = name.map(|name| name.to_string()).or_else(|| self.name_of(id));
        let known = name
            .and_then(|name| self.topic(&name, AUTO_PARTITIONS).map(|topic| described(&name, topic, leader)));
        match known {
            Some(topic) => topic,
            None => MetadataResponseTopic::default()
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
                .with_topic_id(id),
        }
    }

    /// The topic, made if it is not there and there is room.
    fn topic(&self, name: &str, partitions: i32) -> Option<Topic> {
        let mut topics = self.topics();
        if !topics.contains_key(name) && topics.len() >= TOPICS_MAX {
            return None;
        }
        // Ids need only differ from each other and from nil.
        let id = Uuid::from_u128(0x706C_696D_736F_6C6C << 64 | (topics.len() as u128 + 1));
        Some(*topics.entry(name.to_owned()).or_insert(Topic { id, partitions }))
    }

    fn create(&self, request: &CreateTopicsRequest) -> CreateTopicsResponse {
        let create = |name: &TopicName, partitions: i32| {
            let result = CreatableTopicResult::default().with_name(name.clone());
            if self.topics().contains_key(name.as_str()) {
                return result.with_error_code(ErrorCode::TopicAlreadyExists.code());
            }
            let partitions = if (1..=100_000).contains(&partitions) { partitions } else { AUTO_PARTITIONS };
            match self.topic(name.as_str(), partitions) {
                Some(topic) => result
                    .with_topic_id(topic.id)
                    .with_num_partitions(topic.partitions)
                    .with_replication_factor(1),
                None => result.with_error_code(ErrorCode::PolicyViolation.code()),
            }
        };
        let topics = request.topics.iter().map(|topic| create(&topic.name, topic.num_partitions)).collect();
        CreateTopicsResponse::default().with_topics(topics)
    }

    fn producer(&self) -> InitProducerIdResponse {
        let id = self.next_producer_id.fetch_add(1, Ordering::Relaxed);
        InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0)
    }
}

fn described(name: &str, topic: Topic, leader: BrokerId) -> MetadataResponseTopic {
    let partition = |index| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(leader)
            .with_leader_epoch(0)
            .with_replica_nodes(vec![NODE])
            .with_isr_nodes(vec![NODE])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(name.to_owned().into())))
        .with_topic_id(topic.id)
        .with_partitions((0..topic.partitions).map(partition).collect())
}

fn offsets(request: &ListOffsetsRequest, end: impl Fn(&str, i32) -> i64) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let offset = match asked.timestamp {
                EARLIEST => 0,
                _ => end(topic.name.as_str(), asked.partition_index),
            };
            ListOffsetsPartitionResponse::default()
                .with_partition_index(asked.partition_index)
                .with_offset(offset)
                .with_leader_epoch(0)
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn configs(request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}
