//! Produce and Fetch: our own codec against `kafka-protocol`, both directions, every version.

use std::fmt::Debug;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{self as kp, BrokerId, TopicName};
use kafka_protocol::protocol::{Decodable, Encodable};
use proptest::prelude::*;
use uuid::Uuid;

use super::generate::Random;
use super::{request_frame, response_frame, unframed};
use crate::fetch::{
    AbortedTransaction, EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic,
    ForgottenTopic, PartitionFetchResponse, ReplicaState, SnapshotId, TopicFetchResponse,
};
use crate::part::{NoSlice, Part, Slice, only_bytes};
use crate::produce::{
    PartitionProduce, PartitionProduceResponse, ProduceRecords, ProduceRequest, ProduceResponse, RecordError,
    TopicProduce, TopicProduceResponse,
};
use crate::{
    Api, ApiKey, ErrorCode, LeaderIdAndEpoch, NodeEndpoint, Request, RequestHeader, Response, StrBytes,
    decode_request, decode_response, encode_request, encode_response,
};

// --- values that a version can express -------------------------------------------------------------

impl Random {
    fn int32(&mut self) -> i32 {
        (self.next() >> 33) as i32
    }

    fn int64(&mut self) -> i64 {
        (self.next() >> 1) as i64 - 1
    }

    fn text(&mut self) -> StrBytes {
        let length = self.below(5);
        (0..length).map(|_| char::from(b'a' + self.below(26) as u8)).collect::<String>().into()
    }

    fn maybe<T>(&mut self, available: bool, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (available && self.below(2) == 1).then(|| value(self))
    }

    fn some<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(3)).map(|_| value(self)).collect()
    }

    /// Long enough at times not to be gathered into the head.
    fn blob(&mut self) -> Bytes {
        let length = [0, 5, 300, 1000][self.below(4)];
        (0..length).map(|_| self.next() as u8).collect::<Vec<_>>().into()
    }

    fn topic(&mut self, by_id: bool) -> (StrBytes, Uuid) {
        if by_id {
            (StrBytes::new(), Uuid::from_u128(self.next().into()))
        } else {
            (self.text(), Uuid::nil())
        }
    }

    fn leader(&mut self) -> LeaderIdAndEpoch {
        LeaderIdAndEpoch { leader_id: self.int32(), leader_epoch: self.int32() }
    }

    fn endpoints(&mut self, available: bool) -> Vec<NodeEndpoint> {
        let endpoint = |random: &mut Self| NodeEndpoint {
            node_id: random.int32(),
            host: random.text(),
            port: random.int32(),
            rack: random.maybe(true, Self::text),
        };
        self.maybe(available, |random| random.some(endpoint)).unwrap_or_default()
    }
}

fn produce_request(random: &mut Random, version: i16) -> ProduceRequest {
    ProduceRequest {
        transactional_id: random.maybe(true, Random::text),
        acks: [-1, 0, 1][random.below(3)],
        timeout_ms: random.int32(),
        topics: random.some(|random| {
            let (name, topic_id) = random.topic(version >= 13);
            let partitions = random.some(|random| PartitionProduce {
                index: random.int32(),
                records: random.maybe(true, Random::blob).map_or(ProduceRecords::Null, Into::into),
            });
            TopicProduce { name, topic_id, partitions }
        }),
    }
}

fn produce_response(random: &mut Random, version: i16) -> ProduceResponse {
    ProduceResponse {
        topics: random.some(|random| {
            let (name, topic_id) = random.topic(version >= 13);
            let partitions = random.some(|random| PartitionProduceResponse {
                index: random.int32(),
                error: ErrorCode::from_code(random.int32() as i16),
                base_offset: random.int64(),
                log_append_time_ms: random.int64(),
                log_start_offset: random.maybe(version >= 5, Random::int64).unwrap_or(-1),
                record_errors: random
                    .maybe(version >= 8, |random| {
                        random.some(|random| RecordError {
                            batch_index: random.int32(),
                            message: random.maybe(true, Random::text),
                        })
                    })
                    .unwrap_or_default(),
                error_message: random.maybe(version >= 8, Random::text),
                current_leader: random.maybe(version >= 10, Random::leader),
            });
            TopicProduceResponse { name, topic_id, partitions }
        }),
        throttle_time_ms: random.int32(),
        node_endpoints: random.endpoints(version >= 10),
    }
}

