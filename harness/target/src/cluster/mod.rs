//! Nodes of one cluster as child processes: made, started together, hurt one by one, stopped together.
//!
//! Whose nodes they are is a [`Software`]: it writes a node's configuration and says how to start it. A single node is a
//! cluster of one.

mod layout;
mod network;
mod node;
mod ports;
mod throttle;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plimsoll_client::{ConnectOptions, Connection};

pub use layout::Layout;
pub(crate) use layout::{LOOPBACK, Place, voters};
pub use network::can_isolate;
pub use node::Node;
pub use throttle::can_slow_disk;

use self::network::Network;
use self::throttle::Throttle;
use crate::error::TargetError;
use crate::home::Home;
use crate::process::{Launch, Process, Starting, Stopped};
use crate::ready::Announced;

/// A running broker answers at once; a starting one is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two looks at whether all brokers have joined.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whose nodes they are.
pub(crate) trait Software: std::fmt::Debug + Send {
    /// Writes what a node needs into its directory and says how to start it. `all` are the places of the cluster as it
    /// was made; `place` is one of them, or joins them.
    fn prepare(&self, place: &Place, all: &[&Place], home: &Home) -> Result<Launch, TargetError>;

    /// Formats the directories of nodes that were prepared, all at once, where that is a step of its own.
    fn format(&self, nodes: &[(Home, Launch)]) -> Result<(), TargetError>;

    /// Starts a node and does not wait.
    fn start(&self, launch: Launch) -> Result<Starting, TargetError>;

    /// Waits until it serves.
    fn ready(&self, starting: Starting, place: &Place) -> Result<Process, TargetError>;

    /// Whether it ended well, by its own lights.
    fn judge(&self, stopped: Stopped) -> Stopped;

    /// The node that is the active controller, where the others' files tell it and no request does.
    fn active_controller(&self, homes: &[&Home]) -> Option<i32>;
}

/// A node that runs on when the harness has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftNode {
    /// Its id in the cluster.
    pub id: i32,
    /// As `process.roles` has it.
    pub roles: &'static str,
    /// Where clients reach it, or the other nodes if it is no broker.
    pub address: SocketAddr,
    /// Its process.
    pub pid: u32,
    /// Its directory.
    pub dir: PathBuf,
    /// Its log.
    pub log: PathBuf,
}

/// A cluster that runs here. Its processes are killed, and its data removed unless kept, when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: processes first, then what they lived in, their directories last.
    nodes: Vec<Node>,
    throttles: BTreeMap<i32, Throttle>,
    network: Option<Network>,
    software: Box<dyn Software>,
    layout: Layout,
    home: Home,
}

impl Cluster {
    /// Makes the nodes below `home` and starts them. `executable` is the harness's own.
    pub(crate) fn start(
        software: Box<dyn Software>,
        layout: Layout,
        executable: &Path,
        home: Home,
    ) -> Result<Cluster, TargetError> {
        let network = layout.networks.then(|| Network::create(executable)).transpose()?;
        let mut cluster =
            Cluster { nodes: Vec::new(), throttles: BTreeMap::new(), network, software, layout, home };
        let ip = |id| cluster.network.as_ref().map_or(LOOPBACK, |network| network.ip_of(id));
        let places = layout.places(ip)?;
        let all: Vec<&Place> = places.iter().collect();
        let mut made = Vec::new();
        for place in &places {
            let home = cluster.home_of(place.id);
            let launch = cluster.software.prepare(place, &all, &home)?;
            made.push((home, cluster.placed(place.id, launch)?));
        }
        cluster.software.format(&made)?;
        for (place, (home, launch)) in places.into_iter().zip(made) {
            cluster.nodes.push(Node { place, home, launch, process: None, paused: false });
        }
        cluster.start_all()?;
        Ok(cluster)
    }

    /// The launch in the node's own network, if it has one.
    fn placed(&mut self, id: i32, launch: Launch) -> Result<Launch, TargetError> {
        let Some(network) = &mut self.network else { return Ok(launch) };
        network.join(id)?;
        Ok(network.place(id, launch))
    }

    fn home_of(&self, id: i32) -> Home {
        if self.layout.is_single() { self.home.shared() } else { self.home.below(&format!("node-{id}")) }
    }

