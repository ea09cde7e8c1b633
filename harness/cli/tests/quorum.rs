//! The metadata of clusters of real processes: `plimsoll broker` several times on loopback, killed, wiped, started again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plimsoll_client::records::{Batch, BatchBuilder, Codec, Compressor};
use plimsoll_client::{
    Acks, ClusterDescription, ConnectOptions, Connection, ErrorCode, NewTopic, ProduceSpec, TopicRef,
};
use plimsoll_target::{Cluster, Launch, Layout, Node};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long a broker may take to give up on controllers that are not there.
const BOUND: Duration = Duration::from_secs(20);

/// Nodes and the runtime of their clients. Nodes are started from outside of it, since that blocks.
struct Nodes {
    cluster: Cluster,
    runtime: Runtime,
    _root: TempDir,
}

impl Nodes {
    fn start(layout: Layout) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let launch = Launch {
            name: "node".into(),
            executable: env!("CARGO_BIN_EXE_plimsoll").into(),
            arguments: vec!["broker".into()],
            log: std::path::PathBuf::new(),
            start_timeout: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(60),
            detached: false,
        };
        let cluster = Cluster::ours(launch, layout, &BTreeMap::new(), root.path(), false).expect("starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let nodes = Self { cluster, runtime, _root: root };
        for id in nodes.brokers() {
            let client = nodes.connect(id);
            eventually("all brokers are in service", || {
                client.describe().brokers.len() == usize::from(layout.brokers)
            });
        }
        nodes
    }

    /// Ids of the brokers that run.
    fn brokers(&self) -> Vec<i32> {
        let running = |node: &&Node| node.is_broker() && node.process().is_some();
        self.cluster.nodes().iter().filter(running).map(Node::id).collect()
    }

    fn connect(&self, id: i32) -> Client<'_> {
        Client::connect(&self.runtime, &self.address(id))
    }

    fn address(&self, id: i32) -> String {
        let node = self.cluster.nodes().iter().find(|node| node.id() == id).expect("a node");
        node.address().to_string()
    }
}

fn kill(cluster: &mut Cluster, id: i32) {
    cluster.node_mut(id).expect("a node").kill().expect("killed");
}

fn restart(cluster: &mut Cluster, id: i32) {
    cluster.restart(id).unwrap_or_else(|error| panic!("node {id}: {error}"));
}

fn stop(cluster: Cluster) {
    let stopped = cluster.stop().expect("signalled");
    assert_eq!((stopped.code, stopped.killed), (Some(0), false), "{stopped:?}");
}

/// A connection to one node, which blocks.
struct Client<'a> {
    runtime: &'a Runtime,
    connection: Connection,
}

impl<'a> Client<'a> {
    fn connect(runtime: &'a Runtime, address: &str) -> Self {
        let options = ConnectOptions::default().with_request_timeout(Duration::from_secs(60));
        let connection = runtime.block_on(Connection::connect(address, options)).expect("connects");
        Self { runtime, connection }
    }

    fn create(&self, name: &str, partitions: i32) -> ErrorCode {
        let (name, configs) = (name.to_owned(), BTreeMap::new());
        let topic = NewTopic { name, partitions, replication_factor: 1, configs };
        let created = self.runtime.block_on(self.connection.create_topics(&[topic], BOUND));
        created.expect("an answer")[0].error
    }

    fn produce(&self, topic: &str, partition: i32) -> ErrorCode {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(1_700_000_000_000, None, Some(b"value"), &[]).expect("fits");
        let batch: Batch = builder.finish(&mut Compressor::new()).expect("builds");
        let spec = ProduceSpec::one(Acks::Leader, TopicRef::named(topic), partition, &batch);
        let reply = self.runtime.block_on(self.connection.produce(spec)).expect("an answer");
        reply.value.partitions.into_iter().next().expect("one partition").error()
    }

    /// Who leads each partition, as this node knows it; nothing while it does not know the topic.
    fn leaders(&self, topic: &str) -> Vec<i32> {
        let metadata =
            self.runtime.block_on(self.connection.metadata(Some(&[topic]), false)).expect("an answer");
        let partitions = metadata.topic(topic).into_iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.leader_id).collect()
    }

    fn describe(&self) -> ClusterDescription {
        self.runtime.block_on(self.connection.describe_cluster()).expect("an answer")
    }
}