fn fetch_partition(random: &mut Random, version: i16) -> FetchPartition {
    FetchPartition {
        index: random.int32(),
        current_leader_epoch: random.maybe(version >= 9, Random::int32).unwrap_or(-1),
        fetch_offset: random.int64(),
        last_fetched_epoch: random.maybe(version >= 12, Random::int32).unwrap_or(-1),
        log_start_offset: random.maybe(version >= 5, Random::int64).unwrap_or(-1),
        partition_max_bytes: random.int32(),
        replica_directory_id: random
            .maybe(version >= 17, |random| Uuid::from_u128(random.next().into()))
            .unwrap_or_default(),
        high_watermark: random.maybe(version >= 18, Random::int64).unwrap_or(i64::MAX),
        durable_offset: -1,
    }
}

fn fetch_request(random: &mut Random, version: i16) -> FetchRequest {
    FetchRequest {
        cluster_id: random.maybe(version >= 12, Random::text),
        replica: random
            .maybe(true, |random| ReplicaState {
                replica_id: random.int32(),
                replica_epoch: random.maybe(version >= 15, Random::int64).unwrap_or(-1),
            })
            .unwrap_or(ReplicaState::CONSUMER),
        max_wait_ms: random.int32(),
        min_bytes: random.int32(),
        max_bytes: random.int32(),
        isolation_level: random.below(2) as i8,
        session_id: random.maybe(version >= 7, Random::int32).unwrap_or(0),
        session_epoch: random.maybe(version >= 7, Random::int32).unwrap_or(-1),
        topics: random.some(|random| {
            let (name, topic_id) = random.topic(version >= 13);
            let partitions = random.some(|random| fetch_partition(random, version));
            FetchTopic { name, topic_id, partitions }
        }),
        forgotten_topics: random
            .maybe(version >= 7, |random| {
                random.some(|random| {
                    let (name, topic_id) = random.topic(version >= 13);
                    ForgottenTopic { name, topic_id, partitions: random.some(Random::int32) }
                })
            })
            .unwrap_or_default(),
        rack_id: random.maybe(version >= 11, Random::text).unwrap_or_default(),
    }
}

fn fetched_partition(random: &mut Random, version: i16) -> PartitionFetchResponse<NoSlice> {
    PartitionFetchResponse {
        index: random.int32(),
        error: ErrorCode::from_code(random.int32() as i16),
        high_watermark: random.int64(),
        last_stable_offset: random.int64(),
        log_start_offset: random.maybe(version >= 5, Random::int64).unwrap_or(-1),
        diverging_epoch: random.maybe(version >= 12, |random| EpochEndOffset {
            epoch: random.int32(),
            end_offset: random.int64(),
        }),
        current_leader: random.maybe(version >= 12, Random::leader),
        snapshot_id: random
            .maybe(version >= 12, |random| SnapshotId { end_offset: random.int64(), epoch: random.int32() }),
        aborted_transactions: random.maybe(true, |random| {
            random.some(|random| AbortedTransaction {
                producer_id: random.int64(),
                first_offset: random.int64(),
            })
        }),
        preferred_read_replica: random.maybe(version >= 11, Random::int32).unwrap_or(-1),
        records: Some(random.blob()).filter(|blob| !blob.is_empty()).into_iter().map(Part::Bytes).collect(),
    }
}

