//! `FetchRequest`.

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::error::WireError;
use crate::part::NoSlice;
use crate::reader::Reader;
use crate::writer::{Tags, Writer};

/// The tag of a follower's durable offset, far above Kafka's own.
const DURABLE_OFFSET_TAG: u32 = 10_000;

/// A Fetch request of a consumer or a follower.
#[derive(Debug, Clone, PartialEq)]
pub struct FetchRequest {
    /// The cluster the fetcher believes in, `None` for any. From version 12.
    pub cluster_id: Option<StrBytes>,
    /// Who asks: -1 and -1 for a consumer. Its epoch exists from version 15 (KIP-903).
    pub replica: ReplicaState,
    /// How long to wait for `min_bytes`, in milliseconds.
    pub max_wait_ms: i32,
    /// Answer as soon as this much is there.
    pub min_bytes: i32,
    /// Answer with no more than this, save for the first batch (KIP-74, rule E21).
    pub max_bytes: i32,
    /// 0: read uncommitted, 1: read committed.
    pub isolation_level: i8,
    /// Fetch session, 0 for none. From version 7 (KIP-227).
    pub session_id: i32,
    /// Epoch in the session, -1 for no session. From version 7.
    pub session_epoch: i32,
    /// What to read, by topic.
    pub topics: Vec<FetchTopic>,
    /// What to drop from the session. From version 7.
    pub forgotten_topics: Vec<ForgottenTopic>,
    /// The consumer's rack, empty for none. From version 11 (KIP-392).
    pub rack_id: StrBytes,
}

impl Default for FetchRequest {
    fn default() -> Self {
        Self {
            cluster_id: None,
            replica: ReplicaState::CONSUMER,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: i32::MAX,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: Vec::new(),
            forgotten_topics: Vec::new(),
            rack_id: StrBytes::new(),
        }
    }
}

/// The identity of a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaState {
    /// Broker id, -1 for a consumer.
    pub replica_id: i32,
    /// The broker's registration epoch, -1 if unknown.
    pub replica_epoch: i64,
}

impl ReplicaState {
    /// Not a replica.
    pub const CONSUMER: Self = Self { replica_id: -1, replica_epoch: -1 };
}

/// The partitions of one topic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FetchTopic {
    /// The topic's name in versions up to 12, else empty.
    pub name: StrBytes,
    /// The topic's id from version 13, else nil.
    pub topic_id: Uuid,
    /// The partitions.
    pub partitions: Vec<FetchPartition>,
}

/// Where and how far to read one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition's index.
    pub index: i32,
    /// The leader epoch the fetcher knows, -1 to skip the fence (rule E26). From version 9.
    pub current_leader_epoch: i32,
    /// First offset wanted.
    pub fetch_offset: i64,
    /// Epoch of the last record the fetcher holds, -1 for none. From version 12 (rule E27).
    pub last_fetched_epoch: i32,
    /// A follower's own first offset, -1 for consumers. From version 5.
    pub log_start_offset: i64,
    /// Answer with no more than this from the partition, save for its first batch.
    pub partition_max_bytes: i32,
    /// A follower's directory. From version 17, nil if unset.
    pub replica_directory_id: Uuid,
    /// The high watermark the fetcher knows, -1 for none, `i64::MAX` if it does not say. From version 18
    /// (KIP-1166).
    pub high_watermark: i64,
    /// How far the follower's log is durable, -1 if it does not say. A field of our own, from version 12.
    pub durable_offset: i64,
}

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            index: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: i32::MAX,
            replica_directory_id: Uuid::nil(),
            high_watermark: i64::MAX,
            durable_offset: -1,
        }
    }
}

/// Partitions that leave the session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForgottenTopic {
    /// The topic's name in versions up to 12, else empty.
    pub name: StrBytes,
    /// The topic's id from version 13, else nil.
    pub topic_id: Uuid,
    /// The partitions' indexes.
    pub partitions: Vec<i32>,
}

impl FetchRequest {
    /// Whether a follower asks, not a consumer.
    pub const fn is_from_follower(&self) -> bool {
        self.replica.replica_id >= 0
    }

