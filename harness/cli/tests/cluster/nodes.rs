//! The processes: each votes, serves, and keeps its ports over a restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll_client::records::{Batch, Decompressor, RecordLimits};
use plimsoll_client::{
    ConnectOptions, Connection, FetchFrom, FetchSpec, NewTopic, PartitionMetadata, TopicRef,
};
use plimsoll_target::{Cluster, Launch, Layout};
use tempfile::TempDir;

pub(crate) const TOPIC: &str = "t";

/// Far beyond what a cluster takes to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Nodes {
    cluster: Cluster,
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
        detached: false,
    }
}

impl Nodes {
    /// Nodes 1 to 3, which vote and serve.
    pub(crate) fn start(backend: &str, durability: &str) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let lines = [
            ("plimsoll.storage.backend", backend),
            ("plimsoll.durability", durability),
            ("min.insync.replicas", "2"),
            // Small segments, so that kills also hit rolls.
            ("log.segment.bytes", "65536"),
        ];
        let config = lines.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let cluster = Cluster::ours(launch(), Layout::of(3), &config, root.path(), false).expect("starts");
        Self { cluster, _root: root }
    }

    /// Addresses of the nodes that run.
    fn addresses(&self) -> Vec<String> {
        let running = self.cluster.nodes().iter().filter(|node| node.process().is_some());
        running.map(|node| node.address().to_string()).collect()
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
            let outcomes =
                self.any().await.create_topics(std::slice::from_ref(&topic), Duration::from_secs(10)).await;
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
        let running =
            self.cluster.nodes().iter().find(|node| node.id() == leader && node.process().is_some());
        running.map(|node| node.address().to_string())
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
    pub(crate) fn kill(&mut self, id: i32) {
        self.cluster.node_mut(id).expect("a node").kill().expect("killed");
    }

    pub(crate) fn restart(&mut self, id: i32) {
        self.cluster.restart(id).expect("restarts");
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

    /// Compares what lies on the disks, then stops all. Nothing is produced any more; a stop takes the directories away.
    pub(crate) fn assert_identical(self) {
        let stored = self.cluster.nodes().iter();
        let logs: Vec<_> =
            stored.map(|node| (node.id(), bytes(&node.data_dir().join(format!("{TOPIC}-0"))))).collect();
        let stopped = self.cluster.stop().expect("stops");
        assert_eq!((stopped.code, stopped.killed), (Some(0), false));
        let (first, expected) = logs.first().expect("three");
        assert!(!expected.is_empty());
        for (id, log) in &logs {
            let sizes = (expected.len(), log.len());
            assert!(log == expected, "brokers {first} and {id} hold different bytes: {sizes:?}");
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
