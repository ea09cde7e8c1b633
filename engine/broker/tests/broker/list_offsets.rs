//! ListOffsets: the ends of a partition, and offsets by time.

use plimsoll_records::Codec;
use plimsoll_wire::messages::ListOffsetsRequest;
use plimsoll_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use plimsoll_wire::messages::list_offsets_response::ListOffsetsPartitionResponse;
use plimsoll_wire::{ErrorCode, Request, Response};

use super::common::{Client, TestBroker, batch, each_backend, timed, topic_name};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

fn list(client: &mut Client, version: i16, partition: ListOffsetsPartition) -> ListOffsetsPartitionResponse {
    let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    let Response::ListOffsets(response) = client.ask(version, &Request::ListOffsets(request)) else {
        panic!()
    };
    response.topics[0].partitions[0].clone()
}

fn at(client: &mut Client, timestamp: i64) -> (i64, i64, i32) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let found = list(client, 9, partition);
    assert_eq!(found.error_code, 0);
    (found.timestamp, found.offset, found.leader_epoch)
}

#[test]
fn the_ends_and_times_of_a_partition() {
    each_backend(|backend| {
        let broker = TestBroker::start(&[backend]);
        let mut client = broker.client();
        client.create("t", 1, &[]);
        assert_eq!(at(&mut client, LATEST).1, 0);
        assert_eq!(at(&mut client, MAX_TIMESTAMP), (-1, -1, -1));
        assert_eq!(at(&mut client, 5), (-1, -1, -1), "nothing is that late");
        client.produce("t", 0, &timed(&[(1_000, "a"), (3_000, "b")], Codec::None));
        client.produce("t", 0, &timed(&[(2_000, "c"), (2_500, "d")], "gzip".parse().expect("a codec")));
        assert_eq!(at(&mut client, LATEST), (-1, 4, 0));
        assert_eq!(at(&mut client, EARLIEST), (-1, 0, 0));
        assert_eq!(at(&mut client, MAX_TIMESTAMP), (3_000, 1, 0));
        assert_eq!(at(&mut client, 0), (1_000, 0, 0));
        assert_eq!(at(&mut client, 1_001), (3_000, 1, 0));
        assert_eq!(at(&mut client, 3_001), (-1, -1, -1));
    });
}

#[test]
fn unknown_partitions_epochs_and_special_timestamps_are_errors() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let default = ListOffsetsPartition::default;
    let mut error = |version, partition| list(&mut client, version, partition).error_code;
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(error(9, default().with_partition_index(3).with_timestamp(LATEST)), unknown);
    let newer = default().with_timestamp(LATEST).with_current_leader_epoch(9);
    assert_eq!(error(9, newer), ErrorCode::UnknownLeaderEpoch.code());
    let unsupported = ErrorCode::UnsupportedVersion.code();
    assert_eq!(error(6, default().with_timestamp(MAX_TIMESTAMP)), unsupported);
    assert_eq!(error(9, default().with_timestamp(-77)), unsupported);
}

#[test]
fn the_earliest_offset_keeps_its_epoch_over_restarts() {
    let broker = TestBroker::start(&[]);
    broker.client().create("t", 1, &[]);
    broker.client().produce("t", 0, &batch(&["a"], Codec::None));
    let mut data = broker.stop();
    for restart in 1..4 {
        let broker = data.start(&[]);
        let mut client = broker.client();
        assert_eq!(at(&mut client, EARLIEST), (-1, 0, 0), "written in the first epoch");
        assert_eq!(at(&mut client, LATEST), (-1, i64::from(restart), 2 * restart));
        client.produce("t", 0, &batch(&["a"], Codec::None));
        data = broker.stop();
    }
}
