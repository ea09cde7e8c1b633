//! Producing batches that the caller has encoded.

use std::time::Duration;

use plimsoll_wire::produce::{
    PartitionProduce, PartitionProduceResponse, ProduceRecords, ProduceRequest, TopicProduce,
};
use plimsoll_wire::{ApiKey, ErrorCode, NoSlice, Request, Response, StrBytes};

use crate::connection::Connection;
use crate::error::ClientError;
use crate::pending::{Asked, Pending};
use crate::timing::Timed;
use crate::topic::TopicRef;

/// Up to this version topics go by name.
const LAST_VERSION_BY_NAME: i16 = 12;

/// Whose word an acknowledgement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Acks {
    /// Nobody's: the broker does not answer.
    None,
    /// The leader's.
    Leader,
    /// All in-sync replicas'.
    All,
}

impl Acks {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// One batch for one partition.
#[derive(Debug, Clone)]
pub struct ProduceBatch {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// The batch: `(&Batch).into()`, or bytes.
    pub records: ProduceRecords,
}

/// One Produce request.
#[derive(Debug, Clone)]
pub struct ProduceSpec {
    /// Whose acknowledgement to wait for.
    pub acks: Acks,
    /// How long the broker may wait for replicas.
    pub broker_timeout: Duration,
    /// For transactional producers.
    pub transactional_id: Option<StrBytes>,
    /// The batches; those of one topic should stand together.
    pub batches: Vec<ProduceBatch>,
}

impl ProduceSpec {
    /// One batch, with the broker's timeout at 30 s.
    pub fn one(acks: Acks, topic: TopicRef, partition: i32, records: impl Into<ProduceRecords>) -> Self {
        let batch = ProduceBatch { topic, partition, records: records.into() };
        Self { acks, broker_timeout: Duration::from_secs(30), transactional_id: None, batches: vec![batch] }
    }
}

/// A broker's answer to a Produce request, partition by partition.
#[derive(Debug, Clone, PartialEq)]
pub struct ProduceReply {
    /// How long the broker mutes this channel now.
    pub throttle: Duration,
    /// One per batch; empty for acks=0.
    pub partitions: Vec<PartitionAck>,
}

/// The fate of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionAck {
    /// The topic, by the name asked with.
    pub topic: TopicRef,
    /// The partition, its error if any, offsets and times.
    pub result: PartitionProduceResponse,
}

impl PartitionAck {
    /// Success or the broker's error.
    pub fn error(&self) -> ErrorCode {
        self.result.error
    }
}

impl Connection {
    /// Puts a Produce request on the wire and returns as soon as it has its place in the order.
    ///
    /// With [`Acks::None`] the answer is empty and comes when the socket has taken the last byte.
    pub async fn start_produce(&self, spec: ProduceSpec) -> Result<Pending<ProduceReply>, ClientError> {
        let topics: Vec<TopicRef> = distinct(spec.batches.iter().map(|batch| &batch.topic));
        let by_id = topics.iter().all(TopicRef::has_id);
        let cap = if by_id { i16::MAX } else { LAST_VERSION_BY_NAME };
        let version = self.version_up_to(ApiKey::Produce, cap)?;
        // As in Kafka's client: one limit for the broker's waiting and for ours, whichever is longer.
        let extra_wait = spec.broker_timeout.saturating_sub(self.options().request_timeout);
        let request = Request::Produce(request(spec, version > LAST_VERSION_BY_NAME));
        let interpret = move |response, asked: &Asked| reply(response, &topics, asked);
        self.start_typed(&request, version, extra_wait, interpret).await
    }

    /// Produces and waits for the answer. Errors of single partitions stand in the reply.
    pub async fn produce(&self, spec: ProduceSpec) -> Result<Timed<ProduceReply>, ClientError> {
        self.start_produce(spec).await?.wait().await
    }
}

pub(crate) fn distinct<'a>(topics: impl Iterator<Item = &'a TopicRef>) -> Vec<TopicRef> {
    let mut seen: Vec<TopicRef> = Vec::new();
    for topic in topics {
        if !seen.contains(topic) {
            seen.push(topic.clone());
        }
    }
    seen
}

/// The topic a struct on the wire is about, by the name asked with.
pub(crate) fn resolve(
    topics: &[TopicRef],
    name: &StrBytes,
    id: plimsoll_wire::Uuid,
    asked: &Asked,
) -> Result<TopicRef, ClientError> {
    let found = topics.iter().find(|topic| topic.is(name, id)).cloned();
    found.ok_or_else(|| asked.incomplete(format!("the topic asked for; it names \"{name}\" {id}")))
}

fn request(spec: ProduceSpec, by_id: bool) -> ProduceRequest {
    let mut topics: Vec<TopicProduce> = Vec::new();
    for batch in spec.batches {
        let partition = PartitionProduce { index: batch.partition, records: batch.records };
        match topics.last_mut().filter(|last| batch.topic.is(&last.name, last.topic_id)) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(TopicProduce {
                name: if by_id { StrBytes::new() } else { batch.topic.name },
                topic_id: if by_id { batch.topic.id } else { plimsoll_wire::Uuid::nil() },
                partitions: vec![partition],
            }),
        }
    }
    let timeout_ms = i32::try_from(spec.broker_timeout.as_millis()).unwrap_or(i32::MAX);
    ProduceRequest { transactional_id: spec.transactional_id, acks: spec.acks.code(), timeout_ms, topics }
}

fn reply(
    response: Option<Response<NoSlice>>,
    topics: &[TopicRef],
    asked: &Asked,
) -> Result<ProduceReply, ClientError> {
    let response = match response {
        None => return Ok(ProduceReply { throttle: Duration::ZERO, partitions: Vec::new() }),
        Some(Response::Produce(response)) => response,
        Some(_) => return Err(asked.incomplete("what was produced")),
    };
    let mut partitions = Vec::with_capacity(response.topics.len());
    for topic in response.topics {
        let named = resolve(topics, &topic.name, topic.topic_id, asked)?;
        let acks = topic.partitions.into_iter();
        partitions.extend(acks.map(|result| PartitionAck { topic: named.clone(), result }));
    }
    Ok(ProduceReply { throttle: millis(response.throttle_time_ms), partitions })
}

/// Milliseconds from the wire; a negative number counts as none.
pub(crate) fn millis(milliseconds: i32) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
