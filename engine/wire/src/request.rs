//! Whole requests: header and body, in and out.

use bytes::Bytes;

use crate::api::{self, Api};
use crate::api_key::ApiKey;
use crate::control;
use crate::error::{Unsupported, WireError};
use crate::error_code::ErrorCode;
use crate::fetch::FetchRequest;
use crate::header::{HeaderStart, RequestHeader};
use crate::messages::{
    AlterPartitionReassignmentsRequest, ApiVersionsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeQuorumRequest, ElectLeadersRequest, FindCoordinatorRequest, IncrementalAlterConfigsRequest,
    InitProducerIdRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest, MetadataRequest,
    OffsetForLeaderEpochRequest, UnregisterBrokerRequest,
};
use crate::part::{NoSlice, only_bytes};
use crate::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduce, TopicProduceResponse,
};
use crate::reader::{REQUEST_MAX_ELEMENTS, Reader};
use crate::response::{Response, encode_response};
use crate::writer::Writer;

/// The body of a request, by key.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is named after its request")]
pub enum Request {
    Produce(ProduceRequest),
    Fetch(FetchRequest),
    ListOffsets(ListOffsetsRequest),
    Metadata(MetadataRequest),
    FindCoordinator(FindCoordinatorRequest),
    ApiVersions(ApiVersionsRequest),
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    DeleteRecords(DeleteRecordsRequest),
    InitProducerId(InitProducerIdRequest),
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest),
    DescribeConfigs(DescribeConfigsRequest),
    CreatePartitions(CreatePartitionsRequest),
    ElectLeaders(ElectLeadersRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    DescribeQuorum(DescribeQuorumRequest),
    DescribeCluster(DescribeClusterRequest),
    UnregisterBroker(UnregisterBrokerRequest),
}

impl Request {
    /// The key of this request.
    pub const fn api_key(&self) -> ApiKey {
        match self {
            Self::Produce(_) => ApiKey::Produce,
            Self::Fetch(_) => ApiKey::Fetch,
            Self::ListOffsets(_) => ApiKey::ListOffsets,
            Self::Metadata(_) => ApiKey::Metadata,
            Self::FindCoordinator(_) => ApiKey::FindCoordinator,
            Self::ApiVersions(_) => ApiKey::ApiVersions,
            Self::CreateTopics(_) => ApiKey::CreateTopics,
            Self::DeleteTopics(_) => ApiKey::DeleteTopics,
            Self::DeleteRecords(_) => ApiKey::DeleteRecords,
            Self::InitProducerId(_) => ApiKey::InitProducerId,
            Self::OffsetForLeaderEpoch(_) => ApiKey::OffsetForLeaderEpoch,
            Self::DescribeConfigs(_) => ApiKey::DescribeConfigs,
            Self::CreatePartitions(_) => ApiKey::CreatePartitions,
            Self::ElectLeaders(_) => ApiKey::ElectLeaders,
            Self::IncrementalAlterConfigs(_) => ApiKey::IncrementalAlterConfigs,
            Self::AlterPartitionReassignments(_) => ApiKey::AlterPartitionReassignments,
            Self::ListPartitionReassignments(_) => ApiKey::ListPartitionReassignments,
            Self::DescribeQuorum(_) => ApiKey::DescribeQuorum,
            Self::DescribeCluster(_) => ApiKey::DescribeCluster,
            Self::UnregisterBroker(_) => ApiKey::UnregisterBroker,
        }
    }

    /// Whether the peer answers; only Produce with acks=0 gets no answer.
    pub const fn expects_answer(&self) -> bool {
        !matches!(self, Self::Produce(produce) if produce.acks == 0)
    }
}

/// Reads one request frame (without its size prefix). Records in it share the frame's memory.
///
/// [`WireError::Unsupported`] carries the answer to send, if Kafka defines one; every other error means:
/// close this connection. Bytes after the body's last field are ignored, as Kafka does.
pub fn decode_request(frame: Bytes) -> Result<(RequestHeader, Request), WireError> {
    let mut reader = Reader::new(frame, false, REQUEST_MAX_ELEMENTS);
    let start = HeaderStart::decode(&mut reader)?;
    let api = ApiKey::from_code(start.key).and_then(Api::of);
    let header = start.finish(&mut reader, api)?;
    let version = header.api_version;
    let Some(api) = api.filter(|api| api.serves(version)) else {
        let answer = refusal(&header, &mut reader);
        return Err(WireError::Unsupported(Box::new(Unsupported { header, answer })));
    };
    reader.set_flexible(api.is_flexible(version));
    let request = decode_body(&mut reader, api, version).map_err(|error| error.in_request(&header))?;
    Ok((header, request))
}

