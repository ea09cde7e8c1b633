//! One partition's log on disk.

mod checkpoint;
mod config;
mod directory;
mod epochs;
pub mod layout;
mod marks;
mod offset_index;
mod partition_metadata;
mod producers;
mod side_file;
pub mod snapshot;
mod text;
mod time_index;

pub use checkpoint::{OffsetCheckpoint, TopicPartition};
pub use config::{Durability, FlushPolicy, LogConfig};
pub use directory::{MetaProperties, take_clean_shutdown, write_clean_shutdown};
pub use epochs::{EpochCache, EpochEnd, EpochEntry, UNKNOWN as UNKNOWN_EPOCH_END};
pub use marks::{Level, Marks, WaitError};
pub use offset_index::{OffsetEntry, OffsetIndex};
pub use partition_metadata::{decode_id, encode_id, read_topic_id, write_topic_id};
pub use producers::{BatchMeta, Origin, ProducerEntry, ProducerError, Producers, Verdict, WINDOW_BATCHES, Window};
pub use snapshot::SnapshotError;
pub use text::SideError;
pub use time_index::{TimeEntry, TimeIndex};
