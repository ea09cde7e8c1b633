//! Produce: check, append in order, answer when the acknowledgement is true.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_log::{AppendError, ProducerError, WaitError};
use plimsoll_records::{
    Batch, BatchError, Codec, CodecId, Compressor, Decompressor, HeaderError, Rejection, TimestampType,
    ValidationRules, recompress, validate_batch,
};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::produce::{
    PartitionProduce, PartitionProduceResponse, ProduceRecords, ProduceRequest, ProduceResponse, RecordError,
    TopicProduce, TopicProduceResponse,
};

use tokio::time::Instant;

use super::{Answer, Response, now_ms, take_turns, text};
use crate::broker::Broker;
use crate::catalog::Topic;
use crate::partition::replication::acks::Acks;
use crate::partition::{AppendTicket, Partition, Unacknowledged, Unappended};
use crate::telemetry::{Stage, Trace};

/// A batch is never inflated beyond this, whatever it claims.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// Faulty records named in one answer (rule E12).
const RECORD_ERRORS_MAX: usize = 3;

/// zstd may be stored only for clients that can be told about it (KIP-110).
const ZSTD_FROM_VERSION: i16 = 7;

thread_local! {
    /// One of each per network thread: their contexts are reused from batch to batch.
    static CODECS: RefCell<(Decompressor, Compressor)> = RefCell::new((Decompressor::new(), Compressor::new()));
}

/// A partition's answer so far, and the append it may still wait for.
struct Pending {
    answer: PartitionProduceResponse,
    append: Option<(Arc<Partition>, AppendTicket)>,
}

pub(super) async fn handle(
    broker: &Broker,
    version: i16,
    request: ProduceRequest,
    mut trace: Trace,
) -> Answer {
    let acks = request.acks;
    let mut pending = Vec::with_capacity(request.topics.len());
    let twice = names_a_partition_twice(&request.topics);
    for topic in &request.topics {
        pending.push(match twice {
            true => refuse_topic(topic),
            false => append_topic(broker, version, &request, topic, &mut trace).await,
        });
        take_turns(pending.len()).await;
    }
    let topics = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)).zip(pending);
    if acks == 0 {
        return quiet(topics.flat_map(|(_, partitions)| partitions), trace);
    }
    let timeout = Duration::from_millis(u64::from(request.timeout_ms.max(0).unsigned_abs()));
    let deadline = (acks == -1).then(|| Instant::now() + timeout);
    let topics: Vec<_> = topics.collect();
    let waits = topics.iter().flat_map(|(_, partitions)| partitions).any(Pending::must_wait);
    let response = async move {
        let mut answers = Vec::with_capacity(topics.len());
        for ((name, topic_id), partitions) in topics {
            let mut done = Vec::with_capacity(partitions.len());
            for partition in partitions {
                done.push(partition.acknowledged(deadline, &mut trace).await);
            }
            answers.push(TopicProduceResponse { name, topic_id, partitions: done });
        }
        (Response::Produce(ProduceResponse { topics: answers, ..ProduceResponse::default() }), trace)
    };
    if waits {
        return Answer::Later(Box::pin(response));
    }
    let (response, trace) = response.await;
    Answer::Now(response, trace)
}

/// acks=0: nothing is answered; an error closes the connection, since there is no other way to tell.
fn quiet(mut pending: impl Iterator<Item = Pending>, trace: Trace) -> Answer {
    match pending.find(|partition| partition.answer.error != ErrorCode::None) {
        None => Answer::Silence(trace),
        Some(failed) => Answer::Close(format!(
            "a produce request with acks=0 failed for partition {}: {}",
            failed.answer.index,
            failed.answer.error.name()
        )),
    }
}

/// Which of two batches of one partition comes first, and whose answer is whose, nobody could tell.
fn names_a_partition_twice(topics: &[TopicProduce]) -> bool {
    if let [topic] = topics
        && topic.partitions.len() <= 1
    {
        return false;
    }
    let partitions = |topic: &TopicProduce| topic.partitions.len();
    let mut named = HashSet::with_capacity(topics.iter().map(partitions).sum());
    let mut all = topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (&topic.name, topic.topic_id, partition.index))
    });
    !all.all(|partition| named.insert(partition))
}

fn refuse_topic(produce: &TopicProduce) -> Vec<Pending> {
    let refuse = |partition: &PartitionProduce| {
        let answer = said(ErrorCode::InvalidRequest, "the request names a partition twice");
        let answer = PartitionProduceResponse { index: partition.index, ..answer };
        Pending { answer, append: None }
    };
    produce.partitions.iter().map(refuse).collect()
}

