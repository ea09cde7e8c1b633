//! Order, bounds and instants of requests in flight.

use std::future::Future;
use std::pin::pin;

use crate::common::{Mock, connect, poll_once};
use bytes::Bytes;
use plimsoll_client::wire::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use plimsoll_client::wire::{NoSlice, Request, Response};
use plimsoll_client::{Acks, ConnectOptions, Connection, Pending, ProduceReply, ProduceSpec, TopicRef};

fn spec(acks: Acks, partition: i32, payload: &Bytes) -> ProduceSpec {
    ProduceSpec::one(acks, TopicRef::named("t"), partition, payload.clone())
}

fn ack(partition: i32, base_offset: i64) -> Response<NoSlice> {
    let partitions = vec![PartitionProduceResponse {
        index: partition,
        base_offset,
        ..PartitionProduceResponse::default()
    }];
    let topics = vec![TopicProduceResponse { name: "t".into(), partitions, ..Default::default() }];
    Response::Produce(ProduceResponse { topics, ..ProduceResponse::default() })
}

async fn start(connection: &Connection, partition: i32) -> Pending<ProduceReply> {
    connection.start_produce(spec(Acks::Leader, partition, &Bytes::from_static(b"batch"))).await.unwrap()
}

async fn offset(pending: Pending<ProduceReply>) -> i64 {
    pending.wait().await.unwrap().value.partitions[0].result.base_offset
}

fn produced_partition(request: &Request) -> i32 {
    match request {
        Request::Produce(produce) => produce.topics[0].partitions[0].index,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn requests_leave_before_earlier_ones_are_answered_and_answers_find_their_requests() {
    let (connection, mut mock) = connect(ConnectOptions::default().with_max_in_flight(3)).await;
    let mut pending = Vec::new();
    for partition in 0..3 {
        pending.push(start(&connection, partition).await);
    }
    let mut headers = Vec::new();
    for partition in 0..3 {
        let (header, request) = mock.next_request().await;
        assert_eq!(produced_partition(&request), partition, "requests leave in the order of the calls");
        headers.push(header);
    }
    assert!(headers.windows(2).all(|pair| pair[0].correlation_id < pair[1].correlation_id));
    for (header, partition) in headers.iter().zip(0..) {
        mock.answer(header, ack(partition, 100 + i64::from(partition))).await;
    }
    // Waited for backwards: the order of waiting does not matter.
    for (pending, expected) in pending.into_iter().zip([100, 101, 102]).rev() {
        assert_eq!(offset(pending).await, expected);
    }
}

#[tokio::test]
async fn no_more_than_the_bound_are_in_flight() {
    let (connection, mut mock) = connect(ConnectOptions::default().with_max_in_flight(2)).await;
    let first = start(&connection, 0).await;
    let second = start(&connection, 1).await;
    let mut third = pin!(start(&connection, 2));
    assert!(poll_once(third.as_mut()).is_pending(), "the third has no place");
    let (header, _) = mock.next_request().await;
    mock.answer(&header, ack(0, 10)).await;
    let third = third.await;
    assert_eq!(offset(first).await, 10);
    for (partition, base_offset) in [(1, 11), (2, 12)] {
        mock.expect_and_answer(ack(partition, base_offset)).await;
    }
    assert_eq!(offset(second).await, 11);
    assert_eq!(offset(third).await, 12);
}

#[tokio::test]
async fn one_read_may_bring_many_answers_and_many_reads_one() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let pending = [start(&connection, 0).await, start(&connection, 1).await, start(&connection, 2).await];
    let mut bytes = Vec::new();
    for partition in 0..3 {
        let (header, _) = mock.next_request().await;
        bytes.extend(crate::common::frame(
            header.api_version,
            header.correlation_id,
            ack(partition, i64::from(partition)),
        ));
    }
    let (one_and_a_bit, rest) = bytes.split_at(bytes.len() / 3 + 5);
    mock.send(one_and_a_bit).await;
    for byte in rest {
        mock.send(&[*byte]).await;
    }
    for (pending, expected) in pending.into_iter().zip(0..) {
        assert_eq!(offset(pending).await, expected);
    }
}

#[tokio::test]
async fn instants_are_in_order_and_service_time_excludes_the_queue() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let before = std::time::Instant::now();
    let pending = start(&connection, 0).await;
    mock.expect_and_answer(ack(0, 0)).await;
    let timing = pending.wait().await.unwrap().timing;
    assert!(before <= timing.queued_at);
    assert!(timing.queued_at <= timing.sent_at && timing.sent_at < timing.completed_at);
    assert_eq!(timing.service_time() + timing.queue_time(), timing.completed_at - timing.queued_at);
}

