//! `__transaction_state`: what the coordinator knows of each transactional id.

use plimsoll_records::Record;
use serde::Serialize;

use super::reader::Reader;
use super::tagged;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionLogKey {
    transactional_id: String,
}

/// A value, its optional fields in Kafka's order and left out where Kafka leaves them out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransactionLogValue {
    producer_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_producer_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_producer_id: Option<i64>,
    producer_epoch: i16,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_producer_epoch: Option<i16>,
    transaction_timeout_ms: i32,
    transaction_status: i8,
    transaction_partitions: Option<Vec<TopicPartitions>>,
    transaction_last_update_timestamp_ms: i64,
    transaction_start_timestamp_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_transaction_version: Option<i16>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicPartitions {
    topic: String,
    partition_ids: Vec<i32>,
}

/// Key and value as Kafka's JSON.
pub(crate) fn decode(record: &Record<'_>) -> (Option<String>, Option<String>) {
    let failed = |what: &str| (Some(format!("Error at offset {}, skipping. {what}", record.offset)), None);
    let Some(key) = record.key.and_then(|key| transactional_id(Reader(key))) else {
        return failed("The key is malformed, or of a version that is not known.");
    };
    match record.value.map(|value| value_of(Reader(value))) {
        None => (Some(key), Some("<DELETE>".to_owned())),
        Some(Some(value)) => (Some(key), Some(value)),
        Some(None) => failed("The value is malformed, or of a version that is not known."),
    }
}

fn transactional_id(mut key: Reader<'_>) -> Option<String> {
    let version = key.i16().filter(|version| *version == 0)?;
    tagged("type", version, &TransactionLogKey { transactional_id: key.string()? })
}

fn value_of(mut value: Reader<'_>) -> Option<String> {
    let version = value.i16().filter(|version| (0..=1).contains(version))?;
    let flexible = version == 1;
    let mut state = TransactionLogValue {
        producer_id: value.i64()?,
        previous_producer_id: None,
        next_producer_id: None,
        producer_epoch: value.i16()?,
        next_producer_epoch: None,
        transaction_timeout_ms: value.i32()?,
        transaction_status: value.i8()?,
        transaction_partitions: partitions(&mut value, flexible)?,
        transaction_last_update_timestamp_ms: value.i64()?,
        transaction_start_timestamp_ms: value.i64()?,
        client_transaction_version: None,
    };
    if flexible {
        value.tags(|tag, mut field| match tag {
            0 => state.previous_producer_id = field.i64(),
            1 => state.next_producer_id = field.i64(),
            2 => state.client_transaction_version = field.i16(),
            3 => state.next_producer_epoch = field.i16(),
            _ => {}
        })?;
    }
    tagged("version", version, &state)
}

fn partitions(value: &mut Reader<'_>, flexible: bool) -> Option<Option<Vec<TopicPartitions>>> {
    if !flexible {
        return value.array(|value| {
            Some(TopicPartitions { topic: value.string()?, partition_ids: value.array(Reader::i32)?? })
        });
    }
    value.compact_array(|value| {
        let topic = value.compact_string()?;
        let partition_ids = value.compact_array(Reader::i32)??;
        value.tags(|_, _| {}).map(|()| TopicPartitions { topic, partition_ids })
    })
}