fn fetch_response(random: &mut Random, version: i16) -> FetchResponse<NoSlice> {
    FetchResponse {
        throttle_time_ms: random.int32(),
        error: random
            .maybe(version >= 7, |random| ErrorCode::from_code(random.int32() as i16))
            .unwrap_or_default(),
        session_id: random.maybe(version >= 7, Random::int32).unwrap_or(0),
        topics: random.some(|random| {
            let (name, topic_id) = random.topic(version >= 13);
            let partitions = random.some(|random| fetched_partition(random, version));
            TopicFetchResponse { name, topic_id, partitions }
        }),
        node_endpoints: random.endpoints(version >= 16),
    }
}

// --- the same values as the oracle's ---------------------------------------------------------------

fn kp_produce_request(ours: &ProduceRequest) -> kp::ProduceRequest {
    use kp::produce_request::{PartitionProduceData, TopicProduceData};
    let partition = |partition: &PartitionProduce| {
        PartitionProduceData::default()
            .with_index(partition.index)
            .with_records(partition.records.clone().into_bytes())
    };
    let topic = |topic: &TopicProduce| {
        TopicProduceData::default()
            .with_name(TopicName(topic.name.clone()))
            .with_topic_id(topic.topic_id)
            .with_partition_data(topic.partitions.iter().map(partition).collect())
    };
    kp::ProduceRequest::default()
        .with_transactional_id(ours.transactional_id.clone().map(kp::TransactionalId))
        .with_acks(ours.acks)
        .with_timeout_ms(ours.timeout_ms)
        .with_topic_data(ours.topics.iter().map(topic).collect())
}

fn kp_produce_response(ours: &ProduceResponse) -> kp::ProduceResponse {
    use kp::produce_response as r;
    let error = |error: &RecordError| {
        r::BatchIndexAndErrorMessage::default()
            .with_batch_index(error.batch_index)
            .with_batch_index_error_message(error.message.clone())
    };
    let leader = |leader: LeaderIdAndEpoch| {
        r::LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(leader.leader_id))
            .with_leader_epoch(leader.leader_epoch)
    };
    let partition = |partition: &PartitionProduceResponse| {
        r::PartitionProduceResponse::default()
            .with_index(partition.index)
            .with_error_code(partition.error.code())
            .with_base_offset(partition.base_offset)
            .with_log_append_time_ms(partition.log_append_time_ms)
            .with_log_start_offset(partition.log_start_offset)
            .with_record_errors(partition.record_errors.iter().map(error).collect())
            .with_error_message(partition.error_message.clone())
            .with_current_leader(partition.current_leader.map(leader).unwrap_or_default())
    };
    let topic = |topic: &TopicProduceResponse| {
        r::TopicProduceResponse::default()
            .with_name(TopicName(topic.name.clone()))
            .with_topic_id(topic.topic_id)
            .with_partition_responses(topic.partitions.iter().map(partition).collect())
    };
    let endpoint = |endpoint: &NodeEndpoint| {
        r::NodeEndpoint::default()
            .with_node_id(BrokerId(endpoint.node_id))
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.clone())
    };
    kp::ProduceResponse::default()
        .with_responses(ours.topics.iter().map(topic).collect())
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_node_endpoints(ours.node_endpoints.iter().map(endpoint).collect())
}

