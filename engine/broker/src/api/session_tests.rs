//! Rule E22, and the bounds of the session cache.

use super::*;
use plimsoll_wire::Part;
use plimsoll_wire::fetch::{EpochEndOffset, FetchTopic, ForgottenTopic, PartitionFetchResponse};
use plimsoll_wire::{StrBytes, Uuid};

fn request(session_id: i32, session_epoch: i32, indexes: &[i32]) -> FetchRequest {
    let partitions =
        indexes.iter().map(|&index| FetchPartition { index, ..FetchPartition::default() }).collect();
    let topic = FetchTopic { name: StrBytes::from_static_str("t"), partitions, ..FetchTopic::default() };
    FetchRequest { session_id, session_epoch, topics: vec![topic], ..FetchRequest::default() }
}

fn row(index: i32, high_watermark: i64, bytes: usize) -> Row {
    let key = Key { name: StrBytes::from_static_str("t"), topic_id: Uuid::nil(), partition: index };
    let records = vec![Part::Bytes(vec![0; bytes].into())];
    let answer =
        PartitionFetchResponse { index, high_watermark, records, ..PartitionFetchResponse::default() };
    Row { key, answer }
}

fn open(sessions: &FetchSessions, indexes: &[i32]) -> i32 {
    let context = sessions.begin(&request(0, 0, indexes), false).expect("new");
    let rows = indexes.iter().map(|&index| row(index, 0, 0)).collect();
    let (id, rows) = sessions.end(context, rows);
    assert_eq!(rows.len(), indexes.len(), "a full fetch answers everything");
    id
}

fn indexes(rows: &[Row]) -> Vec<i32> {
    rows.iter().map(|row| row.key.partition).collect()
}

#[test]
fn e22_only_changed_partitions_come_back() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1, 2]);
    assert!(id > 0);
    let context = sessions.begin(&request(id, 1, &[]), false).expect("resumes");
    assert_eq!(context.partitions().len(), 3);
    let (same, rows) = sessions.end(context, vec![row(0, 0, 0), row(1, 7, 0), row(2, 0, 10)]);
    assert_eq!((same, indexes(&rows)), (id, vec![1, 2]));
    let context = sessions.begin(&request(id, 2, &[]), false).expect("resumes");
    let order: Vec<_> = context.partitions().iter().map(|(key, _)| key.partition).collect();
    assert_eq!(order, [0, 1, 2], "2 had data last and stays at the back");
    assert!(sessions.end(context, vec![row(0, 0, 0), row(1, 7, 0), row(2, 0, 0)]).1.is_empty());
}

#[test]
fn e22_wrong_epochs_and_unknown_ids_are_refused() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    let fails = |id, epoch, by_id| sessions.begin(&request(id, epoch, &[]), by_id).expect_err("refused");
    assert_eq!(fails(id, 2, false), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(fails(id + 1, 1, false), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(fails(0, 5, false), ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(fails(id, 1, true), ErrorCode::FetchSessionTopicIdError);
    assert!(sessions.begin(&request(id, 1, &[]), false).is_ok(), "refusals do not use up the epoch");
}

#[test]
fn e22_an_error_makes_a_partition_come_back_when_it_is_well_again() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0]);
    let context = sessions.begin(&request(id, 1, &[]), false).expect("resumes");
    let mut failed = row(0, 0, 0);
    failed.answer.error = ErrorCode::KafkaStorageError;
    assert_eq!(sessions.end(context, vec![failed]).1.len(), 1);
    let context = sessions.begin(&request(id, 2, &[]), false).expect("resumes");
    assert_eq!(sessions.end(context, vec![row(0, 0, 0)]).1.len(), 1);
}

#[test]
fn e22_a_follower_whose_log_diverges_is_told_so_although_nothing_else_changed() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1, 2]);
    let context = sessions.begin(&request(id, 1, &[]), false).expect("resumes");
    let mut rows = vec![row(0, 0, 0), row(1, 0, 0), row(2, 0, 0)];
    rows[1].answer.diverging_epoch = Some(EpochEndOffset { epoch: 3, end_offset: 7 });
    rows[2].answer.preferred_read_replica = 5;
    assert_eq!(indexes(&sessions.end(context, rows).1), [1, 2]);
}

#[test]
fn e22_partitions_are_added_and_forgotten() {
    let sessions = FetchSessions::new(10);
    let id = open(&sessions, &[0, 1]);
    let mut change = request(id, 1, &[5]);
    change.forgotten_topics = vec![ForgottenTopic {
        name: StrBytes::from_static_str("t"),
        topic_id: Uuid::nil(),
        partitions: vec![0],
    }];
    let context = sessions.begin(&change, false).expect("resumes");
    let left: Vec<_> = context.partitions().iter().map(|(key, _)| key.partition).collect();
    assert_eq!(left, [1, 5]);
}