fn decode_body(reader: &mut Reader, api: &Api, version: i16) -> Result<Request, WireError> {
    Ok(match api.key {
        ApiKey::Produce => Request::Produce(ProduceRequest::decode(reader, version)?),
        ApiKey::Fetch => Request::Fetch(FetchRequest::decode(reader, version)?),
        ApiKey::ListOffsets => Request::ListOffsets(control::decode_request(reader, api, version)?),
        ApiKey::Metadata => Request::Metadata(control::decode_request(reader, api, version)?),
        ApiKey::FindCoordinator => Request::FindCoordinator(control::decode_request(reader, api, version)?),
        ApiKey::ApiVersions => Request::ApiVersions(control::decode_request(reader, api, version)?),
        ApiKey::CreateTopics => Request::CreateTopics(control::decode_request(reader, api, version)?),
        ApiKey::DeleteTopics => Request::DeleteTopics(control::decode_request(reader, api, version)?),
        ApiKey::DeleteRecords => Request::DeleteRecords(control::decode_request(reader, api, version)?),
        ApiKey::InitProducerId => Request::InitProducerId(control::decode_request(reader, api, version)?),
        ApiKey::OffsetForLeaderEpoch => {
            Request::OffsetForLeaderEpoch(control::decode_request(reader, api, version)?)
        }
        ApiKey::DescribeConfigs => Request::DescribeConfigs(control::decode_request(reader, api, version)?),
        ApiKey::CreatePartitions => Request::CreatePartitions(control::decode_request(reader, api, version)?),
        ApiKey::ElectLeaders => Request::ElectLeaders(control::decode_request(reader, api, version)?),
        ApiKey::IncrementalAlterConfigs => {
            Request::IncrementalAlterConfigs(control::decode_request(reader, api, version)?)
        }
        ApiKey::AlterPartitionReassignments => {
            Request::AlterPartitionReassignments(control::decode_request(reader, api, version)?)
        }
        ApiKey::ListPartitionReassignments => {
            Request::ListPartitionReassignments(control::decode_request(reader, api, version)?)
        }
        ApiKey::DescribeQuorum => Request::DescribeQuorum(control::decode_request(reader, api, version)?),
        ApiKey::DescribeCluster => Request::DescribeCluster(control::decode_request(reader, api, version)?),
        ApiKey::UnregisterBroker => Request::UnregisterBroker(control::decode_request(reader, api, version)?),
        other => return Err(WireError::Codec(format!("{other} is in the table but has no decoder"))),
    })
}

/// The frame that tells a client its version is not served, where Kafka defines one.
fn refusal(header: &RequestHeader, reader: &mut Reader) -> Option<Bytes> {
    let (version, response) = match header.api_key {
        ApiKey::ApiVersions => (0, Response::ApiVersions(api::unsupported_api_versions_response())),
        ApiKey::Produce if (0..=2).contains(&header.api_version) => {
            let request = ProduceRequest::decode(reader, header.api_version).ok()?;
            let answered = request.acks != 0;
            (header.api_version, answered.then(|| Response::Produce(refuse_all(request)))?)
        }
        _ => return None,
    };
    let parts = encode_response::<NoSlice>(version, header.correlation_id, response).ok()?;
    Some(only_bytes(parts).concat().into())
}

/// `UNSUPPORTED_VERSION` for every partition (rule E1).
fn refuse_all(request: ProduceRequest) -> ProduceResponse {
    let refuse = |topic: TopicProduce| TopicProduceResponse {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| PartitionProduceResponse {
                index: partition.index,
                error: ErrorCode::UnsupportedVersion,
                ..PartitionProduceResponse::default()
            })
            .collect(),
    };
    ProduceResponse { topics: request.topics.into_iter().map(refuse).collect(), ..ProduceResponse::default() }
}

/// Writes one request as the byte runs of its frame, size prefix included. Record batches are not copied.
///
/// `header.api_key` must be the request's own; the version must be served by us too.
pub fn encode_request(header: &RequestHeader, request: &Request) -> Result<Vec<Bytes>, WireError> {
    let version = header.api_version;
    let served = Api::of(request.api_key()).filter(|api| api.serves(version));
    let api = served.ok_or(WireError::NotInVersion { field: request.api_key().name(), version })?;
    let mut writer = Writer::<NoSlice>::frame(256, false);
    header.encode(api, &mut writer)?;
    writer.set_flexible(api.is_flexible(version));
    encode_body(request, &mut writer, version).map_err(|error| error.in_request(header))?;
    writer.finish().map(only_bytes)
}

fn encode_body(request: &Request, writer: &mut Writer<NoSlice>, version: i16) -> Result<(), WireError> {
    match request {
        Request::Produce(request) => request.encode(writer, version),
        Request::Fetch(request) => request.encode(writer, version),
        Request::ListOffsets(request) => control::encode(request, writer, version),
        Request::Metadata(request) => control::encode(request, writer, version),
        Request::FindCoordinator(request) => control::encode(request, writer, version),
        Request::ApiVersions(request) => control::encode(request, writer, version),
        Request::CreateTopics(request) => control::encode(request, writer, version),
        Request::DeleteTopics(request) => control::encode(request, writer, version),
        Request::DeleteRecords(request) => control::encode(request, writer, version),
        Request::InitProducerId(request) => control::encode(request, writer, version),
        Request::OffsetForLeaderEpoch(request) => control::encode(request, writer, version),
        Request::DescribeConfigs(request) => control::encode(request, writer, version),
        Request::CreatePartitions(request) => control::encode(request, writer, version),
        Request::ElectLeaders(request) => control::encode(request, writer, version),
        Request::IncrementalAlterConfigs(request) => control::encode(request, writer, version),
        Request::AlterPartitionReassignments(request) => control::encode(request, writer, version),
        Request::ListPartitionReassignments(request) => control::encode(request, writer, version),
        Request::DescribeQuorum(request) => control::encode(request, writer, version),
        Request::DescribeCluster(request) => control::encode(request, writer, version),
        Request::UnregisterBroker(request) => control::encode(request, writer, version),
    }
}
