//! Whole responses: header and body, in and out.

use bytes::Bytes;

use crate::api::Api;
use crate::api_key::ApiKey;
use crate::control;
use crate::error::WireError;
use crate::error_code::ErrorCode;
use crate::fetch::FetchResponse;
use crate::messages::{
    AlterPartitionReassignmentsResponse, ApiVersionsResponse, CreatePartitionsResponse, CreateTopicsResponse,
    DeleteRecordsResponse, DeleteTopicsResponse, DescribeClusterResponse, DescribeConfigsResponse,
    DescribeQuorumResponse, ElectLeadersResponse, FindCoordinatorResponse, IncrementalAlterConfigsResponse,
    InitProducerIdResponse, ListOffsetsResponse, ListPartitionReassignmentsResponse, MetadataResponse,
    OffsetForLeaderEpochResponse, UnregisterBrokerResponse,
};
use crate::part::{NoSlice, Parts, Slice};
use crate::produce::ProduceResponse;
use crate::reader::{RESPONSE_MAX_ELEMENTS, Reader};
use crate::writer::Writer;

/// The body of a response, by key.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is named after its response")]
pub enum Response<S> {
    Produce(ProduceResponse),
    Fetch(FetchResponse<S>),
    ListOffsets(ListOffsetsResponse),
    Metadata(MetadataResponse),
    FindCoordinator(FindCoordinatorResponse),
    ApiVersions(ApiVersionsResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    DeleteRecords(DeleteRecordsResponse),
    InitProducerId(InitProducerIdResponse),
    OffsetForLeaderEpoch(OffsetForLeaderEpochResponse),
    DescribeConfigs(DescribeConfigsResponse),
    CreatePartitions(CreatePartitionsResponse),
    ElectLeaders(ElectLeadersResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    DescribeQuorum(DescribeQuorumResponse),
    DescribeCluster(DescribeClusterResponse),
    UnregisterBroker(UnregisterBrokerResponse),
}

impl<S> Response<S> {
    /// The key of the request this answers.
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
}

/// Writes one response as the parts of its frame, size prefix included: headers in few byte runs, records
/// and slices untouched and uncopied (runs under 256 bytes are gathered).
///
/// `version` is the request's; fields it lacks are left out where they are hints and refused where they
/// would be lost. A file error after the first part has been sent leaves no way but to close.
pub fn encode_response<S: Slice>(
    version: i16,
    correlation_id: i32,
    response: Response<S>,
) -> Result<Parts<S>, WireError> {
    let api_key = response.api_key();
    let api = Api::of(api_key).ok_or(WireError::NotInVersion { field: api_key.name(), version })?;
    let mut writer = Writer::frame(256, false);
    writer.int32(correlation_id);
    if api.response_header_version(version) >= 1 {
        writer.no_tags();
    }
    writer.set_flexible(api.is_flexible(version));
    encode_body(response, &mut writer, version).map_err(|error| error.in_response(api_key, version))?;
    writer.finish()
}

fn encode_body<S: Slice>(
    response: Response<S>,
    writer: &mut Writer<S>,
    version: i16,
) -> Result<(), WireError> {
    match response {
        Response::Produce(response) => response.encode(writer, version),
        Response::Fetch(response) => response.encode(writer, version),
        Response::ListOffsets(response) => control::encode(&response, writer, version),
        Response::Metadata(response) => control::encode(&response, writer, version),
        Response::FindCoordinator(response) => control::encode(&response, writer, version),
        Response::ApiVersions(response) => control::encode(&response, writer, version),
        Response::CreateTopics(response) => control::encode(&response, writer, version),
        Response::DeleteTopics(response) => control::encode(&response, writer, version),
        Response::DeleteRecords(response) => control::encode(&response, writer, version),
        Response::InitProducerId(response) => control::encode(&response, writer, version),
        Response::OffsetForLeaderEpoch(response) => control::encode(&response, writer, version),
        Response::DescribeConfigs(response) => control::encode(&response, writer, version),
        Response::CreatePartitions(response) => control::encode(&response, writer, version),
        Response::ElectLeaders(response) => control::encode(&response, writer, version),
        Response::IncrementalAlterConfigs(response) => control::encode(&response, writer, version),
        Response::AlterPartitionReassignments(response) => control::encode(&response, writer, version),
        Response::ListPartitionReassignments(response) => control::encode(&response, writer, version),
        Response::DescribeQuorum(response) => control::encode(&response, writer, version),
        Response::DescribeCluster(response) => control::encode(&response, writer, version),
        Response::UnregisterBroker(response) => control::encode(&response, writer, version),
    }
}

/// Reads one response frame (without its size prefix) as the answer to a request of `api_key` and `version`
/// and returns it with its correlation id. Records in it share the frame's memory.
///
/// An `ApiVersions` answer with error 35 is read as version 0 whatever was asked for (rule E3).
pub fn decode_response(
    api_key: ApiKey,
    version: i16,
    frame: Bytes,
) -> Result<(i32, Response<NoSlice>), WireError> {
    let served = Api::of(api_key).filter(|api| api.serves(version));
    let api = served.ok_or(WireError::NotInVersion { field: api_key.name(), version })?;
    decode_frame(api, version, frame).map_err(|error| error.in_response(api_key, version))
}

fn decode_frame(api: &Api, version: i16, frame: Bytes) -> Result<(i32, Response<NoSlice>), WireError> {
    let mut reader = Reader::new(frame, false, RESPONSE_MAX_ELEMENTS);
    let correlation_id = reader.int32("correlation_id")?;
    if api.response_header_version(version) >= 1 {
        reader.skip_tags()?;
    }
    let version = if answers_in_version_0(api.key, reader.rest()) { 0 } else { version };
    reader.set_flexible(api.is_flexible(version));
    Ok((correlation_id, decode_body(reader, api, version)?))
}

fn answers_in_version_0(api_key: ApiKey, body: &Bytes) -> bool {
    let unsupported = ErrorCode::UnsupportedVersion.code().to_be_bytes();
    api_key == ApiKey::ApiVersions && body.first_chunk() == Some(&unsupported)
}

fn decode_body(mut reader: Reader, api: &Api, version: i16) -> Result<Response<NoSlice>, WireError> {
    Ok(match api.key {
        ApiKey::Produce => {
            let response = ProduceResponse::decode(&mut reader, version)?;
            reader.expect_end()?;
            Response::Produce(response)
        }
        ApiKey::Fetch => {
            let response = FetchResponse::decode(&mut reader, version)?;
            reader.expect_end()?;
            Response::Fetch(response)
        }
        ApiKey::ListOffsets => Response::ListOffsets(control::decode_response(&reader, api, version)?),
        ApiKey::Metadata => Response::Metadata(control::decode_response(&reader, api, version)?),
        ApiKey::FindCoordinator => {
            Response::FindCoordinator(control::decode_response(&reader, api, version)?)
        }
        ApiKey::ApiVersions => Response::ApiVersions(control::decode_response(&reader, api, version)?),
        ApiKey::CreateTopics => Response::CreateTopics(control::decode_response(&reader, api, version)?),
        ApiKey::DeleteTopics => Response::DeleteTopics(control::decode_response(&reader, api, version)?),
        ApiKey::DeleteRecords => Response::DeleteRecords(control::decode_response(&reader, api, version)?),
        ApiKey::InitProducerId => Response::InitProducerId(control::decode_response(&reader, api, version)?),
        ApiKey::OffsetForLeaderEpoch => {
            Response::OffsetForLeaderEpoch(control::decode_response(&reader, api, version)?)
        }
        ApiKey::DescribeConfigs => {
            Response::DescribeConfigs(control::decode_response(&reader, api, version)?)
        }
        ApiKey::CreatePartitions => {
            Response::CreatePartitions(control::decode_response(&reader, api, version)?)
        }
        ApiKey::ElectLeaders => Response::ElectLeaders(control::decode_response(&reader, api, version)?),
        ApiKey::IncrementalAlterConfigs => {
            Response::IncrementalAlterConfigs(control::decode_response(&reader, api, version)?)
        }
        ApiKey::AlterPartitionReassignments => {
            Response::AlterPartitionReassignments(control::decode_response(&reader, api, version)?)
        }
        ApiKey::ListPartitionReassignments => {
            Response::ListPartitionReassignments(control::decode_response(&reader, api, version)?)
        }
        ApiKey::DescribeQuorum => Response::DescribeQuorum(control::decode_response(&reader, api, version)?),
        ApiKey::DescribeCluster => {
            Response::DescribeCluster(control::decode_response(&reader, api, version)?)
        }
        ApiKey::UnregisterBroker => {
            Response::UnregisterBroker(control::decode_response(&reader, api, version)?)
        }
        other => return Err(WireError::Codec(format!("{other} is in the table but has no decoder"))),
    })
}
