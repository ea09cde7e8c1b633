//! Fetch: what comes back, how much of it, and when.

use std::time::{Duration, Instant};

use plimsoll_records::Codec;
use plimsoll_wire::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionFetchResponse};
use plimsoll_wire::{ErrorCode, NoSlice, Request, Response};

use super::common::{TestBroker, batch, each_backend, fetch_one, fetch_topic, stored, values};

/// Wide enough for a slow machine, far below what a broken wait would take.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn every_codec_comes_back_as_it_was_sent() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let mut expected = Vec::new();
        for word in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let sent = batch(&[&"first".repeat(50), word], word.parse::<Codec>().expect("a codec"));
            let base_offset = client.produce("t", 0, &sent);
            let fetched = client.fetch("t", 0, base_offset).records_bytes();
            let kept = stored(fetched).remove(0);
            assert_eq!(kept.rest(), sent.rest(), "{word}: nothing behind the prefix changes");
            expected.extend([(base_offset, "first".repeat(50)), (base_offset + 1, word.to_owned())]);
        }
        assert_eq!(client.read_from("t", 0, 0), expected);
    });
}

#[test]
fn e17_an_offset_inside_a_batch_returns_the_whole_batch() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        client.produce("t", 0, &batch(&["a", "b", "c"], Codec::None));
        client.produce("t", 0, &batch(&["d", "e"], Codec::Lz4));
        let offsets =
            |from| values(client_fetch(&broker, from)).iter().map(|(offset, _)| *offset).collect::<Vec<_>>();
        assert_eq!(offsets(1), [0, 1, 2, 3, 4]);
        assert_eq!(offsets(3), [3, 4]);
        assert_eq!(offsets(4), [3, 4]);
    });
}

fn client_fetch(broker: &TestBroker, offset: i64) -> bytes::Bytes {
    broker.client().fetch("t", 0, offset).records_bytes()
}

#[test]
fn e18_below_the_start_and_above_the_end_is_out_of_range_and_the_end_itself_is_empty() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    client.produce("t", 0, &batch(&["a", "b"], Codec::None));
    assert_eq!(client.fetch("t", 0, -1).error, ErrorCode::OffsetOutOfRange);
    assert_eq!(client.fetch("t", 0, 3).error, ErrorCode::OffsetOutOfRange);
    let at_end = client.fetch("t", 0, 2);
    assert_eq!((at_end.error, at_end.records_len_bytes(), at_end.high_watermark), (ErrorCode::None, 0, 2));
}

#[test]
fn unknown_topics_and_partitions_are_named_and_do_not_spoil_the_rest() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    client.produce("t", 0, &batch(&["a"], Codec::None));
    let mut request = fetch_one("nobody", 0, 0);
    request.topics.push(fetch_topic("t", &[(7, 0), (0, 0)]));
    let answers = partitions(client.ask(12, &Request::Fetch(request)));
    let errors: Vec<_> = answers.iter().map(|answer| answer.error).collect();
    assert_eq!(
        errors,
        [ErrorCode::UnknownTopicOrPartition, ErrorCode::UnknownTopicOrPartition, ErrorCode::None]
    );
    assert_eq!(answers[2].high_watermark, 1);
}

fn partitions(response: Response<NoSlice>) -> Vec<PartitionFetchResponse<NoSlice>> {
    let Response::Fetch(response) = response else { panic!("{response:?}") };
    response.topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// Four partitions with two batches of about a kilobyte each.
fn four_full_partitions() -> (TestBroker, usize) {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 4, &[]);
    let sent = batch(&[&"x".repeat(1000)], Codec::None);
    for partition in 0..4 {
        client.produce("t", partition, &sent);
        client.produce("t", partition, &sent);
    }
    (broker, sent.size_bytes())
}

fn bytes_of(
    broker: &TestBroker,
    partitions_in_order: &[i32],
    max_bytes: i32,
    partition_max: i32,
) -> Vec<usize> {
    let mut request = fetch_one("t", 0, 0);
    let wanted: Vec<_> = partitions_in_order.iter().map(|index| (*index, 0)).collect();
    request.topics = vec![fetch_topic("t", &wanted)];
    request.max_bytes = max_bytes;
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = partition_max;
    }
    let answers = partitions(broker.client().ask(12, &Request::Fetch(request)));
    assert_eq!(answers.iter().map(|a| a.index).collect::<Vec<_>>(), partitions_in_order);
    answers.iter().map(PartitionFetchResponse::records_len_bytes).collect()
}

