//! DeleteRecords: a client moves the start of partitions.

use plimsoll_log::DeleteRecordsError;
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use plimsoll_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tracing::error;

use crate::broker::Broker;
use crate::catalog::Topic;

/// What is answered beside an error.
const NO_WATERMARK: i64 = -1;

pub(super) async fn handle(broker: &Broker, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = broker.catalog.by_name(&asked.name.0);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let deleted = match &topic {
                Some(topic) => delete(topic, partition.partition_index, partition.offset).await,
                None => Err(ErrorCode::UnknownTopicOrPartition),
            };
            let code = deleted.err().unwrap_or(ErrorCode::None);
            let result = DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index)
                .with_low_watermark(deleted.unwrap_or(NO_WATERMARK))
                .with_error_code(code.code());
            partitions.push(result);
        }
        topics.push(DeleteRecordsTopicResult::default().with_name(asked.name).with_partitions(partitions));
    }
    // A restart must not bring back what was deleted.
    if let Err(failed) = broker.checkpoint() {
        error!("log starts could not be written down; a crash would show deleted records again: {failed}");
    }
    DeleteRecordsResponse::default().with_topics(topics)
}

/// Moves one partition's start and returns it; with one replica it is the low watermark (rule E30).
async fn delete(topic: &Topic, index: i32, before_offset: i64) -> Result<i64, ErrorCode> {
    let partition = topic.partition(index)?;
    if !topic.settings.deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.bounds().high_watermark;
    partition.log().delete_records(before_offset, high_watermark).await.map_err(|refused| match refused {
        DeleteRecordsError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        DeleteRecordsError::Log(failed) => {
            error!("{}-{index}: records could not be deleted: {failed}", topic.name);
            ErrorCode::KafkaStorageError
        }
    })
}
