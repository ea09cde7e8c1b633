//! ListOffsets: the ends of a partition, and offsets by time.

use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::list_offsets_request::ListOffsetsPartition;
use plimsoll_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use plimsoll_wire::messages::{ListOffsetsRequest, ListOffsetsResponse};
use tracing::error;

use crate::broker::Broker;
use crate::partition::{Isolation, Partition};

/// Timestamps with a meaning of their own.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;

/// A timestamp, an offset, the leader epoch of its batch; -1 each if there is none.
type Found = (i64, i64, i32);
const NOTHING: Found = (-1, -1, -1);

pub(super) async fn handle(
    broker: &Broker,
    version: i16,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let isolation = Isolation::try_from(request.isolation_level);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let found = match broker.catalog.by_name(&topic.name.0) {
                Some(topic) => match topic.partition(asked.partition_index) {
                    Ok(partition) if request.replica_id.0 >= 0 => of_log(partition, asked),
                    Ok(partition) => look_up(partition, version, isolation, asked).await,
                    Err(code) => Err(code),
                },
                None => Err(ErrorCode::UnknownTopicOrPartition),
            };
            partitions.push(answer(version, asked.partition_index, found));
        }
        topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
    }
    ListOffsetsResponse::default().with_topics(topics)
}

fn answer(version: i16, index: i32, found: Result<Found, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (code, (timestamp, offset, leader_epoch)) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(code) => (code, NOTHING),
    };
    let response = ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(code.code())
        .with_timestamp(timestamp)
        .with_offset(offset);
    if version >= 4 { response.with_leader_epoch(leader_epoch) } else { response }
}

/// What a follower is told, whose log the leader's does not reach (rule E28): the ends of all that it may read.
fn of_log(partition: &Partition, asked: &ListOffsetsPartition) -> Result<Found, ErrorCode> {
    partition.check_leads(asked.current_leader_epoch)?;
    let marks = partition.log().marks();
    match asked.timestamp {
        LATEST => Ok((-1, marks.written, partition.leader_epoch())),
        EARLIEST => Ok((-1, marks.start_offset, partition.epoch_at(marks.start_offset))),
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

async fn look_up(
    partition: &Partition,
    version: i16,
    isolation: Result<Isolation, ErrorCode>,
    asked: &ListOffsetsPartition,
) -> Result<Found, ErrorCode> {
    let isolation = isolation?;
    partition.check_leads(asked.current_leader_epoch)?;
    let bounds = partition.bounds();
    // A consumer is shown no end, and no record by its time, that it may not read (rule E20).
    let visible = bounds.visible(isolation);
    let epoch = partition.leader_epoch();
    match asked.timestamp {
        LATEST => {
            partition.offset_available(None, version)?;
            Ok((-1, visible, epoch))
        }
        EARLIEST => Ok((-1, bounds.log_start, partition.epoch_at(bounds.log_start))),
        EARLIEST_LOCAL if version >= 8 => Ok((-1, bounds.log_start, partition.epoch_at(bounds.log_start))),
        LATEST_TIERED if version >= 9 => Ok(NOTHING),
        MAX_TIMESTAMP if version >= 7 => {
            let found = stored(partition.log().max_timestamp(visible).await)?;
            partition.offset_available(found.as_ref().map(|at| at.offset), version)?;
            Ok(found.map_or(NOTHING, |at| (at.timestamp, at.offset, at.leader_epoch)))
        }
        time if time >= 0 => {
            let found = stored(partition.log().offset_for_timestamp(time, visible).await)?;
            partition.offset_available(found.as_ref().map(|at| at.offset), version)?;
            Ok(found.map_or(NOTHING, |at| (at.timestamp, at.offset, at.leader_epoch)))
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

fn stored<T, E: std::fmt::Display>(found: Result<T, E>) -> Result<T, ErrorCode> {
    found.map_err(|failed| {
        error!("a lookup by time failed: {failed}");
        ErrorCode::KafkaStorageError
    })
}
