//! OffsetForLeaderEpoch: where a leader epoch ends in the leader's log, by which others see where theirs leaves it (rule
//! E27).

use plimsoll_log::{EpochEnd, UNKNOWN_EPOCH_END};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use plimsoll_wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use plimsoll_wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::take_turns;
use crate::broker::Broker;

pub(super) async fn handle(
    broker: &Broker,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut served = 0;
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            partitions.push(answer(asked.partition, look_up(broker, &topic.topic.0, asked)));
            take_turns(served).await;
            served += 1;
        }
        topics
            .push(OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions));
    }
    OffsetForLeaderEpochResponse::default().with_topics(topics)
}

fn look_up(broker: &Broker, topic: &str, asked: &OffsetForLeaderPartition) -> Result<EpochEnd, ErrorCode> {
    let topic = broker.catalog.by_name(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let partition = topic.partition(asked.partition)?;
    partition.check_leads(asked.current_leader_epoch)?;
    Ok(partition.log().epoch_end_offset(asked.leader_epoch))
}

fn answer(index: i32, found: Result<EpochEnd, ErrorCode>) -> EpochEndOffset {
    let (code, end) = match found {
        Ok(end) => (ErrorCode::None, end),
        Err(code) => (code, UNKNOWN_EPOCH_END),
    };
    EpochEndOffset::default()
        .with_error_code(code.code())
        .with_partition(index)
        .with_leader_epoch(end.epoch)
        .with_end_offset(end.end_offset)
}