    /// All at once: none is ready before a majority of the controllers runs.
    fn start_all(&mut self) -> Result<(), TargetError> {
        let software = &self.software;
        let starting = |node: &Node| software.start(node.launch.clone());
        let started: Vec<Starting> = self.nodes.iter().map(starting).collect::<Result<_, _>>()?;
        for (node, starting) in self.nodes.iter_mut().zip(started) {
            node.process = Some(software.ready(starting, &node.place)?);
        }
        self.await_brokers()
    }

    /// Until every broker is known to the others.
    fn await_brokers(&self) -> Result<(), TargetError> {
        let wanted = usize::from(self.layout.brokers.max(1));
        let Some(first) = self.nodes.first().filter(|_| wanted > 1) else { return Ok(()) };
        let began = Instant::now();
        while registered(first.address()) < wanted {
            if began.elapsed() > first.launch.start_timeout {
                let (name, log) = (first.launch.name.clone(), first.launch.log.clone());
                return Err(TargetError::NotReady { name, after: began.elapsed(), log });
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Its nodes: brokers first, by id.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The same, to hurt them.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The node of that id.
    pub fn node_mut(&mut self, id: i32) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id() == id)
    }

    /// Ids of the nodes that run, with their processes.
    pub fn pids(&self) -> Vec<(i32, u32)> {
        self.nodes.iter().filter_map(|node| Some((node.id(), node.pid()?))).collect()
    }

    /// `host:port` of every broker, with commas between.
    pub fn bootstrap(&self) -> String {
        let brokers = self.nodes.iter().filter(|node| node.is_broker());
        brokers.map(|node| node.address().to_string()).collect::<Vec<_>>().join(",")
    }

    /// Starts a node that is down again, on its old data, and waits until it serves.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn restart(&mut self, id: i32) -> Result<(), TargetError> {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id() == id) else { return Ok(()) };
        let starting = self.software.start(node.launch.clone())?;
        node.process = Some(self.software.ready(starting, &node.place)?);
        Ok(())
    }

    /// The same without waiting: who wants to know when it serves asks the cluster. The calling thread must live as long
    /// as the cluster.
    ///
    /// # Errors
    /// When its process cannot be started.
    pub fn begin_restart(&mut self, id: i32) -> Result<(), TargetError> {
        let Some(node) = self.nodes.iter_mut().find(|node| node.id() == id) else { return Ok(()) };
        let starting = self.software.start(node.launch.clone())?;
        let (address, http) = (node.place.address(), Some(node.place.http));
        node.process = Some(starting.assume(Announced { address, http }));
        Ok(())
    }

    /// Makes one more broker and starts it, without waiting. Returns its id.
    ///
    /// # Errors
    /// When it cannot be made or its process cannot be started.
    pub fn begin_add_broker(&mut self) -> Result<i32, TargetError> {
        let id = self.nodes.iter().map(Node::id).max().unwrap_or_default() + 1;
        let ip = self.network.as_ref().map_or(LOOPBACK, |network| network.ip_of(id));
        let place = Place::new(id, ip, true, false)?;
        let home = self.home.below(&format!("node-{id}"));
        let all: Vec<&Place> = self.nodes.iter().map(|node| &node.place).collect();
        let launch = self.software.prepare(&place, &all, &home)?;
        let made = [(home, self.placed(id, launch)?)];
        self.software.format(&made)?;
        let [(home, launch)] = made;
        self.nodes.push(Node { place, home, launch, process: None, paused: false });
        self.begin_restart(id)?;
        Ok(id)
    }

    /// Cuts a node off: nothing reaches it, nothing comes from it, and nobody is told.
    ///
    /// # Errors
    /// [`TargetError::Network`], also when the cluster was made without networks.
    pub fn isolate(&mut self, id: i32) -> Result<(), TargetError> {
        self.network.as_ref().map_or_else(no_network, |network| network.cut(id))
    }

    /// Ends that.
    ///
    /// # Errors
    /// As [`Cluster::isolate`].
    pub fn heal(&mut self, id: i32) -> Result<(), TargetError> {
        self.network.as_ref().map_or_else(no_network, |network| network.mend(id))
    }

