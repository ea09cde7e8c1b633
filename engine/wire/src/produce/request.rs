//! `ProduceRequest`.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use plimsoll_records::Batch;
use uuid::Uuid;

use crate::error::WireError;
use crate::part::{NoSlice, Part};
use crate::reader::Reader;
use crate::writer::Writer;

/// A Produce request. Each partition carries one record batch (rule E9), not looked into here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProduceRequest {
    /// Set by transactional producers.
    pub transactional_id: Option<StrBytes>,
    /// 0: no answer; 1: the leader's log; -1: all in-sync replicas. Other values are
    /// `INVALID_REQUIRED_ACKS`, which is the broker's to say.
    pub acks: i16,
    /// How long the broker may wait for replicas, in milliseconds.
    pub timeout_ms: i32,
    /// What to append, by topic.
    pub topics: Vec<TopicProduce>,
}

/// The partitions of one topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TopicProduce {
    /// The topic's name in versions up to 12, else empty.
    pub name: StrBytes,
    /// The topic's id from version 13, else nil.
    pub topic_id: Uuid,
    /// The partitions.
    pub partitions: Vec<PartitionProduce>,
}

/// What one partition shall append.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartitionProduce {
    /// The partition's index.
    pub index: i32,
    /// The record batch.
    pub records: ProduceRecords,
}

/// The bytes of a record batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProduceRecords {
    /// The field is null; legal on the wire, never legal to append.
    #[default]
    Null,
    /// One run, which after decoding shares the frame's memory.
    Whole(Bytes),
    /// A batch held as its rewritable prefix and the rest; goes out without joining them.
    Split {
        /// Base offset, batch length, leader epoch.
        prefix: [u8; 16],
        /// The remaining bytes, from the magic on.
        rest: Bytes,
    },
}

impl ProduceRecords {
    /// Length in bytes on the wire; null counts 0.
    pub fn len_bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Whole(bytes) => bytes.len(),
            Self::Split { prefix, rest } => prefix.len() + rest.len(),
        }
    }

    /// The records as one run, `None` for null. Copies only a split batch.
    pub fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Null => None,
            Self::Whole(bytes) => Some(bytes),
            Self::Split { prefix, rest } => Some([&prefix[..], &rest].concat().into()),
        }
    }

    fn encode(&self, writer: &mut Writer<NoSlice>) -> Result<(), WireError> {
        let runs = match self {
            Self::Null => {
                writer.null_bytes();
                return Ok(());
            }
            Self::Whole(bytes) => [Bytes::new(), bytes.clone()],
            Self::Split { prefix, rest } => [Bytes::copy_from_slice(prefix), rest.clone()],
        };
        writer.bulk("records", runs.map(Part::Bytes), self.len_bytes())
    }
}

impl From<Bytes> for ProduceRecords {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl ProduceRequest {
    /// Reads versions 0 to 13. Those below 3 are read only to be refused politely.
    pub(crate) fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let transactional_id = if version >= 3 { reader.nullable_string("transactional_id")? } else { None };
        let acks = reader.int16("acks")?;
        let timeout_ms = reader.int32("timeout_ms")?;
        let topics = reader.array("topic_data", 3, |reader| TopicProduce::decode(reader, version))?;
        reader.end_struct()?;
        Ok(Self { transactional_id, acks, timeout_ms, topics })
    }

    pub(crate) fn encode(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        writer.nullable_string("transactional_id", self.transactional_id.as_deref())?;
        writer.int16(self.acks);
        writer.int32(self.timeout_ms);
        writer.array("topic_data", self.topics.iter(), |writer, topic| topic.encode(writer, version))?;
        writer.end_struct();
        Ok(())
    }
}

impl TopicProduce {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let (name, topic_id) = if version <= 12 {
            (reader.string("name")?, Uuid::nil())
        } else {
            (StrBytes::new(), reader.uuid("topic_id")?)
        };
        let partitions = reader.array("partition_data", 5, PartitionProduce::decode)?;
        reader.end_struct()?;
        Ok(Self { name, topic_id, partitions })
    }

    fn encode(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        if version <= 12 {
            writer.string("name", &self.name)?;
        } else {
            writer.uuid(self.topic_id);
        }
        writer.array("partition_data", self.partitions.iter(), |writer, partition| {
            writer.int32(partition.index);
            partition.records.encode(writer)?;
            writer.end_struct();
            Ok(())
        })?;
        writer.end_struct();
        Ok(())
    }
}

impl PartitionProduce {
    fn decode(reader: &mut Reader) -> Result<Self, WireError> {
        let index = reader.int32("index")?;
        let records = reader.nullable_bytes("records")?.map_or(ProduceRecords::Null, ProduceRecords::Whole);
        reader.end_struct()?;
        Ok(Self { index, records })
    }
}

impl From<&Batch> for ProduceRecords {
    fn from(batch: &Batch) -> Self {
        Self::Split { prefix: *batch.prefix(), rest: batch.rest().clone() }
    }
}
