//! The broker as a process: one runtime per core for connections, one for everything else.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tracing::{debug, error, info, warn};

use crate::broker::Broker;
use crate::cleaner;
use crate::config::{Endpoint, Settings};
use crate::error::BrokerError;
use crate::housekeeping::{expire_producers, keep_house};
use crate::log_dirs::supervise;
use crate::net::ConnectionLimits;
use crate::telemetry::http::{self, View};
use crate::workers::{Arrival, Workers, runtime};

/// A broker that listens but does not serve yet.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    listener: StdListener,
    address: SocketAddr,
    http: Option<StdListener>,
}

/// What a broker that serves can be told from outside.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    http_address: Option<SocketAddr>,
    stop: Arc<watch::Sender<bool>>,
}

impl ServerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it tells of itself, if it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Asks it to stop: finish open requests, close every log, leave the clean-shutdown marker.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Server {
    /// Takes the listening addresses, before anything on disk is touched.
    pub fn bind(settings: Settings) -> Result<Self, BrokerError> {
        let (listener, address) = bind("listeners", &settings.listener)?;
        let http = settings.http.as_ref().map(|wanted| bind("plimsoll.http.listener", wanted)).transpose()?;
        Ok(Self { settings, listener, address, http: http.map(|(listener, _)| listener) })
    }

    /// Opens the log directories and serves until it is told to stop. Blocks; `ready` is called once
    /// requests are answered.
    pub fn run(self, ready: impl FnOnce(ServerHandle)) -> Result<(), BrokerError> {
        let runtime = runtime()?;
        LocalSet::new().block_on(&runtime, self.serve(ready))
    }

    async fn serve(self, ready: impl FnOnce(ServerHandle)) -> Result<(), BrokerError> {
        let advertised = self.advertised();
        let (stop, stopped) = watch::channel(false);
        let view = View::new(stopped.clone());
        let http_address = self.http.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = self.http {
            http::serve(listener, view.clone())?;
        }
        let broker = Arc::new(Broker::open(self.settings.clone(), advertised).await?);
        view.opened(&broker);
        let workers = Workers::start(&broker, &stopped)?;
        let listener = TcpListener::from_std(self.listener)
            .map_err(|source| BrokerError::Runtime { what: "the listener cannot be watched", source })?;
        let stop = Arc::new(stop);
        ready(ServerHandle { address: self.address, http_address, stop: stop.clone() });
        info!("serving on {} with the {} backend", self.address, broker.backend());
        let supervised = async {
            let ended = supervise(&broker, stopped.clone()).await;
            // Whatever else runs must end as well.
            stop.send_replace(true);
            ended
        };
        let ((), (), (), (), supervised) = tokio::join!(
            accept(listener, workers.doors(), &self.settings, stopped.clone()),
            keep_house(&broker, &stopped),
            expire_producers(&broker, stopped.clone()),
            cleaner::run(&broker, stopped.clone()),
            supervised
        );
        let drained = workers.drain().await;
        // Writes in flight belong to the runtimes that began them, so those outlive the logs.
        let closed = broker.close().await;
        drained.join().await;
        supervised?;
        closed?;
        info!("stopped cleanly");
        Ok(())
    }

    fn advertised(&self) -> Endpoint {
        let configured = self.settings.advertised.clone();
        let mut endpoint = configured.unwrap_or_else(|| Endpoint {
            host: match self.address.ip() {
                ip if ip.is_unspecified() => host_name(),
                ip => ip.to_string(),
            },
            port: 0,
        });
        if endpoint.port == 0 {
            endpoint.port = self.address.port();
        }
        endpoint
    }
}

/// Takes connections and hands them round, until told to stop.
async fn accept(
    listener: TcpListener,
    doors: &[mpsc::Sender<Arrival>],
    settings: &Settings,
    mut stopped: watch::Receiver<bool>,
) {
    let limits =
        ConnectionLimits::new(settings.count("max.connections"), settings.count("max.connections.per.ip"));
    let mut turn = doors.iter().cycle();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: others must close first, so do not spin.
                warn!("a connection cannot be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let place = match limits.take(peer.ip()) {
            Ok(place) => place,
            Err(refused) => {
                warn!("refused a connection from {peer}: {refused}");
                continue;
            }
        };
        if let Err(error) = tune(&stream, settings) {
            debug!("{peer}: socket options: {error}");
        }
        let (Some(door), Ok(stream)) = (turn.next(), stream.into_std()) else { continue };
        if door.send((stream, peer, place)).await.is_err() {
            error!("a network thread is gone; the connection from {peer} is dropped");
        }
    }
}

fn bind(key: &'static str, wanted: &Endpoint) -> Result<(StdListener, SocketAddr), BrokerError> {
    let bound = listen(wanted).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| {
        let address = format!("{}:{}", wanted.host, wanted.port);
        BrokerError::Listen { address, key, source }
    })
}

fn listen(wanted: &Endpoint) -> io::Result<StdListener> {
    let host = if wanted.host.is_empty() { "0.0.0.0" } else { &wanted.host };
    let address = (host, wanted.port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address"))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn tune(stream: &TcpStream, settings: &Settings) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let size = |key| usize::try_from(settings.int(key)).ok().filter(|bytes| *bytes > 0);
    if let Some(bytes) = size("socket.send.buffer.bytes") {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = size("socket.receive.buffer.bytes") {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
