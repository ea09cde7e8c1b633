//! How to connect.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_wire::ApiKey;

/// Settings of one connection. Every default is what the harness measures with unless a workload says
/// otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// The client's name in every request header.
    pub client_id: String,
    /// Limit for resolving the name and for each address tried.
    pub connect_timeout: Duration,
    /// Limit from a call to its answer. Long polls add their own wait to it.
    pub request_timeout: Duration,
    /// Requests on the wire and unanswered, at most. Further calls wait for a place.
    pub max_in_flight: usize,
    /// Largest answer accepted, in bytes, checked before memory is taken.
    pub max_response_bytes: usize,
    /// Upper bounds on negotiated versions, for reproducing an older client.
    pub max_versions: BTreeMap<ApiKey, i16>,
    /// `SO_RCVBUF`, `None` for the kernel's automatic one.
    pub receive_buffer_bytes: Option<u32>,
    /// `SO_SNDBUF`, `None` for the kernel's automatic one.
    pub send_buffer_bytes: Option<u32>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            client_id: "plimsoll".to_owned(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            max_in_flight: 5,
            max_response_bytes: 128 << 20,
            max_versions: BTreeMap::new(),
            receive_buffer_bytes: None,
            send_buffer_bytes: None,
        }
    }
}

impl ConnectOptions {
    /// The defaults with another number of requests in flight (at least one).
    pub fn with_max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests.max(1);
        self
    }

    /// The defaults with a client id.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// The defaults with another request timeout.
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// The defaults, but `key` is spoken in at most `version`.
    pub fn with_max_version(mut self, key: ApiKey, version: i16) -> Self {
        self.max_versions.insert(key, version);
        self
    }
}
