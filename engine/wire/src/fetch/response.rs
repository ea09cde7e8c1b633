//! `FetchResponse`.

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::partition::PartitionFetchResponse;
use crate::error::WireError;
use crate::error_code::ErrorCode;
use crate::part::{NoSlice, Slice};
use crate::reader::Reader;
use crate::topic::NodeEndpoint;
use crate::writer::Writer;

/// A Fetch response. Records are parts: bytes, or slices that the sender resolves.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchResponse<S> {
    /// How long the channel is muted after this answer, in milliseconds.
    pub throttle_time_ms: i32,
    /// An error of the whole request or session. From version 7.
    pub error: ErrorCode,
    /// The session granted, 0 for none. From version 7.
    pub session_id: i32,
    /// Results by topic.
    pub topics: Vec<TopicFetchResponse<S>>,
    /// Addresses of the leaders named below. From version 16.
    pub node_endpoints: Vec<NodeEndpoint>,
}

impl<S> Default for FetchResponse<S> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error: ErrorCode::None,
            session_id: 0,
            topics: Vec::new(),
            node_endpoints: Vec::new(),
        }
    }
}

/// The results of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicFetchResponse<S> {
    /// The topic's name in versions up to 12, else empty.
    pub name: StrBytes,
    /// The topic's id from version 13, else nil.
    pub topic_id: Uuid,
    /// The results of its partitions.
    pub partitions: Vec<PartitionFetchResponse<S>>,
}

impl FetchResponse<NoSlice> {
    pub(crate) fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let mut response = Self { throttle_time_ms: reader.int32("throttle_time_ms")?, ..Self::default() };
        if version >= 7 {
            response.error = reader.int16("error_code")?.into();
            response.session_id = reader.int32("session_id")?;
        }
        response.topics =
            reader.array("responses", 3, |reader| TopicFetchResponse::decode(reader, version))?;
        reader.tags(|tag, value| {
            let known = tag == 0 && version >= 16;
            if known {
                response.node_endpoints = NodeEndpoint::decode_all(value)?;
            }
            Ok(known)
        })?;
        Ok(response)
    }
}

impl<S: Slice> FetchResponse<S> {
    pub(crate) fn encode(self, writer: &mut Writer<S>, version: i16) -> Result<(), WireError> {
        writer.int32(self.throttle_time_ms);
        if version >= 7 {
            writer.int16(self.error.code());
            writer.int32(self.session_id);
        } else if self.session_id != 0 {
            return Err(WireError::NotInVersion { field: "session_id", version });
        }
        writer.array("responses", self.topics.into_iter(), |writer, topic| topic.encode(writer, version))?;
        NodeEndpoint::encode_tag(&self.node_endpoints, version >= 16, writer)
    }
}

impl TopicFetchResponse<NoSlice> {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let (name, topic_id) = if version <= 12 {
            (reader.string("topic")?, Uuid::nil())
        } else {
            (StrBytes::new(), reader.uuid("topic_id")?)
        };
        let partitions = reader.array("partitions", PartitionFetchResponse::MIN_BYTES, |reader| {
            PartitionFetchResponse::decode(reader, version)
        })?;
        reader.end_struct()?;
        Ok(Self { name, topic_id, partitions })
    }
}

impl<S: Slice> TopicFetchResponse<S> {
    fn encode(self, writer: &mut Writer<S>, version: i16) -> Result<(), WireError> {
        if version <= 12 {
            writer.string("topic", &self.name)?;
        } else {
            writer.uuid(self.topic_id);
        }
        writer.array("partitions", self.partitions.into_iter(), |writer, partition| {
            partition.encode(writer, version)
        })?;
        writer.end_struct();
        Ok(())
    }
}
