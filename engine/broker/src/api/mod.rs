//! Requests to answers: one file per API, one table of what each may do.

mod alter_configs;
mod cluster;
mod configs;
mod coordinator;
mod delete_records;
mod describe_cluster;
mod describe_quorum;
mod elect_leaders;
mod fetch;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod partitions;
mod produce;
mod producer_id;
mod reassignments;
mod refused;
mod remembered;
mod session;
mod topics;
mod unregister;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use plimsoll_wire::{ErrorCode, Request, RequestHeader, StrBytes, api};

use crate::broker::Broker;
use crate::net::StoredSlice;
use crate::telemetry::Trace;
pub(crate) use session::FetchSessions;

/// A response as this broker sends it.
pub(crate) type Response = plimsoll_wire::Response<StoredSlice>;

/// What becomes of a request.
pub(crate) enum Answer {
    /// The answer is here.
    Now(Response, Trace),
    /// The request has been carried out as far as order demands; its answer comes when it is true.
    Later(Pin<Box<dyn Future<Output = (Response, Trace)>>>),
    /// The client wants none (acks=0).
    Silence(Trace),
    /// The client wants none, but something failed: closing the connection is the only way to say so.
    Close(String),
}

/// Carries out one request. The order of calls is the order of effects.
pub(crate) async fn answer(
    broker: &Arc<Broker>,
    header: &RequestHeader,
    request: Request,
    trace: Trace,
) -> Answer {
    let version = header.api_version;
    let response = match request {
        Request::Produce(request) => return produce::handle(broker, version, request, trace).await,
        Request::Fetch(request) => {
            Response::Fetch(fetch::handle(broker, version, request, trace.recorder()).await)
        }
        Request::ListOffsets(request) => {
            Response::ListOffsets(list_offsets::handle(broker, version, request).await)
        }
        Request::Metadata(request) => Response::Metadata(metadata::handle(broker, version, request).await),
        Request::FindCoordinator(request) => Response::FindCoordinator(coordinator::handle(version, request)),
        Request::ApiVersions(request) => Response::ApiVersions(api_versions(version, &request)),
        Request::CreateTopics(request) => {
            Response::CreateTopics(topics::create(broker, version, request).await)
        }
        Request::DeleteTopics(request) => {
            Response::DeleteTopics(topics::delete(broker, version, request).await)
        }
        Request::DeleteRecords(request) => {
            Response::DeleteRecords(delete_records::handle(broker, request).await)
        }
        Request::InitProducerId(request) => {
            Response::InitProducerId(producer_id::handle(broker, request).await)
        }
        Request::OffsetForLeaderEpoch(request) => {
            Response::OffsetForLeaderEpoch(offset_for_leader_epoch::handle(broker, request).await)
        }
        Request::DescribeConfigs(request) => {
            Response::DescribeConfigs(configs::describe(broker, version, &request))
        }
        Request::CreatePartitions(request) => {
            Response::CreatePartitions(partitions::create(broker, request).await)
        }
        Request::ElectLeaders(request) => {
            Response::ElectLeaders(elect_leaders::handle(broker, version, request).await)
        }
        Request::IncrementalAlterConfigs(request) => {
            Response::IncrementalAlterConfigs(alter_configs::incremental(broker, request).await)
        }
        Request::AlterPartitionReassignments(request) => {
            Response::AlterPartitionReassignments(reassignments::alter(broker, version, request).await)
        }
        Request::ListPartitionReassignments(request) => {
            Response::ListPartitionReassignments(reassignments::list(broker, &request))
        }
        Request::DescribeQuorum(request) => {
            Response::DescribeQuorum(describe_quorum::handle(broker, version, &request).await)
        }
        Request::DescribeCluster(request) => {
            Response::DescribeCluster(describe_cluster::handle(broker, version, &request))
        }
        Request::UnregisterBroker(request) => {
            Response::UnregisterBroker(unregister::handle(broker, &request).await)
        }
    };
    Answer::Now(response, trace)
}

/// From version 3 a client names its software; a nameless one is told so (KIP-511).
fn api_versions(
    version: i16,
    request: &plimsoll_wire::messages::ApiVersionsRequest,
) -> plimsoll_wire::messages::ApiVersionsResponse {
    let valid = |text: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        edge(text.chars().next()) && edge(text.chars().last()) && text.chars().all(inner)
    };
    let named = valid(&request.client_software_name) && valid(&request.client_software_version);
    if version >= 3 && !named {
        return plimsoll_wire::messages::ApiVersionsResponse::default()
            .with_error_code(ErrorCode::InvalidRequest.code());
    }
    api::api_versions_response()
}

/// Text for the wire.
fn text(words: impl Into<String>) -> StrBytes {
    StrBytes::from_string(words.into())
}

/// Partitions of one request that are served before others on the same thread get their turn.
const PARTITIONS_AT_A_TIME: usize = 256;

/// Lets others on this thread go first after each [`PARTITIONS_AT_A_TIME`] partitions of one request.
async fn take_turns(partitions_served: usize) {
    if partitions_served % PARTITIONS_AT_A_TIME == PARTITIONS_AT_A_TIME - 1 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nameless_client_is_told_so_from_version_3() {
        let request = plimsoll_wire::messages::ApiVersionsRequest::default();
        assert_eq!(api_versions(3, &request).error_code, ErrorCode::InvalidRequest.code());
        assert_eq!(api_versions(2, &request).error_code, 0);
        let named = request.with_client_software_name(text("x-y")).with_client_software_version(text("1.0"));
        assert_eq!(api_versions(3, &named).error_code, 0);
    }
}
