//! Who a node is, and how patient.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::ControlError;
use crate::image::NodeId;

/// What a node does in the quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It begins a new cluster as its only voter, unless its log or one of the bootstrap servers says that there is one
    /// already. One node of a cluster at most.
    Bootstrap,
    /// It joins and wants to vote (`process.roles` with `controller`). It asks again whenever it does not, so a voter that
    /// is not to be one any more is started as a learner.
    Voter,
    /// It joins and only follows (`process.roles=broker`).
    Learner,
}

/// What a node of the quorum needs to know.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// `node.id`, not negative.
    pub node_id: NodeId,
    /// `cluster.id`; nodes of other clusters are turned away.
    pub cluster_id: String,
    /// `directory.id` of `log_dir`: new whenever the disk is.
    pub directory_id: Uuid,
    /// The directory that holds the metadata log.
    pub log_dir: PathBuf,
    /// Host or address at which other nodes reach this one's listener `CONTROLLER`.
    pub advertised_host: String,
    /// Its port.
    pub advertised_port: u16,
    /// `controller.quorum.bootstrap.servers`: whom to ask when joining.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// What it does.
    pub role: Role,
    /// How often the leader shows that it is alive.
    pub heartbeat_interval: Duration,
    /// `controller.quorum.fetch.timeout.ms`: silence after which a voter stands for election, at most; at least three
    /// quarters of it, at random, so that two rarely stand at once.
    pub election_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`: how long one question to another node may take.
    pub request_timeout: Duration,
    /// How long a proposal may take in all, leader changes included. Afterwards it fails.
    pub propose_timeout: Duration,
    /// `broker.heartbeat.interval.ms`.
    pub broker_heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`: silence after which a broker is fenced.
    pub session_timeout: Duration,
    /// How long after its connection closed a broker is fenced.
    pub closed_timeout: Duration,
    /// `leader.imbalance.check.interval.seconds`; `None` is `auto.leader.rebalance.enable=false`.
    pub rebalance_every: Option<Duration>,
    /// A snapshot is made after so many entries, and the log cut.
    pub snapshot_entries: u64,
}

impl QuorumConfig {
    /// The defaults for a node that is reached at this place.
    pub fn new(node_id: NodeId, directory_id: Uuid, log_dir: PathBuf, host: &str, port: u16) -> Self {
        Self {
            node_id,
            cluster_id: String::new(),
            directory_id,
            log_dir,
            advertised_host: host.to_owned(),
            advertised_port: port,
            bootstrap_servers: Vec::new(),
            role: Role::Bootstrap,
            heartbeat_interval: Duration::from_millis(100),
            election_timeout: Duration::from_millis(1200),
            request_timeout: Duration::from_secs(2),
            propose_timeout: Duration::from_secs(5),
            broker_heartbeat_interval: Duration::from_millis(500),
            session_timeout: Duration::from_secs(3),
            closed_timeout: Duration::from_millis(500),
            rebalance_every: Some(Duration::from_secs(300)),
            snapshot_entries: 5000,
        }
    }

    /// What openraft is told of it.
    pub(super) fn raft(&self) -> Result<openraft::Config, ControlError> {
        if self.node_id < 0 {
            return Err(ControlError::Quorum(format!("{} is no node.id", self.node_id)));
        }
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        // Openraft waits out a lease of `max`, and then between `min` and `max`.
        let election_timeout_min = millis(self.election_timeout / 4);
        openraft::Config {
            cluster_name: self.cluster_id.clone(),
            heartbeat_interval: millis(self.heartbeat_interval),
            election_timeout_min,
            election_timeout_max: election_timeout_min.saturating_mul(2),
            install_snapshot_timeout: millis(self.request_timeout).saturating_mul(5),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
            max_in_snapshot_log_to_keep: self.snapshot_entries / 5,
            replication_lag_threshold: self.snapshot_entries,
            ..openraft::Config::default()
        }
        .validate()
        .map_err(|error| ControlError::Quorum(error.to_string()))
    }
}

/// Pieces in which a snapshot travels.
const SNAPSHOT_CHUNK_BYTES: u64 = 1 << 20;