#[test]
fn e22_a_session_of_thousands_of_partitions_rotates_those_with_data() {
    let all: Vec<i32> = (0..5_000).collect();
    let sessions = FetchSessions::new(1);
    let id = open(&sessions, &all);
    for epoch in 1..=50 {
        let context = sessions.begin(&request(id, epoch, &[]), false).expect("resumes");
        let order: Vec<_> = context.partitions().iter().map(|(key, _)| key.partition).collect();
        let (front, rest) = order.split_at(100);
        assert_eq!(front.first(), Some(&((epoch - 1) * 100 % 5_000)), "those that waited longest come first");
        let full = front.iter().map(|&index| row(index, 0, 10));
        let rows = full.chain(rest.iter().map(|&index| row(index, 0, 0))).collect();
        assert_eq!(indexes(&sessions.end(context, rows).1), front);
    }
}

/// A request whose topic name lies in a larger frame.
fn framed(frame: &bytes::Bytes, mut request: FetchRequest) -> FetchRequest {
    request.topics[0].name = StrBytes::from_utf8(frame.slice(..1)).expect("text");
    request
}

#[test]
fn a_session_does_not_keep_the_requests_it_came_from_in_memory() {
    let sessions = FetchSessions::new(1);
    let frame = bytes::Bytes::from(b"t".repeat(100_000));
    let context = sessions.begin(&framed(&frame, request(0, 0, &[0, 1])), false).expect("new");
    let (id, rows) = sessions.end(context, vec![row(0, 0, 0), row(1, 0, 0)]);
    drop(rows);
    assert!(frame.is_unique(), "the session was opened from it");
    drop(sessions.begin(&framed(&frame, request(id, 1, &[1, 2])), false).expect("resumes"));
    assert!(frame.is_unique(), "a partition was added from it");
    assert_eq!(sessions.begin(&request(id, 2, &[]), false).expect("resumes").partitions().len(), 3);
}

#[test]
fn names_too_long_for_a_topic_are_not_remembered() {
    let long = |mut request: FetchRequest| {
        request.topics[0].name = StrBytes::from_string("t".repeat(250));
        request
    };
    let sessions = FetchSessions::new(1);
    let context = sessions.begin(&long(request(0, 0, &[0])), false).expect("served");
    assert_eq!(sessions.end(context, vec![row(0, 0, 0)]).0, 0, "without a session");
    let id = open(&sessions, &[0]);
    let refused = sessions.begin(&long(request(id, 1, &[1])), false).expect_err("begins anew");
    assert_eq!(refused, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn an_abandoned_request_does_not_block_its_session() {
    let sessions = FetchSessions::new(1);
    let id = open(&sessions, &[0]);
    drop(sessions.begin(&request(id, 1, &[]), false).expect("resumes"));
    assert!(sessions.begin(&request(id, 2, &[]), false).is_ok());
}

#[test]
fn without_room_a_client_is_served_without_a_session() {
    let sessions = FetchSessions::new(1);
    assert!(open(&sessions, &[0]) > 0);
    assert_eq!(open(&sessions, &[0]), 0);
    assert_eq!(open(&FetchSessions::new(0), &[0]), 0);
}

#[test]
fn the_final_epoch_closes_a_session() {
    let sessions = FetchSessions::new(1);
    let id = open(&sessions, &[0]);
    sessions.begin(&request(id, FINAL_EPOCH, &[]), false).expect("served once more");
    let gone = sessions.begin(&request(id, 1, &[]), false).expect_err("gone");
    assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn e22_a_followers_session_takes_a_consumers_place_and_never_gives_it_back() {
    let sessions = FetchSessions::new(1);
    let consumer = open(&sessions, &[0]);
    assert!(consumer > 0);
    let mut request = request(0, 0, &[1]);
    request.replica.replica_id = 2;
    let context = sessions.begin(&request, false).expect("new");
    let follower = sessions.end(context, vec![row(1, 0, 0)]).0;
    assert!(follower > 0);
    let gone = sessions.begin(&self::request(consumer, 1, &[]), false).expect_err("it gave way");
    assert_eq!(gone, ErrorCode::FetchSessionIdNotFound);
    assert_eq!(open(&sessions, &[0]), 0, "a consumer is served without one");
    let context = sessions.begin(&request, false).expect("new");
    assert_eq!(sessions.end(context, vec![row(1, 0, 0)]).0, 0, "nor does one follower push out another");
    assert!(sessions.begin(&self::request(follower, 1, &[]), false).is_ok());
}
