//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max: usize,
    max_per_ip: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    limits: Arc<ConnectionLimits>,
    ip: IpAddr,
}

/// Why a connection is closed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0} connections are open, the limit of `max.connections`")]
    Total(usize),
    #[error("{0} connections from this address are open, the limit of `max.connections.per.ip`")]
    PerIp(usize),
}

impl ConnectionLimits {
    pub(crate) fn new(max: usize, max_per_ip: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_ip, open: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, Refused> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= self.max {
            return Err(Refused::Total(self.max));
        }
        let from_here = open.entry(ip).or_default();
        if *from_here >= self.max_per_ip {
            return Err(Refused::PerIp(self.max_per_ip));
        }
        *from_here += 1;
        Ok(Place { limits: self.clone(), ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_when_connections_close() {
        let limits = ConnectionLimits::new(3, 2);
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = limits.take(a).expect("first");
        let _second = limits.take(a).expect("second");
        assert_eq!(limits.take(a).expect_err("third from one address"), Refused::PerIp(2));
        let _third = limits.take(b).expect("third in all");
        assert_eq!(limits.take(b).expect_err("fourth in all"), Refused::Total(3));
        drop(first);
        assert!(limits.take(a).is_ok());
    }
}
