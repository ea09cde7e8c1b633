//! What a log's operations may answer instead of a result.

use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_io::{FaultKind, IoFault};
use plimsoll_records::BatchError;
use uuid::Uuid;

use crate::partition_metadata::encode_id;
use crate::producers::ProducerError;
use crate::text::SideError;

/// Opening, truncating, flushing, closing or deleting failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file operation failed.
    #[error(transparent)]
    Fault(#[from] IoFault),
    /// A small file is damaged.
    #[error(transparent)]
    Side(#[from] SideError),
    /// The directory belongs to another topic of the same name.
    #[error(
        "{} belongs to topic id {}, not to {}; move the directory away, it is left from an earlier topic",
        dir.display(), encode_id(*found), encode_id(*expected)
    )]
    TopicId {
        /// The partition's directory.
        dir: PathBuf,
        /// What its `partition.metadata` says.
        found: Uuid,
        /// What the caller expects.
        expected: Uuid,
    },
    /// The device failed earlier; the log is offline for good.
    #[error("the log is offline after a device fault: {0}")]
    Poisoned(Arc<IoFault>),
    /// The log was closed.
    #[error("the log was closed")]
    Closed,
}

/// A batch was not accepted. The log is as it was before.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// No room on the disk. Retriable: nothing of the batch remains, and the log works on once there is room.
    #[error("no space left for the batch: {0}")]
    NoSpace(Arc<IoFault>),
    /// The device failed; the log is offline for good.
    #[error("the log is offline after a device fault: {0}")]
    Poisoned(Arc<IoFault>),
    /// Creating the next segment or reserving space failed, neither for space nor for the device.
    #[error(transparent)]
    Fault(Arc<IoFault>),
    /// The producer is fenced or out of order (rule E14).
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// Larger than a whole segment.
    #[error("the batch has {size_bytes} bytes, more than segment.bytes = {segment_bytes}")]
    TooLarge {
        /// The batch's size.
        size_bytes: usize,
        /// The setting.
        segment_bytes: u32,
    },
    /// A replica's batch does not continue the log (rule E17): it begins below the log end offset. On an empty
    /// log whose start lies inside the batch, truncate fully to `first_offset` and append again.
    #[error("batch {first_offset}..={last_offset} does not continue the log, which ends at {log_end_offset}")]
    UnexpectedOffset {
        /// The batch's base offset.
        first_offset: i64,
        /// The batch's last offset.
        last_offset: i64,
        /// One past the log's last offset.
        log_end_offset: i64,
    },
    /// A client's batch came through a leader whose epoch is over.
    #[error("leader epoch {epoch} is over, the log has reached epoch {current}")]
    StaleEpoch {
        /// The epoch to be stamped.
        epoch: i32,
        /// The log's latest.
        current: i32,
    },
    /// A replica's batch is damaged.
    #[error(transparent)]
    Corrupt(#[from] BatchError),
    /// Offsets have run out.
    #[error("the batch would pass the largest offset")]
    OffsetsExhausted,
    /// The log was closed.
    #[error("the log was closed")]
    Closed,
}

impl AppendError {
    /// What a failed reservation, roll or checkpoint means for the batch that needed it.
    pub(crate) fn of_room(fault: IoFault) -> Self {
        match fault.kind {
            FaultKind::NoSpace => AppendError::NoSpace(Arc::new(fault)),
            _ => AppendError::Fault(Arc::new(fault)),
        }
    }
}

/// Reading failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Below the log start offset or above the log end offset (rule E18).
    #[error("offset {offset} is outside {start_offset}..={log_end_offset}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// The first offset that may be read.
        start_offset: i64,
        /// One past the last offset.
        log_end_offset: i64,
    },
    /// A file operation failed.
    #[error(transparent)]
    Fault(#[from] IoFault),
    /// Stored bytes are not the batch they should be.
    #[error("{} at byte {at_bytes} holds no valid batch: {problem}", path.display())]
    Corrupt {
        /// The segment file.
        path: PathBuf,
        /// Where the batch should start.
        at_bytes: u64,
        /// What is wrong.
        problem: String,
    },
}
