//! One partition of a fetch: judged, read, and put into an answer.

use plimsoll_log::{AbortedTxn, EpochEnd, ReadError};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartition, PartitionFetchResponse, ReplicaState,
};

use crate::net::StoredSlice;
use crate::partition::replication::leader::FollowerFetch;
use crate::partition::replication::serve::{Asked, Verdict};
use crate::partition::{Bounds, Fetched, Isolation, Partition};
use crate::telemetry::{Recorder, Stage};

type Answer = PartitionFetchResponse<StoredSlice>;

/// What may be read of one partition.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub(super) bytes: usize,
    pub(super) at_least_one: bool,
}

pub(super) fn refused(index: i32, error: ErrorCode) -> Answer {
    PartitionFetchResponse { index, error, ..PartitionFetchResponse::default() }
}

/// An answer without records.
pub(super) fn bounded(partition: &Partition, error: ErrorCode, bounds: Bounds) -> Answer {
    PartitionFetchResponse {
        error,
        high_watermark: bounds.high_watermark,
        last_stable_offset: bounds.last_stable,
        log_start_offset: bounds.log_start,
        ..refused(partition.index(), error)
    }
}

fn asked(wanted: &FetchPartition) -> Asked {
    let FetchPartition { current_leader_epoch, fetch_offset, last_fetched_epoch, .. } = *wanted;
    Asked { current_leader_epoch, fetch_offset, last_fetched_epoch }
}

/// What a follower gets: everything that is written. How far it is counts at the first look only (rule E23): what it said
/// was true then, and it says nothing new while it waits.
pub(super) async fn for_follower(
    partition: &Partition,
    replica: ReplicaState,
    wanted: &FetchPartition,
    budget: Budget,
    first: bool,
) -> Answer {
    let verdict = match first {
        true => {
            // Under `durability=fsync` one that does not say what is durable holds nothing.
            let reached =
                if partition.acks_after_sync() { wanted.durable_offset } else { wanted.fetch_offset };
            partition.fetched_by(&FollowerFetch {
                replica_id: replica.replica_id,
                broker_epoch: replica.replica_epoch,
                asked: asked(wanted),
                log_start: wanted.log_start_offset,
                reached,
            })
        }
        false => partition
            .check_leads(wanted.current_leader_epoch)
            .map_or_else(Verdict::Refuse, |()| Verdict::Read),
    };
    match verdict {
        Verdict::Read => {
            let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or_default().min(budget.bytes);
            let read = partition.read_for_follower(wanted.fetch_offset, max_bytes, budget.at_least_one).await;
            found(partition, wanted, read)
        }
        Verdict::Diverging(end) => diverging(partition, end),
        Verdict::Refuse(error) => bounded(partition, error, partition.bounds()),
    }
}

/// The first partition with data returns at least one whole batch, later ones obey the budget (KIP-74).
pub(super) async fn for_consumer(
    partition: &Partition,
    (isolation, from_any): (Isolation, bool),
    wanted: &FetchPartition,
    budget: Budget,
    recorder: &Recorder,
) -> Answer {
    let bounds = partition.bounds();
    match partition.judge(&bounds, &asked(wanted), from_any) {
        Verdict::Read => {}
        Verdict::Diverging(end) => return diverging(partition, end),
        Verdict::Refuse(error @ (ErrorCode::OffsetOutOfRange | ErrorCode::OffsetNotAvailable)) => {
            return bounded(partition, error, bounds);
        }
        Verdict::Refuse(error) => return refused(partition.index(), error),
    }
    // Whoever asks for an offset has what lies before it: that lay here until it was given.
    let lay = |ns, records| recorder.spent(Stage::FetchWait, ns, records);
    partition.asked(wanted.fetch_offset, lay);
    let max_bytes = usize::try_from(wanted.partition_max_bytes).unwrap_or_default().min(budget.bytes);
    let read = partition.read(bounds, wanted.fetch_offset, isolation, max_bytes, budget.at_least_one).await;
    if read.as_ref().is_ok_and(|fetched| !fetched.records.is_empty()) {
        partition.gave(wanted.fetch_offset);
    }
    found(partition, wanted, read)
}

fn diverging(partition: &Partition, end: EpochEnd) -> Answer {
    let answer = bounded(partition, ErrorCode::None, partition.bounds());
    let end = EpochEndOffset { epoch: end.epoch, end_offset: end.end_offset };
    PartitionFetchResponse { diverging_epoch: Some(end), ..answer }
}

/// What a read found, as an answer.
fn found(partition: &Partition, wanted: &FetchPartition, read: Result<Fetched, ReadError>) -> Answer {
    match read {
        Ok(Fetched { bounds, records, aborted }) => PartitionFetchResponse {
            records: vec![StoredSlice::part(records)],
            aborted_transactions: aborted.map(|all| all.iter().map(on_the_wire).collect()),
            ..bounded(partition, ErrorCode::None, bounds)
        },
        Err(ReadError::OutOfRange { .. }) => {
            bounded(partition, ErrorCode::OffsetOutOfRange, partition.bounds())
        }
        Err(error) => {
            let index = partition.index();
            tracing::error!("partition {index}: a read at offset {} failed: {error}", wanted.fetch_offset);
            let code = match error {
                // Damaged on disk: asking again does not help, another replica may.
                ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
                _ => ErrorCode::KafkaStorageError,
            };
            bounded(partition, code, partition.bounds())
        }
    }
}

fn on_the_wire(aborted: &AbortedTxn) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
}
