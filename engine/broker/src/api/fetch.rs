//! Fetch: whole batches as far as the client may see, waiting for them if it wants to.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_log::{AbortedTxn, ReadError};
use plimsoll_records::CodecId;
use plimsoll_wire::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, PartitionFetchResponse,
    TopicFetchResponse,
};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};
use tokio::time::Instant;

use super::session::{Context, Key};
use super::take_turns;
use crate::broker::Broker;
use crate::net::StoredSlice;
use crate::partition::replication::serve::fence;
use crate::partition::{Bounds, Fetched, Isolation, Partition, Watcher};
use crate::telemetry::{Recorder, Stage};

/// From this version on requests carry topic ids and no names (KIP-516).
const IDS_FROM_VERSION: i16 = 13;

/// Only from this version on a client can know zstd (KIP-110).
const ZSTD_FROM_VERSION: i16 = 10;

/// One partition of a fetch, with what was read for it.
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) answer: PartitionFetchResponse<StoredSlice>,
}

pub(super) async fn handle(
    broker: &Broker,
    version: i16,
    request: FetchRequest,
    recorder: &Recorder,
) -> FetchResponse<StoredSlice> {
    let isolation = match Isolation::try_from(request.isolation_level) {
        Ok(isolation) => isolation,
        Err(error) => return FetchResponse { error, ..FetchResponse::default() },
    };
    let by_id = version >= IDS_FROM_VERSION;
    let context = match broker.fetch_sessions.begin(&request, by_id) {
        Ok(context) => context,
        Err(error) => return FetchResponse { error, ..FetchResponse::default() },
    };
    let limits = Limits {
        isolation,
        bytes: usize::try_from(request.max_bytes).unwrap_or_default(),
        min_bytes: usize::try_from(request.min_bytes).unwrap_or_default(),
        deadline: Instant::now()
            + Duration::from_millis(u64::from(request.max_wait_ms.max(0).unsigned_abs())),
    };
    let rows = read_until(broker, &context, version, limits, recorder).await;
    finish(broker, context, rows)
}

#[derive(Clone, Copy)]
struct Limits {
    isolation: Isolation,
    bytes: usize,
    min_bytes: usize,
    deadline: Instant,
}

/// Reads until there is enough, an error, or no more time (rule E21).
async fn read_until(
    broker: &Broker,
    context: &Context,
    version: i16,
    limits: Limits,
    recorder: &Recorder,
) -> Vec<Row> {
    let bytes = limits.bytes.min(broker.settings.count("fetch.max.bytes"));
    let limits = Limits { bytes, ..limits };
    let watcher = Watcher::default();
    loop {
        // Watch before reading: what comes in between is then not missed.
        let may_wait = Instant::now() < limits.deadline;
        let (rows, found) = {
            let watcher = may_wait.then_some(&watcher);
            read_all(broker, context, version, limits, watcher, recorder).await
        };
        let enough = found.bytes >= limits.min_bytes || found.must_answer;
        if enough || !may_wait || context.is_empty() {
            return rows;
        }
        if tokio::time::timeout_at(limits.deadline, watcher.moved()).await.is_err() {
            return rows;
        }
    }
}

#[derive(Default)]
struct Found {
    bytes: usize,
    must_answer: bool,
}

async fn read_all(
    broker: &Broker,
    context: &Context,
    version: i16,
    limits: Limits,
    watcher: Option<&Watcher>,
    recorder: &Recorder,
) -> (Vec<Row>, Found) {
    let mut found = Found::default();
    let mut rows = Vec::with_capacity(context.partitions().len());
    for (key, wanted) in context.partitions() {
        let budget = limits.bytes.saturating_sub(found.bytes);
        let answer = match locate(broker, key, version) {
            Ok(partition) => {
                if let Some(watcher) = watcher {
                    partition.watch(watcher);
                }
                read_one(&partition, wanted, limits.isolation, budget, found.bytes == 0, recorder).await
            }
            Err(error) => {
                PartitionFetchResponse { index: key.partition, error, ..PartitionFetchResponse::default() }
            }
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

/// The first partition with data returns at least one whole batch, later ones obey the budget (KIP-74).
async fn read_one(
    partition: &Partition,
    wanted: &FetchPartition,
    isolation: Isolation,
    budget: usize,
    at_least_one: bool,
    recorder: &Recorder,
) -> PartitionFetchResponse<StoredSlice> {
    let index = partition.index();
    let failed = |error, bounds: Bounds| PartitionFetchResponse {
        index,
        error,
        high_watermark: bounds.high_watermark,
        last_stable_offset: bounds.last_stable,
        log_start_offset: bounds.log_start,
        ..PartitionFetchResponse::default()
    };
    if let Err(error) = fence(wanted.current_leader_epoch, partition.leader_epoch()) {
        return PartitionFetchResponse { index, error, ..PartitionFetchResponse::default() };
    }
    let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or_default().min(budget);
    // Whoever asks for an offset has what lies before it: that lay here until it was given.
    let lay = |ns, records| recorder.spent(Stage::FetchWait, ns, records);
    partition.asked(wanted.fetch_offset, lay);
    match partition.read(wanted.fetch_offset, isolation, max_bytes, at_least_one).await {
        Ok(Fetched { bounds, records, aborted }) => {
            if !records.is_empty() {
                partition.gave(wanted.fetch_offset);
            }
            PartitionFetchResponse {
                records: vec![StoredSlice::part(records)],
                aborted_transactions: aborted.map(|all| all.iter().map(on_the_wire).collect()),
                ..failed(ErrorCode::None, bounds)
            }
        }
        Err(ReadError::OutOfRange { .. }) => failed(ErrorCode::OffsetOutOfRange, partition.bounds()),
        Err(error) => {
            tracing::error!("partition {index}: a read at offset {} failed: {error}", wanted.fetch_offset);
            let code = match error {
                // Damaged on disk: asking again does not help, another replica may.
                ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
                _ => ErrorCode::KafkaStorageError,
            };
            failed(code, partition.bounds())
        }
    }
}

fn on_the_wire(aborted: &AbortedTxn) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
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
