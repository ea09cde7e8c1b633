//! Offsets by time, producer ids, coordinators.

use std::time::Duration;

use plimsoll_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use plimsoll_wire::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdRequest, ListOffsetsRequest,
    ListOffsetsResponse, TopicName, TransactionalId,
};
use plimsoll_wire::{ApiKey, ErrorCode, Request, Response, StrBytes};

use crate::admin::BrokerInfo;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::pending::Asked;

/// Which offset of a partition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log's first offset.
    Earliest,
    /// The high watermark, or the last stable offset under read-committed.
    Latest,
    /// That of the record with the highest timestamp. From version 7.
    MaxTimestamp,
    /// The first whose timestamp is not below this one, in milliseconds.
    AtOrAfterMs(i64),
}

impl OffsetSpec {
    const fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::AtOrAfterMs(timestamp_ms) => timestamp_ms,
        }
    }
}

/// One partition's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// The partition's index.
    pub partition: i32,
    /// Success or the broker's error.
    pub error: ErrorCode,
    /// The offset, -1 for none.
    pub offset: i64,
    /// The record's timestamp in milliseconds, -1 if none was looked up.
    pub timestamp_ms: i64,
    /// The leader epoch of that offset, -1 if unknown.
    pub leader_epoch: i32,
}

impl Connection {
    /// The wanted offset of each partition of a topic led by this broker.
    pub async fn list_offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        wanted: OffsetSpec,
        read_committed: bool,
    ) -> Result<Vec<ListedOffset>, ClientError> {
        let version = self.version(ApiKey::ListOffsets)?;
        let request = list_request(topic, partitions, wanted, read_committed, version);
        let interpret = |response, asked: &Asked| match response {
            Some(Response::ListOffsets(response)) => Ok(listed(response)),
            _ => Err(asked.incomplete("offsets")),
        };
        self.call(&Request::ListOffsets(request), Duration::ZERO, interpret).await.map(|timed| timed.value)
    }

    /// A producer id and epoch for an idempotent producer, or for the transactional id given.
    pub async fn init_producer_id(
        &self,
        transactional_id: Option<&str>,
        transaction_timeout: Duration,
    ) -> Result<(i64, i16), ClientError> {
        let id = transactional_id.map(|id| TransactionalId(StrBytes::from_string(id.to_owned())));
        let timeout_ms = i32::try_from(transaction_timeout.as_millis()).unwrap_or(i32::MAX);
        let request = InitProducerIdRequest::default()
            .with_transactional_id(id)
            .with_transaction_timeout_ms(timeout_ms);
        let interpret = |response, asked: &Asked| match response {
            Some(Response::InitProducerId(response)) => {
                asked.check(response.error_code, || "a producer id".to_owned(), None)?;
                Ok((response.producer_id.0, response.producer_epoch))
            }
            _ => Err(asked.incomplete("a producer id")),
        };
        let request = Request::InitProducerId(request);
        self.call(&request, Duration::ZERO, interpret).await.map(|timed| timed.value)
    }

    /// The broker that coordinates a group (`key_type` 0) or a transactional id (1).
    pub async fn find_coordinator(&self, key: &str, key_type: i8) -> Result<BrokerInfo, ClientError> {
        let version = self.version(ApiKey::FindCoordinator)?;
        let key = StrBytes::from_string(key.to_owned());
        let mut request = FindCoordinatorRequest::default();
        if version >= 1 {
            request.key_type = key_type;
        }
        if version >= 4 {
            request.coordinator_keys = vec![key.clone()];
        } else {
            request.key = key.clone();
        }
        let interpret = move |response, asked: &Asked| match response {
            Some(Response::FindCoordinator(response)) => coordinator(response, &key, asked),
            _ => Err(asked.incomplete("a coordinator")),
        };
        let request = Request::FindCoordinator(request);
        self.call(&request, Duration::ZERO, interpret).await.map(|timed| timed.value)
    }
}

fn list_request(
    topic: &str,
    partitions: &[i32],
    wanted: OffsetSpec,
    read_committed: bool,
    version: i16,
) -> ListOffsetsRequest {
    let partition = |&index: &i32| {
        ListOffsetsPartition::default().with_partition_index(index).with_timestamp(wanted.timestamp())
    };
    let topic = ListOffsetsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(partitions.iter().map(partition).collect());
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    if version >= 2 { request.with_isolation_level(read_committed.into()) } else { request }
}

fn listed(response: ListOffsetsResponse) -> Vec<ListedOffset> {
    let partitions = response.topics.into_iter().flat_map(|topic| topic.partitions);
    partitions
        .map(|partition| ListedOffset {
            partition: partition.partition_index,
            error: partition.error_code.into(),
            offset: partition.offset,
            timestamp_ms: partition.timestamp,
            leader_epoch: partition.leader_epoch,
        })
        .collect()
}

/// Up to version 3 the answer is one coordinator, from 4 a list by key.
fn coordinator(
    response: FindCoordinatorResponse,
    key: &StrBytes,
    asked: &Asked,
) -> Result<BrokerInfo, ClientError> {
    let subject = || format!("the coordinator of {key}");
    let (error, message, id, host, port) = if asked.version >= 4 {
        let mut all = response.coordinators.into_iter();
        let found = all.find(|found| found.key == *key).ok_or_else(|| asked.incomplete(subject()))?;
        (found.error_code, found.error_message, found.node_id, found.host, found.port)
    } else {
        (response.error_code, response.error_message, response.node_id, response.host, response.port)
    };
    asked.check(error, subject, message.as_deref())?;
    Ok(BrokerInfo { id: id.0, host: host.to_string(), port, rack: None })
}