fn kp_fetch_request(ours: &FetchRequest, version: i16) -> kp::FetchRequest {
    use kp::fetch_request as r;
    let partition = |partition: &FetchPartition| {
        r::FetchPartition::default()
            .with_partition(partition.index)
            .with_current_leader_epoch(partition.current_leader_epoch)
            .with_fetch_offset(partition.fetch_offset)
            .with_last_fetched_epoch(partition.last_fetched_epoch)
            .with_log_start_offset(partition.log_start_offset)
            .with_partition_max_bytes(partition.partition_max_bytes)
            .with_replica_directory_id(partition.replica_directory_id)
            .with_high_watermark(partition.high_watermark)
    };
    let topic = |topic: &FetchTopic| {
        r::FetchTopic::default()
            .with_topic(TopicName(topic.name.clone()))
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.iter().map(partition).collect())
    };
    let forgotten = |topic: &ForgottenTopic| {
        r::ForgottenTopic::default()
            .with_topic(TopicName(topic.name.clone()))
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.clone())
    };
    let request = kp::FetchRequest::default()
        .with_cluster_id(ours.cluster_id.clone())
        .with_max_wait_ms(ours.max_wait_ms)
        .with_min_bytes(ours.min_bytes)
        .with_max_bytes(ours.max_bytes)
        .with_isolation_level(ours.isolation_level)
        .with_session_id(ours.session_id)
        .with_session_epoch(ours.session_epoch)
        .with_topics(ours.topics.iter().map(topic).collect())
        .with_forgotten_topics_data(ours.forgotten_topics.iter().map(forgotten).collect())
        .with_rack_id(ours.rack_id.clone());
    let id = BrokerId(ours.replica.replica_id);
    if version <= 14 {
        return request.with_replica_id(id);
    }
    let state = r::ReplicaState::default().with_replica_id(id).with_replica_epoch(ours.replica.replica_epoch);
    request.with_replica_state(state)
}

fn kp_fetched_partition(ours: &PartitionFetchResponse<NoSlice>) -> kp::fetch_response::PartitionData {
    use kp::fetch_response as r;
    let aborted = |aborted: &AbortedTransaction| {
        r::AbortedTransaction::default()
            .with_producer_id(kp::ProducerId(aborted.producer_id))
            .with_first_offset(aborted.first_offset)
    };
    let mut theirs = r::PartitionData::default()
        .with_partition_index(ours.index)
        .with_error_code(ours.error.code())
        .with_high_watermark(ours.high_watermark)
        .with_last_stable_offset(ours.last_stable_offset)
        .with_log_start_offset(ours.log_start_offset)
        .with_aborted_transactions(
            ours.aborted_transactions.as_ref().map(|all| all.iter().map(aborted).collect()),
        )
        .with_preferred_read_replica(BrokerId(ours.preferred_read_replica))
        .with_records(Some(ours.records_bytes()));
    if let Some(diverging) = ours.diverging_epoch {
        theirs.diverging_epoch =
            r::EpochEndOffset::default().with_epoch(diverging.epoch).with_end_offset(diverging.end_offset);
    }
    if let Some(leader) = ours.current_leader {
        theirs.current_leader = r::LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(leader.leader_id))
            .with_leader_epoch(leader.leader_epoch);
    }
    if let Some(snapshot) = ours.snapshot_id {
        theirs.snapshot_id =
            r::SnapshotId::default().with_end_offset(snapshot.end_offset).with_epoch(snapshot.epoch);
    }
    theirs
}

fn kp_fetch_response(ours: &FetchResponse<NoSlice>) -> kp::FetchResponse {
    use kp::fetch_response as r;
    let topic = |topic: &TopicFetchResponse<NoSlice>| {
        r::FetchableTopicResponse::default()
            .with_topic(TopicName(topic.name.clone()))
            .with_topic_id(topic.topic_id)
            .with_partitions(topic.partitions.iter().map(kp_fetched_partition).collect())
    };
    let endpoint = |endpoint: &NodeEndpoint| {
        r::NodeEndpoint::default()
            .with_node_id(BrokerId(endpoint.node_id))
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.clone())
    };
    kp::FetchResponse::default()
        .with_throttle_time_ms(ours.throttle_time_ms)
        .with_error_code(ours.error.code())
        .with_session_id(ours.session_id)
        .with_responses(ours.topics.iter().map(topic).collect())
        .with_node_endpoints(ours.node_endpoints.iter().map(endpoint).collect())
}

// --- the comparisons -------------------------------------------------------------------------------

fn kp_bytes<M: Encodable>(message: &M, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out, version).unwrap();
    out.freeze()
}

