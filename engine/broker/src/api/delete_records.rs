//! DeleteRecords: a client moves the start of partitions. An answer without error means that a crash does not move it back.

use std::sync::Arc;

use plimsoll_log::DeleteRecordsError;
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use plimsoll_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tracing::error;

use crate::broker::Broker;
use crate::catalog::Topic;
use crate::log_dirs::LogDir;

/// What is answered beside an error.
const NO_WATERMARK: i64 = -1;

/// A start that was moved, and the directory that must not forget it.
struct Moved {
    low_watermark: i64,
    directory: Arc<LogDir>,
}

pub(super) async fn handle(broker: &Broker, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for asked in request.topics {
        let topic = broker.catalog.by_name(&asked.name.0);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for partition in asked.partitions {
            let outcome = match &topic {
                Some(topic) => delete(topic, partition.partition_index, partition.offset).await,
                None => Err(ErrorCode::UnknownTopicOrPartition),
            };
            partitions.push((partition.partition_index, outcome));
        }
        topics.push((asked.name, partitions));
    }
    let moved = topics.iter().flat_map(|(_, partitions)| partitions);
    let forgetful = note_starts(broker, moved.filter_map(|(_, outcome)| outcome.as_ref().ok())).await;
    let topics = topics.into_iter().map(|(name, partitions)| {
        let answers = partitions.into_iter().map(|(index, outcome)| answer(index, outcome, &forgetful));
        DeleteRecordsTopicResult::default().with_name(name).with_partitions(answers.collect())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

/// Writes the starts of the directories concerned down: a restart must not bring back what was deleted. Returns those
/// where that failed.
async fn note_starts(broker: &Broker, moved: impl Iterator<Item = &Moved>) -> Vec<Arc<LogDir>> {
    let mut directories: Vec<Arc<LogDir>> = Vec::new();
    for Moved { directory, .. } in moved {
        if !directories.iter().any(|known| Arc::ptr_eq(known, directory)) {
            directories.push(directory.clone());
        }
    }
    let mut forgetful = Vec::new();
    for directory in directories {
        if let Err(failed) = broker.note_log_starts(&directory).await {
            error!(
                "log starts could not be written down; a crash would show deleted records again: {failed}"
            );
            forgetful.push(directory);
        }
    }
    forgetful
}

/// A start that a crash would forget was not moved, as far as the client is concerned.
fn answer(
    index: i32,
    outcome: Result<Moved, ErrorCode>,
    forgetful: &[Arc<LogDir>],
) -> DeleteRecordsPartitionResult {
    let forgotten = |moved: &Moved| forgetful.iter().any(|dir| Arc::ptr_eq(dir, &moved.directory));
    let (code, low_watermark) = match outcome {
        Ok(moved) if forgotten(&moved) => (ErrorCode::KafkaStorageError, NO_WATERMARK),
        Ok(moved) => (ErrorCode::None, moved.low_watermark),
        Err(code) => (code, NO_WATERMARK),
    };
    DeleteRecordsPartitionResult::default()
        .with_partition_index(index)
        .with_low_watermark(low_watermark)
        .with_error_code(code.code())
}

/// Moves one partition's start and returns it; with one replica it is the low watermark (rule E30).
async fn delete(topic: &Topic, index: i32, before_offset: i64) -> Result<Moved, ErrorCode> {
    let partition = topic.partition(index)?;
    if !topic.settings.deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.bounds().high_watermark;
    match partition.log().delete_records(before_offset, high_watermark).await {
        Ok(low_watermark) => Ok(Moved { low_watermark, directory: partition.directory().clone() }),
        Err(DeleteRecordsError::OutOfRange { .. }) => Err(ErrorCode::OffsetOutOfRange),
        Err(DeleteRecordsError::Log(failed)) => {
            error!("{}-{index}: records could not be deleted: {failed}", topic.name);
            Err(ErrorCode::KafkaStorageError)
        }
    }
}