async fn append_topic(
    broker: &Broker,
    version: i16,
    request: &ProduceRequest,
    produce: &TopicProduce,
    trace: &mut Trace,
) -> Vec<Pending> {
    let found = if version >= 13 {
        broker.catalog.by_id(produce.topic_id).ok_or(ErrorCode::UnknownTopicId)
    } else {
        broker.catalog.by_name(&produce.name).ok_or(ErrorCode::UnknownTopicOrPartition)
    };
    let mut pending = Vec::with_capacity(produce.partitions.len());
    for partition in &produce.partitions {
        let outcome = match (&found, Acks::try_from(request.acks)) {
            (_, Err(code)) => Err(refused(code)),
            (Err(code), _) => Err(refused(*code)),
            (Ok(topic), Ok(acks)) => {
                let transactional = request.transactional_id.is_some();
                append(topic, version, (acks, transactional), partition, trace).await
            }
        };
        take_turns(pending.len()).await;
        pending.push(match outcome {
            Ok((partition, ticket)) => Pending::appended(partition, ticket),
            Err(mut answer) => {
                answer.index = partition.index;
                Pending { answer, append: None }
            }
        });
    }
    pending
}

/// Checks one partition's records and appends them. The error is the answer.
async fn append(
    topic: &Topic,
    version: i16,
    (acks, transactional): (Acks, bool),
    produce: &PartitionProduce,
    trace: &mut Trace,
) -> Result<(Arc<Partition>, AppendTicket), PartitionProduceResponse> {
    let partition = topic.partition(produce.index).map_err(refused)?;
    let mut batch = whole_batch(&produce.records)?;
    let attributes = batch.header().attributes;
    if transactional || attributes.is_transactional() {
        return Err(said(ErrorCode::InvalidTxnState, "this broker serves no transactions"));
    }
    if attributes.codec() == Some(CodecId::Zstd) && version < ZSTD_FROM_VERSION {
        return Err(refused(ErrorCode::UnsupportedCompressionType));
    }
    let validated = validate(topic, &mut batch);
    trace.lap(Stage::Validate);
    validated?;
    trace.carries(u64::from(batch.header().record_count.unsigned_abs()));
    let appended = partition.append(batch, acks).await;
    trace.lap(Stage::Append);
    let ticket = appended.map_err(|error| match error {
        Unappended::Refused(code) => said(code, why_refused(code)),
        Unappended::Log(error) => append_failed(&error),
    })?;
    Ok((partition.clone(), ticket))
}

/// Exactly one batch of format 2 per partition (rule E9).
fn whole_batch(records: &ProduceRecords) -> Result<Batch, PartitionProduceResponse> {
    let bytes = match records {
        ProduceRecords::Null => return Err(said(ErrorCode::InvalidRecord, "the request holds no records")),
        other => other.clone().into_bytes().unwrap_or_default(),
    };
    Batch::from_bytes(bytes).map_err(|error| match error {
        BatchError::Header(HeaderError::Magic { .. }) => {
            said(ErrorCode::UnsupportedForMessageFormat, &error.to_string())
        }
        BatchError::Trailing { .. } => said(ErrorCode::InvalidRecord, &error.to_string()),
        _ => said(ErrorCode::CorruptMessage, &error.to_string()),
    })
}

/// Rules E9 to E12; recompresses and stamps the batch where the topic or a wrong client clock demands it.
fn validate(topic: &Topic, batch: &mut Batch) -> Result<(), PartitionProduceResponse> {
    let settings = &topic.settings;
    let rules = ValidationRules {
        now_ms: now_ms(),
        message_max_bytes: settings.message_bytes_max,
        timestamp_type: settings.timestamp_type,
        before_max_ms: settings.timestamp_before_max_ms,
        after_max_ms: settings.timestamp_after_max_ms,
        // On a compacted topic a record without a key could never be told from another (rule E11).
        require_key: settings.compaction.is_some(),
        decompressed_max_bytes: DECOMPRESSED_BYTES_MAX,
    };
    let checked = CODECS.with_borrow_mut(|(decompressor, _)| validate_batch(batch, &rules, decompressor));
    let validated = checked.map_err(|rejection| rejected(&rejection))?;
    if let Some(codec) = settings.codec.filter(|codec| batch.header().attributes.codec() != Some(codec.id()))
    {
        *batch = stored_as(batch, codec, settings.message_bytes_max)?;
    }
    match settings.timestamp_type {
        TimestampType::LogAppendTime => batch.set_log_append_time(rules.now_ms),
        TimestampType::CreateTime if validated.max_timestamp != batch.header().max_timestamp => {
            batch.set_max_timestamp(validated.max_timestamp);
        }
        TimestampType::CreateTime => {}
    }
    Ok(())
}