/// The oracle reads what we wrote as the same value, and would have written the same bytes.
fn agree<M: Encodable + Decodable + PartialEq + Debug>(ours: &Bytes, head: usize, theirs: &M, version: i16) {
    let mut body = ours.slice(head..);
    assert_eq!(kp_bytes(theirs, version), body, "v{version}: {theirs:?}");
    assert_eq!(&M::decode(&mut body, version).unwrap(), theirs, "v{version}");
    assert!(!body.has_remaining());
}

fn request_round_trip(key: ApiKey, version: i16, request: Request) -> (Bytes, usize) {
    let header = RequestHeader {
        api_key: key,
        api_version: version,
        correlation_id: 7,
        client_id: Some(StrBytes::from_static_str("c")),
    };
    let frame = unframed(&encode_request(&header, &request).unwrap());
    assert_eq!(decode_request(frame.clone()).unwrap(), (header, request));
    let head = request_frame(Api::of(key).unwrap(), version, &[]).len();
    (frame, head)
}

fn response_round_trip(key: ApiKey, version: i16, response: Response<NoSlice>) -> (Bytes, usize) {
    let parts = encode_response(version, 7, response.clone()).unwrap();
    let frame = unframed(&only_bytes(parts));
    assert_eq!(decode_response(key, version, frame.clone()).unwrap(), (7, response));
    let head = response_frame(Api::of(key).unwrap(), version, &[]).len();
    (frame, head)
}

proptest! {
    #[test]
    fn produce_agrees_with_the_oracle_in_every_version(seed: u64) {
        let mut random = Random::new(seed);
        for version in 3..=13 {
            let request = produce_request(&mut random, version);
            let (frame, head) = request_round_trip(ApiKey::Produce, version, Request::Produce(request.clone()));
            agree(&frame, head, &kp_produce_request(&request), version);
            let response = produce_response(&mut random, version);
            let (frame, head) =
                response_round_trip(ApiKey::Produce, version, Response::Produce(response.clone()));
            agree(&frame, head, &kp_produce_response(&response), version);
        }
    }

    #[test]
    fn fetch_agrees_with_the_oracle_in_every_version(seed: u64) {
        let mut random = Random::new(seed);
        for version in 4..=18 {
            let request = fetch_request(&mut random, version);
            let (frame, head) = request_round_trip(ApiKey::Fetch, version, Request::Fetch(request.clone()));
            agree(&frame, head, &kp_fetch_request(&request, version), version);
            let response = fetch_response(&mut random, version);
            let (frame, head) = response_round_trip(ApiKey::Fetch, version, Response::Fetch(response.clone()));
            agree(&frame, head, &kp_fetch_response(&response), version);
        }
    }

    /// Tags nobody knows, at every level of a Fetch request, are skipped.
    #[test]
    fn unknown_tags_are_skipped_everywhere(seed: u64) {
        let mut random = Random::new(seed);
        let unknown = || [(1000, Bytes::from_static(b"later"))].into_iter().collect();
        for version in 12..=18 {
            let ours = fetch_request(&mut random, version);
            let mut theirs = kp_fetch_request(&ours, version).with_unknown_tagged_fields(unknown());
            for topic in &mut theirs.topics {
                topic.unknown_tagged_fields = unknown();
                topic.partitions.iter_mut().for_each(|partition| partition.unknown_tagged_fields = unknown());
            }
            theirs.forgotten_topics_data.iter_mut().for_each(|topic| topic.unknown_tagged_fields = unknown());
            let frame = request_frame(Api::of(ApiKey::Fetch).unwrap(), version, &kp_bytes(&theirs, version));
            prop_assert_eq!(decode_request(frame).unwrap().1, Request::Fetch(ours));
        }
    }
}

// --- sharing and slices ----------------------------------------------------------------------------

