//! The rules about versions and nulls, one test each.

use bytes::{BufMut, Bytes, BytesMut};

use super::{request_frame, response_frame, unframed};
use crate::produce::{PartitionProduce, ProduceRequest, TopicProduce};
use crate::{
    Api, ApiKey, ErrorCode, NoSlice, Request, RequestHeader, Response, StrBytes, WireError, decode_request,
    decode_response, encode_request,
};

fn api(key: ApiKey) -> &'static Api {
    Api::of(key).unwrap()
}

fn raw_request(key: i16, version: i16, rest: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(key);
    frame.put_i16(version);
    frame.put_i32(42);
    frame.put_slice(rest);
    frame.freeze()
}

fn unsupported(frame: Bytes) -> crate::Unsupported {
    match decode_request(frame).unwrap_err() {
        WireError::Unsupported(unsupported) => *unsupported,
        other => panic!("{other}"),
    }
}

#[test]
fn e1_produce_below_3_is_answered_with_unsupported_version_per_partition() {
    // v1: acks 1, timeout 9, topic "t" with partitions 0 and 5, empty records.
    let mut body = BytesMut::new();
    body.put_i16(1);
    body.put_i32(9);
    body.put_i32(1);
    body.put_slice(&[0, 1, b't']);
    body.put_i32(2);
    for partition in [0, 5] {
        body.put_i32(partition);
        body.put_i32(0);
    }
    let refused = unsupported(request_frame(api(ApiKey::Produce), 1, &body));
    let answer = unframed(&[refused.answer.unwrap()]);
    let mut expected = BytesMut::new();
    expected.put_i32(7);
    expected.put_i32(1);
    expected.put_slice(&[0, 1, b't']);
    expected.put_i32(2);
    for partition in [0, 5] {
        expected.put_i32(partition);
        expected.put_i16(35);
        expected.put_i64(-1);
    }
    expected.put_i32(0); // throttle_time_ms
    assert_eq!(answer, expected);
}

#[test]
fn e1_produce_below_3_with_acks_0_has_no_answer() {
    let body = [0, 0, 0, 0, 0, 9, 0, 0, 0, 0];
    assert_eq!(unsupported(request_frame(api(ApiKey::Produce), 0, &body)).answer, None);
}

#[test]
fn e3_api_versions_response_header_has_no_tag_section() {
    let body = crate::api::api_versions_response();
    let parts = crate::encode_response::<NoSlice>(4, 42, Response::ApiVersions(body)).unwrap();
    let frame = unframed(&crate::part::only_bytes(parts));
    // Correlation id, then at once the error code and the compact count of keys plus one.
    assert_eq!(frame.get(..7).unwrap(), [0, 0, 0, 42, 0, 0, crate::APIS.len() as u8 + 1]);
}

#[test]
fn e3_unsupported_api_versions_is_answered_in_version_0_with_our_range() {
    let refused = unsupported(raw_request(18, 99, b"\0\x03abc whatever this version has here"));
    assert_eq!(refused.header.client_id.as_deref(), Some("abc"));
    let answer = unframed(&[refused.answer.unwrap()]);
    assert_eq!(answer, [0, 0, 0, 42, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4][..]);
    // And our own client reads it as such although it asked in version 4.
    let (id, response) = decode_response(ApiKey::ApiVersions, 4, answer).unwrap();
    assert_eq!((id, response), (42, Response::ApiVersions(crate::api::unsupported_api_versions_response())));
}

#[test]
fn e3_unsupported_versions_of_other_keys_have_no_answer() {
    assert_eq!(unsupported(raw_request(3, 99, b"\xff\xff")).answer, None);
    assert_eq!(unsupported(raw_request(1, 3, b"\xff\xff")).answer, None);
    // A key we know by name but do not serve; the client id is missing altogether.
    let refused = unsupported(raw_request(58, 0, b""));
    assert_eq!(
        (refused.header.api_key, refused.header.client_id, refused.answer),
        (ApiKey::Envelope, None, None)
    );
    let message = decode_request(raw_request(58, 0, b"\0\x01x")).unwrap_err().to_string();
    assert!(message.contains("Envelope version 0") && message.contains("\"x\""), "{message}");
}

#[test]
fn an_unknown_key_is_named_by_its_number() {
    let error = WireError::UnknownApiKey { key: 999, version: 2, correlation_id: 42 };
    assert_eq!(decode_request(raw_request(999, 2, b"\0\0")), Err(error));
}

