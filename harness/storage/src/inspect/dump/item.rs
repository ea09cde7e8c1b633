//! One line of a dump: Kafka's words as text, Kafka's field names as JSON.

use std::fmt;
use std::path::PathBuf;

use plimsoll_records::{BatchHeader, CodecId, TimestampType};
use serde::{Serialize, Serializer};

use crate::inspect::entries::AbortedTxn;

/// A line.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Item {
    /// Where a segment begins.
    LogStart {
        /// Offset in its name.
        offset: i64,
    },
    /// A batch.
    Batch(BatchLine),
    /// A record of the batch before.
    Record(RecordLine),
    /// Bytes behind the last batch.
    Trailing {
        /// How many.
        bytes: u64,
        /// They are reserved space.
        zeroes: bool,
        /// The file's name.
        file: String,
    },
    /// An index without entries.
    EmptyIndex {
        /// The file.
        file: PathBuf,
    },
    /// An index that recovery would believe.
    SanityPassed {
        /// The file.
        file: PathBuf,
    },
    /// An entry of an offset index.
    OffsetIndex {
        /// Last offset of a batch.
        offset: i64,
        /// Where it begins.
        position: i32,
    },
    /// An entry of a time index.
    TimeIndex {
        /// Largest timestamp so far.
        timestamp: i64,
        /// Last offset of its batch.
        offset: i64,
    },
    /// An aborted transaction.
    AbortedTxn {
        /// Of the entry's format.
        version: i16,
        /// Whose it was.
        producer_id: i64,
        /// Its first record on this partition.
        first_offset: i64,
        /// Its marker.
        last_offset: i64,
        /// The last stable offset once it ended.
        last_stable_offset: i64,
    },
    /// A producer's state.
    Producer(ProducerLine),
    /// A leader epoch.
    Epoch {
        /// The epoch.
        epoch: i32,
        /// Its first offset.
        start_offset: i64,
    },
    /// A partition's offset.
    Offset {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Recovery point, high watermark, log start or first dirty offset: as the file's name says.
        offset: i64,
    },
    /// A key with its value.
    Property {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

/// A batch's header and whether its CRC is right.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchLine {
    base_offset: i64,
    last_offset: i64,
    count: i32,
    base_sequence: i32,
    last_sequence: i32,
    producer_id: i64,
    producer_epoch: i16,
    partition_leader_epoch: i32,
    is_transactional: bool,
    is_control: bool,
    delete_horizon_ms: Option<i64>,
    position: u64,
    timestamp_type: &'static str,
    timestamp: i64,
    size: usize,
    magic: i8,
    compresscodec: &'static str,
    crc: u32,
    isvalid: bool,
}

impl BatchLine {
    pub(crate) fn new(header: &BatchHeader, position: u64, isvalid: bool) -> Self {
        let attributes = header.attributes;
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            count: header.record_count,
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            partition_leader_epoch: header.leader_epoch,
            is_transactional: attributes.is_transactional(),
            is_control: attributes.is_control(),
            delete_horizon_ms: attributes.has_delete_horizon().then_some(header.base_timestamp),
            position,
            timestamp_type: timestamp_type(attributes.timestamp_type()),
            timestamp: header.max_timestamp,
            size: header.size_bytes(),
            magic: header.magic,
            compresscodec: attributes.codec().map_or("unknown", CodecId::name),
            crc: header.crc,
            isvalid,
        }
    }
}

pub(crate) fn timestamp_type(kind: TimestampType) -> &'static str {
    match kind {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// A record, or what of it was asked for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordLine {
    /// All but key and value.
    #[serde(flatten)]
    pub(crate) metadata: Option<RecordMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<Bytes>,
}

/// What a record has beside key and value. Sizes are -1 for null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordMetadata {
    pub(crate) offset: i64,
    pub(crate) timestamp_type: &'static str,
    pub(crate) timestamp: i64,
    pub(crate) key_size: i64,
    pub(crate) value_size: i64,
    pub(crate) sequence: i32,
    pub(crate) header_keys: Vec<Bytes>,
    /// What a control record says, in Kafka's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) control: Option<String>,
}

/// Bytes that are text as a rule: replaced by U+FFFD in text where they are not, `{"hex": …}` in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub(crate) Vec<u8>);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Hex {
            hex: String,
        }
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let hex = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
                Hex { hex }.serialize(serializer)
            }
        }
    }
}

