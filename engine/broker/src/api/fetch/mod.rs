//! Fetch: whole batches as far as the client may see, waiting for them if it wants to; and the same for followers, whose
//! offsets say what they hold.

mod one;

use std::sync::Arc;
use std::time::Duration;

use plimsoll_records::CodecId;
use plimsoll_wire::fetch::{
    FetchPartition, FetchRequest, FetchResponse, PartitionFetchResponse, ReplicaState, TopicFetchResponse,
};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};
use tokio::time::Instant;

use super::session::{Context, Key};
use super::take_turns;
use crate::broker::Broker;
use crate::net::StoredSlice;
use crate::partition::{Isolation, Partition, Watcher};
use crate::telemetry::Recorder;
use one::{Budget, bounded, for_consumer, for_follower, refused};

/// From this version on requests carry topic ids and no names (KIP-516).
const IDS_FROM_VERSION: i16 = 13;

/// Only from this version on a client can know zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 10;

/// From this version on a consumer can be sent to another replica than the leader, and read there (KIP-392).
const RACKS_FROM_VERSION: i16 = 11;

/// One partition of a fetch, with what was read for it.
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) answer: PartitionFetchResponse<StoredSlice>,
}

/// Who reads.
#[derive(Clone, Debug)]
enum Reader {
    Consumer {
        isolation: Isolation,
        /// It may read from any replica.
        from_any: bool,
        /// Where it is, if it says so and is to be sent to a replica there.
        rack: StrBytes,
    },
    Follower(ReplicaState),
}

pub(super) async fn handle(
    broker: &Broker,
    version: i16,
    request: FetchRequest,
    recorder: &Recorder,
) -> FetchResponse<StoredSlice> {
    let reader = match Reader::of(broker, version, &request) {
        Ok(reader) => reader,
        Err(error) => return FetchResponse { error, ..FetchResponse::default() },
    };
    let by_id = version >= IDS_FROM_VERSION;
    let context = match broker.fetch_sessions.begin(&request, by_id) {
        Ok(context) => context,
        Err(error) => return FetchResponse { error, ..FetchResponse::default() },
    };
    let limits = Limits {
        bytes: usize::try_from(request.max_bytes).unwrap_or_default(),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or_default(),
        deadline: Instant::now()
            + Duration::from_millis(u64::from(request.max_wait_ms.max(0).unsigned_abs())),
    };
    let fetch = Fetch { broker, version, reader, limits, recorder };
    let rows = fetch.read_until(&context).await;
    finish(broker, context, rows)
}

impl Reader {
    fn of(broker: &Broker, version: i16, request: &FetchRequest) -> Result<Self, ErrorCode> {
        if request.is_from_follower() {
            return Ok(Self::Follower(request.replica));
        }
        let isolation = Isolation::try_from(request.isolation_level)?;
        let from_any = version >= RACKS_FROM_VERSION;
        let by_rack = from_any && broker.replication.by_rack;
        let rack = if by_rack { request.rack_id.clone() } else { StrBytes::new() };
        Ok(Self::Consumer { isolation, from_any, rack })
    }
}

#[derive(Clone, Copy)]
struct Limits {
    bytes: usize,
    min_bytes: usize,
    deadline: Instant,
}

/// One request on its way.
struct Fetch<'a> {
    broker: &'a Broker,
    version: i16,
    reader: Reader,
    limits: Limits,
    recorder: &'a Recorder,
}

#[derive(Default)]
struct Found {
    bytes: usize,
    must_answer: bool,
}

