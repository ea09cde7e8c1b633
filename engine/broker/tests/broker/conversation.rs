//! The order of requests and answers on a connection, and versions that are not served.

use std::time::Duration;

use plimsoll_client::wire::messages::MetadataRequest;
use plimsoll_client::{Acks, ConnectOptions, Connection, ProduceSpec, TopicRef};
use plimsoll_records::Codec;
use plimsoll_wire::{ApiKey, ErrorCode, Request, Response};

use super::common::{TestBroker, batch, each_backend, fetch_one, produce_one};

/// Header of a request with client id "t": key, version, correlation id.
fn header(key: i16, version: i16, correlation_id: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(correlation_id.to_be_bytes());
    bytes.extend([0, 1, b't']);
    bytes
}

fn framed(body: &[u8]) -> Vec<u8> {
    let size = i32::try_from(body.len()).expect("small");
    [&size.to_be_bytes(), body].concat()
}

#[test]
fn e1_produce_is_advertised_from_0_and_refused_below_3() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    for version in 0..3 {
        // acks 1, timeout 1000, topic "t", partition 0, no records.
        let body = [
            header(0, version, 42),
            vec![0, 1],
            1000_i32.to_be_bytes().to_vec(),
            vec![0, 0, 0, 1, 0, 1, b't'],
            vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        client.send_bytes(&framed(&body));
        let answer = client.receive_frame().expect("an answer");
        assert_eq!(answer[..4], 42_i32.to_be_bytes());
        // One topic "t", one partition 0, error 35.
        assert_eq!(answer[4..11], [0, 0, 0, 1, 0, 1, b't']);
        assert_eq!(answer[11..21], [0, 0, 0, 1, 0, 0, 0, 0, 0, 35]);
    }
    client.expect_served();
}

#[test]
fn e3_an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let body = [header(18, 99, 7), vec![0, 5, b'a', b'b', b'c', b'd', 2, b'1', 0]].concat();
    client.send_bytes(&framed(&body));
    let answer = client.receive_frame().expect("an answer");
    let own_range = [0, 18, 0, 0, 0, 4];
    assert_eq!(
        answer,
        [&[0, 0, 0, 7, 0, 35, 0, 0, 0, 1][..], &own_range].concat(),
        "code 35 and its own range"
    );
    client.expect_served();
}

#[test]
fn e5_answers_come_in_the_order_of_requests() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend, "plimsoll.durability=fsync"]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let sent = batch(&["a"], Codec::None);
        let mut requests = Vec::new();
        for round in 0..30 {
            requests
                .extend((0..round % 5 + 1).map(|_| (12, Request::Produce(produce_one("t", 0, &sent, -1)))));
            requests.push((12, Request::Metadata(MetadataRequest::default().with_topics(Some(vec![])))));
            requests.push((12, Request::Produce(produce_one("nobody", 0, &sent, 1))));
            requests.push((12, Request::Fetch(fetch_one("t", 0, 0))));
        }
        let frames: Vec<(Vec<u8>, i32)> =
            requests.iter().map(|(v, request)| client.frame(*v, request)).collect();
        client.send_bytes(&frames.iter().flat_map(|(frame, _)| frame.clone()).collect::<Vec<_>>());
        let mut appended = 0;
        for ((version, request), (_, id)) in requests.iter().zip(&frames) {
            let (answered, response) = client.receive(request.api_key(), *version);
            assert_eq!(answered, *id);
            match response {
                Response::Produce(answer) if answer.topics[0].partitions[0].error == ErrorCode::None => {
                    assert_eq!(answer.topics[0].partitions[0].base_offset, appended);
                    appended += 1;
                }
                Response::Fetch(answer) => {
                    let seen = answer.topics[0].partitions[0].high_watermark;
                    assert_eq!(seen, appended, "a fetch comes after everything before it was answered");
                }
                _ => {}
            }
        }
        assert_eq!(appended, 90);
    });
}

#[test]
fn e5_a_pipelining_client_sees_its_records_in_order() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        broker.client().create("t", 1, &[]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let options = ConnectOptions::default().with_max_in_flight(100);
            let connection =
                Connection::connect(&broker.address().to_string(), options).await.expect("connects");
            let mut pending = Vec::new();
            for index in 0..500 {
                let sent = batch(&[&index.to_string()], Codec::None);
                let spec = ProduceSpec::one(Acks::All, TopicRef::named("t"), 0, &sent);
                pending.push(connection.start_produce(spec).await.expect("sent"));
            }
            for (index, answer) in (0..).zip(pending) {
                let reply = answer.wait().await.expect("answered").value;
                assert_eq!(reply.partitions[0].result.base_offset, index);
            }
        });
        let seen = broker.client().read_from("t", 0, 0);
        let expected: Vec<_> = (0..500).map(|index| (index, index.to_string())).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn e5_acks_0_gets_no_answer() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let sent = batch(&["a"], Codec::None);
    for _ in 0..3 {
        client.send(12, &Request::Produce(produce_one("t", 0, &sent, 0)));
    }
    assert_eq!(
        client.metadata(Some(&["t"])).topics[0].error_code,
        0,
        "the next answer is the next question's"
    );
    assert_eq!(client.fetch("t", 0, 0).high_watermark, 3);
}

#[test]
fn e5_an_error_under_acks_0_closes_after_the_earlier_answers() {
    let broker = TestBroker::start(&["plimsoll.durability=fsync"]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let sent = batch(&["a"], Codec::None);
    let good = Request::Produce(produce_one("t", 0, &sent, -1));
    let bad = Request::Produce(produce_one("t", 9, &sent, 0));
    let frames = [client.frame(12, &good).0, client.frame(12, &good).0, client.frame(12, &bad).0].concat();
    client.send_bytes(&frames);
    for offset in 0..2 {
        let (_, Response::Produce(answer)) = client.receive(ApiKey::Produce, 12) else { panic!() };
        assert_eq!(answer.topics[0].partitions[0].base_offset, offset);
    }
    client.expect_closed();
    broker.client().expect_served();
}

#[test]
fn answers_larger_than_socket_buffers_arrive_whole() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend, "socket.send.buffer.bytes=4096"]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let value = "0123456789".repeat(50_000);
        for _ in 0..20 {
            client.produce("t", 0, &batch(&[&value], Codec::None));
        }
        let mut request = fetch_one("t", 0, 0);
        request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
        client.send(12, &Request::Fetch(request));
        std::thread::sleep(Duration::from_millis(100));
        let (_, Response::Fetch(answer)) = client.receive(ApiKey::Fetch, 12) else { panic!() };
        let seen = super::common::values(answer.topics[0].partitions[0].records_bytes());
        assert_eq!(seen.len(), 20);
        assert!(seen.iter().all(|(_, seen)| *seen == value));
    });
}
