//! The node as a process: one runtime per core for connections, one for the quorum, one for everything else.

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
use crate::control::{Door, Quorum, attend, hand_over, report_offline};
use crate::error::BrokerError;
use crate::housekeeping::{expire_producers, keep_house};
use crate::log_dirs::{LogDirs, supervise};
use crate::net::ConnectionLimits;
use crate::replica::{ThroughController, isr};
use crate::telemetry::http::{self, Serving, View};
use crate::workers::{Arrival, Workers, runtime};

/// A node that listens but does not serve yet.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    /// `None` where no broker runs.
    clients: Option<Listening>,
    controllers: Listening,
    http: Option<Listening>,
}

/// An address that is taken.
#[derive(Debug)]
struct Listening {
    listener: StdListener,
    address: SocketAddr,
}

/// What a node that serves can be told from outside.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    address: SocketAddr,
    controller_address: SocketAddr,
    http_address: Option<SocketAddr>,
    stop: Arc<watch::Sender<bool>>,
}

impl ServerHandle {
    /// Where it listens: for clients, or for controllers where it serves no clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where nodes of its cluster reach it.
    pub fn controller_address(&self) -> SocketAddr {
        self.controller_address
    }

    /// Where it tells of itself, if it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Asks it to stop: hand leaderships on, finish open requests, close every log, leave the clean-shutdown marker.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Server {
    /// Takes the listening addresses, before anything on disk is touched.
    pub fn bind(settings: Settings) -> Result<Self, BrokerError> {
        let clients = match settings.cluster.roles.broker {
            true => Some(Listening::bind("listeners", &settings.listener)?),
            false => None,
        };
        let controllers = Listening::bind("listeners", &settings.cluster.controller_listener)?;
        let http =
            settings.http.as_ref().map(|at| Listening::bind("plimsoll.http.listener", at)).transpose()?;
        Ok(Self { settings, clients, controllers, http })
    }

    /// Opens the log directories and serves until it is told to stop. Blocks; `ready` is called once
    /// requests are answered.
    pub fn run(self, ready: impl FnOnce(ServerHandle)) -> Result<(), BrokerError> {
        let runtime = runtime()?;
        LocalSet::new().block_on(&runtime, self.serve(ready))
    }

    async fn serve(self, ready: impl FnOnce(ServerHandle)) -> Result<(), BrokerError> {
        let stop = Arc::new(watch::Sender::new(false));
        let view = View::new(stop.subscribe());
        let http_address = self.http.as_ref().map(|http| http.address);
        if let Some(http) = self.http {
            http::serve(http.listener, view.clone())?;
        }
        let told = self.controllers.told(self.settings.cluster.controller_advertised.as_ref());
        let controller_address = self.controllers.address;
        let door = Door { listener: self.controllers.listener, told };
        let address = self.clients.as_ref().map_or(controller_address, |clients| clients.address);
        let handle = ServerHandle { address, controller_address, http_address, stop };
        match self.clients {
            Some(clients) => serve_clients(self.settings, clients, door, &view, handle, ready).await,
            None => serve_quorum(&self.settings, door, &view, handle, ready).await,
        }
    }
}

impl Listening {
    fn bind(key: &'static str, wanted: &Endpoint) -> Result<Self, BrokerError> {
        let bound = listen(wanted).and_then(|listener| {
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        bound.map_err(|source| {
            let address = format!("{}:{}", wanted.host, wanted.port);
            BrokerError::Listen { address, key, source }
        })
    }

    /// What others are told: what is configured, or what can be known.
    fn told(&self, configured: Option<&Endpoint>) -> Endpoint {
        let mut endpoint = configured.cloned().unwrap_or_else(|| Endpoint {
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

/// A broker's life.
async fn serve_clients(
    settings: Settings,
    clients: Listening,
    door: Door,
    view: &View,
    handle: ServerHandle,
    ready: impl FnOnce(ServerHandle),
) -> Result<(), BrokerError> {
    let (stop, advertised) = (handle.stop.clone(), clients.told(settings.advertised.as_ref()));
    let (broker, follower) = Broker::open(settings, advertised, door).await?;
    view.opened(Serving::Broker(broker.clone()));
    let (ending, stopped) = watch::channel(false);
    let workers = Workers::start(&broker, &stopped)?;
    let listener = TcpListener::from_std(clients.listener)
        .map_err(|source| BrokerError::Runtime { what: "the listener cannot be watched", source })?;
    ready(handle);
    info!("serving on {} with the {} backend", clients.address, broker.backend());
    let supervised = async {
        let ended = tokio::select! {
            biased;
            ended = supervise(&broker, stopped.clone()) => ended,
            ended = attend(&broker, stopped.clone()) => ended,
        };
        // Whatever else runs must end as well.
        ending.send_replace(true);
        ended
    };
    let told_to_stop = async {
        let (mut asked, mut ended) = (stop.subscribe(), stopped.clone());
        let handed_over = async {
            let _asked = asked.wait_for(|stop| *stop).await.is_ok();
            hand_over(&broker).await;
        };
        tokio::select! {
            biased;
            _ = ended.wait_for(|stop| *stop) => {}
            () = handed_over => {}
        }
        ending.send_replace(true);
    };
    let proposer = ThroughController { controller: broker.quorum.controller(), around: &broker.around };
    let ((), (), (), (), (), (), (), (), supervised) = tokio::join!(
        accept(listener, workers.doors(), &broker.settings, stopped.clone()),
        follower.run(stopped.clone()),
        report_offline(&broker, stopped.clone()),
        keep_house(&broker, &stopped),
        expire_producers(&broker, stopped.clone()),
        cleaner::run(&broker, stopped.clone()),
        isr::run(&broker, &proposer, stopped.clone()),
        told_to_stop,
        supervised
    );
    stop.send_replace(true);
    let drained = workers.drain().await;
    // Writes in flight belong to the runtimes that began them, so those outlive the logs.
    let closed = broker.close().await;
    drained.join().await;
    supervised?;
    closed?;
    info!("stopped cleanly");
    Ok(())
}

/// The life of a controller that is no broker.
async fn serve_quorum(
    settings: &Settings,
    door: Door,
    view: &View,
    handle: ServerHandle,
    ready: impl FnOnce(ServerHandle),
) -> Result<(), BrokerError> {
    let log_dirs = LogDirs::open(settings)?;
    let quorum = Arc::new(Quorum::open(settings, log_dirs.first(), door).await?);
    view.opened(Serving::Controller(quorum.clone()));
    let mut asked = handle.stop.subscribe();
    info!("voting on {}", handle.address);
    ready(handle);
    let ended = tokio::select! {
        biased;
        _ = asked.wait_for(|stop| *stop) => Ok(()),
        failed = quorum.failed() => Err(failed),
        stranger = quorum.turned_away() => Err(stranger),
    };
    let closed = quorum.close().await;
    ended?;
    closed?;
    info!("stopped cleanly");
    Ok(())
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
