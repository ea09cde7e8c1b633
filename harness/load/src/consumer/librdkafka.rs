//! librdkafka's consumer in the place of our reader, with its partitions assigned by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::reader::{LOOK, ReadError, Take};
use crate::routes::Cluster;
use crate::verify::PartitionId;
use crate::workload::Consume;
use crate::{clock, librdkafka};

/// Records taken between two looks at whether to stop.
const RECORDS_PER_STEP: usize = 1024;

/// Reads partitions, each from its own offset.
pub(super) struct Reader {
    consumer: BaseConsumer,
    topics: Vec<String>,
    cursors: BTreeMap<PartitionId, i64>,
    /// Where reading ends, once known.
    stop: Option<BTreeMap<PartitionId, i64>>,
    /// What went wrong and passed, by name.
    pub(super) errors: BTreeMap<String, u64>,
}

impl Reader {
    /// Makes a consumer of `cursors` and waits until it knows the topics. It fetches ahead from then on.
    pub(super) fn connect(
        cluster: &Cluster,
        consume: &Consume,
        cursors: BTreeMap<PartitionId, i64>,
    ) -> Result<Reader, ReadError> {
        let gave_up = |error: KafkaError| ReadError::Rdkafka(error.to_string());
        let consumer: BaseConsumer = librdkafka::consumer(consume, cluster).create().map_err(gave_up)?;
        librdkafka::meet(consumer.client(), cluster).map_err(gave_up)?;
        let topics = cluster.topics.clone();
        let mut assigned = TopicPartitionList::new();
        for (id, offset) in &cursors {
            let Some(topic) = topics.get(id.topic as usize) else { continue };
            let from = Offset::Offset(*offset);
            assigned.add_partition_offset(topic, id.partition, from).map_err(gave_up)?;
        }
        consumer.assign(&assigned).map_err(gave_up)?;
        Ok(Reader { consumer, topics, cursors, stop: None, errors: BTreeMap::new() })
    }

    /// Says where reading ends.
    pub(super) fn stop_at(&mut self, ends: &BTreeMap<PartitionId, i64>) {
        self.stop.get_or_insert_with(|| ends.clone());
    }

    /// True when every partition has been read to its end.
    pub(super) fn at_end(&self) -> bool {
        let Some(ends) = &self.stop else { return false };
        self.cursors.iter().all(|(id, at)| ends.get(id).is_some_and(|end| at >= end))
    }

    /// Reads for a short while and hands what comes to `take`, record by record: each has its own time of arrival. It
    /// blocks the thread, on which nothing else is to be done.
    pub(super) fn step(&mut self, take: &mut impl Take) -> Result<(), ReadError> {
        let mut wait = LOOK;
        for _ in 0..RECORDS_PER_STEP {
            match self.consumer.poll(wait) {
                None => return Ok(()),
                Some(Ok(message)) => deliver(&self.topics, &mut self.cursors, &message, take),
                Some(Err(error)) => complain(&mut self.errors, error)?,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }
}

fn deliver(
    topics: &[String],
    cursors: &mut BTreeMap<PartitionId, i64>,
    message: &BorrowedMessage<'_>,
    take: &mut impl Take,
) {
    let topic = topics.iter().position(|topic| topic == message.topic());
    let topic = topic.and_then(|topic| u32::try_from(topic).ok()).unwrap_or(u32::MAX);
    let id = PartitionId { topic, partition: message.partition() };
    if let Some(cursor) = cursors.get_mut(&id) {
        *cursor = message.offset() + 1;
        take.batch(id, clock::now(), std::iter::once((message.offset(), message.payload())));
    }
}

/// Most errors pass: it connects again by itself. One that it cannot get over ends reading.
fn complain(errors: &mut BTreeMap<String, u64>, error: KafkaError) -> Result<(), ReadError> {
    let code = error.rdkafka_error_code();
    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_))
        || matches!(code, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::Fatal));
    match code.filter(|_| !fatal) {
        Some(code) => {
            *errors.entry(librdkafka::name(code)).or_default() += 1;
            Ok(())
        }
        None => Err(ReadError::Rdkafka(error.to_string())),
    }
}
