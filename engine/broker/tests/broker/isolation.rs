//! What a `read_committed` consumer sees of a log with transactions. No request can begin one yet, but a directory may
//! hold some: here the engine has put them into it.

use plimsoll_io::{Backend, IoConfig, open_store};
use plimsoll_log::{AppendRequest, Log, LogConfig, OpenHints, Origin, layout};
use plimsoll_records::marker::{EndTxn, end_txn};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor, ProducerStamp};
use plimsoll_wire::fetch::{AbortedTransaction, FetchRequest, FetchTopic};
use plimsoll_wire::messages::ListOffsetsRequest;
use plimsoll_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use plimsoll_wire::{ErrorCode, Request, Response, Uuid};
use tokio::task::LocalSet;

use super::common::{Client, Data, TestBroker, each_backend, fetch_one, stored, timed, topic_name};

const UNCOMMITTED: i8 = 0;
const COMMITTED: i8 = 1;
const LATEST: i64 = -1;
const MAX_TIMESTAMP: i64 = -3;

/// Where the transaction that stays open begins, and the end of the log.
const OPEN: i64 = 6;
const END: i64 = 8;

fn transactional(id: i64, base_sequence: i32, values: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.set_transactional(true).set_producer(ProducerStamp { id, epoch: 0, base_sequence });
    for value in values {
        builder.push(2_000, None, Some(value.as_bytes()), &[]).expect("fits");
    }
    builder.finish(&mut Compressor::new()).expect("builds")
}

fn marker(id: i64, end: EndTxn) -> Batch {
    end_txn(end, 0, id, 0, 2_000).expect("a marker")
}

/// One transaction aborted (1–2, marker at 3), one committed (4, marker at 5), one open (6), and around them records outside
/// of any (0 and 7).
fn batches() -> Vec<Batch> {
    vec![
        timed(&[(1_000, "before")], Codec::None),
        transactional(1, 0, &["aborted", "aborted too"]),
        marker(1, EndTxn::Abort),
        transactional(1, 2, &["committed"]),
        marker(1, EndTxn::Commit),
        transactional(2, 0, &["open"]),
        timed(&[(3_000, "behind")], Codec::None),
    ]
}

/// A broker over a log with these batches, and its topic's id.
fn start(backend: &str, clean: bool) -> (TestBroker, Uuid) {
    let broker = TestBroker::start(&[backend]);
    let topic_id = broker.client().create("t", 1, &[]);
    let data = broker.stop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, append(&data, topic_id, batches()));
    if !clean {
        std::fs::remove_file(data.file(layout::CLEAN_SHUTDOWN)).expect("the marker of the stop");
    }
    (data.start(&[backend]), topic_id)
}

async fn append(data: &Data, topic_id: Uuid, batches: Vec<Batch>) {
    let store =
        open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() }).expect("a store");
    let hints = OpenHints { clean: true, ..OpenHints::default() };
    let opened = Log::open(store, &data.file("t-0"), topic_id, LogConfig::default(), hints).await;
    let (log, _) = opened.expect("opens");
    for batch in batches {
        let request = AppendRequest { batch, leader_epoch: 0, origin: Origin::Client };
        log.append(request).await.expect("appended");
    }
    log.close().await.expect("closed");
}

fn fetch(topic_id: Uuid, version: i16, isolation_level: i8, offset: i64) -> FetchRequest {
    let mut request = FetchRequest { isolation_level, ..fetch_one("t", 0, offset) };
    if version >= 13 {
        let partitions = std::mem::take(&mut request.topics[0].partitions);
        request.topics = vec![FetchTopic { topic_id, partitions, ..FetchTopic::default() }];
    }
    request
}

fn aborted(producer_id: i64, first_offset: i64) -> AbortedTransaction {
    AbortedTransaction { producer_id, first_offset }
}

