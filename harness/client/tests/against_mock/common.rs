//! A broker made of one socket, driven by the test.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use plimsoll_client::wire::messages::ApiVersionsResponse;
use plimsoll_client::wire::messages::api_versions_response::ApiVersion;
use plimsoll_client::wire::{
    ApiKey, FrameDecoder, NoSlice, Part, Request, RequestHeader, Response, api, decode_request,
    encode_response,
};
use plimsoll_client::{ConnectOptions, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One accepted connection.
pub(crate) struct Mock {
    stream: TcpStream,
    buffer: BytesMut,
}

/// Versions as a broker would list them.
pub(crate) fn versions(ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let listed = |&(key, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default().with_api_key(key.code()).with_min_version(min).with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(ranges.iter().map(listed).collect())
}

/// A client connected to a mock that lists all we serve.
pub(crate) async fn connect(options: ConnectOptions) -> (Connection, Mock) {
    connect_listing(options, api::api_versions_response()).await
}

/// A client connected to a mock that lists `versions`.
pub(crate) async fn connect_listing(
    options: ConnectOptions,
    versions: ApiVersionsResponse,
) -> (Connection, Mock) {
    let (address, listener) = listen().await;
    let serve = async {
        let mut mock = Mock::accept(&listener).await;
        mock.expect_and_answer(Response::ApiVersions(versions)).await;
        mock
    };
    let (connection, mock) = tokio::join!(Connection::connect(&address, options), serve);
    (connection.unwrap(), mock)
}

pub(crate) async fn listen() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap().to_string(), listener)
}

impl Mock {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self { stream, buffer: BytesMut::new() }
    }

    pub(crate) async fn next_frame(&mut self) -> Bytes {
        let decoder = FrameDecoder::new(64 << 20);
        loop {
            if let Some(frame) = decoder.next_frame(&mut self.buffer).unwrap() {
                return frame;
            }
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the client closed the connection");
        }
    }

    pub(crate) async fn next_request(&mut self) -> (RequestHeader, Request) {
        decode_request(self.next_frame().await).unwrap()
    }

    pub(crate) async fn answer(&mut self, header: &RequestHeader, response: Response<NoSlice>) {
        self.send(&frame(header.api_version, header.correlation_id, response)).await;
    }

    /// Takes the next request, whatever it is, and answers it.
    pub(crate) async fn expect_and_answer(&mut self, response: Response<NoSlice>) -> Request {
        let (header, request) = self.next_request().await;
        assert_eq!(header.api_key, response.api_key());
        self.answer(&header, response).await;
        request
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Waits until the client has closed.
    pub(crate) async fn wait_for_close(&mut self) {
        while self.stream.read_buf(&mut self.buffer).await.is_ok_and(|read| read > 0) {}
    }
}

/// A whole response frame, size prefix included.
pub(crate) fn frame(version: i16, correlation_id: i32, response: Response<NoSlice>) -> Vec<u8> {
    let parts = encode_response(version, correlation_id, response).unwrap();
    let runs = parts.into_iter().map(|part| match part {
        Part::Bytes(bytes) => bytes,
        Part::Slice(never) => match never {},
    });
    runs.collect::<Vec<_>>().concat()
}

/// Polls a future once, without anything to wake it.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

impl Mock {
    /// Waits until the client has noticed that something is wrong.
    pub(crate) async fn wait_for_close_or_loss(&mut self, connection: &Connection) {
        while connection.lost().is_none() {
            tokio::task::yield_now().await;
        }
    }
}
