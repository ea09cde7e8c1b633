//! What goes by itself and on request: retention, compaction, DeleteRecords.

use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use plimsoll_wire::ErrorCode;

use super::common::{Client, TestBroker, batch, each_backend, timed, until};

const HIGH_WATERMARK: i64 = -1;

fn keyed(key: &str, value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder
        .push(super::common::now_ms(), Some(key.as_bytes()), Some(value.as_bytes()), &[])
        .expect("a record");
    builder.finish(&mut Compressor::new()).expect("a batch")
}

#[test]
fn e30_delete_records_moves_the_start_also_across_a_crash_on_every_backend() {
    each_backend(|backend| {
        let settings = [backend, "log.segment.bytes=200"];
        let broker = TestBroker::start(&settings);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        for number in 0..10 {
            client.produce("t", 0, &batch(&[&format!("a{number}"), &format!("b{number}")], Codec::None));
        }
        assert_eq!(client.delete_records(2, "t", 0, 7), Ok(7), "inside a batch");
        assert_eq!(client.delete_records(0, "t", 0, 3), Ok(7), "never back");
        assert_eq!(client.delete_records(1, "t", 0, 21), Err(ErrorCode::OffsetOutOfRange));
        assert_eq!(client.delete_records(1, "unknown", 0, 0), Err(ErrorCode::UnknownTopicOrPartition));
        let first = client.read_from("t", 0, 7).first().cloned();
        let crashed = broker.data().crash_image().start(&settings);
        let mut client = crashed.client();
        assert_eq!(client.read_from("t", 0, 7).first().cloned(), first);
        assert_eq!(client.delete_records(2, "t", 0, HIGH_WATERMARK), Ok(20));
        assert!(client.read_from("t", 0, 20).is_empty());
    });
}

#[test]
fn records_of_a_topic_that_only_compacts_are_not_deleted_on_request() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[("cleanup.policy", "compact")]);
    assert_eq!(client.delete_records(2, "t", 0, HIGH_WATERMARK), Err(ErrorCode::PolicyViolation));
    client.create("both", 1, &[("cleanup.policy", "compact,delete")]);
    assert_eq!(client.delete_records(2, "both", 0, HIGH_WATERMARK), Ok(0));
}

#[test]
fn old_segments_go_by_age_and_by_size() {
    let broker = TestBroker::start(&["log.retention.check.interval.ms=20", "log.segment.bytes=200"]);
    let mut client = broker.client();
    client.create("old", 1, &[("retention.ms", "60000")]);
    client.create("large", 1, &[("retention.ms", "-1"), ("retention.bytes", "500")]);
    client.create("kept", 1, &[("retention.ms", "-1")]);
    for topic in ["old", "large", "kept"] {
        for _ in 0..20 {
            client.produce(
                topic,
                0,
                &timed(&[(1_000, "from 1970, and long enough to fill a segment soon")], Codec::None),
            );
        }
    }
    let start =
        |client: &mut Client, topic: &str| client.delete_records(2, topic, 0, 0).expect("a watermark");
    until("retention by age", || start(&mut client, "old") == 20);
    until("retention by size", || start(&mut client, "large") > 10);
    assert!(start(&mut client, "large") < 20, "the newest stay");
    assert_eq!(start(&mut client, "kept"), 0);
    assert_eq!(client.produce("old", 0, &batch(&["goes on"], Codec::None)), 20);
}

#[test]
fn e33_a_compacted_topic_keeps_the_last_value_of_each_key_across_restarts() {
    let settings = ["log.cleaner.backoff.ms=20", "log.cleaner.dedupe.buffer.size=1048576"];
    let broker = TestBroker::start(&settings);
    let mut client = broker.client();
    let configs =
        [("cleanup.policy", "compact"), ("segment.bytes", "400"), ("min.cleanable.dirty.ratio", "0.01")];
    client.create("t", 1, &configs);
    for round in 0..20 {
        for key in ["one", "two", "three"] {
            client.produce("t", 0, &keyed(key, &format!("{key} in round {round}")));
        }
    }
    let checkpoint = broker.data().file("cleaner-offset-checkpoint");
    until("a cleaning", || checkpoint.exists());
    until("less to read", || client.read_from("t", 0, 0).len() < 30);
    let mut last = client.read_from("t", 0, 0);
    last.reverse();
    last.truncate(3);
    let broker = broker.stop().start(&settings);
    let mut again = broker.client().read_from("t", 0, 0);
    again.reverse();
    again.truncate(3);
    assert_eq!(again, last);
}

#[test]
fn e11_a_compacted_topic_refuses_records_without_keys() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[("cleanup.policy", "compact")]);
    let refused = client.try_produce("t", 0, &batch(&["no key"], Codec::None));
    assert_eq!(refused.error, ErrorCode::InvalidRecord);
    client.produce("t", 0, &keyed("k", "v"));
}