impl Fetch<'_> {
    /// Reads until there is enough, an error, or no more time (rule E21).
    async fn read_until(&self, context: &Context) -> Vec<Row> {
        let watcher = Watcher::default();
        let mut first = true;
        loop {
            // Watch before reading: what comes in between is then not missed.
            let may_wait = Instant::now() < self.limits.deadline;
            let (rows, found) = self.read_all(context, may_wait.then_some(&watcher), first).await;
            first = false;
            let enough = found.bytes >= self.limits.min_bytes || found.must_answer;
            if enough || !may_wait || context.is_empty() {
                return rows;
            }
            if tokio::time::timeout_at(self.limits.deadline, watcher.moved()).await.is_err() {
                return rows;
            }
        }
    }

    async fn read_all(&self, context: &Context, watcher: Option<&Watcher>, first: bool) -> (Vec<Row>, Found) {
        let mut found = Found::default();
        let mut rows = Vec::with_capacity(context.partitions().len());
        let limit = self.bytes_max();
        for (key, wanted) in context.partitions() {
            let budget = Budget { bytes: limit.saturating_sub(found.bytes), at_least_one: found.bytes == 0 };
            let answer = match locate(self.broker, key, self.version) {
                Ok(partition) => self.read_one(&partition, wanted, budget, watcher, first).await,
                Err(error) => refused(key.partition, error),
            };
            found.bytes += answer.records_len_bytes();
            // Rule E21: what a fetcher must act on does not wait for bytes.
            found.must_answer |= answer.error != ErrorCode::None
                || answer.diverging_epoch.is_some()
                || answer.preferred_read_replica != -1;
            take_turns(rows.len()).await;
            rows.push(Row { key: key.clone(), answer });
        }
        (rows, found)
    }

    /// A follower has its own limit; consumers obey the broker's too.
    fn bytes_max(&self) -> usize {
        match self.reader {
            Reader::Follower(_) => self.limits.bytes,
            Reader::Consumer { .. } => self.limits.bytes.min(self.broker.settings.count("fetch.max.bytes")),
        }
    }

    async fn read_one(
        &self,
        partition: &Partition,
        wanted: &FetchPartition,
        budget: Budget,
        watcher: Option<&Watcher>,
        first: bool,
    ) -> PartitionFetchResponse<StoredSlice> {
        match &self.reader {
            Reader::Follower(replica) => {
                watcher.into_iter().for_each(|watcher| partition.watch_as_follower(watcher));
                for_follower(partition, *replica, wanted, budget, first).await
            }
            Reader::Consumer { isolation, from_any, rack } => {
                watcher.into_iter().for_each(|watcher| partition.watch(watcher));
                if let Some(preferred) = partition.preferred_read_replica(rack, wanted.fetch_offset)
                    && partition.check_leads(wanted.current_leader_epoch).is_ok()
                {
                    let answer = bounded(partition, ErrorCode::None, partition.bounds());
                    return PartitionFetchResponse { preferred_read_replica: preferred, ..answer };
                }
                for_consumer(partition, (*isolation, *from_any), wanted, budget, self.recorder).await
            }
        }
    }
}

fn locate(broker: &Broker, key: &Key, version: i16) -> Result<Arc<Partition>, ErrorCode> {
    let topic = if version >= IDS_FROM_VERSION {
        broker.catalog.by_id(key.topic_id).ok_or(ErrorCode::UnknownTopicId)?
    } else {
        broker.catalog.by_name(&key.name).ok_or(ErrorCode::UnknownTopicOrPartition)?
    };
    let stored_as_zstd = topic.settings.codec.is_some_and(|codec| codec.id() == CodecId::Zstd);
    if stored_as_zstd && version < ZSTD_FROM_VERSION {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    topic.partition(key.partition).cloned()
}

/// Drops what an incremental session does not repeat and groups the rest by topic.
fn finish(broker: &Broker, context: Context, rows: Vec<Row>) -> FetchResponse<StoredSlice> {
    let (session_id, rows) = broker.fetch_sessions.end(context, rows);
    let mut topics: Vec<TopicFetchResponse<StoredSlice>> = Vec::new();
    for Row { key, answer } in rows {
        match topics.last_mut().filter(|last| same_topic(last, &key.name, key.topic_id)) {
            Some(last) => last.partitions.push(answer),
            None => topics.push(TopicFetchResponse {
                name: key.name,
                topic_id: key.topic_id,
                partitions: vec![answer],
            }),
        }
    }
    FetchResponse { session_id, topics, ..FetchResponse::default() }
}

fn same_topic(topic: &TopicFetchResponse<StoredSlice>, name: &StrBytes, id: Uuid) -> bool {
    topic.name == *name && topic.topic_id == id
}
