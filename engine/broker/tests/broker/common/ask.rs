//! The requests that nearly every test sends.

use plimsoll_records::Batch;
use plimsoll_wire::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionFetchResponse};
use plimsoll_wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use plimsoll_wire::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use plimsoll_wire::produce::{
    PartitionProduce, PartitionProduceResponse, ProduceRecords, ProduceRequest, TopicProduce,
};
use plimsoll_wire::{ErrorCode, NoSlice, Request, Response};

use super::client::{text, topic_name};
use super::{Client, Values, values};

/// A Produce request with one batch, by name.
pub(crate) fn produce_one(
    topic: &str,
    partition: i32,
    records: impl Into<ProduceRecords>,
    acks: i16,
) -> ProduceRequest {
    let partitions = vec![PartitionProduce { index: partition, records: records.into() }];
    let topics = vec![TopicProduce { name: text(topic), partitions, ..TopicProduce::default() }];
    ProduceRequest { acks, timeout_ms: 10_000, topics, ..ProduceRequest::default() }
}

/// One topic of a Fetch request: partitions with their offsets.
pub(crate) fn fetch_topic(topic: &str, partitions: &[(i32, i64)]) -> FetchTopic {
    let partition = |&(index, fetch_offset): &(i32, i64)| FetchPartition {
        index,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    FetchTopic { name: text(topic), partitions, ..FetchTopic::default() }
}

/// A Fetch request of one partition without session or wait, by name.
pub(crate) fn fetch_one(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![fetch_topic(topic, &[(partition, offset)])],
        ..FetchRequest::default()
    }
}

/// A DeleteRecords request of one partition.
pub(crate) fn delete_records_request(topic: &str, partition: i32, offset: i64) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000)
}

/// The first partition's low watermark, or its error.
pub(crate) fn low_watermark(response: &DeleteRecordsResponse) -> Result<i64, ErrorCode> {
    let result = &response.topics[0].partitions[0];
    match ErrorCode::from_code(result.error_code) {
        ErrorCode::None => Ok(result.low_watermark),
        code => Err(code),
    }
}

impl Client {
    /// Moves a partition's start and returns it.
    pub(crate) fn delete_records(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<i64, ErrorCode> {
        let request = Request::DeleteRecords(delete_records_request(topic, partition, offset));
        let Response::DeleteRecords(response) = self.ask(version, &request) else { panic!() };
        low_watermark(&response)
    }

    /// Produces one batch with acks=all and returns the answer.
    pub(crate) fn try_produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: &Batch,
    ) -> PartitionProduceResponse {
        self.produce_request(12, produce_one(topic, partition, batch, -1))
    }

    /// Produces one batch, which must succeed, and returns its base offset.
    pub(crate) fn produce(&mut self, topic: &str, partition: i32, batch: &Batch) -> i64 {
        let answer = self.try_produce(topic, partition, batch);
        assert_eq!(answer.error.code(), 0, "{:?}", answer.error_message);
        answer.base_offset
    }

    /// The first partition's answer.
    pub(crate) fn produce_request(
        &mut self,
        version: i16,
        request: ProduceRequest,
    ) -> PartitionProduceResponse {
        let Response::Produce(response) = self.ask(version, &Request::Produce(request)) else { panic!() };
        response
            .topics
            .into_iter()
            .next()
            .expect("a topic")
            .partitions
            .into_iter()
            .next()
            .expect("a partition")
    }

    /// The first partition's answer.
    pub(crate) fn fetch_request(
        &mut self,
        version: i16,
        request: FetchRequest,
    ) -> PartitionFetchResponse<NoSlice> {
        let Response::Fetch(response) = self.ask(version, &Request::Fetch(request)) else { panic!() };
        assert_eq!(response.error.code(), 0);
        response
            .topics
            .into_iter()
            .next()
            .expect("a topic")
            .partitions
            .into_iter()
            .next()
            .expect("a partition")
    }

    pub(crate) fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> PartitionFetchResponse<NoSlice> {
        self.fetch_request(12, fetch_one(topic, partition, offset))
    }

    /// Everything from `offset` on, in as many fetches as it takes.
    pub(crate) fn read_from(&mut self, topic: &str, partition: i32, mut offset: i64) -> Values {
        let mut all = Values::new();
        loop {
            let answer = self.fetch(topic, partition, offset);
            assert_eq!(answer.error.code(), 0);
            let some = values(answer.records_bytes());
            let Some((last, _)) = some.last() else { return all };
            (all, offset) = ([all, some.clone()].concat(), last + 1);
        }
    }
}
