//! Fetching without a session: each request says all it wants.

use std::time::Duration;

use bytes::Bytes;
use plimsoll_wire::fetch::{AbortedTransaction, FetchPartition, FetchRequest, FetchTopic};
use plimsoll_wire::{ApiKey, ErrorCode, NoSlice, Request, Response, StrBytes, Uuid};

use crate::connection::Connection;
use crate::error::ClientError;
use crate::pending::{Asked, Pending};
use crate::produce::{distinct, millis, resolve};
use crate::timing::Timed;
use crate::topic::TopicRef;

/// Up to this version topics go by name.
const LAST_VERSION_BY_NAME: i16 = 12;

/// Where to read one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFrom {
    /// The topic.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// First offset wanted. The answer may begin before it, at the start of its batch.
    pub offset: i64,
    /// Answer with no more than this from the partition, save for its first batch.
    pub max_bytes: i32,
}

/// One Fetch request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchSpec {
    /// How long the broker may wait for `min_bytes`.
    pub max_wait: Duration,
    /// Answer as soon as this much is there.
    pub min_bytes: i32,
    /// Answer with no more than this, save for the first batch.
    pub max_bytes: i32,
    /// Whether to stop at the last stable offset.
    pub read_committed: bool,
    /// The partitions, in order of preference; those of one topic should stand together.
    pub partitions: Vec<FetchFrom>,
}

impl FetchSpec {
    /// Kafka's consumer defaults: up to 500 ms for one byte, 50 MiB in all.
    pub fn new(partitions: Vec<FetchFrom>) -> Self {
        Self {
            max_wait: Duration::from_millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            read_committed: false,
            partitions,
        }
    }
}

/// A broker's answer to a Fetch request.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchReply {
    /// How long the broker mutes this channel now.
    pub throttle: Duration,
    /// The partitions that came back.
    pub partitions: Vec<FetchedPartition>,
}

/// What was read from one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchedPartition {
    /// The topic, by the name asked with.
    pub topic: TopicRef,
    /// The partition's index.
    pub partition: i32,
    /// Success or the broker's error.
    pub error: ErrorCode,
    /// The high watermark, -1 if unknown.
    pub high_watermark: i64,
    /// The last stable offset, -1 if unknown.
    pub last_stable_offset: i64,
    /// First offset of the log, -1 if unknown.
    pub log_start_offset: i64,
    /// Transactions to skip under read-committed.
    pub aborted_transactions: Vec<AbortedTransaction>,
    /// Whole batches and perhaps a cut one at the end: `Batch::split_from` takes them one by one. Shares the
    /// read buffer's memory, so a small slice kept keeps a megabyte.
    pub records: Bytes,
}

impl Connection {
    /// Puts a Fetch request on the wire and returns as soon as it has its place in the order.
    pub async fn start_fetch(&self, spec: &FetchSpec) -> Result<Pending<FetchReply>, ClientError> {
        let topics = distinct(spec.partitions.iter().map(|from| &from.topic));
        let by_id = topics.iter().all(TopicRef::has_id);
        let cap = if by_id { i16::MAX } else { LAST_VERSION_BY_NAME };
        let version = self.version_up_to(ApiKey::Fetch, cap)?;
        let request = Request::Fetch(request(spec, version > LAST_VERSION_BY_NAME));
        let interpret = move |response, asked: &Asked| reply(response, &topics, asked);
        self.start_typed(&request, version, spec.max_wait, interpret).await
    }

    /// Fetches and waits for the answer. Errors of single partitions stand in the reply.
    pub async fn fetch(&self, spec: &FetchSpec) -> Result<Timed<FetchReply>, ClientError> {
        self.start_fetch(spec).await?.wait().await
    }
}

fn request(spec: &FetchSpec, by_id: bool) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for from in &spec.partitions {
        let partition = FetchPartition {
            index: from.partition,
            fetch_offset: from.offset,
            partition_max_bytes: from.max_bytes,
            ..FetchPartition::default()
        };
        match topics.last_mut().filter(|last| from.topic.is(&last.name, last.topic_id)) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(FetchTopic {
                name: if by_id { StrBytes::new() } else { from.topic.name.clone() },
                topic_id: if by_id { from.topic.id } else { Uuid::nil() },
                partitions: vec![partition],
            }),
        }
    }
    FetchRequest {
        max_wait_ms: i32::try_from(spec.max_wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: spec.min_bytes,
        max_bytes: spec.max_bytes,
        isolation_level: spec.read_committed.into(),
        topics,
        ..FetchRequest::default()
    }
}

fn reply(
    response: Option<Response<NoSlice>>,
    topics: &[TopicRef],
    asked: &Asked,
) -> Result<FetchReply, ClientError> {
    let Some(Response::Fetch(response)) = response else {
        return Err(asked.incomplete("what was fetched"));
    };
    asked.check(response.error, || "the whole request".to_owned(), None)?;
    let mut partitions = Vec::new();
    for topic in response.topics {
        let named = resolve(topics, &topic.name, topic.topic_id, asked)?;
        partitions.extend(topic.partitions.into_iter().map(|partition| FetchedPartition {
            topic: named.clone(),
            partition: partition.index,
            error: partition.error,
            high_watermark: partition.high_watermark,
            last_stable_offset: partition.last_stable_offset,
            log_start_offset: partition.log_start_offset,
            records: partition.records_bytes(),
            aborted_transactions: partition.aborted_transactions.unwrap_or_default(),
        }));
    }
    Ok(FetchReply { throttle: millis(response.throttle_time_ms), partitions })
}
