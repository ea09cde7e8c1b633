//! DescribeCluster: who is here.

use plimsoll_controller::{BrokerRecord, BrokerState};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::describe_cluster_response::DescribeClusterBroker;
use plimsoll_wire::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::cluster::{CLUSTER_OPERATIONS, controller_id, registered};
use super::text;
use crate::broker::Broker;

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
    let image = broker.applied();
    let wanted =
        |record: &BrokerRecord| request.include_fenced_brokers || record.state != BrokerState::Fenced;
    let wanted = registered(broker, &image).filter(|(_, record, _)| wanted(record));
    let brokers = wanted.map(|(node_id, record, endpoint)| {
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(node_id))
            .with_host(text(endpoint.host.clone()))
            .with_port(i32::from(endpoint.port))
            .with_rack(record.rack.clone().map(text))
            .with_is_fenced(record.state == BrokerState::Fenced)
    });
    let operations =
        if request.include_cluster_authorized_operations { CLUSTER_OPERATIONS } else { i32::MIN };
    DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(text(broker.cluster_id.clone()))
        .with_controller_id(BrokerId(controller_id(broker, &image)))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(operations)
}
