//! The hot messages as a busy broker sees them.

use bytes::Bytes;
use plimsoll_wire::fetch::{FetchResponse, PartitionFetchResponse, TopicFetchResponse};
use plimsoll_wire::produce::{PartitionProduce, ProduceRecords, ProduceRequest, TopicProduce};
use plimsoll_wire::{ApiKey, NoSlice, Part, Request, RequestHeader, StrBytes, encode_request};

/// The version of both that the newest clients speak.
pub(crate) const VERSION: i16 = 12;
const BATCH_BYTES: usize = 16 << 10;

/// A Produce frame, without its size, with one batch for each of `partitions`.
pub(crate) fn produce_frame(partitions: i32) -> Bytes {
    let records = Bytes::from(vec![7; BATCH_BYTES]);
    let partition = |index| PartitionProduce { index, records: ProduceRecords::Whole(records.clone()) };
    let topic = TopicProduce {
        name: StrBytes::from_static_str("orders"),
        partitions: (0..partitions).map(partition).collect(),
        ..TopicProduce::default()
    };
    let request =
        Request::Produce(ProduceRequest { acks: -1, topics: vec![topic], ..ProduceRequest::default() });
    let header = RequestHeader {
        api_key: ApiKey::Produce,
        api_version: VERSION,
        correlation_id: 7,
        client_id: Some(StrBytes::from_static_str("producer-1")),
    };
    let frame = encode_request(&header, &request).expect("encodes").concat();
    Bytes::from(frame).slice(4..)
}

/// A Fetch answer with one batch for each of `partitions`.
pub(crate) fn fetch_response(partitions: i32) -> FetchResponse<NoSlice> {
    let records = Bytes::from(vec![7; BATCH_BYTES]);
    let partition = |index| PartitionFetchResponse {
        index,
        high_watermark: 1 << 40,
        records: vec![Part::Bytes(records.clone())],
        ..PartitionFetchResponse::default()
    };
    let topic = TopicFetchResponse {
        name: StrBytes::from_static_str("orders"),
        partitions: (0..partitions).map(partition).collect(),
        topic_id: plimsoll_wire::Uuid::nil(),
    };
    FetchResponse { topics: vec![topic], ..FetchResponse::default() }
}
