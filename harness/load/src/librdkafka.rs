//! A workload in librdkafka's words, and librdkafka's errors in ours.
//!
//! It replaces our client on the way of the records only. Topics, offsets and the re-read after the run go through our
//! own, so that one and the same code judges what either of them wrote.

use std::time::Duration;

use plimsoll_client::ErrorCode;
use plimsoll_client::records::Codec;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use crate::routes::Cluster;
use crate::workload::{Consume, Isolation, Period, Workload};

/// How often it tells its counters.
pub(crate) const STATISTICS: Duration = Duration::from_millis(250);

/// Records in its queue at most; bytes are bounded by the workload's own buffer.
pub(crate) const QUEUED_RECORDS_MAX: usize = 10_000_000;
/// Largest message or batch, by which nothing is limited: the workload's batches are.
const MESSAGE_MAX_BYTES: &str = "1000000000";
/// Frame and headers beside what a fetch may bring.
const RESPONSE_OVERHEAD_BYTES: u64 = 1 << 20;

/// What it calls itself.
pub(crate) fn version() -> String {
    format!("librdkafka {}", rdkafka::util::get_rdkafka_version().1)
}

/// A producer with the workload's settings.
pub(crate) fn producer(workload: &Workload, cluster: &Cluster) -> ClientConfig {
    let produce = &workload.produce;
    let codec = workload.codec().unwrap_or(Codec::None);
    // It counts keys and values only; what is beside them must never be what fills it.
    let queue_kib = (produce.buffer_bytes.0 >> 9).clamp(1, i32::MAX as u64);
    let mut config = common(cluster);
    config
        .set("acks", produce.acks.name())
        .set("enable.idempotence", produce.idempotent.to_string())
        .set("compression.type", codec.id().name())
        .set("batch.size", produce.batch_bytes.0.to_string())
        .set("batch.num.messages", "1000000")
        .set("linger.ms", (produce.linger.0 as f64 / 1e6).to_string())
        .set("max.in.flight.requests.per.connection", produce.max_in_flight.to_string())
        .set("message.max.bytes", MESSAGE_MAX_BYTES)
        .set("queue.buffering.max.messages", QUEUED_RECORDS_MAX.to_string())
        .set("queue.buffering.max.kbytes", queue_kib.to_string())
        .set("request.timeout.ms", milliseconds(produce.request_timeout))
        .set("socket.timeout.ms", milliseconds(produce.request_timeout))
        .set("message.timeout.ms", milliseconds(produce.delivery_timeout))
        .set("retry.backoff.ms", milliseconds(produce.retry_backoff))
        .set("retry.backoff.max.ms", milliseconds(produce.retry_backoff))
        .set("statistics.interval.ms", STATISTICS.as_millis().to_string());
    config
}

/// A consumer that is told where to read, and commits nothing.
pub(crate) fn consumer(consume: &Consume, cluster: &Cluster) -> ClientConfig {
    let isolation = match consume.isolation {
        Isolation::ReadUncommitted => "read_uncommitted",
        Isolation::ReadCommitted => "read_committed",
    };
    let fetch_bytes = consume.fetch_max_bytes.0.clamp(consume.partition_max_bytes.0, 1_000_000_000);
    let mut config = common(cluster);
    config
        // Partitions cannot be assigned without one; nobody joins it.
        .set("group.id", "plimsoll-load")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("isolation.level", isolation)
        .set("fetch.min.bytes", consume.fetch_min_bytes.0.to_string())
        .set("fetch.max.bytes", fetch_bytes.to_string())
        .set("max.partition.fetch.bytes", consume.partition_max_bytes.0.to_string())
        .set("receive.message.max.bytes", (fetch_bytes + RESPONSE_OVERHEAD_BYTES).to_string())
        .set("fetch.wait.max.ms", milliseconds(consume.fetch_max_wait));
    config
}

fn common(cluster: &Cluster) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &cluster.bootstrap)
        .set("client.id", "plimsoll-load")
        .set("socket.nagle.disable", "true")
        .set("allow.auto.create.topics", "false")
        .set("enable.metrics.push", "false")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set_log_level(RDKafkaLogLevel::Error);
    config
}

fn milliseconds(period: Period) -> String {
    period.std().as_millis().to_string()
}

/// Waits until the cluster names all topics, so that its first record finds a connection.
pub(crate) fn meet<C: ClientContext>(client: &Client<C>, cluster: &Cluster) -> Result<(), KafkaError> {
    cluster
        .topics
        .iter()
        .try_for_each(|topic| client.fetch_metadata(Some(topic.as_str()), cluster.patience).map(drop))
}

/// A broker's error by Kafka's name; one of librdkafka's own in the same manner of writing.
pub(crate) fn name(code: RDKafkaErrorCode) -> String {
    match of_broker(code) {
        Some(code) => code.name().to_owned(),
        None => upper_snake(&format!("{code:?}")),
    }
}

/// What a broker said, if it was one.
pub(crate) fn of_broker(code: RDKafkaErrorCode) -> Option<ErrorCode> {
    i16::try_from(code as i32).ok().filter(|code| *code >= -1).map(ErrorCode::from_code)
}

fn upper_snake(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 8);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_called_as_kafka_calls_them() {
        assert_eq!(name(RDKafkaErrorCode::NotLeaderForPartition), "NOT_LEADER_OR_FOLLOWER");
        assert_eq!(name(RDKafkaErrorCode::AllBrokersDown), "ALL_BROKERS_DOWN");
        assert_eq!(of_broker(RDKafkaErrorCode::MessageTimedOut), None);
    }
}