#[test]
fn e21_the_first_partition_returns_a_batch_even_beyond_every_limit() {
    let (broker, size) = four_full_partitions();
    assert_eq!(bytes_of(&broker, &[2, 0, 1, 3], 1, 1), [size, 0, 0, 0], "in the order of the request");
    assert_eq!(bytes_of(&broker, &[0, 1, 2, 3], 0, 0), [size, 0, 0, 0]);
}

#[test]
fn e21_later_partitions_obey_what_is_left_of_the_budget() {
    let (broker, size) = four_full_partitions();
    let budget = i32::try_from(3 * size + 10).expect("small");
    assert_eq!(bytes_of(&broker, &[0, 1, 2, 3], budget, 1 << 20), [2 * size, size, 0, 0]);
    let one = i32::try_from(size).expect("small");
    assert_eq!(bytes_of(&broker, &[0, 1, 2, 3], 1 << 20, one), [size; 4]);
}

#[test]
fn e21_an_empty_first_partition_does_not_use_up_the_one_batch() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 2, &[]);
    let sent = batch(&[&"x".repeat(1000)], Codec::None);
    client.produce("t", 1, &sent);
    assert_eq!(bytes_of(&broker, &[0, 1], 1, 1), [0, sent.size_bytes()]);
}

#[test]
fn e21_a_waiting_fetch_wakes_up_when_records_arrive() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        broker.client().create("t", 2, &[]);
        let mut reader = broker.client();
        let mut request = fetch_one("t", 0, 0);
        request.topics = vec![fetch_topic("t", &[(0, 0), (1, 0)])];
        request.max_wait_ms = 60_000;
        reader.send(12, &Request::Fetch(request));
        std::thread::sleep(Duration::from_millis(50));
        broker.client().produce("t", 1, &batch(&["late"], Codec::None));
        let started = Instant::now();
        let answers = partitions(reader.receive(plimsoll_wire::ApiKey::Fetch, 12).1);
        assert!(started.elapsed() < SOON);
        assert_eq!(values(answers[1].records_bytes()), [(0, "late".to_owned())]);
    });
}

#[test]
fn e21_a_fetch_waits_for_min_bytes_over_several_batches() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    let mut reader = broker.client();
    let sent = batch(&[&"x".repeat(1000)], Codec::None);
    let mut request = fetch_one("t", 0, 0);
    request.max_wait_ms = 60_000;
    request.min_bytes = i32::try_from(2 * sent.size_bytes()).expect("small");
    reader.send(12, &Request::Fetch(request));
    let mut writer = broker.client();
    writer.produce("t", 0, &sent);
    std::thread::sleep(Duration::from_millis(50));
    writer.produce("t", 0, &sent);
    let answers = partitions(reader.receive(plimsoll_wire::ApiKey::Fetch, 12).1);
    assert_eq!(answers[0].records_len_bytes(), 2 * sent.size_bytes());
}

#[test]
fn e21_errors_and_spent_time_answer_a_fetch_at_once() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let started = Instant::now();
    let mut failing = fetch_one("t", 0, 99);
    failing.max_wait_ms = 60_000;
    assert_eq!(client.fetch_request(12, failing).error, ErrorCode::OffsetOutOfRange);
    let mut short = fetch_one("t", 0, 0);
    short.max_wait_ms = 20;
    assert_eq!(client.fetch_request(12, short).error, ErrorCode::None);
    let empty =
        FetchRequest { max_wait_ms: 60_000, min_bytes: 1, session_epoch: -1, ..FetchRequest::default() };
    assert!(
        partitions(client.ask(12, &Request::Fetch(empty))).is_empty(),
        "nothing asked for, nothing to wait for"
    );
    assert!(started.elapsed() < SOON);
}

