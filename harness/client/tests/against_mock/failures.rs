//! Connections that fail, answers that lie, brokers that refuse.

use std::time::Duration;

use crate::common::{Mock, connect, connect_listing, listen, versions};
use bytes::Bytes;
use plimsoll_client::wire::messages::{InitProducerIdResponse, MetadataResponse};
use plimsoll_client::wire::{ApiKey, ErrorCode, Response, WireError, api};
use plimsoll_client::{Acks, ClientError, ConnectOptions, Connection, Loss, ProduceSpec, TopicRef};

fn spec(acks: Acks) -> ProduceSpec {
    ProduceSpec::one(acks, TopicRef::named("t"), 0, Bytes::from_static(b"batch"))
}

#[tokio::test]
async fn a_refused_connection_names_the_address() {
    let (address, listener) = listen().await;
    drop(listener);
    let error = Connection::connect(&address, ConnectOptions::default()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains(&address) && error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_address_without_a_port_is_named_too() {
    let error = Connection::connect("localhost", ConnectOptions::default()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Resolve { .. }), "{error:?}");
    assert!(error.to_string().contains("cannot resolve localhost"), "{error}");
}

#[tokio::test]
async fn a_closed_connection_fails_everything_in_flight_and_later_calls_at_once() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let first = connection.start_produce(spec(Acks::Leader)).await.unwrap();
    let second = connection.start_produce(spec(Acks::All)).await.unwrap();
    mock.next_request().await;
    mock.next_request().await;
    drop(mock);
    for pending in [first, second] {
        let error = pending.wait().await.unwrap_err();
        assert!(error.is_connection_lost(), "{error:?}");
        assert!(error.to_string().contains("Produce unanswered: closed by the peer"), "{error}");
    }
    assert!(matches!(connection.lost(), Some(Loss::ClosedByPeer)));
    let later = connection.init_producer_id(None, Duration::ZERO).await.unwrap_err();
    assert!(matches!(later, ClientError::Lost { request: ApiKey::InitProducerId, .. }), "{later:?}");
}

#[tokio::test]
async fn a_timeout_names_the_request_and_leaves_the_connection_in_order() {
    let options = ConnectOptions::default().with_request_timeout(Duration::from_millis(20));
    let (connection, mut mock) = connect(options).await;
    let error = connection.init_producer_id(None, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { request: ApiKey::InitProducerId, .. }), "{error:?}");
    let (late, _) = mock.next_request().await;
    // The late answer comes first and is dropped; the next call gets its own.
    let id =
        |id: i64| Response::InitProducerId(InitProducerIdResponse::default().with_producer_id(id.into()));
    mock.answer(&late, id(1)).await;
    let metadata = Response::Metadata(MetadataResponse::default().with_cluster_id(Some("c".into())));
    let (cluster, _) = tokio::join!(connection.metadata(None, false), mock.expect_and_answer(metadata));
    assert_eq!(cluster.unwrap().cluster_id.as_deref(), Some("c"));
}

#[tokio::test]
async fn an_answer_out_of_step_ends_the_connection() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let pending = connection.start_produce(spec(Acks::Leader)).await.unwrap();
    let (mut header, _) = mock.next_request().await;
    let expected_id = header.correlation_id;
    header.correlation_id += 1;
    mock.answer(&header, Response::Produce(Default::default())).await;
    let error = pending.wait().await.unwrap_err();
    let ClientError::Lost { loss: Loss::OutOfStep { expected, got }, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((expected, got), (expected_id, Some(expected_id + 1)));
}

#[tokio::test]
async fn an_answer_nobody_asked_for_ends_the_connection() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    mock.send(&[0, 0, 0, 4, 0, 0, 0, 9]).await;
    mock.wait_for_close_or_loss(&connection).await;
    assert!(matches!(connection.lost(), Some(Loss::Unsolicited)), "{:?}", connection.lost());
}

