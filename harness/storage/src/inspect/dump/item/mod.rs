//! One line of a dump: Kafka's words as text, Kafka's field names as JSON.

mod batch;
mod producer;
mod record;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

pub use batch::BatchLine;
pub(crate) use batch::timestamp_type;
pub(crate) use producer::LastBatch;
pub use producer::ProducerLine;
pub(crate) use record::RecordMetadata;
pub use record::{Bytes, RecordLine};

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