#[test]
fn e20_a_fetch_ends_at_the_last_stable_offset_and_names_what_was_aborted_in_every_version() {
    each_backend(|backend| {
        for clean in [true, false] {
            let (broker, topic_id) = start(backend, clean);
            let mut client = broker.client();
            let mut answer = |version, isolation, offset| {
                client.fetch_request(version, fetch(topic_id, version, isolation, offset))
            };
            let next_offset = |records| stored(records).last().map(|batch| batch.header().next_offset());
            for version in 4..=18 {
                let all = answer(version, UNCOMMITTED, 0);
                assert_eq!((all.high_watermark, all.last_stable_offset), (END, OPEN), "{version}");
                assert_eq!(next_offset(all.records_bytes()), Some(END));
                assert_eq!(all.aborted_transactions, None);
                let stable = answer(version, COMMITTED, 0);
                assert_eq!((stable.high_watermark, stable.last_stable_offset), (END, OPEN), "{version}");
                assert_eq!(
                    next_offset(stable.records_bytes()),
                    Some(OPEN),
                    "markers and aborted records come too"
                );
                assert_eq!(stable.aborted_transactions, Some(vec![aborted(1, 1)]));
                let behind_it = answer(version, COMMITTED, 4);
                assert_eq!(next_offset(behind_it.records_bytes()), Some(OPEN));
                assert_eq!(behind_it.aborted_transactions, Some(vec![]));
            }
        }
    });
}

#[test]
fn e18_between_the_last_stable_offset_and_the_end_a_fetch_is_empty_and_no_error() {
    let (broker, topic_id) = start("plimsoll.storage.backend=page-cache", true);
    let mut client = broker.client();
    for offset in OPEN..=END {
        let answer = client.fetch_request(12, fetch(topic_id, 12, COMMITTED, offset));
        assert_eq!((answer.error, answer.records_len_bytes()), (ErrorCode::None, 0), "{offset}");
        assert_eq!(answer.aborted_transactions, Some(vec![]));
    }
    let beyond = client.fetch_request(12, fetch(topic_id, 12, COMMITTED, END + 1));
    assert_eq!(beyond.error, ErrorCode::OffsetOutOfRange);
}

/// Error, timestamp and offset.
fn list(client: &mut Client, isolation_level: i8, timestamp: i64) -> (i16, i64, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation_level)
        .with_topics(vec![topic]);
    let Response::ListOffsets(response) = client.ask(9, &Request::ListOffsets(request)) else { panic!() };
    let found = &response.topics[0].partitions[0];
    (found.error_code, found.timestamp, found.offset)
}

#[test]
fn e20_the_latest_offset_under_read_committed_is_the_last_stable_one_and_no_time_finds_more() {
    each_backend(|backend| {
        let (broker, _) = start(backend, true);
        let mut client = broker.client();
        assert_eq!(list(&mut client, UNCOMMITTED, LATEST), (0, -1, END));
        assert_eq!(list(&mut client, COMMITTED, LATEST), (0, -1, OPEN));
        assert_eq!(list(&mut client, UNCOMMITTED, 2_500), (0, 3_000, 7));
        assert_eq!(list(&mut client, COMMITTED, 2_500), (0, -1, -1));
        assert_eq!(list(&mut client, UNCOMMITTED, MAX_TIMESTAMP), (0, 3_000, 7));
        assert_eq!(list(&mut client, COMMITTED, MAX_TIMESTAMP).1, 2_000);
        assert_eq!(list(&mut client, COMMITTED, 2_000), (0, 2_000, 1));
    });
}

#[test]
fn an_isolation_level_that_does_not_exist_is_an_invalid_request() {
    let (broker, topic_id) = start("plimsoll.storage.backend=page-cache", true);
    let mut client = broker.client();
    assert_eq!(list(&mut client, 2, LATEST).0, ErrorCode::InvalidRequest.code());
    let request = Request::Fetch(fetch(topic_id, 12, 2, 0));
    let Response::Fetch(response) = client.ask(12, &request) else { panic!() };
    assert_eq!(response.error, ErrorCode::InvalidRequest);
}