/// A producer's entry of a snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerLine {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) current_txn_first_offset: Option<i64>,
    pub(crate) last_timestamp: i64,
    #[serde(flatten)]
    pub(crate) last_batch: Option<LastBatch>,
}

/// The last batch that a snapshot remembers of a producer.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastBatch {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl From<AbortedTxn> for Item {
    fn from(txn: AbortedTxn) -> Self {
        let AbortedTxn { version, producer_id, first_offset, last_offset, last_stable_offset } = txn;
        Item::AbortedTxn { version, producer_id, first_offset, last_offset, last_stable_offset }
    }
}

/// Java's way of printing a number that may be absent.
struct OptionalLong(Option<i64>);

impl fmt::Display for OptionalLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(f, "OptionalLong[{value}]"),
            None => f.write_str("OptionalLong.empty"),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::LogStart { offset } => write!(f, "Log starting offset: {offset}"),
            Item::Batch(batch) => batch.fmt(f),
            Item::Record(record) => record.fmt(f),
            Item::Trailing { bytes, zeroes, file } => {
                let what = if *zeroes { " (zeroes: reserved space)" } else { "" };
                write!(f, "Found {bytes} invalid bytes at the end of {file}{what}")
            }
            Item::EmptyIndex { file } => write!(f, "{} is empty.", file.display()),
            Item::SanityPassed { file } => write!(f, "{} passed sanity check.", file.display()),
            Item::OffsetIndex { offset, position } => write!(f, "offset: {offset} position: {position}"),
            Item::TimeIndex { timestamp, offset } => write!(f, "timestamp: {timestamp} offset: {offset}"),
            Item::AbortedTxn { version, producer_id, first_offset, last_offset, last_stable_offset } => {
                write!(
                    f,
                    "version: {version} producerId: {producer_id} firstOffset: {first_offset} lastOffset: {last_offset} \
                 lastStableOffset: {last_stable_offset}"
                )
            }
            Item::Producer(producer) => producer.fmt(f),
            Item::Epoch { epoch, start_offset } => write!(f, "epoch: {epoch} startOffset: {start_offset}"),
            Item::Offset { topic, partition, offset } => {
                write!(f, "topic: {topic} partition: {partition} offset: {offset}")
            }
            Item::Property { key, value } => write!(f, "{key}: {value}"),
        }
    }
}

impl fmt::Display for BatchLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
             partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {} position: {} {}: {} \
             size: {} magic: {} compresscodec: {} crc: {} isvalid: {}",
            self.base_offset,
            self.last_offset,
            self.count,
            self.base_sequence,
            self.last_sequence,
            self.producer_id,
            self.producer_epoch,
            self.partition_leader_epoch,
            self.is_transactional,
            self.is_control,
            OptionalLong(self.delete_horizon_ms),
            self.position,
            self.timestamp_type,
            self.timestamp,
            self.size,
            self.magic,
            self.compresscodec,
            self.crc,
            self.isvalid
        )
    }
}

impl fmt::Display for RecordLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prefix = "| ";
        if let Some(metadata) = &self.metadata {
            write!(f, "{prefix}{metadata}")?;
            prefix = " ";
        }
        if let Some(key) = &self.key {
            write!(f, "{prefix}key: {key}")?;
        }
        match &self.payload {
            Some(payload) => write!(f, " payload: {payload}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RecordMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, timestamp_type, timestamp, key_size, value_size, sequence, .. } = self;
        write!(f, "offset: {offset} {timestamp_type}: {timestamp} keySize: {key_size} ")?;
        write!(f, "valueSize: {value_size} sequence: {sequence} headerKeys: [")?;
        for (i, key) in self.header_keys.iter().enumerate() {
            write!(f, "{}{key}", if i == 0 { "" } else { "," })?;
        }
        f.write_str("]")?;
        self.control.iter().try_for_each(|control| write!(f, " {control}"))
    }
}

impl fmt::Display for ProducerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {} ",
            self.producer_id,
            self.producer_epoch,
            self.coordinator_epoch,
            OptionalLong(self.current_txn_first_offset),
            self.last_timestamp
        )?;
        let Some(batch) = self.last_batch else { return Ok(()) };
        let LastBatch { first_sequence, last_sequence, last_offset, offset_delta, timestamp } = batch;
        write!(
            f,
            "firstSequence: {first_sequence} lastSequence: {last_sequence} lastOffset: {last_offset} "
        )?;
        write!(f, "offsetDelta: {offset_delta} timestamp: {timestamp}")
    }
}