#[tokio::test]
async fn a_truncated_answer_is_an_error_of_that_request_alone() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let pending = connection.start_produce(spec(Acks::Leader)).await.unwrap();
    let (header, _) = mock.next_request().await;
    // A whole frame whose body announces topics that are not there.
    let mut frame = vec![0, 0, 0, 6];
    frame.extend(header.correlation_id.to_be_bytes());
    frame.extend([0, 9]);
    mock.send(&frame).await;
    let error = pending.wait().await.unwrap_err();
    assert!(matches!(&error, ClientError::Wire { .. }), "{error:?}");
    let message = error.to_string();
    assert!(
        message.contains("Produce v12 response") && message.contains("`responses` announces 8"),
        "{message}"
    );
    let answer = Response::InitProducerId(InitProducerIdResponse::default().with_producer_id(5.into()));
    let (id, _) =
        tokio::join!(connection.init_producer_id(None, Duration::ZERO), mock.expect_and_answer(answer));
    assert_eq!(id.unwrap(), (5, 0));
}

#[tokio::test]
async fn a_frame_cut_by_the_end_of_the_connection_is_a_loss() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let pending = connection.start_produce(spec(Acks::Leader)).await.unwrap();
    mock.next_request().await;
    mock.send(&[0, 0, 0, 100, 1, 2, 3]).await;
    drop(mock);
    let error = pending.wait().await.unwrap_err();
    assert!(matches!(error, ClientError::Lost { loss: Loss::ClosedByPeer, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_by_its_size_alone() {
    let options = ConnectOptions { max_response_bytes: 4096, ..ConnectOptions::default() };
    let (connection, mut mock) = connect(options).await;
    let pending = connection.start_produce(spec(Acks::Leader)).await.unwrap();
    mock.next_request().await;
    mock.send(&i32::MAX.to_be_bytes()).await;
    let error = pending.wait().await.unwrap_err();
    let ClientError::Lost { loss: Loss::Frame(frame), .. } = error else { panic!("{error:?}") };
    assert_eq!(frame, WireError::FrameTooLarge { size_bytes: i32::MAX as usize, limit_bytes: 4096 });
}

#[tokio::test]
async fn a_broker_error_comes_with_its_name_and_subject() {
    let (connection, mut mock) = connect(ConnectOptions::default()).await;
    let refused =
        InitProducerIdResponse::default().with_error_code(ErrorCode::CoordinatorNotAvailable.code());
    let (id, _) = tokio::join!(
        connection.init_producer_id(None, Duration::ZERO),
        mock.expect_and_answer(Response::InitProducerId(refused))
    );
    let error = id.unwrap_err();
    assert_eq!(error.broker_error(), Some(ErrorCode::CoordinatorNotAvailable));
    assert!(error.to_string().contains("COORDINATOR_NOT_AVAILABLE (15)"), "{error}");
}

#[tokio::test]
async fn a_broker_without_a_common_version_is_told_apart_from_a_failure() {
    let (connection, _mock) =
        connect_listing(ConnectOptions::default(), versions(&[(ApiKey::Fetch, 0, 3)])).await;
    let error = connection.version(ApiKey::Fetch).unwrap_err();
    assert!(error.to_string().contains("Fetch") && error.to_string().contains("theirs 0-3"), "{error}");
    let missing = connection.version(ApiKey::Metadata).unwrap_err();
    assert!(missing.to_string().contains("theirs none"), "{missing}");
}

/// KIP-511: the broker answers version 4 in version 0 with error 35 and its own range.
#[tokio::test]
async fn e3_an_older_broker_is_asked_again_in_its_own_version() {
    let (address, listener) = listen().await;
    let old_broker = async {
        let mut mock = Mock::accept(&listener).await;
        let (header, _) = mock.next_request().await;
        assert_eq!(header.api_version, 4);
        let mut refusal = versions(&[(ApiKey::ApiVersions, 0, 2)]);
        refusal.error_code = ErrorCode::UnsupportedVersion.code();
        mock.send(&crate::common::frame(0, header.correlation_id, Response::ApiVersions(refusal))).await;
        let (header, _) = mock.next_request().await;
        assert_eq!(header.api_version, 2);
        mock.answer(&header, Response::ApiVersions(api::api_versions_response())).await;
        mock
    };
    let (connection, _mock) =
        tokio::join!(Connection::connect(&address, ConnectOptions::default()), old_broker);
    assert_eq!(connection.unwrap().version(ApiKey::Fetch).unwrap(), 18);
}
