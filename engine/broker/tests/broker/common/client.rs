//! A blocking client that speaks any request in any version, and raw bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use plimsoll_wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use plimsoll_wire::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, InitProducerIdRequest, MetadataRequest, MetadataResponse,
    TopicName, metadata_request::MetadataRequestTopic,
};
use plimsoll_wire::{
    ApiKey, NoSlice, Request, RequestHeader, Response, StrBytes, Uuid, decode_response, encode_request,
};

/// Far beyond anything a test waits for; it only keeps a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self { stream, correlation_id: 0 }
    }

    /// A request's frame, size prefix included, and its correlation id.
    pub(crate) fn frame(&mut self, version: i16, request: &Request) -> (Vec<u8>, i32) {
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key: request.api_key(),
            api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some(StrBytes::from_static_str("test")),
        };
        let runs = encode_request(&header, request).expect("encodes");
        (runs.concat(), self.correlation_id)
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    pub(crate) fn send(&mut self, version: i16, request: &Request) -> i32 {
        let (frame, id) = self.frame(version, request);
        self.send_bytes(&frame);
        id
    }

    /// The next frame without its size prefix.
    pub(crate) fn receive_frame(&mut self) -> io::Result<Vec<u8>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("no negative size")];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }

    pub(crate) fn receive(&mut self, key: ApiKey, version: i16) -> (i32, Response<NoSlice>) {
        let frame = self.receive_frame().expect("an answer");
        decode_response(key, version, frame.into()).expect("decodes")
    }

    /// Sends a request and returns its answer, whose correlation id must be the request's.
    pub(crate) fn ask(&mut self, version: i16, request: &Request) -> Response<NoSlice> {
        let id = self.send(version, request);
        let (answered, response) = self.receive(request.api_key(), version);
        assert_eq!(answered, id, "the correlation id comes back");
        response
    }

    /// Waits until the broker closes this connection. Data that still comes fails the test.
    pub(crate) fn expect_closed(&mut self) {
        match self.stream.read(&mut [0; 64]) {
            Ok(0) => {}
            Ok(read) => panic!("{read} bytes instead of the end"),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("still open: {error}"),
        }
    }

    pub(crate) fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).expect("shut down");
    }

    /// Whether a simple request is answered.
    pub(crate) fn expect_served(&mut self) {
        assert!(!self.metadata(Some(&[])).brokers.is_empty());
    }

    /// Metadata of these topics, or of all; never creates any.
    pub(crate) fn metadata(&mut self, topics: Option<&[&str]>) -> MetadataResponse {
        self.metadata_with(topics, false)
    }

    pub(crate) fn metadata_with(&mut self, topics: Option<&[&str]>, may_create: bool) -> MetadataResponse {
        let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|names| names.iter().map(named).collect()))
            .with_allow_auto_topic_creation(may_create);
        match self.ask(12, &Request::Metadata(request)) {
            Response::Metadata(response) => response,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn try_create(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> (i16, Uuid, String) {
        let config = |(key, value): &(&str, &str)| {
            CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
        };
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.iter().map(config).collect());
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
        let Response::CreateTopics(response) = self.ask(7, &Request::CreateTopics(request)) else { panic!() };
        let result = response.topics.into_iter().next().expect("one answer");
        let message = result.error_message.map(|words| words.to_string()).unwrap_or_default();
        (result.error_code, result.topic_id, message)
    }

    pub(crate) fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let (code, id, message) = self.try_create(name, partitions, configs);
        assert_eq!(code, 0, "{message}");
        id
    }

    pub(crate) fn delete(&mut self, name: &str) -> i16 {
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name(name)]);
        let Response::DeleteTopics(response) = self.ask(5, &Request::DeleteTopics(request)) else { panic!() };
        response.responses.first().expect("one answer").error_code
    }

    pub(crate) fn init_producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let Response::InitProducerId(response) = self.ask(4, &Request::InitProducerId(request)) else {
            panic!()
        };
        assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        response.producer_id.0
    }
}

pub(crate) fn text(words: &str) -> StrBytes {
    StrBytes::from_string(words.to_owned())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