    /// Lets a node's disk take `bytes` a second at most.
    ///
    /// # Errors
    /// [`TargetError::SlowDisk`] when the kernel does not do that.
    pub fn slow_disk(&mut self, id: i32, bytes: u64) -> Result<(), TargetError> {
        let node = self.nodes.iter().find(|node| node.id() == id);
        if let Some((pid, dir)) = node.and_then(|node| Some((node.pid()?, node.data_dir()))) {
            self.throttles.insert(id, Throttle::begin(pid, &dir, bytes)?);
        }
        Ok(())
    }

    /// Ends that.
    pub fn normal_disk(&mut self, id: i32) {
        drop(self.throttles.remove(&id));
    }

    /// The node that is the active controller, where no request tells it but files do.
    pub fn active_controller(&self) -> Option<i32> {
        let running = self.nodes.iter().filter(|node| node.pid().is_some());
        let homes: Vec<&Home> = running.map(|node| &node.home).collect();
        self.software.active_controller(&homes)
    }

    /// Where the nodes' data is.
    pub fn data_dirs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(Node::data_dir).collect()
    }

    /// Leaves the nodes to themselves, with their data. They must have been started to be left.
    pub fn leave(self) -> Vec<LeftNode> {
        let left = |mut node: Node| {
            let process = node.process.take()?;
            Some(LeftNode {
                id: node.id(),
                roles: node.roles(),
                address: process.address(),
                log: process.log().to_owned(),
                dir: node.home.path().to_owned(),
                pid: process.leave(),
            })
        };
        self.nodes.into_iter().filter_map(left).collect()
    }

    /// Stops every node as an operator would, brokers before controllers; data goes with them unless kept. What is
    /// returned is the worst of them.
    ///
    /// # Errors
    /// Only when one cannot be signalled.
    pub fn stop(mut self) -> Result<Stopped, TargetError> {
        self.throttles.clear();
        let mut worst = Stopped { code: Some(0), killed: false, after: Duration::ZERO };
        for brokers in [true, false] {
            let group = |node: &&mut Node| node.is_broker() == brokers;
            self.nodes.iter_mut().filter(group).try_for_each(Node::ask_to_stop)?;
            for node in self.nodes.iter_mut().filter(group) {
                let Some(stopped) = node.stopped() else { continue };
                let stopped = self.software.judge(stopped);
                let worse = stopped.killed || (stopped.code != Some(0) && !worst.killed);
                let after = worst.after.max(stopped.after);
                worst = Stopped { after, ..if worse { stopped } else { worst } };
            }
        }
        Ok(worst)
    }
}

fn no_network() -> Result<(), TargetError> {
    let reason = "the nodes were started in one network".to_owned();
    Err(TargetError::Network { command: "isolate".to_owned(), reason })
}

/// Waits for a node that says nothing of its own accord: a broker names itself, and a controller, which tells nobody
/// what it knows, listens.
pub(crate) fn answers(starting: Starting, place: &Place) -> Result<Process, TargetError> {
    match place.broker {
        Some(address) => starting.answers(address, |address| registered(address) > 0),
        None => starting.answers(place.address(), |address| TcpStream::connect(address).is_ok()),
    }
}

/// How many brokers the one there knows of; none while it does not answer. A broker that has just started names itself
/// when it is registered and not fenced.
pub(crate) fn registered(address: SocketAddr) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return 0 };
    runtime.block_on(async {
        let options = ConnectOptions::default().with_request_timeout(ANSWER_TIMEOUT);
        let Ok(connection) = Connection::connect(&address.to_string(), options).await else { return 0 };
        connection.metadata(Some(&[]), false).await.map_or(0, |cluster| cluster.brokers.len())
    })
}

/// The log of one node among several: `target.log` becomes `target-2.log`. An empty path is the node's own.
pub(crate) fn log_of(asked: &Path, id: i32, single: bool, home: &Home) -> PathBuf {
    if asked.as_os_str().is_empty() {
        return home.log();
    }
    if single || asked == Path::new("/dev/null") {
        return asked.to_owned();
    }
    let stem = asked.file_stem().and_then(|stem| stem.to_str()).unwrap_or("target");
    let extension = asked.extension().and_then(|extension| extension.to_str()).unwrap_or("log");
    asked.with_file_name(format!("{stem}-{id}.{extension}"))
}
