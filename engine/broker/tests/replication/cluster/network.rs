//! Messages on their way. Any may be late, doubled or lost; one to a process that is gone is never delivered.

use plimsoll_broker::replication::follower::Sent;
use plimsoll_broker::replication::isr::{AlterPartition, Answer};
use plimsoll_broker::replication::leader::FollowerFetch;
use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_log::EpochEnd;
use plimsoll_wire::ErrorCode;

use super::log::Record;

/// One run of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId {
    pub broker: ReplicaId,
    pub incarnation: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Message {
    Fetch { from: ProcessId, to: ProcessId, fetch: FollowerFetch },
    Fetched { from: ProcessId, to: ProcessId, sent: Sent, answer: FetchAnswer },
    Alter { from: ProcessId, change: AlterPartition },
    Altered { to: ProcessId, based_on: i32, answer: Answer },
}

/// The leader's answer, with its first and last offset, which a follower would ask for by ListOffsets.
#[derive(Clone, Debug)]
pub(crate) struct FetchAnswer {
    pub error: ErrorCode,
    pub diverging: Option<EpochEnd>,
    pub high_watermark: i64,
    pub range: (i64, i64),
    pub records: Vec<(i64, Record)>,
}

impl FetchAnswer {
    pub(crate) fn error(error: ErrorCode) -> Self {
        Self { error, diverging: None, high_watermark: -1, range: (-1, -1), records: Vec::new() }
    }
}
