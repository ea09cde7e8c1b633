//! One connection to one broker.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use plimsoll_wire::{
    Api, ApiKey, ErrorCode, NoSlice, Request, RequestHeader, Response, StrBytes, encode_request,
};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::error::{ClientError, Loss};
use crate::link::Link;
use crate::options::ConnectOptions;
use crate::pending::{Asked, Interpret, Pending};
use crate::timing::Timed;

/// A connection with its versions negotiated. Clones share it; the last one dropped closes it.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    link: Arc<Link>,
    address: Arc<str>,
    client_id: StrBytes,
    options: ConnectOptions,
    /// The peer's ranges by key.
    ranges: BTreeMap<i16, (i16, i16)>,
    tasks: [AbortHandle; 2],
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.link.fail(Loss::ClosedHere);
    }
}

/// A failed attempt to send: the connection's fault or the message's.
enum SendError {
    Loss(Loss),
    Wire(plimsoll_wire::WireError),
}

impl From<Loss> for SendError {
    fn from(loss: Loss) -> Self {
        Self::Loss(loss)
    }
}

impl Connection {
    /// Connects to `address` (`host:port`), starts the connection's two tasks on the current runtime, and
    /// asks for the peer's version ranges.
    pub async fn connect(address: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        let stream = open(address, &options).await?;
        let link = Arc::new(Link::new(stream, options.max_in_flight, options.max_response_bytes));
        let tasks = [
            tokio::spawn(Arc::clone(&link).read_answers()).abort_handle(),
            tokio::spawn(Arc::clone(&link).write_backlog()).abort_handle(),
        ];
        let mut shared = Shared {
            link,
            address: address.into(),
            client_id: options.client_id.clone().into(),
            options,
            ranges: BTreeMap::new(),
            tasks,
        };
        shared.ranges = shared.negotiate().await?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Connects to the first that answers of several addresses with commas between, as `bootstrap.servers` has them.
    ///
    /// # Errors
    /// That of the last one tried.
    pub async fn to_any(addresses: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        let mut addresses = addresses.split(',').map(str::trim).filter(|one| !one.is_empty()).peekable();
        loop {
            // An empty list fails as an empty name does.
            let address = addresses.next().unwrap_or_default();
            match Self::connect(address, options.clone()).await {
                Err(_) if addresses.peek().is_some() => {}
                connected => return connected,
            }
        }
    }

    /// The address as given to [`Connection::connect`].
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// The options in force.
    pub fn options(&self) -> &ConnectOptions {
        &self.shared.options
    }

    /// Why the connection is unusable, or `None` while it is well.
    pub fn lost(&self) -> Option<Loss> {
        self.shared.link.lost()
    }

    /// The peer's version range for `key`, or `None` if it does not name it.
    pub fn peer_versions(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.shared.ranges.get(&key.code()).copied()
    }

    /// The version in which `key` is spoken on this connection.
    pub fn version(&self, key: ApiKey) -> Result<i16, ClientError> {
        self.version_up_to(key, i16::MAX)
    }

    /// The highest common version not above `cap`.
    pub(crate) fn version_up_to(&self, key: ApiKey, cap: i16) -> Result<i16, ClientError> {
        self.shared.version_up_to(key, cap)
    }

    /// Sends any request in the negotiated version and returns its raw answer, `None` for acks=0.
    /// Waits for a place in flight first. Cancel-safe: dropped before it returns, nothing is sent.
    pub async fn start(&self, request: &Request) -> Result<Pending<Option<Response<NoSlice>>>, ClientError> {
        let version = self.version(request.api_key())?;
        self.shared.start(request, version, Duration::ZERO, Box::new(|response, _| Ok(response))).await
    }

    pub(crate) async fn start_typed<T>(
        &self,
        request: &Request,
        version: i16,
        extra_wait: Duration,
        interpret: impl FnOnce(Option<Response<NoSlice>>, &Asked) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<Pending<T>, ClientError> {
        self.shared.start(request, version, extra_wait, Box::new(interpret)).await
    }

    /// Sends a request in its negotiated version and waits for the answer.
    pub(crate) async fn call<T>(
        &self,
        request: &Request,
        extra_wait: Duration,
        interpret: impl FnOnce(Option<Response<NoSlice>>, &Asked) -> Result<T, ClientError> + Send + 'static,
    ) -> Result<Timed<T>, ClientError> {
        let version = self.version(request.api_key())?;
        self.start_typed(request, version, extra_wait, interpret).await?.wait().await
    }

    /// Asks again for the peer's version ranges.
    pub async fn api_versions(&self) -> Result<BTreeMap<i16, (i16, i16)>, ClientError> {
        self.shared.negotiate().await
    }
}

impl Shared {
    async fn start<T>(
        &self,
        request: &Request,
        version: i16,
        extra_wait: Duration,
        interpret: Interpret<T>,
    ) -> Result<Pending<T>, ClientError> {
        let asked = Asked { address: Arc::clone(&self.address), api_key: request.api_key(), version };
        let encode = |correlation_id| {
            let header = RequestHeader {
                api_key: request.api_key(),
                api_version: version,
                correlation_id,
                client_id: Some(self.client_id.clone()),
            };
            encode_request(&header, request).map_err(SendError::Wire)
        };
        let limit = self.options.request_timeout + extra_wait;
        match timeout(limit, self.link.send(request.expects_answer(), encode)).await {
            Ok(Ok(reply)) => Ok(Pending::new(asked, reply, limit, interpret)),
            Ok(Err(SendError::Loss(loss))) => Err(asked.lost(loss)),
            Ok(Err(SendError::Wire(error))) => Err(asked.wire(error)),
            Err(_) => {
                Err(ClientError::Timeout { address: asked.address, request: asked.api_key, after: limit })
            }
        }
    }

    /// Our newest version first; a broker that does not know it says which it does (KIP-511).
    async fn negotiate(&self) -> Result<BTreeMap<i16, (i16, i16)>, ClientError> {
        let ours = row(ApiKey::ApiVersions)?;
        let cap = self.cap(ApiKey::ApiVersions).min(ours.max);
        let mut answer = self.ask_versions(cap).await?;
        if answer.error_code == ErrorCode::UnsupportedVersion.code() {
            let theirs = ranges(&answer).get(&ApiKey::ApiVersions.code()).copied().unwrap_or((0, 0));
            let common = ours.negotiate(theirs.0, theirs.1.min(cap));
            let version = common.ok_or_else(|| self.no_common_version(ours, cap, Some(theirs)))?;
            answer = self.ask_versions(version).await?;
        }
        let asked = Asked { address: Arc::clone(&self.address), api_key: ApiKey::ApiVersions, version: cap };
        asked.check(answer.error_code, || "its versions".to_owned(), None)?;
        Ok(ranges(&answer))
    }

    async fn ask_versions(&self, version: i16) -> Result<ApiVersionsResponse, ClientError> {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = StrBytes::from_static_str("plimsoll");
            request.client_software_version = StrBytes::from_static_str(env!("CARGO_PKG_VERSION"));
        }
        let request = Request::ApiVersions(request);
        let interpret = |response, asked: &Asked| match response {
            Some(Response::ApiVersions(response)) => Ok(response),
            _ => Err(asked.incomplete("versions")),
        };
        let pending = self.start(&request, version, Duration::ZERO, Box::new(interpret)).await?;
        pending.wait().await.map(|timed| timed.value)
    }

    fn version_up_to(&self, key: ApiKey, cap: i16) -> Result<i16, ClientError> {
        let ours = row(key)?;
        let cap = self.cap(key).min(cap).min(ours.max);
        let theirs = self.ranges.get(&key.code()).copied();
        theirs
            .and_then(|(min, max)| ours.negotiate(min, max.min(cap)))
            .ok_or_else(|| self.no_common_version(ours, cap, theirs))
    }

    fn cap(&self, key: ApiKey) -> i16 {
        self.options.max_versions.get(&key).copied().unwrap_or(i16::MAX)
    }

    fn no_common_version(&self, ours: &Api, cap: i16, theirs: Option<(i16, i16)>) -> ClientError {
        ClientError::NoCommonVersion {
            address: Arc::clone(&self.address),
            request: ours.key,
            ours_min: ours.served_min,
            ours_max: cap,
            theirs,
        }
    }
}

fn row(key: ApiKey) -> Result<&'static Api, ClientError> {
    Api::of(key).ok_or_else(|| ClientError::NoCommonVersion {
        address: "this client".into(),
        request: key,
        ours_min: 0,
        ours_max: -1,
        theirs: None,
    })
}

fn ranges(answer: &ApiVersionsResponse) -> BTreeMap<i16, (i16, i16)> {
    answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect()
}

async fn open(address: &str, options: &ConnectOptions) -> Result<TcpStream, ClientError> {
    let timed_out =
        |_| ClientError::ConnectTimeout { address: address.to_owned(), after: options.connect_timeout };
    let resolved = timeout(options.connect_timeout, lookup_host(address)).await.map_err(timed_out)?;
    let resolve = |source| ClientError::Resolve { address: address.to_owned(), source: Arc::new(source) };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in resolved.map_err(resolve)? {
        match timeout(options.connect_timeout, open_one(candidate, options)).await.map_err(timed_out)? {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(ClientError::Connect { address: address.to_owned(), source: Arc::new(last) })
}

async fn open_one(address: SocketAddr, options: &ConnectOptions) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Before connecting, since the window scale is agreed on in the handshake.
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