#[tokio::test]
async fn acks_0_is_done_when_written_and_does_not_shift_later_answers() {
    let (connection, mut mock) = connect(ConnectOptions::default().with_max_in_flight(1)).await;
    let payload = Bytes::from_static(b"batch");
    for partition in 0..5 {
        let reply = connection.produce(spec(Acks::None, partition, &payload)).await.unwrap();
        assert!(reply.value.partitions.is_empty());
        assert!(reply.timing.sent_at <= reply.timing.completed_at);
    }
    let pending = start(&connection, 9).await;
    for partition in 0..5 {
        assert_eq!(produced_partition(&mock.next_request().await.1), partition);
    }
    mock.expect_and_answer(ack(9, 77)).await;
    assert_eq!(offset(pending).await, 77);
}

/// More than the socket takes at once: frames are cut by the kernel, finished by the writer task, and
/// arrive whole and in order, even if their callers have gone.
#[tokio::test]
async fn large_batches_arrive_whole_even_if_nobody_waits() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let payload: Bytes = (0..4_000_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    for partition in 0..4 {
        drop(connection.start_produce(spec(Acks::Leader, partition, &payload)).await.unwrap());
    }
    for partition in 0..4 {
        let (header, request) = mock.next_request().await;
        assert_eq!(produced_partition(&request), partition);
        let Request::Produce(produce) = request else { panic!() };
        let got = produce.topics[0].partitions[0].records.clone().into_bytes().unwrap();
        assert!(got == payload, "batch {partition} differs");
        mock.answer(&header, ack(partition, 0)).await;
    }
    let pending = start(&connection, 4).await;
    mock.expect_and_answer(ack(4, 5)).await;
    assert_eq!(offset(pending).await, 5);
}

#[tokio::test]
async fn a_call_dropped_while_it_waits_for_its_place_sends_nothing() {
    let (connection, mut mock) = connect(ConnectOptions::default().with_max_in_flight(1)).await;
    let first = start(&connection, 0).await;
    {
        let mut never = pin!(start(&connection, 1));
        assert!(poll_once(never.as_mut()).is_pending());
    }
    mock.expect_and_answer(ack(0, 0)).await;
    offset(first).await;
    let third = start(&connection, 2).await;
    assert_eq!(produced_partition(&mock.expect_and_answer(ack(2, 2)).await), 2);
    assert_eq!(offset(third).await, 2);
}

#[tokio::test]
async fn the_last_handle_closes_the_socket() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let clone = connection.clone();
    drop(connection);
    let pending = start(&clone, 0).await;
    mock.expect_and_answer(ack(0, 3)).await;
    assert_eq!(offset(pending).await, 3);
    drop(clone);
    mock.wait_for_close().await;
}

#[test]
fn a_connection_and_its_calls_may_move_between_threads() {
    fn send<T: Send>(_: impl FnOnce(&Connection, Mock) -> T) {}
    fn future<T>(future: impl Future<Output = T> + Send) -> impl Future<Output = T> + Send {
        future
    }
    send(|connection, _| {
        let connection = connection.clone();
        future(async move { start(&connection, 0).await.wait().await })
    });
}
