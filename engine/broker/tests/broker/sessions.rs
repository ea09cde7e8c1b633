//! Incremental fetch sessions on the wire (rule E22).

use plimsoll_records::Codec;
use plimsoll_wire::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic};
use plimsoll_wire::{ErrorCode, NoSlice, Request, Response, Uuid};

use super::common::{Client, TestBroker, batch, fetch_topic};

fn ask(client: &mut Client, version: i16, request: FetchRequest) -> FetchResponse<NoSlice> {
    match client.ask(version, &Request::Fetch(request)) {
        Response::Fetch(response) => response,
        other => panic!("{other:?}"),
    }
}

fn session(session_id: i32, session_epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest { session_id, session_epoch, topics, max_bytes: 1 << 20, ..FetchRequest::default() }
}

fn indexes(response: &FetchResponse<NoSlice>) -> Vec<i32> {
    assert_eq!(response.error, ErrorCode::None);
    response.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| p.index)).collect()
}

#[test]
fn e22_a_session_answers_only_what_changed() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 3, &[]);
    let all = vec![fetch_topic("t", &[(0, 0), (1, 0), (2, 0)])];
    let first = ask(&mut client, 12, session(0, 0, all));
    assert_eq!(indexes(&first), [0, 1, 2]);
    let id = first.session_id;
    assert!(id > 0);
    assert!(indexes(&ask(&mut client, 12, session(id, 1, vec![]))).is_empty());
    broker.client().produce("t", 1, &batch(&["a"], Codec::None));
    let second = ask(&mut client, 12, session(id, 2, vec![]));
    assert_eq!((indexes(&second), second.session_id), (vec![1], id));
    let moved_on = vec![fetch_topic("t", &[(1, 1)])];
    assert!(indexes(&ask(&mut client, 12, session(id, 3, moved_on))).is_empty());
    let mut forget = session(id, 4, vec![]);
    forget.forgotten_topics = vec![ForgottenTopic {
        name: "t".to_owned().into(),
        partitions: vec![2],
        ..ForgottenTopic::default()
    }];
    ask(&mut client, 12, forget);
    broker.client().produce("t", 2, &batch(&["a"], Codec::None));
    assert!(indexes(&ask(&mut client, 12, session(id, 5, vec![]))).is_empty(), "2 was forgotten");
}

#[test]
fn e22_wrong_ids_and_epochs_are_refused() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let topics = || vec![fetch_topic("t", &[(0, 0)])];
    let id = ask(&mut client, 12, session(0, 0, topics())).session_id;
    assert_eq!(ask(&mut client, 12, session(id, 5, vec![])).error, ErrorCode::InvalidFetchSessionEpoch);
    assert_eq!(ask(&mut client, 12, session(id + 1, 1, vec![])).error, ErrorCode::FetchSessionIdNotFound);
    assert_eq!(ask(&mut client, 13, session(id, 1, vec![])).error, ErrorCode::FetchSessionTopicIdError);
    assert_eq!(ask(&mut client, 12, session(id, 1, vec![])).error, ErrorCode::None);
    let closing = ask(&mut client, 12, session(id, -1, topics()));
    assert_eq!((closing.session_id, indexes(&closing)), (0, vec![0]));
    assert_eq!(ask(&mut client, 12, session(id, 2, vec![])).error, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn e22_without_a_free_slot_a_fetch_is_served_without_a_session() {
    let broker = TestBroker::start(&["max.incremental.fetch.session.cache.slots=0"]);
    let mut client = broker.client();
    client.create("t", 1, &[]);
    let answer = ask(&mut client, 12, session(0, 0, vec![fetch_topic("t", &[(0, 0)])]));
    assert_eq!((answer.session_id, indexes(&answer)), (0, vec![0]));
}

#[test]
fn e22_a_deleted_topic_shows_in_a_session_by_id() {
    let broker = TestBroker::start(&[]);
    let mut client = broker.client();
    let id = client.create("t", 1, &[]);
    let topic = |topic_id: Uuid| {
        let partitions = vec![FetchPartition { partition_max_bytes: 1 << 20, ..FetchPartition::default() }];
        vec![FetchTopic { topic_id, partitions, ..FetchTopic::default() }]
    };
    let session_id = ask(&mut client, 17, session(0, 0, topic(id))).session_id;
    assert_eq!(broker.client().delete("t"), 0);
    let answer = ask(&mut client, 17, session(session_id, 1, vec![]));
    assert_eq!(answer.topics[0].partitions[0].error, ErrorCode::UnknownTopicId);
}

#[test]
fn e22_hundreds_of_partitions_share_one_session() {
    const PARTITIONS: i32 = 300;
    let broker = TestBroker::start(&["plimsoll.storage.preallocation=none"]);
    let mut client = broker.client();
    client.create("t", PARTITIONS, &[]);
    let all: Vec<_> = (0..PARTITIONS).map(|index| (index, 0)).collect();
    let id = ask(&mut client, 12, session(0, 0, vec![fetch_topic("t", &all)])).session_id;
    for epoch in 1..20 {
        let partition = epoch * 10;
        broker.client().produce("t", partition, &batch(&["a"], Codec::None));
        let mut request =
            session(id, epoch, vec![fetch_topic("t", &[(partition - 10, i64::from(epoch > 1))])]);
        request.max_wait_ms = 10_000;
        request.min_bytes = 1;
        assert_eq!(indexes(&ask(&mut client, 12, request)), [partition]);
    }
}
