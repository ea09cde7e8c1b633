//! DescribeCluster: who is here.

use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::describe_cluster_response::DescribeClusterBroker;
use plimsoll_wire::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::text;
use crate::broker::Broker;

/// Describe, alter and the like: with no authoriser everybody may do everything.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// The request was not about brokers.
const BROKERS: i8 = 1;

pub(super) fn handle(
    broker: &Broker,
    version: i16,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    if version >= 1 && request.endpoint_type != BROKERS {
        return DescribeClusterResponse::default()
            .with_error_code(ErrorCode::MismatchedEndpointType.code())
            .with_error_message(Some(text("this listener serves brokers, endpoint type 1")))
            .with_endpoint_type(BROKERS);
    }
    let node_id = BrokerId(broker.settings.node_id());
    let this = DescribeClusterBroker::default()
        .with_broker_id(node_id)
        .with_host(text(broker.advertised.host.clone()))
        .with_port(i32::from(broker.advertised.port));
    let operations =
        if request.include_cluster_authorized_operations { CLUSTER_OPERATIONS } else { i32::MIN };
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(text(broker.cluster_id.clone()))
        .with_controller_id(node_id)
        .with_brokers(vec![this])
        .with_cluster_authorized_operations(operations)
}
