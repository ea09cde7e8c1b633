//! Who is in the cluster, as clients are told.

use plimsoll_controller::{BrokerRecord, BrokerState, Endpoint, Image, NodeId};

use crate::broker::Broker;

/// Describe, alter and the like: with no authoriser everybody may do everything.
pub(super) const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

/// The brokers that are in service, each where clients of this listener reach it, in the order of their ids.
pub(super) fn in_service<'a>(
    broker: &'a Broker,
    image: &'a Image,
) -> impl Iterator<Item = (NodeId, &'a BrokerRecord, &'a Endpoint)> {
    registered(broker, image).filter(|(_, record, _)| record.state != BrokerState::Fenced)
}

/// The same with those that are not in service.
pub(super) fn registered<'a>(
    broker: &'a Broker,
    image: &'a Image,
) -> impl Iterator<Item = (NodeId, &'a BrokerRecord, &'a Endpoint)> {
    image.brokers().filter_map(|(node_id, record)| {
        let name = &broker.settings.cluster.listener_name;
        let endpoint = record.endpoints.iter().find(|endpoint| endpoint.listener == *name)?;
        Some((node_id, record, endpoint))
    })
}

/// Whom clients are told to be the controller: the active one if it serves clients, else this broker, which passes on what
/// is asked of a controller.
pub(super) fn controller_id(broker: &Broker, image: &Image) -> NodeId {
    let active = broker.quorum.status().leader;
    let serves = |leader: &NodeId| in_service(broker, image).any(|(node_id, ..)| node_id == *leader);
    active.filter(serves).unwrap_or_else(|| broker.settings.node_id())
}