#[test]
fn e4_the_flexible_header_keeps_an_int16_client_id() {
    let header = RequestHeader {
        api_key: ApiKey::DescribeCluster,
        api_version: 0,
        correlation_id: 1,
        client_id: Some("ab".into()),
    };
    let request = Request::DescribeCluster(Default::default());
    let frame = unframed(&encode_request(&header, &request).unwrap());
    assert_eq!(frame, [0, 60, 0, 0, 0, 0, 0, 1, 0, 2, b'a', b'b', 0, 0, 0][..]);
    assert_eq!(decode_request(frame), Ok((header, request)));
}

#[test]
fn e4_a_null_client_id_is_legal() {
    let frame = raw_request(60, 0, b"\xff\xff\0\0\0");
    assert_eq!(decode_request(frame).unwrap().0.client_id, None);
}

#[test]
fn e5_acks_0_expects_no_answer() {
    let produce = |acks| Request::Produce(ProduceRequest { acks, ..ProduceRequest::default() });
    assert!(!produce(0).expects_answer());
    assert!(produce(1).expects_answer() && produce(-1).expects_answer());
}

#[test]
fn e7_null_and_empty_topics_stay_apart() {
    let topics =
        |version: i16, body: &[u8]| match decode_request(request_frame(api(ApiKey::Metadata), version, body))
            .unwrap()
            .1
        {
            Request::Metadata(metadata) => metadata.topics.map(|topics| topics.len()),
            other => panic!("{other:?}"),
        };
    assert_eq!(topics(0, &[0, 0, 0, 0]), Some(0));
    assert_eq!(topics(1, &[0xff; 4]), None);
    assert_eq!(topics(1, &[0, 0, 0, 0]), Some(0));
    assert_eq!(topics(9, &[0, 1, 0, 0, 0]), None);
    assert_eq!(topics(9, &[1, 1, 0, 0, 0]), Some(0));
}

#[test]
fn e8_topics_go_by_name_up_to_version_12_and_by_id_from_13() {
    let id = uuid::Uuid::from_u128(0xabc);
    let topic = TopicProduce {
        name: "name".into(),
        topic_id: id,
        partitions: vec![PartitionProduce { index: 3, records: Bytes::from_static(b"batch").into() }],
    };
    let sent = Request::Produce(ProduceRequest { acks: 1, topics: vec![topic], ..Default::default() });
    for (version, name, topic_id) in [(12, "name", uuid::Uuid::nil()), (13, "", id)] {
        let header = RequestHeader {
            api_key: ApiKey::Produce,
            api_version: version,
            correlation_id: 1,
            client_id: None,
        };
        let frame = unframed(&encode_request(&header, &sent).unwrap());
        let Request::Produce(got) = decode_request(frame).unwrap().1 else { panic!() };
        assert_eq!((&*got.topics[0].name, got.topics[0].topic_id), (name, topic_id));
    }
}

#[test]
fn bytes_after_a_request_are_ignored_and_after_a_response_refused() {
    let request = request_frame(api(ApiKey::DescribeCluster), 0, &[1, 0, 9, 9, 9]);
    assert!(decode_request(request).is_ok());
    let produce = request_frame(api(ApiKey::Produce), 3, &[0xff, 0xff, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 9, 9]);
    assert!(decode_request(produce).is_ok());
    let response = response_frame(api(ApiKey::InitProducerId), 0, &[0; 17]);
    let error = decode_response(ApiKey::InitProducerId, 0, response).unwrap_err();
    assert!(error.to_string().contains("1 bytes are left"), "{error}");
}

#[test]
fn a_client_never_speaks_a_version_it_does_not_know() {
    let header = RequestHeader {
        api_key: ApiKey::Produce,
        api_version: 2,
        correlation_id: 1,
        client_id: Some(StrBytes::from_static_str("c")),
    };
    let error = encode_request(&header, &Request::Produce(ProduceRequest::default())).unwrap_err();
    assert_eq!(error, WireError::NotInVersion { field: "Produce", version: 2 });
    assert!(decode_response(ApiKey::OffsetCommit, 2, Bytes::new()).is_err());
    assert_eq!(ErrorCode::from_code(35), ErrorCode::UnsupportedVersion);
}
