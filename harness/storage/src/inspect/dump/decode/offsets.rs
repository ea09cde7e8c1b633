//! `__consumer_offsets`: committed offsets and classic groups.

use plimsoll_records::Record;
use serde::Serialize;

use super::group::{self, GroupKey};
use super::reader::Reader;
use super::tagged;

#[derive(Serialize)]
struct OffsetCommitKey {
    group: String,
    topic: String,
    partition: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OffsetCommitValue {
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_epoch: Option<i32>,
    metadata: String,
    commit_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_timestamp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
}

/// The key's version says what the record is; the value has a version of its own.
pub(crate) fn decode(record: &Record<'_>) -> (Option<String>, Option<String>) {
    let offset = record.offset;
    let failed = |what: &str| (Some(format!("Error at offset {offset}, skipping. {what}")), None);
    let Some(key) = record.key else { return failed("The message has no key.") };
    let mut reader = Reader(key);
    let Some(kind) = reader.i16() else { return failed("The key has no version.") };
    let (key, value) = match kind {
        0 | 1 => (commit_key(reader, kind), record.value.map(commit_value)),
        2 => {
            let key = GroupKey::read(reader).and_then(|key| tagged("type", kind, &key));
            (key, record.value.map(group::value))
        }
        kind => return (Some(format!("Unknown record type {kind} at offset {offset}, skipping.")), None),
    };
    let Some(key) = key else { return failed("The key is malformed.") };
    match value {
        None => (Some(key), Some("<DELETE>".to_owned())),
        Some(Some(value)) => (Some(key), Some(value)),
        Some(None) => failed("The value is malformed, or of a version that is not known."),
    }
}

fn commit_key(mut reader: Reader<'_>, kind: i16) -> Option<String> {
    let key = OffsetCommitKey { group: reader.string()?, topic: reader.string()?, partition: reader.i32()? };
    tagged("type", kind, &key)
}

fn commit_value(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader(bytes);
    let version = reader.i16().filter(|version| (0..=4).contains(version))?;
    let mut value = OffsetCommitValue {
        offset: reader.i64()?,
        leader_epoch: if version >= 3 { Some(reader.i32()?) } else { None },
        metadata: if version >= 4 { reader.compact_string()? } else { reader.string()? },
        commit_timestamp: reader.i64()?,
        expire_timestamp: if version == 1 { Some(reader.i64()?) } else { None },
        topic_id: None,
    };
    if version >= 4 {
        reader.tags(|tag, field| {
            if let (0, Ok(id)) = (tag, <[u8; 16]>::try_from(field.0)) {
                value.topic_id = Some(plimsoll_log::encode_id(uuid::Uuid::from_bytes(id)));
            }
        })?;
    }
    tagged("version", version, &value)
}
