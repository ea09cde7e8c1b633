//! Nodes in one process, over TCP on loopback, each with a runtime of its own, so that one can be killed.

mod brokers;
mod chaos;
mod foreign;
mod isolation;
mod members;
mod metadata;
mod proxy;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use plimsoll_io::{AnyStore, Backend, IoConfig, open_store};
use proxy::Proxy;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::*;
use crate::{Command, ControlError, Controller, Image, NodeId, Outcome};

/// How long what must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn page_cache() -> Result<AnyStore, ControlError> {
    Ok(open_store(&IoConfig { backend: Backend::PageCache, ..IoConfig::default() }).expect("a store"))
}

/// A node that runs.
struct Running {
    runtime: Runtime,
    controller: RaftController,
}

/// A node, running or not, with its disk.
struct TestNode {
    config: QuorumConfig,
    running: Option<Running>,
    disk: TempDir,
    /// Where it listens itself.
    listen_port: u16,
    /// What others reach it through, if that is not the same.
    proxy: Option<Proxy>,
}

impl TestNode {
    /// A new node that joins through the one on `port`.
    fn new(node_id: NodeId, role: Role, through: Option<u16>) -> Self {
        Self::reached_by(node_id, role, through, None)
    }

    /// A node that others reach through a proxy, which can cut it off.
    fn behind_proxy(node_id: NodeId, role: Role, through: Option<u16>) -> Self {
        Self::reached_by(node_id, role, through, Some(Proxy::start()))
    }

    fn reached_by(node_id: NodeId, role: Role, through: Option<u16>, proxy: Option<Proxy>) -> Self {
        let disk = tempfile::tempdir().expect("a directory");
        let listen_port = free_port();
        let port = proxy.as_ref().map_or(listen_port, |proxy| proxy.to(listen_port));
        let path = disk.path().to_owned();
        let config = QuorumConfig {
            cluster_id: "test".into(),
            role,
            bootstrap_servers: through.map(|port| ("127.0.0.1".to_owned(), port)).into_iter().collect(),
            heartbeat_interval: Duration::from_millis(50),
            election_timeout: Duration::from_millis(1600),
            propose_timeout: Duration::from_secs(3),
            broker_heartbeat_interval: Duration::from_millis(100),
            session_timeout: Duration::from_secs(2),
            snapshot_entries: 200,
            ..QuorumConfig::new(node_id, Uuid::new_v4(), path, "127.0.0.1", port)
        };
        let mut node = Self { config, running: None, disk, listen_port, proxy };
        node.start();
        node
    }

    fn start(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (config, port) = (self.config.clone(), self.listen_port);
        let controller = runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("binds");
            RaftController::open(config, page_cache, listener).await.expect("opens")
        });
        self.running = Some(Running { runtime, controller });
    }

    /// As `kill -9`: nothing is closed. Waits until the files are let go of.
    fn kill(&mut self) {
        let Running { runtime, controller } = self.running.take().expect("it runs");
        let stopped = controller.stopped();
        drop(controller);
        runtime.shutdown_timeout(PATIENCE);
        Builder::new_current_thread().build().expect("a runtime").block_on(stopped);
    }

    fn port(&self) -> u16 {
        self.config.advertised_port
    }

    fn id(&self) -> NodeId {
        self.config.node_id
    }

    fn controller(&self) -> &RaftController {
        &self.running.as_ref().expect("it runs").controller
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.running.as_ref().expect("it runs").runtime.block_on(future)
    }

    fn propose(&self, command: Command) -> Result<Outcome, ControlError> {
        self.block_on(self.controller().propose(command))
    }

    fn image(&self) -> Arc<Image> {
        self.controller().image()
    }

    fn status(&self) -> QuorumStatus {
        self.controller().status()
    }
}

/// A port that the system gives to nobody by itself, so that it is free again after a kill.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (std::process::id().wrapping_mul(97).wrapping_add(next) % 12_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until `holds`, which must come to be so.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it never came to be: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Three nodes that vote, the first of which began the cluster.
fn three() -> Vec<TestNode> {
    three_by(TestNode::new)
}

fn three_by(make: impl Fn(NodeId, Role, Option<u16>) -> TestNode) -> Vec<TestNode> {
    let first = make(1, Role::Bootstrap, None);
    let port = first.port();
    let nodes = vec![first, make(2, Role::Voter, Some(port)), make(3, Role::Voter, Some(port))];
    let all = BTreeSet::from([1, 2, 3]);
    eventually("three vote", || nodes.iter().all(|node| node.status().voters == all));
    nodes
}

/// Which of the running nodes is the active controller.
fn active(nodes: &[TestNode]) -> usize {
    let mut found = None;
    eventually("one leads", || {
        found = nodes.iter().position(|node| node.running.is_some() && node.status().active);
        found.is_some()
    });
    found.expect("found")
}

fn registration(node_id: NodeId) -> Command {
    Command::RegisterBroker {
        node_id,
        incarnation: Uuid::new_v4(),
        endpoints: Vec::new(),
        rack: None,
        log_dirs: Vec::new(),
        clean_shutdown_epoch: None,
    }
}

/// A block of producer ids for broker 9, which is registered if need be; each has another first id.
fn allocate(node: &TestNode) -> Result<i64, ControlError> {
    if node.image().broker(9).is_none() {
        node.propose(registration(9))?;
    }
    match node.propose(Command::AllocateProducerIds { node_id: 9, count: 10 })? {
        Outcome::ProducerIds { first, .. } => Ok(first),
        other => panic!("{other:?}"),
    }
}

fn checkpoints(log_dir: &Path) -> usize {
    let entries = std::fs::read_dir(log_dir.join(crate::METADATA_LOG)).expect("readable");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".checkpoint")).count()
}
