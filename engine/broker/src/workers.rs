//! Network threads: one current-thread runtime each, whose connections stay with it.

use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tracing::{error, warn};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::net::{self, Place};
use crate::replica::run_fetchers;
use crate::telemetry::Recorder;

/// How long open connections may take to finish their requests once the broker stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Connections handed to one runtime and not yet taken.
const HANDOVER_MAX: usize = 128;

/// A connection, its peer, and its place among those allowed.
pub(crate) type Arrival = (StdStream, SocketAddr, Place);

/// The network threads, as the main one sees them.
pub(crate) struct Workers {
    doors: Vec<mpsc::Sender<Arrival>>,
    threads: Vec<JoinHandle<Result<(), BrokerError>>>,
    /// Closed once no thread has a connection any more.
    idle: mpsc::Receiver<()>,
    /// Lets the threads end.
    release: watch::Sender<bool>,
}

/// Network threads without connections, whose runtimes still serve writes in flight.
pub(crate) struct DrainedWorkers {
    threads: Vec<JoinHandle<Result<(), BrokerError>>>,
    release: watch::Sender<bool>,
}

impl Workers {
    /// Starts as many threads as are configured, one per core by default.
    pub(crate) fn start(broker: &Arc<Broker>, stopped: &watch::Receiver<bool>) -> Result<Self, BrokerError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let count = broker.settings.number("num.network.threads").and_then(|n| usize::try_from(n).ok());
        let (busy, idle) = mpsc::channel(1);
        let (release, released) = watch::channel(false);
        let mut workers = Self { doors: Vec::new(), threads: Vec::new(), idle, release };
        let count = count.unwrap_or(cores);
        for index in 0..count {
            let (door, arrivals) = mpsc::channel(HANDOVER_MAX);
            let worker = Worker {
                broker: broker.clone(),
                place: (index, count),
                recorder: broker.telemetry.recorder(),
                stopped: stopped.clone(),
                busy: busy.clone(),
                released: released.clone(),
            };
            let thread = std::thread::Builder::new()
                .name(format!("net-{index}"))
                .spawn(move || worker.run(arrivals))
                .map_err(|source| BrokerError::Runtime { what: "a network thread cannot start", source })?;
            workers.doors.push(door);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Where connections are handed over, one door per thread.
    pub(crate) fn doors(&self) -> &[mpsc::Sender<Arrival>] {
        &self.doors
    }

    /// Takes no more connections and waits for those that are open to end.
    pub(crate) async fn drain(mut self) -> DrainedWorkers {
        drop(self.doors);
        while self.idle.recv().await.is_some() {}
        DrainedWorkers { threads: self.threads, release: self.release }
    }
}

impl DrainedWorkers {
    /// Lets the threads end and waits for them.
    pub(crate) async fn join(self) {
        self.release.send_replace(true);
        for thread in self.threads {
            match tokio::task::spawn_blocking(move || thread.join()).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(failed))) => error!("a network thread failed: {failed}"),
                _ => error!("a network thread panicked"),
            }
        }
    }
}

/// A current-thread runtime, which is what everything here runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, BrokerError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BrokerError::Runtime { what: "a runtime cannot start", source })
}

/// One network thread: its connections stay with it.
struct Worker {
    broker: Arc<Broker>,
    /// Which of how many it is.
    place: (usize, usize),
    recorder: Arc<Recorder>,
    stopped: watch::Receiver<bool>,
    /// Dropped when there is no connection left and none will come.
    busy: mpsc::Sender<()>,
    released: watch::Receiver<bool>,
}

impl Worker {
    fn run(self, arrivals: mpsc::Receiver<Arrival>) -> Result<(), BrokerError> {
        let runtime = runtime()?;
        LocalSet::new().block_on(&runtime, self.serve(arrivals));
        Ok(())
    }

    async fn serve(mut self, mut arrivals: mpsc::Receiver<Arrival>) {
        let mut open = JoinSet::new();
        open.spawn_local(run_fetchers(self.broker.clone(), self.place, self.stopped.clone()));
        while let Some((stream, peer, place)) = arrivals.recv().await {
            match TcpStream::from_std(stream) {
                Ok(stream) => self.connected(&mut open, stream, peer, place),
                Err(error) => warn!("{peer}: the connection cannot be watched: {error}"),
            }
            while let Some(ended) = open.try_join_next() {
                tell_panic(ended);
            }
        }
        let drained = async {
            while let Some(ended) = open.join_next().await {
                tell_panic(ended);
            }
        };
        if tokio::time::timeout(DRAIN_LIMIT, drained).await.is_err() {
            warn!("{} connections did not finish within {} s and are cut", open.len(), DRAIN_LIMIT.as_secs());
            open.shutdown().await;
        }
        drop(self.busy);
        // An error means that the main thread gave up; there is nothing left to wait for then.
        let _gone = self.released.wait_for(|released| *released).await.is_err();
    }

    fn connected(&self, open: &mut JoinSet<()>, stream: TcpStream, peer: SocketAddr, place: Place) {
        let (broker, recorder) = (self.broker.clone(), self.recorder.clone());
        let stopped = self.stopped.clone();
        open.spawn_local(async move {
            net::serve(stream, peer, broker, recorder, stopped).await;
            drop(place);
        });
    }
}

/// A bug in the service of one connection ends that connection only, and is heard of.
fn tell_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("the service of a connection panicked: {error}");
    }
}