    pub(crate) fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let mut request = Self::default();
        if version <= 14 {
            request.replica.replica_id = reader.int32("replica_id")?;
        }
        request.max_wait_ms = reader.int32("max_wait_ms")?;
        request.min_bytes = reader.int32("min_bytes")?;
        request.max_bytes = reader.int32("max_bytes")?;
        request.isolation_level = reader.int8("isolation_level")?;
        if version >= 7 {
            request.session_id = reader.int32("session_id")?;
            request.session_epoch = reader.int32("session_epoch")?;
        }
        request.topics = reader.array("topics", 3, |reader| FetchTopic::decode(reader, version))?;
        if version >= 7 {
            request.forgotten_topics =
                reader.array("forgotten_topics_data", 3, |reader| ForgottenTopic::decode(reader, version))?;
        }
        if version >= 11 {
            request.rack_id = reader.string("rack_id")?;
        }
        reader.tags(|tag, value| request.decode_tag(tag, value, version))?;
        Ok(request)
    }

    fn decode_tag(&mut self, tag: u32, value: &mut Reader, version: i16) -> Result<bool, WireError> {
        match tag {
            0 => self.cluster_id = value.nullable_string("cluster_id")?,
            1 if version >= 15 => {
                self.replica.replica_id = value.int32("replica_id")?;
                self.replica.replica_epoch = value.int64("replica_epoch")?;
                value.end_struct()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(crate) fn encode(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        if version <= 14 {
            writer.int32(self.replica.replica_id);
        }
        writer.int32(self.max_wait_ms);
        writer.int32(self.min_bytes);
        writer.int32(self.max_bytes);
        writer.int8(self.isolation_level);
        if version >= 7 {
            writer.int32(self.session_id);
            writer.int32(self.session_epoch);
        } else if self.session_id != 0 {
            return Err(WireError::NotInVersion { field: "session_id", version });
        }
        writer.array("topics", self.topics.iter(), |writer, topic| topic.encode(writer, version))?;
        if version >= 7 {
            writer.array("forgotten_topics_data", self.forgotten_topics.iter(), |writer, topic| {
                topic.encode(writer, version)
            })?;
        } else if !self.forgotten_topics.is_empty() {
            return Err(WireError::NotInVersion { field: "forgotten_topics_data", version });
        }
        if version >= 11 {
            writer.string("rack_id", &self.rack_id)?;
        }
        self.encode_tags(writer, version)
    }

    fn encode_tags(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        if version < 12 {
            return Ok(());
        }
        let mut tags = Tags::default();
        if let Some(cluster_id) = &self.cluster_id {
            tags.add(0, |tag| tag.nullable_string("cluster_id", Some(cluster_id)))?;
        }
        if version >= 15 && self.replica != ReplicaState::CONSUMER {
            tags.add(1, |tag| {
                tag.int32(self.replica.replica_id);
                tag.int64(self.replica.replica_epoch);
                tag.end_struct();
                Ok(())
            })?;
        }
        writer.tags(tags)
    }
}

impl FetchTopic {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let (name, topic_id) = decode_topic(reader, version)?;
        let partitions = reader.array("partitions", 16, |reader| FetchPartition::decode(reader, version))?;
        reader.end_struct()?;
        Ok(Self { name, topic_id, partitions })
    }

    fn encode(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        encode_topic(writer, version, &self.name, self.topic_id)?;
        writer.array("partitions", self.partitions.iter(), |writer, partition| {
            partition.encode(writer, version)
        })?;
        writer.end_struct();
        Ok(())
    }
}

impl FetchPartition {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let mut partition = Self { index: reader.int32("partition")?, ..Self::default() };
        if version >= 9 {
            partition.current_leader_epoch = reader.int32("current_leader_epoch")?;
        }
        partition.fetch_offset = reader.int64("fetch_offset")?;
        if version >= 12 {
            partition.last_fetched_epoch = reader.int32("last_fetched_epoch")?;
        }
        if version >= 5 {
            partition.log_start_offset = reader.int64("log_start_offset")?;
        }
        partition.partition_max_bytes = reader.int32("partition_max_bytes")?;
        reader.tags(|tag, value| partition.decode_tag(tag, value, version))?;
        Ok(partition)
    }

    /// Kafka's tags are 0 and 1.
    fn decode_tag(&mut self, tag: u32, value: &mut Reader, version: i16) -> Result<bool, WireError> {
        match tag {
            0 if version >= 17 => self.replica_directory_id = value.uuid("replica_directory_id")?,
            1 if version >= 18 => self.high_watermark = value.int64("high_watermark")?,
            DURABLE_OFFSET_TAG => self.durable_offset = value.int64("durable_offset")?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn encode(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        writer.int32(self.index);
        if version >= 9 {
            writer.int32(self.current_leader_epoch);
        }
        writer.int64(self.fetch_offset);
        if version >= 12 {
            writer.int32(self.last_fetched_epoch);
        }
        if version >= 5 {
            writer.int64(self.log_start_offset);
        }
        writer.int32(self.partition_max_bytes);
        if version >= 12 { writer.tags(self.encode_tags(version)?) } else { Ok(()) }
    }

    fn encode_tags(&self, version: i16) -> Result<Tags, WireError> {
        let mut tags = Tags::default();
        if version >= 17 && !self.replica_directory_id.is_nil() {
            tags.add(0, |tag| {
                tag.uuid(self.replica_directory_id);
                Ok(())
            })?;
        }
        if version >= 18 && self.high_watermark != i64::MAX {
            tags.add(1, |tag| {
                tag.int64(self.high_watermark);
                Ok(())
            })?;
        }
        if self.durable_offset != -1 {
            tags.add(DURABLE_OFFSET_TAG, |tag| {
                tag.int64(self.durable_offset);
                Ok(())
            })?;
        }
        Ok(tags)
    }
}

impl ForgottenTopic {
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, WireError> {
        let (name, topic_id) = decode_topic(reader, version)?;
        let partitions = reader.array("partitions", 4, |reader| reader.int32("partition"))?;
        reader.end_struct()?;
        Ok(Self { name, topic_id, partitions })
    }

    fn encode(&self, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
        encode_topic(writer, version, &self.name, self.topic_id)?;
        writer.array("partitions", self.partitions.iter(), |writer, &index| {
            writer.int32(index);
            Ok(())
        })?;
        writer.end_struct();
        Ok(())
    }
}

/// Names up to version 12, ids from 13 (rule E8).
fn decode_topic(reader: &mut Reader, version: i16) -> Result<(StrBytes, Uuid), WireError> {
    if version <= 12 {
        Ok((reader.string("topic")?, Uuid::nil()))
    } else {
        Ok((StrBytes::new(), reader.uuid("topic_id")?))
    }
}

fn encode_topic(
    writer: &mut Writer<NoSlice>,
    version: i16,
    name: &str,
    topic_id: Uuid,
) -> Result<(), WireError> {
    if version <= 12 {
        return writer.string("topic", name);
    }
    writer.uuid(topic_id);
    Ok(())
}