/// A rich frame for the hostile tests: several topics and partitions, all tags, records.
pub(super) fn request_frame_of(key: ApiKey, version: i16) -> Bytes {
    let rich = |seed| {
        let mut random = Random::new(seed);
        match key {
            ApiKey::Produce => Request::Produce(produce_request(&mut random, version)),
            _ => Request::Fetch(fetch_request(&mut random, version)),
        }
    };
    (0..40)
        .map(|seed| request_round_trip(key, version, rich(seed)).0)
        .filter(|frame| frame.len() < 800)
        .max_by_key(Bytes::len)
        .unwrap()
}

/// A rich frame for the hostile tests.
pub(super) fn response_frame_of(key: ApiKey, version: i16) -> Bytes {
    let rich = |seed| {
        let mut random = Random::new(seed);
        match key {
            ApiKey::Produce => Response::Produce(produce_response(&mut random, version)),
            _ => Response::Fetch(fetch_response(&mut random, version)),
        }
    };
    (0..40)
        .map(|seed| response_round_trip(key, version, rich(seed)).0)
        .filter(|frame| frame.len() < 800)
        .max_by_key(Bytes::len)
        .unwrap()
}

#[test]
fn records_share_memory_from_caller_to_frame_and_from_frame_to_handler() {
    let records = Bytes::from(vec![7u8; 4096]);
    let partitions = vec![PartitionProduce { index: 0, records: records.clone().into() }];
    let topics = vec![TopicProduce { name: "t".into(), topic_id: Uuid::nil(), partitions }];
    let request = Request::Produce(ProduceRequest { acks: 1, topics, ..Default::default() });
    let header =
        RequestHeader { api_key: ApiKey::Produce, api_version: 9, correlation_id: 1, client_id: None };
    let runs = encode_request(&header, &request).unwrap();
    assert!(runs.iter().any(|run| run.as_ptr() == records.as_ptr()), "the batch goes out uncopied");
    assert_eq!(runs.len(), 3, "head, batch, tail");
    let frame = unframed(&runs);
    let Request::Produce(got) = decode_request(frame.clone()).unwrap().1 else { panic!() };
    let got = got.topics[0].partitions[0].records.clone().into_bytes().unwrap();
    let range = frame.as_ptr_range();
    assert!(range.contains(&got.as_ptr()), "the batch stays in its frame");
}

#[test]
fn a_split_batch_goes_out_as_prefix_and_rest() {
    let rest = Bytes::from(vec![9u8; 600]);
    let records = ProduceRecords::Split { prefix: [1; 16], rest: rest.clone() };
    assert_eq!(records.len_bytes(), 616);
    let whole = records.clone().into_bytes().unwrap();
    let encode = |records| {
        let partitions = vec![PartitionProduce { index: 0, records }];
        let topics = vec![TopicProduce { name: "t".into(), topic_id: Uuid::nil(), partitions }];
        let request = Request::Produce(ProduceRequest { topics, ..Default::default() });
        let header =
            RequestHeader { api_key: ApiKey::Produce, api_version: 3, correlation_id: 1, client_id: None };
        encode_request(&header, &request).unwrap()
    };
    let runs = encode(records);
    assert!(runs.iter().any(|run| run.as_ptr() == rest.as_ptr()));
    assert_eq!(unframed(&runs), unframed(&encode(whole.into())));
}

#[derive(Debug, Clone, PartialEq)]
struct FileRange(usize);

impl Slice for FileRange {
    fn len_bytes(&self) -> usize {
        self.0
    }
}