/// The batch in the topic's own codec; its size must fit again (rule E11).
fn stored_as(batch: &Batch, codec: Codec, max_bytes: usize) -> Result<Batch, PartitionProduceResponse> {
    let stored = CODECS.with_borrow_mut(|(decompressor, compressor)| {
        recompress(batch, codec, decompressor, compressor, DECOMPRESSED_BYTES_MAX)
    });
    let stored = stored.map_err(|error| said(ErrorCode::InvalidRecord, &error.to_string()))?;
    match stored.size_bytes() {
        size if size <= max_bytes => Ok(stored),
        size => Err(said(
            ErrorCode::MessageTooLarge,
            &format!(
                "the batch has {size} bytes in the topic's codec, the topic's max.message.bytes is {max_bytes}"
            ),
        )),
    }
}

fn refused(error: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse { error, ..PartitionProduceResponse::default() }
}

fn said(error: ErrorCode, message: &str) -> PartitionProduceResponse {
    PartitionProduceResponse { error_message: Some(text(message)), ..refused(error) }
}

fn rejected(rejection: &Rejection) -> PartitionProduceResponse {
    let mut answer = said(ErrorCode::from_code(rejection.error_code()), &rejection.to_string());
    if let Rejection::Records { faults, .. } = rejection {
        let named = faults.iter().take(RECORD_ERRORS_MAX);
        answer.record_errors = named
            .map(|fault| RecordError {
                batch_index: fault.index,
                message: Some(text(fault.reason.to_string())),
            })
            .collect();
    }
    answer
}

fn why_refused(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::NotEnoughReplicas => "fewer replicas are in sync than min.insync.replicas asks for",
        _ => "this broker does not lead the partition",
    }
}

fn append_failed(error: &AppendError) -> PartitionProduceResponse {
    let code = match error {
        AppendError::Producer(ProducerError::OutOfOrderSequence { .. }) => {
            ErrorCode::OutOfOrderSequenceNumber
        }
        AppendError::Producer(ProducerError::InvalidEpoch { .. }) => ErrorCode::InvalidProducerEpoch,
        AppendError::Producer(ProducerError::InvalidTxnState { .. }) => ErrorCode::InvalidTxnState,
        AppendError::Producer(ProducerError::CoordinatorFenced { .. }) => {
            ErrorCode::TransactionCoordinatorFenced
        }
        AppendError::TooLarge { .. } => ErrorCode::RecordListTooLarge,
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::Closed | AppendError::StaleEpoch { .. } => ErrorCode::NotLeaderOrFollower,
        _ => ErrorCode::KafkaStorageError,
    };
    said(code, &error.to_string())
}

impl Pending {
    fn appended(partition: Arc<Partition>, ticket: AppendTicket) -> Self {
        let answer = PartitionProduceResponse {
            index: partition.index(),
            base_offset: ticket.appended.base_offset,
            log_append_time_ms: ticket.appended.log_append_time_ms,
            log_start_offset: ticket.appended.log_start_offset,
            ..PartitionProduceResponse::default()
        };
        Self { answer, append: Some((partition, ticket)) }
    }

    fn must_wait(&self) -> bool {
        self.append.as_ref().is_some_and(|(partition, ticket)| !partition.is_reached(ticket))
    }

    /// The final answer, once the records have reached what `acks` promises or cannot any more.
    async fn acknowledged(self, deadline: Option<Instant>, trace: &mut Trace) -> PartitionProduceResponse {
        let Some((partition, ticket)) = self.append else { return self.answer };
        if partition.is_reached(&ticket) {
            return self.answer;
        }
        let reached = partition.wait_acked(&ticket, deadline).await;
        trace.lap(if partition.acks_after_sync() { Stage::Flush } else { Stage::AckWait });
        let failed = match reached {
            Some(Ok(())) => return self.answer,
            None => said(ErrorCode::RequestTimedOut, "the records are in the log but not acknowledged yet"),
            Some(Err(Unacknowledged::Replication(code))) => {
                said(code, "not all replicas in sync have the records")
            }
            Some(Err(Unacknowledged::Log(error @ WaitError::GenerationChanged { .. }))) => {
                said(ErrorCode::NotLeaderOrFollower, &error.to_string())
            }
            Some(Err(Unacknowledged::Log(error))) => said(ErrorCode::KafkaStorageError, &error.to_string()),
        };
        PartitionProduceResponse { index: self.answer.index, ..failed }
    }
}
