//! DeleteRecords: a client moves the start of partitions. An answer without error means that a crash does not move it back.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_log::DeleteRecordsError;
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use plimsoll_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use tokio::time::Instant;
use tracing::error;

use crate::broker::Broker;
use crate::catalog::Topic;
use crate::log_dirs::LogDir;
use crate::partition::Partition;

/// What is answered beside an error.
const NO_WATERMARK: i64 = -1;

/// A start that was moved, in a directory that must not forget it.
struct Moved {
    log_start: i64,
    partition: Arc<Partition>,
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
    let deadline =
        Instant::now() + Duration::from_millis(u64::from(request.timeout_ms.max(0).unsigned_abs()));
    let mut answered = Vec::with_capacity(topics.len());
    for (name, partitions) in topics {
        let mut answers = Vec::with_capacity(partitions.len());
        for (index, outcome) in partitions {
            answers.push(answer(index, everywhere(outcome, &forgetful, deadline).await));
        }
        answered.push(DeleteRecordsTopicResult::default().with_name(name).with_partitions(answers));
    }
    DeleteRecordsResponse::default().with_topics(answered)
}

/// Writes the starts of the directories concerned down: a restart must not bring back what was deleted. Returns those
/// where that failed.
async fn note_starts(broker: &Broker, moved: impl Iterator<Item = &Moved>) -> Vec<Arc<LogDir>> {
    let mut directories: Vec<Arc<LogDir>> = Vec::new();
    for Moved { partition, .. } in moved {
        let directory = partition.directory();
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

/// The low watermark, once all replicas that are there have deleted what was asked (rule E30). A start that a crash would
/// forget was not moved, as far as the client is concerned.
async fn everywhere(
    outcome: Result<Moved, ErrorCode>,
    forgetful: &[Arc<LogDir>],
    deadline: Instant,
) -> Result<i64, ErrorCode> {
    let Moved { log_start, partition } = outcome?;
    if forgetful.iter().any(|dir| Arc::ptr_eq(dir, partition.directory())) {
        return Err(ErrorCode::KafkaStorageError);
    }
    partition.deleted_everywhere(log_start, deadline).await
}

fn answer(index: i32, outcome: Result<i64, ErrorCode>) -> DeleteRecordsPartitionResult {
    let (code, low_watermark) = match outcome {
        Ok(low_watermark) => (ErrorCode::None, low_watermark),
        Err(code) => (code, NO_WATERMARK),
    };
    DeleteRecordsPartitionResult::default()
        .with_partition_index(index)
        .with_low_watermark(low_watermark)
        .with_error_code(code.code())
}

/// Moves one partition's start and returns it.
async fn delete(topic: &Topic, index: i32, before_offset: i64) -> Result<Moved, ErrorCode> {
    let partition = topic.partition(index)?;
    if !topic.settings.deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    partition.check_leads(-1)?;
    let high_watermark = partition.bounds().high_watermark;
    match partition.log().delete_records(before_offset, high_watermark).await {
        Ok(log_start) => Ok(Moved { log_start, partition: partition.clone() }),
        Err(DeleteRecordsError::OutOfRange { .. }) => Err(ErrorCode::OffsetOutOfRange),
        Err(DeleteRecordsError::Log(failed)) => {
            error!("{}-{index}: records could not be deleted: {failed}", topic.name);
            Err(ErrorCode::KafkaStorageError)
        }
    }
}
