//! Three replicas of one partition, a metadata record, and the way from a leader to a follower.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use plimsoll_wire::fetch::{EpochEndOffset, PartitionFetchResponse};
use plimsoll_wire::{ErrorCode, NoSlice, Part, Uuid};
use tempfile::TempDir;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::config::{ReplicationSettings, Settings, TopicSettings};
use crate::log_dirs::LogDirs;
use crate::partition::replication::acks::Acks;
use crate::partition::replication::isr::{Answer, Next};
use crate::partition::replication::leader::FollowerFetch;
use crate::partition::replication::metadata::{PartitionState, ReplicaId, Standing};
use crate::partition::replication::serve::{Asked, Verdict};
use crate::partition::{
    AppendTicket, Partition, PartitionKey, Peer, Peers, Recovery, Surroundings, Taken, Unacknowledged,
    Unappended,
};

/// Far beyond anything a test waits for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test where logs can write.
pub(crate) fn local<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, test)
}

/// Runs a test once per storage backend; what cannot run here says so.
pub(super) fn each_backend<F: Future<Output = ()>>(test: impl Fn(&'static str) -> F) {
    for backend in ["page-cache", "mmap", "io_uring"] {
        if backend == "io_uring"
            && let Err(reason) = plimsoll_io::probe_io_uring()
        {
            eprintln!("skipped: {backend}: {reason}");
            continue;
        }
        eprintln!("with {backend}");
        local(test(backend));
    }
}

pub(super) struct Node {
    settings: Settings,
    around: Arc<Surroundings>,
    pub(super) partition: Arc<Partition>,
    dirs: LogDirs,
    directory: TempDir,
}

pub(crate) struct Trio {
    nodes: Vec<Node>,
    pub(super) state: PartitionState,
}

const KEY: PartitionKey = PartitionKey { topic_id: Uuid::from_u128(7), index: 0 };

impl Node {
    async fn open(id: ReplicaId, directory: TempDir, overrides: &[String], recovery: Recovery) -> Self {
        let mut all = vec![format!("log.dirs={}", directory.path().display()), format!("node.id={id}")];
        all.extend_from_slice(overrides);
        let settings = Settings::load(None, &all).expect("good settings");
        let dirs = LogDirs::open(&settings).expect("a directory");
        let around = Arc::new(Surroundings::new(id, ReplicationSettings::of(&settings).lag_max));
        around.know_peers(peers(&[]));
        let topic = TopicSettings::resolve(&settings, &Default::default());
        let opened =
            Partition::open(dirs.first().clone(), "t-0", KEY, &topic, recovery, around.clone()).await;
        let partition = Arc::new(opened.expect("opens").0);
        Self { settings, around, partition, dirs, directory }
    }
}

/// Brokers 1 to 3, each in a rack of its own, of which some are fenced.
fn peers(fenced: &[ReplicaId]) -> Peers {
    let peer = |id| Peer {
        address: None,
        rack: Some(format!("rack-{id}")),
        standing: Standing { broker_epoch: 1, fenced: fenced.contains(&id), shutting_down: false },
    };
    (1..=3).map(|id| (id, peer(id))).collect()
}

impl Trio {
    /// Replicas 1, 2 and 3, led by 1 in epoch 1.
    pub(crate) async fn new(overrides: &[&str]) -> Self {
        let overrides: Vec<_> = overrides.iter().map(|pair| (*pair).to_owned()).collect();
        let mut nodes = Vec::new();
        for id in 1..=3 {
            let directory = tempfile::tempdir().expect("a directory");
            nodes.push(Node::open(id, directory, &overrides, Recovery::default()).await);
        }
        let (replicas, isr) = (vec![1, 2, 3], vec![1, 2, 3]);
        let state = PartitionState { replicas, isr, leader: Some(1), leader_epoch: 1, partition_epoch: 1 };
        let trio = Self { nodes, state };
        trio.announce().await;
        trio
    }

    pub(super) fn node(&self, id: ReplicaId) -> &Node {
        &self.nodes[usize::try_from(id - 1).expect("an id")]
    }

    pub(crate) fn partition(&self, id: ReplicaId) -> &Arc<Partition> {
        &self.node(id).partition
    }

    pub(super) fn around(&self, id: ReplicaId) -> &Surroundings {
        &self.node(id).around
    }

    /// Every replica learns of the state.
    pub(super) async fn announce(&self) {
        for node in &self.nodes {
            node.partition.take_role(true, &self.state).await.expect("a role");
        }
    }

    /// Another leader, in the next epoch, with this ISR.
    pub(super) async fn elect(&mut self, leader: ReplicaId, isr: &[ReplicaId]) {
        self.state.leader = Some(leader);
        self.state.leader_epoch += 1;
        self.change_isr(isr).await;
    }

    /// Another ISR under the same leader.
    pub(super) async fn change_isr(&mut self, isr: &[ReplicaId]) {
        self.state.isr = isr.to_vec();
        self.state.partition_epoch += 1;
        self.announce().await;
    }

    pub(super) fn fence(&self, fenced: &[ReplicaId]) {
        self.nodes.iter().for_each(|node| node.around.know_peers(peers(fenced)));
    }

    fn leader(&self) -> ReplicaId {
        self.state.leader.expect("somebody leads")
    }

    pub(super) async fn append(
        &self,
        to: ReplicaId,
        value: &str,
        acks: Acks,
    ) -> Result<AppendTicket, Unappended> {
        self.partition(to).append(batch(value), acks).await
    }

    /// Appends at the leader without waiting.
    pub(super) async fn produce(&self, values: &[&str]) {
        for value in values {
            self.append(self.leader(), value, Acks::Leader).await.expect("appended");
        }
        self.settle(self.leader()).await;
    }

    /// Waits until what a replica has counts.
    pub(super) async fn settle(&self, id: ReplicaId) {
        tokio::time::timeout(PATIENCE, self.partition(id).settled()).await.expect("written");
    }

    /// The answer to a ticket, `None` if there is none within so long.
    pub(super) async fn acked(
        &self,
        at: ReplicaId,
        ticket: &AppendTicket,
        within: Duration,
    ) -> Option<Result<(), ErrorCode>> {
        let answer = self.partition(at).wait_acked(ticket, Some(Instant::now() + within)).await?;
        Some(answer.map_err(|error| match error {
            Unacknowledged::Replication(code) => code,
            Unacknowledged::Log(_) => ErrorCode::NotLeaderOrFollower,
        }))
    }

    /// One Fetch of `follower`, its answer, and what it makes of that.
    pub(super) async fn pull(&self, follower: ReplicaId) -> Taken {
        let leader = self.leader();
        let partition = self.partition(follower);
        let position = partition.position(leader).expect("it follows");
        let answer = self.fetch(follower).await;
        let mut taken = partition.take_answer(leader, &position.sent, answer).await.expect("taken");
        if taken == Taken::AskForRange {
            let marks = self.partition(leader).log().marks();
            let range = (marks.start_offset, marks.written);
            taken = partition.take_range(leader, &position.sent, range).await.expect("taken");
        }
        self.settle(follower).await;
        taken
    }

    /// Everybody has fetched so often that nothing new comes.
    pub(super) async fn pull_all(&self) {
        for _ in 0..6 {
            for follower in self.state.replicas.iter().filter(|id| **id != self.leader()) {
                self.pull(*follower).await;
            }
        }
    }

    /// What the leader answers a follower now.
    pub(super) async fn fetch(&self, follower: ReplicaId) -> PartitionFetchResponse<NoSlice> {
        let position = self.partition(follower).position(self.leader()).expect("it follows");
        let sent = position.sent;
        let fetch = FollowerFetch {
            replica_id: follower,
            broker_epoch: 1,
            asked: Asked {
                current_leader_epoch: sent.leader_epoch,
                fetch_offset: sent.fetch_offset,
                last_fetched_epoch: sent.last_fetched_epoch,
            },
            log_start: position.log_start,
            reached: position.durable.unwrap_or(sent.fetch_offset),
        };
        let leader = self.partition(self.leader());
        let verdict = leader.fetched_by(&fetch);
        let bounds = leader.bounds();
        let mut answer = PartitionFetchResponse {
            high_watermark: bounds.high_watermark,
            log_start_offset: bounds.log_start,
            ..PartitionFetchResponse::default()
        };
        match verdict {
            Verdict::Read => {
                let read =
                    leader.read_for_follower(sent.fetch_offset, 1 << 20, true).await.expect("readable");
                answer.records = vec![Part::Bytes(read.records.to_bytes().expect("bytes"))];
            }
            Verdict::Diverging(end) => {
                answer.diverging_epoch =
                    Some(EpochEndOffset { epoch: end.epoch, end_offset: end.end_offset });
            }
            Verdict::Refuse(error) => answer.error = error,
        }
        answer
    }

    /// The controller commits what the leader proposes. The new ISR, if there was a proposal.
    pub(super) async fn commit_proposal(&mut self) -> Option<Vec<ReplicaId>> {
        let leader = self.partition(self.leader()).clone();
        let proposal = leader.proposal()?;
        assert_eq!(proposal.partition_epoch, self.state.partition_epoch);
        self.state.isr = proposal.isr.keys().copied().collect();
        self.state.partition_epoch += 1;
        let PartitionState { isr, leader_epoch, partition_epoch, .. } = self.state.clone();
        let answer = Answer::Committed { isr: isr.clone(), leader_epoch, partition_epoch };
        assert_eq!(leader.altered(proposal.partition_epoch, answer), Next::Committed);
        Some(isr)
    }

    pub(super) fn high_watermark(&self, id: ReplicaId) -> i64 {
        self.partition(id).bounds().high_watermark
    }

    pub(super) fn log_end(&self, id: ReplicaId) -> i64 {
        self.partition(id).bounds().log_end
    }

    /// All bytes below an offset, as they lie in a replica's log.
    pub(super) async fn bytes(&self, id: ReplicaId, upto_offset: i64) -> Bytes {
        let log = self.partition(id).log();
        let (mut offset, mut all) = (log.marks().start_offset, Vec::new());
        while offset < upto_offset {
            let read = log.read(offset, upto_offset, 1 << 20, true).await.expect("readable");
            let mut bytes = read.records.to_bytes().expect("bytes");
            all.extend_from_slice(&bytes);
            while let Some(batch) = Batch::split_from(&mut bytes).expect("whole batches") {
                offset = batch.header().next_offset();
            }
        }
        all.into()
    }

    /// All three replicas end at the same offset and hold the same bytes.
    pub(super) async fn assert_identical(&self) {
        let end = self.log_end(self.leader());
        let expected = self.bytes(self.leader(), end).await;
        for id in 1..=3 {
            assert_eq!(self.log_end(id), end, "replica {id}");
            assert!(self.bytes(id, end).await == expected, "replica {id} holds other bytes");
        }
    }

    /// The process of a replica ends in order and begins again, with what it wrote down.
    pub(super) async fn restart(&mut self, id: ReplicaId) {
        let index = usize::try_from(id - 1).expect("an id");
        let Node { settings, partition, dirs, directory, .. } = self.nodes.remove(index);
        let high_watermark = Some(partition.bounds().high_watermark);
        partition.log().close().await.expect("closes");
        drop((partition, dirs));
        let kept = ["plimsoll.storage.backend", "plimsoll.durability", "replica.lag.time.max.ms"];
        let overrides: Vec<_> = kept.iter().map(|key| format!("{key}={}", settings.text(key))).collect();
        let recovery = Recovery { high_watermark, clean: true, ..Recovery::default() };
        self.nodes.insert(index, Node::open(id, directory, &overrides, recovery).await);
    }
}

pub(super) fn batch(value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(1_000, None, Some(value.as_bytes()), &[]).expect("fits");
    builder.finish(&mut Compressor::new()).expect("builds")
}
