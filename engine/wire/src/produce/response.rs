//! `ProduceResponse`.

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::error::WireError;
use crate::error_code::ErrorCode;
use crate::part::Slice;
use crate::reader::Reader;
use crate::topic::{LeaderIdAndEpoch, NodeEndpoint};
use crate::writer::{Tags, Writer};

/// A Produce response. Fields that a version lacks are left out on encoding and default on decoding.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProduceResponse {
    /// Results by topic.
    pub topics: Vec<TopicProduceResponse>,
    /// How long the channel is muted after this answer, in milliseconds.
    pub throttle_time_ms: i32,
    /// Addresses of the leaders named below. From version 10.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// The results of one topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicProduceResponse {
    /// The topic's name in versions up to 12, else empty.
    pub name: StrBytes,
    /// The topic's id from version 13, else nil.
    pub topic_id: Uuid,
    /// The results of its partitions.
    pub partitions: Vec<PartitionProduceResponse>,
}

/// The result of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionProduceResponse {
    /// The partition's index.
    pub index: i32,
    /// Success or what went wrong.
    pub error: ErrorCode,
    /// Offset of the first record, -1 on error.
    pub base_offset: i64,
    /// The broker's append time in milliseconds under `LogAppendTime`, else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log, -1 if unknown. From version 5.
    pub log_start_offset: i64,
    /// Which records of the batch were refused. From version 8 (KIP-467, rule E12).
    pub record_errors: Vec<RecordError>,
    /// What went wrong, in words. From version 8.
    pub error_message: Option<StrBytes>,
    /// The leader to turn to after `NOT_LEADER_OR_FOLLOWER` and the like. From version 10 (KIP-951).
    pub current_leader: Option<LeaderIdAndEpoch>,
}

impl Default for PartitionProduceResponse {
    fn default() -> Self {
        Self {
            index: 0,
            error: ErrorCode::None,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        }
    }
}

/// One refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record in the batch.
    pub batch_index: i32,
    /// Why.
    pub message: Option<StrBytes>,
}

impl ProduceResponse {
    pub(crate) fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let topics = reader.array("responses", 3, |reader| TopicProduceResponse::decode(reader, version))?;
        let throttle_time_ms = reader.int32("throttle_time_ms")?;
        let mut node_endpoints = Vec::new();
        reader.tags(|tag, value| {
            let known = tag == 0 && version >= 10;
            if known {
                node_endpoints = NodeEndpoint::decode_all(value)?;
            }
            Ok(known)
        })?;
        Ok(Self { topics, throttle_time_ms, node_endpoints })
    }

    /// Writes versions 0 to 13. Those below 3 carry refusals only.
    pub(crate) fn encode<S: Slice>(&self, writer: &mut Writer<S>, version: i16) -> Result<(), WireError> {
        writer.array("responses", self.topics.iter(), |writer, topic| topic.encode(writer, version))?;
        if version >= 1 {
            writer.int32(self.throttle_time_ms);
        }
        NodeEndpoint::encode_tag(&self.node_endpoints, version >= 10, writer)
    }
}

impl TopicProduceResponse {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let (name, topic_id) = if version <= 12 {
            (reader.string("name")?, Uuid::nil())
        } else {
            (StrBytes::new(), reader.uuid("topic_id")?)
        };
        let partitions = reader
            .array("partition_responses", 22, |reader| PartitionProduceResponse::decode(reader, version))?;
        reader.end_struct()?;
        Ok(Self { name, topic_id, partitions })
    }

    fn encode<S: Slice>(&self, writer: &mut Writer<S>, version: i16) -> Result<(), WireError> {
        if version <= 12 {
            writer.string("name", &self.name)?;
        } else {
            writer.uuid(self.topic_id);
        }
        writer.array("partition_responses", self.partitions.iter(), |writer, partition| {
            partition.encode(writer, version)
        })?;
        writer.end_struct();
        Ok(())
    }
}

impl PartitionProduceResponse {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let mut partition = Self {
            index: reader.int32("index")?,
            error: reader.int16("error_code")?.into(),
            base_offset: reader.int64("base_offset")?,
            log_append_time_ms: reader.int64("log_append_time_ms")?,
            ..Self::default()
        };
        if version >= 5 {
            partition.log_start_offset = reader.int64("log_start_offset")?;
        }
        if version >= 8 {
            partition.record_errors = reader.array("record_errors", 5, RecordError::decode)?;
            partition.error_message = reader.nullable_string("error_message")?;
        }
        reader.tags(|tag, value| {
            let known = tag == 0 && version >= 10;
            if known {
                partition.current_leader = Some(LeaderIdAndEpoch::decode(value)?);
            }
            Ok(known)
        })?;
        Ok(partition)
    }

    fn encode<S: Slice>(&self, writer: &mut Writer<S>, version: i16) -> Result<(), WireError> {
        writer.int32(self.index);
        writer.int16(self.error.code());
        writer.int64(self.base_offset);
        if version >= 2 {
            writer.int64(self.log_append_time_ms);
        }
        if version >= 5 {
            writer.int64(self.log_start_offset);
        }
        if version >= 8 {
            writer.array("record_errors", self.record_errors.iter(), |writer, error| error.encode(writer))?;
            writer.nullable_string("error_message", self.error_message.as_deref())?;
        }
        match self.current_leader.filter(|_| version >= 10) {
            None => writer.end_struct(),
            Some(leader) => {
                let mut tags = Tags::default();
                tags.add(0, |tag| {
                    leader.encode(tag);
                    Ok(())
                })?;
                writer.tags(tags)?;
            }
        }
        Ok(())
    }
}

impl RecordError {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let batch_index = reader.int32("batch_index")?;
        let message = reader.nullable_string("batch_index_error_message")?;
        reader.end_struct()?;
        Ok(Self { batch_index, message })
    }

    fn encode<S: Slice>(&self, writer: &mut Writer<S>) -> Result<(), WireError> {
        writer.int32(self.batch_index);
        writer.nullable_string("batch_index_error_message", self.message.as_deref())?;
        writer.end_struct();
        Ok(())
    }
}
