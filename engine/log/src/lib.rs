//! One partition's log on disk, in Kafka's layout, over any [`plimsoll_io::SegmentStore`].
//!
//! [`Log`] is the handle. An append is admitted under one short lock in the order of rule E15 (`admit`): offsets,
//! producer check ([`Producers`], rule E14), room, acceptance. What needs I/O first happens outside the lock and one at
//! a time (`room`): rolling, reserving space, checkpointing an epoch ([`EpochCache`]). Most room is made before it is
//! needed, in the background (`ahead`), in steps that shrink with the number of logs on the disk (`disk_share`), or comes
//! from segments that retention removed (`retired`). An accepted batch is queued in a `WriteLine`, which says what to
//! write next (gathered pieces, or aligned blocks whose last is written again), and the pump (`pump`) keeps the writes in
//! flight: whoever appends polls it once in place, and only what does not finish then becomes a local task. A second task (`sync_task`) syncs, seals rolled segments and
//! writes their indexes and producer snapshots (`snapshots`); it may lag a few segments behind, then rolls wait for it.
//! Progress is published as [`Marks`] in offsets of the whole log; waiters and marks carry a generation, which
//! truncation, loss of leadership and a full disk end.
//!
//! Reading (`read`, `time_lookup`) goes by a sparse [`OffsetIndex`] and [`TimeIndex`], whole in memory, and hands out
//! zero-copy slices where the backend has them. Opening (`recover`, `scan`) trusts what lies below the recovery point,
//! checks the rest batch by batch and cuts at the first bad one. At its other end the log gives up whole segments
//! (`retention`) by time, size and log start, or on request; in the middle it forgets what newer records of the same key
//! replace (`compact`). The small files around it ([`OffsetCheckpoint`],
//! [`MetaProperties`], [`layout`], [`snapshot`]) are Kafka's byte for byte, for the log and for the broker above.
//!
//! Of transactions the log keeps which are ongoing, how far readers of committed records may go, and which were aborted
//! (`transactions`, rules E19 and E20). What a follower cuts off after its leader's answer is decided apart from the
//! cutting (`follower`, rules E27 and E28).
//!
//! After a failed write or sync the log is offline for good and says why; a sync is never retried. A full disk is an
//! ordinary error: space is reserved before a batch is accepted, and what finds none is cut off again.
//!
//! This crate must not know sockets, replication, requests, or which backend runs.

mod admit;
mod ahead;
mod append;
mod checkpoint;
mod close;
mod compact;
mod config;
mod directory;
mod disk_share;
mod epochs;
mod error;
mod follower;
pub mod layout;
mod log;
mod marks;
mod mend;
mod newest;
mod offset_index;
mod open_files;
mod partition_metadata;
mod producers;
mod pump;
mod read;
mod recover;
mod retention;
mod retired;
mod room;
mod scan;
mod scrub;
mod segment;
mod side_file;
pub mod snapshot;
mod snapshots;
mod state;
mod swap;
mod sync_task;
mod text;
mod time_index;
mod time_lookup;
mod transactions;
mod truncate;
mod walk;
mod write_line;

pub use admit::Appended;
pub use append::AppendRequest;
pub use checkpoint::{OffsetCheckpoint, TopicPartition};
pub use compact::{
    CompactError, CompactRequest, CompactionCandidate, CompactionPolicy, CompactionReport, OffsetMap,
    Problem as CompactProblem, Throttle,
};
pub use config::{Durability, FlushPolicy, LogConfig};
pub use directory::{MetaProperties, clean_shutdown_epoch, take_clean_shutdown, write_clean_shutdown};
pub use epochs::{EpochCache, EpochEnd, EpochEntry, UNKNOWN as UNKNOWN_EPOCH_END};
pub use error::{AppendError, LogError, ReadError};
pub use follower::{OutOfRange, Truncation, follower_out_of_range};
pub use log::{AnyLog, Log, SegmentInfo};
pub use marks::{Level, Marks, WaitError};
pub use offset_index::{OffsetEntry, OffsetIndex};
pub use open_files::OpenFiles;
pub use partition_metadata::{decode_id, encode_id, read_topic_id, write_topic_id};
/// Batches, for those above who build or read them and need no more of that crate.
pub use plimsoll_records as records;
pub use producers::{
    BatchMeta, Origin, ProducerEntry, ProducerError, Producers, Verdict, WINDOW_BATCHES, Window,
};
pub use read::{CommittedRead, ReadOut};
pub use recover::{OpenHints, RecoveryReport};
pub use retention::{DeleteRecordsError, HIGH_WATERMARK, Retained, RetentionBounds, RetentionPolicy};
pub use retired::SegmentCounts;
pub use scrub::ScrubReport;
pub use snapshot::SnapshotError;
pub use state::Observer;
pub use text::SideError;
pub use time_index::{TimeEntry, TimeIndex};
pub use time_lookup::TimestampOffset;
pub use transactions::{AbortedTxn, TransactionIndex, TxnMarker};
