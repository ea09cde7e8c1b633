//! The processes: each votes, serves, and keeps its ports over a restart.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll_client::records::{Batch, Decompressor, RecordLimits};
use plimsoll_client::{
    ConnectOptions, Connection, FetchFrom, FetchSpec, NewTopic, PartitionMetadata, TopicRef,
};
use plimsoll_target::{Crashed, Launch, Managed};
use tempfile::TempDir;

pub(crate) const TOPIC: &str = "t";

/// Far beyond what a cluster takes to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Nodes {
    running: BTreeMap<i32, Managed>,
    _root: TempDir,
}

fn launch() -> Launch {
    Launch {
        name: "broker".into(),
        executable: env!("CARGO_BIN_EXE_plimsoll").into(),
        arguments: vec!["broker".into()],
        log: std::path::PathBuf::new(),
        start_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(30),
    }
}

impl Nodes {
    /// Nodes 1 to 3. The first begins the cluster, the others join it.
    pub(crate) fn start(backend: &str, durability: &str) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let ports: Vec<u16> = free_ports(3);
        let voters: Vec<_> = (1..).zip(&ports).map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect();
        let config = |id: i32, port: &u16| {
            let lines = [
                ("node.id", id.to_string()),
                ("plimsoll.cluster.id", "killed".to_owned()),
                ("controller.quorum.voters", voters.join(",")),
                ("listeners", format!("PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:{port}")),
                ("plimsoll.storage.backend", backend.to_owned()),
                ("plimsoll.durability", durability.to_owned()),
                ("min.insync.replicas", "2".to_owned()),
                // Small segments, so that kills also hit rolls.
                ("log.segment.bytes", "65536".to_owned()),
            ];
            lines.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>()
        };
        let start = |(id, port)| {
            let started = Managed::start(launch(), &config(id, port), root.path(), false);
            (id, started.unwrap_or_else(|error| panic!("node {id}: {error}")))
        };
        let running = (1..).zip(&ports).map(start).collect();
        Self { running, _root: root }
    }

    /// Addresses of the nodes that run.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.running.values().map(|node| node.process().address().to_string()).collect()
    }

    /// Connects to any that runs.
    pub(crate) async fn any(&self) -> Connection {
        let began = Instant::now();
        loop {
            for address in self.addresses() {
                if let Ok(connection) = Connection::connect(&address, ConnectOptions::default()).await {
                    return connection;
                }
            }
            assert!(began.elapsed() < PATIENCE, "no node answers");
        }
    }

    pub(crate) async fn create_topic(&self) {
        let began = Instant::now();
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: 1,
            replication_factor: 3,
            configs: BTreeMap::new(),
        };
        loop {
            let outcomes = self.any().await.create_topics(&[topic.clone()], Duration::from_secs(10)).await;
            match outcomes.expect("answered").first() {
                Some(outcome) if outcome.error.is_none() => break,
                // Not all three are in service yet.
                other => assert!(began.elapsed() < PATIENCE, "the topic cannot be made: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.all_in_sync().await;
    }

    /// The partition, as some node has it; `None` while there is none.
    pub(crate) async fn partition(&self) -> Option<PartitionMetadata> {
        let metadata = self.any().await.metadata(Some(&[TOPIC]), false).await.ok()?;
        metadata.topic(TOPIC)?.partitions.first().cloned()
    }

    /// The address of the leader, if one is known that runs.
    pub(crate) async fn leader_address(&self) -> Option<String> {
        let leader = self.partition().await?.leader_id;
        self.running.get(&leader).map(|node| node.process().address().to_string())
    }

    pub(crate) async fn leader(&self) -> i32 {
        let partition = self.until("somebody leads", |partition| partition.leader_id >= 0).await;
        partition.leader_id
    }

    /// Waits until all three replicas are in sync.
    pub(crate) async fn all_in_sync(&self) {
        let well = |partition: &PartitionMetadata| partition.isr.len() == 3 && partition.leader_id >= 0;
        self.until("all are in sync", well).await;
    }

    async fn until(&self, what: &str, holds: impl Fn(&PartitionMetadata) -> bool) -> PartitionMetadata {
        let began = Instant::now();
        loop {
            let partition = self.partition().await;
            if let Some(partition) = partition.clone().filter(|partition| holds(partition)) {
                return partition;
            }
            assert!(began.elapsed() < PATIENCE, "not within {} s: {what}: {partition:?}", PATIENCE.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self, id: i32) -> Crashed {
        self.running.remove(&id).expect("it runs").kill().expect("killed")
    }

    pub(crate) fn restart(&mut self, id: i32, crashed: Crashed) {
        self.running.insert(id, crashed.restart().expect("restarts"));
    }

    /// Offset and value of every record that a consumer sees.
    pub(crate) async fn read_back(&self) -> Vec<(i64, i32)> {
        let address = self.leader_address().await.expect("a leader");
        let connection = Connection::connect(&address, ConnectOptions::default()).await.expect("connects");
        let (mut records, mut decompressor, mut offset) = (Vec::new(), Decompressor::new(), 0);
        loop {
            let from = FetchFrom { topic: TopicRef::named(TOPIC), partition: 0, offset, max_bytes: 1 << 20 };
            let reply = connection.fetch(&FetchSpec::new(vec![from])).await.expect("fetches").value;
            let partition = reply.partitions.into_iter().next().expect("one partition");
            assert!(partition.error.is_none(), "{}", partition.error);
            let mut bytes = partition.records;
            while let Some(batch) = Batch::split_from(&mut bytes).expect("a batch") {
                batch.verify_crc().expect("intact");
                offset = batch.header().next_offset();
                for record in batch.records(&mut decompressor, RecordLimits::default()) {
                    let record = record.expect("a record");
                    let value = record.value.and_then(|v| v.try_into().ok()).expect("four bytes");
                    records.push((record.offset, i32::from_be_bytes(value)));
                }
            }
            if offset >= partition.high_watermark {
                return records;
            }
        }
    }

    /// Stops all and compares what lies on their disks.
    pub(crate) fn assert_identical_after_stop(mut self) {
        let stored = |node: &Managed| bytes(&node.data_dir().join(format!("{TOPIC}-0")));
        // While they run: what a clean stop leaves goes with the directory. Nothing is produced any more.
        let logs: BTreeMap<_, _> = self.running.iter().map(|(id, node)| (*id, stored(node))).collect();
        for (id, node) in std::mem::take(&mut self.running) {
            let stopped = node.stop().expect("stops");
            assert_eq!((stopped.code, stopped.killed), (Some(0), false), "broker {id}");
        }
        let (first, expected) = logs.first_key_value().expect("three");
        assert!(!expected.is_empty());
        for (id, log) in &logs {
            assert!(
                log == expected,
                "brokers {first} and {id} hold different bytes: {} and {}",
                expected.len(),
                log.len()
            );
        }
    }
}

/// The batches of all segments of a log, one after the other; room that was taken ahead is left out.
fn bytes(directory: &Path) -> Vec<u8> {
    let entries = std::fs::read_dir(directory).expect("the log's directory");
    let mut segments: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    let mut all = Vec::new();
    for segment in segments {
        let mut rest = std::fs::read(segment).expect("readable").into();
        while let Ok(Some(batch)) = Batch::split_from(&mut rest) {
            all.extend_from_slice(&batch.to_bytes());
        }
    }
    all
}

/// Ports that nobody has now.
fn free_ports(count: usize) -> Vec<u16> {
    let taken: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    taken.iter().map(|listener| listener.local_addr().expect("its address").port()).collect()
}