#[test]
fn e26_leader_epochs_of_the_past_and_the_future_are_fenced() {
    let data = TestBroker::start(&[]).stop();
    let broker = data.start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let data = broker.stop();
    let broker = data.start(&[]);
    let mut client = broker.client();
    let epoch = client.metadata(Some(&["t"])).topics[0].partitions[0].leader_epoch;
    assert!(epoch >= 1, "a restart is a new epoch");
    let mut with_epoch = |current_leader_epoch| {
        let mut request = fetch_one("t", 0, 0);
        request.topics[0].partitions[0].current_leader_epoch = current_leader_epoch;
        client.fetch_request(12, request).error
    };
    assert_eq!(with_epoch(epoch - 1), ErrorCode::FencedLeaderEpoch);
    assert_eq!(with_epoch(epoch + 1), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(with_epoch(epoch), ErrorCode::None);
    assert_eq!(with_epoch(-1), ErrorCode::None);
}

#[test]
fn e8_ids_replace_names_from_version_13_on() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let id = client.create("t", 1, &[]);
    client.produce("t", 0, &batch(&["a"], Codec::None));
    let by_id = |topic_id| {
        let partitions = vec![FetchPartition { partition_max_bytes: 1 << 20, ..FetchPartition::default() }];
        let mut request = fetch_one("t", 0, 0);
        request.topics = vec![FetchTopic { topic_id, partitions, ..FetchTopic::default() }];
        request
    };
    let answer = client.fetch_request(18, by_id(id));
    assert_eq!(values(answer.records_bytes()), [(0, "a".to_owned())]);
    let other = client.fetch_request(18, by_id(plimsoll_wire::Uuid::from_u128(1)));
    assert_eq!(other.error, ErrorCode::UnknownTopicId);
}

#[test]
fn a_waiting_fetch_hears_that_its_topic_is_deleted() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    let mut reader = broker.client();
    let mut request = fetch_one("t", 0, 0);
    request.max_wait_ms = 60_000;
    reader.send(12, &Request::Fetch(request));
    std::thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    assert_eq!(broker.client().delete("t"), 0);
    let answers = partitions(reader.receive(plimsoll_wire::ApiKey::Fetch, 12).1);
    assert_eq!(answers[0].error, ErrorCode::UnknownTopicOrPartition);
    assert!(started.elapsed() < SOON);
}

#[test]
fn a_fetch_whose_client_is_gone_ends() {
    let broker = TestBroker::start(&["max.connections=2"]);
    broker.client().create("t", 1, &[]);
    for more_behind_it in [false, true] {
        let mut reader = broker.client();
        let mut request = fetch_one("t", 0, 0);
        request.max_wait_ms = i32::MAX;
        let (frame, _) = reader.frame(12, &Request::Fetch(request));
        reader.send_bytes(&frame);
        if more_behind_it {
            reader.send_bytes(&frame);
        }
        std::thread::sleep(Duration::from_millis(50));
        reader.half_close();
        reader.expect_closed();
    }
    broker.client().expect_served();
}

#[test]
fn a_stopping_broker_does_not_wait_for_waiting_fetches() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    let mut reader = broker.client();
    let mut request = fetch_one("t", 0, 0);
    request.max_wait_ms = 60_000;
    reader.send(12, &Request::Fetch(request));
    std::thread::sleep(Duration::from_millis(50));
    let started = Instant::now();
    broker.stop();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    reader.expect_closed();
}

#[test]
fn a_broker_that_verifies_reads_answers_a_flipped_bit_with_corrupt_message_and_serves_the_rest() {
    each_backend(|backend| {
        let settings = [backend, "plimsoll.storage.verify.on.read=true"];
        let broker = TestBroker::start(&settings);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        client.produce("t", 0, &batch(&["good"], Codec::None));
        client.produce("t", 0, &batch(&["to be damaged"], Codec::None));
        let data = broker.stop();
        let path = data.file("t-0/00000000000000000000.log");
        let mut bytes = std::fs::read(&path).expect("the segment");
        *bytes.last_mut().expect("a byte") ^= 1;
        std::fs::write(&path, bytes).expect("written");
        let broker = data.start(&settings);
        let mut client = broker.client();
        assert_eq!(client.fetch("t", 0, 1).error, ErrorCode::CorruptMessage, "{backend}");
        assert_eq!(client.fetch("t", 0, 0).error, ErrorCode::None, "{backend}: what is whole before it");
    });
}