#[test]
fn file_slices_pass_through_in_their_place_and_count_in_every_length() {
    for version in 4..=18 {
        let partition = |index, records| PartitionFetchResponse { index, records, ..Default::default() };
        let stamped = vec![Part::Bytes(Bytes::from_static(&[5; 16])), Part::Slice(FileRange(1_000_000))];
        let response = FetchResponse {
            topics: vec![TopicFetchResponse {
                name: "t".into(),
                topic_id: Uuid::nil(),
                partitions: vec![
                    partition(0, stamped),
                    partition(1, vec![]),
                    partition(2, vec![Part::Slice(FileRange(10))]),
                ],
            }],
            ..FetchResponse::default()
        };
        let parts = encode_response(version, 7, Response::Fetch(response)).unwrap();
        let slices: Vec<_> = parts.iter().filter(|part| matches!(part, Part::Slice(_))).collect();
        assert_eq!(slices, [&Part::Slice(FileRange(1_000_000)), &Part::Slice(FileRange(10))]);
        let tail = usize::from(version >= 12);
        assert_eq!(
            parts.len(),
            4 + tail,
            "head, slice, middle, slice, and the tag sections if there are any"
        );
        // With the slices' bytes filled in, the oracle reads it.
        let filled: Vec<Bytes> = parts
            .into_iter()
            .map(|part| match part {
                Part::Bytes(bytes) => bytes,
                Part::Slice(FileRange(len)) => vec![6; len].into(),
            })
            .collect();
        let Response::Fetch(got) = decode_response(ApiKey::Fetch, version, unframed(&filled)).unwrap().1
        else {
            panic!()
        };
        let lengths: Vec<_> = got.topics[0].partitions.iter().map(|p| p.records_len_bytes()).collect();
        assert_eq!(lengths, [1_000_016, 0, 10]);
    }
}

#[test]
fn no_records_is_an_empty_field_and_never_null() {
    for (version, empty) in [(11, &[0u8, 0, 0, 0][..]), (12, &[1][..])] {
        let partition: PartitionFetchResponse<NoSlice> = PartitionFetchResponse::default();
        let topics =
            vec![TopicFetchResponse { name: "t".into(), topic_id: Uuid::nil(), partitions: vec![partition] }];
        let response = Response::Fetch(FetchResponse { topics, ..FetchResponse::default() });
        let frame = unframed(&only_bytes(encode_response(version, 7, response).unwrap()));
        // Behind the records stand only the tag sections of partition, topic and response.
        let tags = if version >= 12 { 3 } else { 0 };
        assert!(frame.slice(..frame.len() - tags).ends_with(empty), "v{version} {frame:?}");
    }
}

/// A field of our own: Kafka skips it, and it is where no tag of Kafka's will be.
#[test]
fn a_followers_durable_offset_is_a_tag_that_others_skip() {
    let partition = FetchPartition { durable_offset: 41, fetch_offset: 50, ..FetchPartition::default() };
    let topics = vec![FetchTopic { partitions: vec![partition], ..FetchTopic::default() }];
    let request = FetchRequest { topics, ..FetchRequest::default() };
    for version in 12..=18 {
        let (frame, head) = request_round_trip(ApiKey::Fetch, version, Request::Fetch(request.clone()));
        let theirs = kp::FetchRequest::decode(&mut frame.slice(head..), version).unwrap();
        let partition = &theirs.topics[0].partitions[0];
        let tags: Vec<_> =
            partition.unknown_tagged_fields.iter().map(|(tag, value)| (*tag, value.len())).collect();
        assert_eq!((partition.fetch_offset, tags), (50, vec![(10_000, 8)]), "v{version}");
    }
}

#[test]
fn null_records_of_other_brokers_read_as_empty() {
    let theirs = kp::fetch_response::PartitionData::default().with_records(None);
    let topic = kp::fetch_response::FetchableTopicResponse::default().with_partitions(vec![theirs]);
    let theirs = kp::FetchResponse::default().with_responses(vec![topic]);
    for version in [11, 12, 18] {
        let frame = response_frame(Api::of(ApiKey::Fetch).unwrap(), version, &kp_bytes(&theirs, version));
        let Response::Fetch(got) = decode_response(ApiKey::Fetch, version, frame).unwrap().1 else {
            panic!()
        };
        assert!(got.topics[0].partitions[0].records_bytes().is_empty());
    }
}