/// Waits for what must come to be so.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came to be: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// It may take effect although its answer comes too late.
fn is_made(code: ErrorCode) -> bool {
    [ErrorCode::None, ErrorCode::TopicAlreadyExists].contains(&code)
}

#[test]
fn the_active_controller_is_killed_and_metadata_changes_go_on_and_it_comes_back() {
    let mut nodes = Nodes::start(Layout::of(3));
    let first = nodes.connect(1);
    assert_eq!(first.create("before", 3), ErrorCode::None);
    let killed = first.describe().controller_id;
    drop(first);
    kill(&mut nodes.cluster, killed);
    let others = nodes.brokers();
    let survivor = nodes.connect(others[0]);
    eventually("changes go on", || is_made(survivor.create("after", 2)));
    eventually("another is the controller", || {
        let now = survivor.describe();
        now.controller_id != killed && now.brokers.len() == 2
    });
    for id in others {
        let client = nodes.connect(id);
        eventually("it knows both topics", || {
            client.leaders("before").len() == 3 && client.leaders("after").len() == 2
        });
    }
    drop(survivor);
    restart(&mut nodes.cluster, killed);
    let back = nodes.connect(killed);
    eventually("it leads again what only it has", || {
        back.leaders("before").contains(&killed) && back.describe().brokers.len() == 3
    });
    drop(back);
    stop(nodes.cluster);
}

#[test]
fn without_a_majority_changes_fail_within_a_bound_and_live_leaders_go_on() {
    let mut nodes = Nodes::start(Layout::of(3));
    let address = nodes.address(3);
    let last = Client::connect(&nodes.runtime, &address);
    assert_eq!(last.create("t", 3), ErrorCode::None);
    let mut led = None;
    eventually("one partition is led by node 3", || {
        led = (0..).zip(last.leaders("t")).find_map(|(index, leader)| (leader == 3).then_some(index));
        led.is_some()
    });
    let led = led.expect("one of three");
    kill(&mut nodes.cluster, 1);
    kill(&mut nodes.cluster, 2);
    let began = Instant::now();
    assert_eq!(last.create("u", 1), ErrorCode::RequestTimedOut);
    assert!(began.elapsed() < BOUND, "after {:?}", began.elapsed());
    for _ in 0..10 {
        assert_eq!(last.produce("t", led), ErrorCode::None, "the data path goes on");
    }
    restart(&mut nodes.cluster, 1);
    eventually("a majority is there again", || is_made(last.create("v", 1)));
    assert_eq!(last.produce("t", led), ErrorCode::None);
    restart(&mut nodes.cluster, 2);
    drop(last);
    stop(nodes.cluster);
}

#[test]
fn a_wiped_node_is_refused_under_its_old_id_and_says_why() {
    let mut nodes = Nodes::start(Layout::of(3));
    kill(&mut nodes.cluster, 2);
    let data = nodes.cluster.node_mut(2).expect("a node").data_dir();
    std::fs::remove_dir_all(&data).expect("wiped");
    let refused = nodes.cluster.restart(2).expect_err("it should not be let in").to_string();
    assert!(refused.contains("node 2 is known with directory"), "{refused}");
    assert!(refused.contains("joins under a new node.id"), "{refused}");
    let first = nodes.connect(1);
    assert_eq!(first.create("t", 1), ErrorCode::None, "the others go on");
    drop(first);
    stop(nodes.cluster);
}

#[test]
fn controllers_apart_from_brokers_vote_and_serve_nobody() {
    let nodes = Nodes::start(Layout { controllers: 1, ..Layout::of(1) });
    let broker = nodes.connect(1);
    assert_eq!(broker.create("t", 2), ErrorCode::None);
    assert_eq!(broker.leaders("t"), [1, 1]);
    let described = broker.describe();
    let brokers: Vec<i32> = described.brokers.iter().map(|broker| broker.id).collect();
    assert_eq!((brokers, described.controller_id), (vec![1], 1), "controllers are nobody's business");
    assert_eq!(broker.produce("t", 0), ErrorCode::None);
    drop(broker);
    stop(nodes.cluster);
}
