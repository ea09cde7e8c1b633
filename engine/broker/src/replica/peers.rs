//! What the metadata says of the other brokers.

use plimsoll_controller::{BrokerRecord, BrokerState, Image};

use crate::partition::replication::metadata::Standing;
use crate::partition::{Peer, Peers};

/// The brokers of `image`. Followers connect to the listener of this name, or to the first if a broker has none of it.
pub(crate) fn known_peers(image: &Image, listener: &str) -> Peers {
    image.brokers().map(|(id, broker)| (id, peer(broker, listener))).collect()
}

fn peer(broker: &BrokerRecord, listener: &str) -> Peer {
    let endpoints = &broker.endpoints;
    let named = endpoints.iter().find(|endpoint| endpoint.listener == listener).or(endpoints.first());
    Peer {
        address: named.map(|endpoint| (endpoint.host.clone(), endpoint.port)),
        rack: broker.rack.clone(),
        standing: Standing {
            broker_epoch: broker.broker_epoch,
            fenced: broker.state == BrokerState::Fenced,
            shutting_down: broker.state == BrokerState::ControlledShutdown,
        },
    }
}
