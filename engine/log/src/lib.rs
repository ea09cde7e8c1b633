//! One partition's log on disk.

mod admit;
mod checkpoint;
mod close;
mod config;
mod directory;
mod epochs;
mod error;
pub mod layout;
mod log;
mod marks;
mod offset_index;
mod partition_metadata;
mod producers;
mod pump;
mod read;
mod recover;
mod room;
mod scan;
mod segment;
mod side_file;
pub mod snapshot;
mod state;
mod sync_task;
mod text;
mod time_index;
mod time_lookup;
mod truncate;
mod walk;
mod write_line;

pub use admit::Appended;
pub use checkpoint::{OffsetCheckpoint, TopicPartition};
pub use config::{Durability, FlushPolicy, LogConfig};
pub use directory::{MetaProperties, take_clean_shutdown, write_clean_shutdown};
pub use epochs::{EpochCache, EpochEnd, EpochEntry, UNKNOWN as UNKNOWN_EPOCH_END};
pub use error::{AppendError, LogError, ReadError};
pub use log::{AnyLog, AppendRequest, Log, SegmentInfo};
pub use marks::{Level, Marks, WaitError};
pub use offset_index::{OffsetEntry, OffsetIndex};
pub use partition_metadata::{decode_id, encode_id, read_topic_id, write_topic_id};
/// Batches, for those above who build or read them and need no more of that crate.
pub use plimsoll_records as records;
pub use producers::{
    BatchMeta, Origin, ProducerEntry, ProducerError, Producers, Verdict, WINDOW_BATCHES, Window,
};
pub use read::ReadOut;
pub use recover::RecoveryReport;
pub use snapshot::SnapshotError;
pub use state::Observer;
pub use text::SideError;
pub use time_index::{TimeEntry, TimeIndex};
pub use time_lookup::TimestampOffset;
