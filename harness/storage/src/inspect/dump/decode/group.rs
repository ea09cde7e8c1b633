//! Classic groups: their members, and the subscriptions and assignments of those that are consumers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::reader::Reader;
use super::tagged;

#[derive(Serialize)]
pub(crate) struct GroupKey {
    group: String,
}

impl GroupKey {
    pub(crate) fn read(mut reader: Reader<'_>) -> Option<Self> {
        Some(Self { group: reader.string()? })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupValue {
    protocol_type: String,
    generation: i32,
    protocol: Option<String>,
    leader: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_state_timestamp: Option<i64>,
    members: Vec<Member>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    member_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_instance_id: Option<Option<String>>,
    client_id: String,
    client_host: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rebalance_timeout: Option<i32>,
    session_timeout: i32,
    subscription: Embedded<Subscription>,
    assignment: Embedded<Assignment>,
}

/// The consumer protocol's message if it is one, its bytes in base64 if not.
#[derive(Serialize)]
#[serde(untagged)]
enum Embedded<T> {
    Read(T),
    Bytes(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    topics: Vec<String>,
    user_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owned_partitions: Option<Vec<TopicPartitions>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack_id: Option<Option<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    assigned_partitions: Vec<TopicPartitions>,
    user_data: Option<String>,
}

#[derive(Serialize)]
struct TopicPartitions {
    topic: String,
    partitions: Vec<i32>,
}

/// A group's value, versions 0 to 3.
pub(crate) fn value(bytes: &[u8]) -> Option<String> {
    let mut reader = Reader(bytes);
    let version = reader.i16().filter(|version| (0..=3).contains(version))?;
    let protocol_type = reader.string()?;
    let consumers = protocol_type == "consumer";
    let value = GroupValue {
        generation: reader.i32()?,
        protocol: reader.nullable_string()?,
        leader: reader.nullable_string()?,
        current_state_timestamp: if version >= 2 { Some(reader.i64()?) } else { None },
        members: reader.array(|reader| member(reader, version, consumers))??,
        protocol_type,
    };
    tagged("version", version, &value)
}

fn member(reader: &mut Reader<'_>, version: i16, consumers: bool) -> Option<Member> {
    Some(Member {
        member_id: reader.string()?,
        group_instance_id: if version >= 3 { Some(reader.nullable_string()?) } else { None },
        client_id: reader.string()?,
        client_host: reader.string()?,
        rebalance_timeout: if version >= 1 { Some(reader.i32()?) } else { None },
        session_timeout: reader.i32()?,
        subscription: embedded(reader.bytes()??, consumers, subscription),
        assignment: embedded(reader.bytes()??, consumers, assignment),
    })
}

fn embedded<T>(bytes: &[u8], consumers: bool, read: impl Fn(Reader<'_>) -> Option<T>) -> Embedded<T> {
    let read = if consumers { read(Reader(bytes)) } else { None };
    read.map_or_else(|| Embedded::Bytes(STANDARD.encode(bytes)), Embedded::Read)
}

fn subscription(mut reader: Reader<'_>) -> Option<Subscription> {
    let version = reader.i16().filter(|version| (0..=3).contains(version))?;
    Some(Subscription {
        topics: reader.array(Reader::string)??,
        user_data: reader.bytes()?.map(|bytes| STANDARD.encode(bytes)),
        owned_partitions: if version >= 1 { Some(reader.array(topic_partitions)??) } else { None },
        generation_id: if version >= 2 { Some(reader.i32()?) } else { None },
        rack_id: if version >= 3 { Some(reader.nullable_string()?) } else { None },
    })
}

fn assignment(mut reader: Reader<'_>) -> Option<Assignment> {
    reader.i16().filter(|version| (0..=3).contains(version))?;
    Some(Assignment {
        assigned_partitions: reader.array(topic_partitions)??,
        user_data: reader.bytes()?.map(|bytes| STANDARD.encode(bytes)),
    })
}

fn topic_partitions(reader: &mut Reader<'_>) -> Option<TopicPartitions> {
    Some(TopicPartitions { topic: reader.string()?, partitions: reader.array(Reader::i32)?? })
}
