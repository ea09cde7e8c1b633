//! Ports for nodes that have to know each other's before any of them listens.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};

use crate::error::TargetError;
use crate::process::dice;

/// Ports that no kernel hands out by itself, so that no client's connection takes one in between.
const FIRST: u16 = 10_240;
const LAST: u16 = 32_000;
/// Ports looked at before giving up.
const TRIES: u16 = 2_000;

/// A port that no other harness takes while this is held. Nothing listens on it: the node will.
///
/// The claim is a socket in Linux's abstract namespace, which goes away with the process that holds it, however that
/// ends.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _claim: UnixListener,
}

impl Port {
    /// A free one at `ip`.
    ///
    /// # Errors
    /// [`TargetError::NoPort`] when there is none.
    pub(crate) fn reserve(ip: IpAddr) -> Result<Port, TargetError> {
        let span = LAST - FIRST;
        let begin = dice() % u64::from(span);
        let begin = u16::try_from(begin).unwrap_or_default();
        let candidates = (0..TRIES).map(|step| FIRST + (begin.wrapping_add(step)) % span);
        let mut found = candidates.filter_map(|number| Port::claim(ip, number));
        found.next().ok_or(TargetError::NoPort { ip })
    }

    /// This one, if nobody has it.
    fn claim(ip: IpAddr, number: u16) -> Option<Port> {
        let name = UnixAddress::from_abstract_name(format!("plimsoll/port/{number}")).ok()?;
        let claim = UnixListener::bind_addr(&name).ok()?;
        // Whoever else listens there is no harness; a port in another network namespace is free by construction.
        let free = !ip.is_loopback() || TcpListener::bind(SocketAddr::new(ip, number)).is_ok();
        free.then_some(Port { number, _claim: claim })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_port_is_reserved_once_and_free_again_afterwards() {
        let port = Port::reserve(HERE).unwrap();
        assert!(Port::claim(HERE, port.number).is_none());
        let listener = TcpListener::bind((HERE, port.number)).expect("nothing listens on it");
        let number = port.number;
        drop(port);
        assert!(Port::claim(HERE, number).is_none(), "somebody listens");
        drop(listener);
    }

    #[test]
    fn many_reserved_ports_are_different_ones() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve(HERE).unwrap()).collect();
        let numbers: std::collections::BTreeSet<u16> = ports.iter().map(|port| port.number).collect();
        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|number| (FIRST..LAST).contains(number)));
    }
}
