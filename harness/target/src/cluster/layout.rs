//! Which nodes a cluster has, what each of them does and where it listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ports::Port;
use crate::error::TargetError;

/// The most voters that are of use: with more, every change of the metadata waits for more disks.
const VOTERS_MAX: u16 = 5;

/// How many nodes of which role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Brokers, at least one.
    pub brokers: u16,
    /// Nodes that are controllers and nothing else. With none the first brokers are controllers too: an odd number of
    /// them, five at most.
    pub controllers: u16,
    /// Each node in a network of its own, so that it can be cut off; see [`can_isolate`](super::can_isolate).
    pub networks: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { brokers: 1, controllers: 0, networks: false }
    }
}

impl Layout {
    /// So many brokers that are their own controllers.
    pub fn of(brokers: u16) -> Layout {
        Layout { brokers, ..Layout::default() }
    }
}

impl Layout {
    /// One node with both roles.
    pub fn is_single(&self) -> bool {
        self.brokers <= 1 && self.controllers == 0
    }

    /// How many nodes vote.
    pub fn voters(&self) -> u16 {
        match self.controllers {
            0 => (self.brokers.max(1) - 1 + self.brokers % 2).clamp(1, VOTERS_MAX),
            controllers => controllers,
        }
    }

    /// Id, whether it is a broker, and whether it is a controller, of every node: brokers first, from 1.
    fn nodes(&self) -> impl Iterator<Item = (i32, bool, bool)> {
        let (brokers, combined, voters) = (self.brokers.max(1), self.controllers == 0, self.voters());
        let brokers_nodes = (1..=brokers).map(move |id| (i32::from(id), true, combined && id <= voters));
        let others = (1..=self.controllers).map(move |n| (i32::from(brokers) + i32::from(n), false, true));
        brokers_nodes.chain(others)
    }

    /// A place for every node, with ports of its own.
    pub(crate) fn places(&self, ip: impl Fn(i32) -> IpAddr) -> Result<Vec<Place>, TargetError> {
        self.nodes().map(|(id, broker, controller)| Place::new(id, ip(id), broker, controller)).collect()
    }
}

/// One node: its id and where it listens.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: i32,
    /// Where clients and other brokers reach it, if it is a broker.
    pub(crate) broker: Option<SocketAddr>,
    /// Where it votes, if it does.
    pub(crate) voter: Option<SocketAddr>,
    /// Where the active controller reaches it, whether or not it votes.
    pub(crate) controller: SocketAddr,
    /// Where it tells of itself.
    pub(crate) http: SocketAddr,
    /// Held as long as the node may be started.
    _ports: Vec<Port>,
}

impl Place {
    pub(crate) fn new(id: i32, ip: IpAddr, broker: bool, voter: bool) -> Result<Place, TargetError> {
        let ports: Vec<Port> = (0..3).map(|_| Port::reserve(ip)).collect::<Result<_, _>>()?;
        let at = |index: usize| SocketAddr::new(ip, ports.get(index).map_or(0, |port| port.number));
        let (first, controller, http) = (at(0), at(1), at(2));
        let (broker, voter) = (broker.then_some(first), voter.then_some(controller));
        Ok(Place { id, broker, voter, controller, http, _ports: ports })
    }

    /// `broker`, `controller` or both, as `process.roles` has it.
    pub(crate) fn roles(&self) -> &'static str {
        match (self.broker, self.voter) {
            (Some(_), Some(_)) => "broker,controller",
            (None, _) => "controller",
            (Some(_), None) => "broker",
        }
    }

    /// Where it is looked for: as a broker if it is one.
    pub(crate) fn address(&self) -> SocketAddr {
        self.broker.unwrap_or(self.controller)
    }

    /// `listeners`; that of the controllers at `controller`.
    pub(crate) fn listeners(&self, controller: Option<SocketAddr>) -> String {
        let broker = self.broker.map(|at| format!("PLAINTEXT://{at}"));
        let controller = controller.map(|at| format!("CONTROLLER://{at}"));
        broker.into_iter().chain(controller).collect::<Vec<_>>().join(",")
    }
}

/// `controller.quorum.voters`.
pub(crate) fn voters(places: &[&Place]) -> String {
    let voter = |place: &&Place| place.voter.map(|at| format!("{}@{at}", place.id));
    places.iter().filter_map(voter).collect::<Vec<_>>().join(",")
}

/// Where nodes listen that need no network of their own.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(brokers: u16, controllers: u16) -> String {
        let layout = Layout { brokers, controllers, networks: false };
        let word = |(id, broker, controller): (i32, bool, bool)| {
            format!("{id}{}{}", if broker { "b" } else { "" }, if controller { "c" } else { "" })
        };
        layout.nodes().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_odd_number_of_brokers_votes_unless_there_are_controllers() {
        assert_eq!(shape(1, 0), "1bc");
        assert_eq!(shape(2, 0), "1bc 2b");
        assert_eq!(shape(3, 0), "1bc 2bc 3bc");
        assert_eq!(shape(4, 0), "1bc 2bc 3bc 4b");
        assert_eq!(shape(6, 0), "1bc 2bc 3bc 4bc 5bc 6b");
        assert_eq!(shape(3, 3), "1b 2b 3b 4c 5c 6c");
    }

    #[test]
    fn every_node_has_ports_of_its_own_and_knows_the_voters() {
        let places = Layout::of(3).places(|_| LOOPBACK).unwrap();
        let all: Vec<&Place> = places.iter().collect();
        assert_eq!(voters(&all).split(',').count(), 3);
        assert!(voters(&all).starts_with("1@127.0.0.1:"), "{}", voters(&all));
        let first = &places[0];
        let (broker, controller) = (first.broker.unwrap(), first.controller);
        let both = first.listeners(Some(controller));
        assert_eq!(both, format!("PLAINTEXT://{broker},CONTROLLER://{controller}"));
        assert_ne!(broker.port(), controller.port());
    }
}
