//! Idempotent producers over the wire (rule E14).

use plimsoll_wire::messages::{InitProducerIdRequest, TransactionalId};
use plimsoll_wire::{ErrorCode, Request, Response};

use super::common::{TestBroker, each_backend, idempotent};

#[test]
fn e14_a_retry_gets_the_original_offset_and_is_stored_once() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let id = client.init_producer_id();
        let batches: Vec<_> = (0..5).map(|i| idempotent(id, 0, 2 * i, &["a", "b"])).collect();
        for (index, batch) in (0..).zip(&batches) {
            assert_eq!(client.produce("t", 0, batch), 2 * index);
        }
        let mut other = broker.client();
        for (index, batch) in (0..).zip(&batches) {
            assert_eq!(other.produce("t", 0, batch), 2 * index, "also over another connection");
        }
        assert_eq!(client.read_from("t", 0, 0).len(), 10);
    });
}

#[test]
fn e14_beyond_five_batches_and_after_a_gap_the_sequence_is_out_of_order() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let id = client.init_producer_id();
    for sequence in 0..6 {
        client.produce("t", 0, &idempotent(id, 0, sequence, &["a"]));
    }
    let mut error = |sequence| client.try_produce("t", 0, &idempotent(id, 0, sequence, &["a"])).error;
    assert_eq!(error(0), ErrorCode::OutOfOrderSequenceNumber, "the sixth last is forgotten");
    assert_eq!(error(1), ErrorCode::None, "the fifth last is a duplicate");
    assert_eq!(error(8), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(error(6), ErrorCode::None);
}

#[test]
fn e14_a_new_epoch_starts_at_zero_and_fences_the_old_one() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let id = client.init_producer_id();
    client.produce("t", 0, &idempotent(id, 0, 0, &["a"]));
    let mut error =
        |epoch, sequence| client.try_produce("t", 0, &idempotent(id, epoch, sequence, &["a"])).error;
    assert_eq!(error(1, 1), ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(error(1, 0), ErrorCode::None);
    assert_eq!(error(0, 1), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn e14_sequences_wrap_to_zero() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let id = client.init_producer_id();
    // Nothing is known of the producer here, so that any first sequence is taken.
    client.produce("t", 0, &idempotent(id, 0, i32::MAX - 1, &["a", "b", "c"]));
    assert_eq!(client.produce("t", 0, &idempotent(id, 0, 1, &["d"])), 3);
    assert_eq!(client.produce("t", 0, &idempotent(id, 0, i32::MAX - 1, &["a", "b", "c"])), 0);
}

#[test]
fn e14_pipelined_retries_behind_their_original_are_one_append() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend, "plimsoll.durability=fsync"]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let id = client.init_producer_id();
        let request = super::common::produce_one("t", 0, &idempotent(id, 0, 0, &["a"]), -1);
        let frames: Vec<u8> =
            (0..10).flat_map(|_| client.frame(12, &Request::Produce(request.clone())).0).collect();
        client.send_bytes(&frames);
        for _ in 0..10 {
            let (_, Response::Produce(answer)) = client.receive(plimsoll_wire::ApiKey::Produce, 12) else {
                panic!()
            };
            let partition = &answer.topics[0].partitions[0];
            assert_eq!((partition.error, partition.base_offset), (ErrorCode::None, 0));
        }
        assert_eq!(client.read_from("t", 0, 0).len(), 1);
    });
}

#[test]
fn e14_after_a_crash_retries_still_find_their_original_and_ids_are_new() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        let id = client.init_producer_id();
        for sequence in 0..7 {
            client.produce("t", 0, &idempotent(id, 0, sequence, &["a"]));
        }
        let image = broker.data().crash_image();
        let broker = image.start(&[backend]);
        let mut client = broker.client();
        assert_eq!(client.produce("t", 0, &idempotent(id, 0, 6, &["a"])), 6, "the original offset");
        assert_eq!(client.produce("t", 0, &idempotent(id, 0, 2, &["a"])), 2);
        let forgotten = client.try_produce("t", 0, &idempotent(id, 0, 1, &["a"])).error;
        assert_eq!(forgotten, ErrorCode::OutOfOrderSequenceNumber);
        assert_eq!(client.produce("t", 0, &idempotent(id, 0, 7, &["b"])), 7);
        assert_eq!(client.read_from("t", 0, 0).len(), 8);
        assert!(client.init_producer_id() > id, "a reused id would make new records look like old ones");
    });
}

#[test]
fn e14_state_survives_a_clean_stop_too() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let id = client.init_producer_id();
    for sequence in 0..3 {
        client.produce("t", 0, &idempotent(id, 0, sequence, &["a"]));
    }
    let broker = broker.stop().start(&[]);
    let mut client = broker.client();
    // Kafka's snapshot format keeps the last batch of each producer.
    assert_eq!(client.produce("t", 0, &idempotent(id, 0, 2, &["a"])), 2);
    assert_eq!(client.produce("t", 0, &idempotent(id, 0, 3, &["a"])), 3);
    assert_eq!(client.read_from("t", 0, 0).len(), 4);
}

#[test]
fn ids_differ_over_connections_and_blocks() {
    let broker = TestBroker::start(&[]);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut client = broker.client();
        ids.extend((0..700).map(|_| client.init_producer_id()));
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2_100);
}

#[test]
fn e45_transactional_ids_are_refused() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    for (id, code) in [("tx", ErrorCode::CoordinatorNotAvailable), ("", ErrorCode::InvalidRequest)] {
        let id_given = Some(TransactionalId(id.to_owned().into()));
        let request = InitProducerIdRequest::default().with_transactional_id(id_given);
        let Response::InitProducerId(answer) = client.ask(4, &Request::InitProducerId(request)) else {
            panic!()
        };
        assert_eq!((answer.error_code, answer.producer_id.0), (code.code(), -1), "`{id}`");
    }
}
