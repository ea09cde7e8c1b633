//! Starting, asking and stopping whatever is measured.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use plimsoll_client::{ClientError, ConfigResource, ConnectOptions, Connection};
use tempfile::TempDir;

use crate::cluster::{Cluster, Layout};
use crate::error::TargetError;
use crate::kafka::{self, KafkaOptions};
use crate::process::{Launch, Process, Stopped};
use crate::serve::{self, Technique};
use crate::stages::StageDoor;
use crate::start::first_record;

/// The hidden verb of the harness's executable that runs the small servers; it hands its arguments to
/// [`helper`].
pub const HELPER_VERB: &str = "target-helper";

/// Its word for librdkafka's mock cluster.
const RDKAFKA_MOCK: &str = "rdkafka-mock";

/// Its word for doing nothing, in a network namespace that somebody else gave it.
pub(crate) const HOLD: &str = "hold";

/// Its word for becoming another program, which then ends with this one.
pub(crate) const EXEC: &str = "exec";

/// What kind of target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Brokers of ours as child processes.
    Managed {
        /// How many nodes.
        layout: Layout,
        /// Lines of their `server.properties`, over addresses and data directory.
        config: BTreeMap<String, String>,
        /// Below which its fresh data directory is made.
        data_root: PathBuf,
        /// Keep the data directory afterwards.
        keep_data: bool,
    },
    /// Apache Kafka's brokers as child processes.
    Kafka {
        /// How many nodes.
        layout: Layout,
        /// What differs from their defaults.
        options: KafkaOptions,
        /// Below which its fresh data directory is made.
        data_root: PathBuf,
        /// Keep the data directory afterwards.
        keep_data: bool,
    },
    /// librdkafka's mock cluster as a child process, in memory; needs the feature `rdkafka`.
    RdkafkaMock {
        /// What it is started with.
        topics: MockTopics,
    },
    /// Whatever answers at `host:port`.
    External {
        /// The address.
        bootstrap: String,
    },
    /// The server that acknowledges and discards.
    Null {
        /// CPU burnt per record, zero but in tests of comparisons.
        spin: Duration,
    },
    /// The least program that does a broker's work.
    Floor {
        /// How it writes.
        technique: Technique,
        /// CPU burnt per record, zero but in tests of comparisons.
        spin: Duration,
        /// Below which its fresh data directory is made.
        data_root: PathBuf,
    },
}

/// The topics of a mock cluster, which creates none by request. It has as many brokers as a partition has replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockTopics {
    /// Their names.
    pub names: Vec<String>,
    /// Partitions of each.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication: i16,
}

/// A target to be started.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// What kind.
    pub kind: Kind,
    /// The harness's own executable (`std::env::current_exe`).
    pub executable: PathBuf,
    /// Where a child's stderr goes; empty: into the managed broker's directory, or nowhere to be found
    /// after it is removed.
    pub log: PathBuf,
    /// How long a child may take to be ready.
    pub start_timeout: Duration,
    /// How long a child may take to stop before it is killed.
    pub stop_timeout: Duration,
}

/// A target that answers. Children are killed and their data removed when it is dropped.
#[derive(Debug)]
pub enum Target {
    /// Brokers of ours.
    Managed(Cluster),
    /// Apache Kafka's.
    Kafka(Cluster),
    /// The null or floor server.
    Small {
        /// Its process.
        process: Process,
        /// Its data, removed with it.
        data: Option<TempDir>,
    },
    /// librdkafka's mock cluster.
    RdkafkaMock {
        /// Its process.
        process: Process,
    },
    /// Somebody else's cluster.
    External {
        /// Its address.
        bootstrap: String,
    },
}

impl Target {
    /// Starts a child, or sees that an address answers.
    ///
    /// # Errors
    /// [`TargetError`] says what happened and where to look.
    pub fn start(spec: &TargetSpec) -> Result<Target, TargetError> {
        match &spec.kind {
            Kind::Managed { layout, config, data_root, keep_data } => {
                let launch = spec.launch("plimsoll broker", vec!["broker".into()]);
                Cluster::ours(launch, *layout, config, data_root, *keep_data).map(Target::Managed)
            }
            Kind::Kafka { layout, options, data_root, keep_data } => {
                let launch = spec.launch("Apache Kafka", Vec::new());
                Cluster::kafka(launch, *layout, options, data_root, *keep_data).map(Target::Kafka)
            }
            Kind::RdkafkaMock { topics } => {
                let process = Process::start(spec.small("rdkafka mock cluster", topics.arguments()))?;
                Ok(Target::RdkafkaMock { process })
            }
            Kind::External { bootstrap } => {
                check_address(bootstrap)?;
                Ok(Target::External { bootstrap: bootstrap.clone() })
            }
            Kind::Null { spin } => {
                let arguments = vec![HELPER_VERB.into(), "null".into(), LOOPBACK.into(), nanoseconds(*spin)];
                let process = Process::start(spec.small("null target", arguments))?;
                Ok(Target::Small { process, data: None })
            }
            Kind::Floor { technique, spin, data_root } => {
                let failed = |source| TargetError::Prepare { path: data_root.clone(), source };
                std::fs::create_dir_all(data_root).map_err(failed)?;
                let data = tempfile::Builder::new().prefix("plimsoll-floor-").tempdir_in(data_root);
                let data = data.map_err(failed)?;
                let how = technique.to_string().into();
                let dir = data.path().as_os_str().to_owned();
                let spin = nanoseconds(*spin);
                let arguments = vec![HELPER_VERB.into(), "floor".into(), LOOPBACK.into(), spin, how, dir];
                let process = Process::start(spec.small("floor program", arguments))?;
                Ok(Target::Small { process, data: Some(data) })
            }
        }
    }

    /// `host:port` to begin with; several with commas between.
    pub fn bootstrap(&self) -> String {
        match self {
            Target::Managed(cluster) | Target::Kafka(cluster) => cluster.bootstrap(),
            Target::Small { process, .. } | Target::RdkafkaMock { process } => process.address().to_string(),
            Target::External { bootstrap } => bootstrap.clone(),
        }
    }

    /// Its nodes, if they were started here and are brokers.
    pub fn cluster(&self) -> Option<&Cluster> {
        match self {
            Target::Managed(cluster) | Target::Kafka(cluster) => Some(cluster),
            Target::Small { .. } | Target::RdkafkaMock { .. } | Target::External { .. } => None,
        }
    }

    /// The same, to hurt them.
    pub fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        match self {
            Target::Managed(cluster) | Target::Kafka(cluster) => Some(cluster),
            Target::Small { .. } | Target::RdkafkaMock { .. } | Target::External { .. } => None,
        }
    }

    /// The processes whose resources count, with the ids of their nodes, if they are ours.
    pub fn pids(&self) -> Vec<(i32, u32)> {
        match self {
            Target::Managed(cluster) | Target::Kafka(cluster) => cluster.pids(),
            Target::Small { process, .. } | Target::RdkafkaMock { process } => vec![(1, process.pid())],
            Target::External { .. } => Vec::new(),
        }
    }

    /// Where brokers of ours tell their stages, with their ids, as far as their doors are open.
    pub fn stage_doors(&self) -> Vec<(i32, StageDoor)> {
        let Target::Managed(cluster) = self else { return Vec::new() };
        let brokers = cluster.nodes().iter().filter(|node| node.is_broker());
        let doors = brokers.filter_map(|node| Some((node.id(), node.process()?.http_address()?)));
        doors.map(|(id, address)| (id, StageDoor { address })).collect()
    }

    /// Where its files are, if they are ours: one directory per node.
    pub fn data_dirs(&self) -> Vec<PathBuf> {
        match self {
            Target::Managed(cluster) | Target::Kafka(cluster) => cluster.data_dirs(),
            Target::Small { data, .. } => data.iter().map(|data| data.path().to_owned()).collect(),
            Target::RdkafkaMock { .. } | Target::External { .. } => Vec::new(),
        }
    }

    /// Whether records can be read back from it.
    pub fn keeps_records(&self) -> bool {
        !matches!(self, Target::Small { .. })
    }

    /// The configuration in force, read back from every broker; empty for the small servers and the mock cluster, which
    /// have none to read. A setting that is not the same everywhere stands once for each broker, as `key@id`.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn effective_config(&self) -> Result<BTreeMap<String, String>, TargetError> {
        let addresses = match self {
            Target::Small { .. } | Target::RdkafkaMock { .. } => return Ok(BTreeMap::new()),
            Target::External { bootstrap } => vec![(-1, bootstrap.clone())],
            Target::Managed(cluster) | Target::Kafka(cluster) => {
                let brokers = cluster.nodes().iter().filter(|node| node.is_broker());
                brokers.map(|node| (node.id(), node.address().to_string())).collect()
            }
        };
        let mut all = Vec::new();
        for (id, address) in addresses {
            let read = read_config(&address, id).await;
            let read = read.map_err(|error| TargetError::Config { address, reason: error.to_string() })?;
            all.push((id, read));
        }
        let mut config = in_one(&all);
        if let Target::Kafka(cluster) = self {
            config.extend(kafka::jvm_config(cluster.pids().first().map(|(_, pid)| *pid)));
        }
        Ok(config)
    }

    /// The release of a system that is not ours, where it is known for certain.
    pub fn version(&self) -> Option<String> {
        match self {
            Target::Kafka(_) => Some(kafka::version().to_owned()),
            #[cfg(feature = "rdkafka")]
            Target::RdkafkaMock { .. } => Some(crate::rdkafka_mock::version()),
            #[cfg(not(feature = "rdkafka"))]
            Target::RdkafkaMock { .. } => None,
            Target::Managed(_) | Target::Small { .. } | Target::External { .. } => None,
        }
    }

    /// How long it took from the start of its process until a record was acknowledged, with acks=1 in a topic made for it
    /// and removed. Ask right after [`Target::start`]. `None` of what is no broker or was not started here.
    ///
    /// # Errors
    /// [`TargetError::FirstRecord`] when no record is acknowledged.
    pub async fn start_time(&self) -> Result<Option<Duration>, TargetError> {
        let Some(cluster) = self.cluster() else { return Ok(None) };
        let began = cluster.nodes().iter().filter_map(|node| Some(node.process()?.began())).min();
        let address = cluster.nodes().first().map(|node| node.address().to_string()).unwrap_or_default();
        let acknowledged = first_record(&address).await;
        let at = acknowledged.map_err(|reason| TargetError::FirstRecord { address, reason })?;
        Ok(began.map(|began| at.duration_since(began)))
    }

    /// Stops a child gracefully; an external target is left alone.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn stop(self) -> Result<Option<Stopped>, TargetError> {
        match self {
            Target::Managed(cluster) | Target::Kafka(cluster) => cluster.stop().map(Some),
            Target::Small { process, data } => {
                let stopped = process.stop();
                drop(data);
                stopped.map(Some)
            }
            Target::RdkafkaMock { process } => process.stop().map(Some),
            Target::External { .. } => Ok(None),
        }
    }
}

impl MockTopics {
    fn arguments(&self) -> Vec<OsString> {
        let numbers = [self.replication.to_string(), self.partitions.to_string()];
        let words = [HELPER_VERB.to_owned(), RDKAFKA_MOCK.to_owned()].into_iter().chain(numbers);
        words.chain(self.names.iter().cloned()).map(OsString::from).collect()
    }

    #[cfg(feature = "rdkafka")]
    fn serve(self) -> Result<(), HelperError> {
        crate::rdkafka_mock::serve(&self).map_err(HelperError::Mock)
    }

    #[cfg(not(feature = "rdkafka"))]
    fn serve(self) -> Result<(), HelperError> {
        Err(HelperError::NoMock)
    }
}

const LOOPBACK: &str = "127.0.0.1:0";

fn nanoseconds(spin: Duration) -> OsString {
    spin.as_nanos().to_string().into()
}

impl TargetSpec {
    fn launch(&self, name: &str, arguments: Vec<OsString>) -> Launch {
        Launch {
            name: name.to_owned(),
            executable: self.executable.clone(),
            arguments,
            log: self.log.clone(),
            start_timeout: self.start_timeout,
            stop_timeout: self.stop_timeout,
            detached: false,
        }
    }

    fn small(&self, name: &str, arguments: Vec<OsString>) -> Launch {
        let mut launch = self.launch(name, arguments);
        if launch.log.as_os_str().is_empty() {
            launch.log = "/dev/null".into();
        }
        launch
    }
}

/// Of broker `id`, or of whichever answers if that is -1.
async fn read_config(address: &str, id: i32) -> Result<BTreeMap<String, String>, ClientError> {
    let connection = Connection::to_any(address, ConnectOptions::default()).await?;
    let broker = match id {
        -1 => connection.metadata(Some(&[]), false).await?.brokers.first().map_or(-1, |broker| broker.id),
        id => id,
    };
    let entries = connection.describe_configs(&ConfigResource::Broker(broker)).await?;
    Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

/// Settings that all brokers share under their own names, the others with the broker's id behind.
fn in_one(all: &[(i32, BTreeMap<String, String>)]) -> BTreeMap<String, String> {
    let mut one = BTreeMap::new();
    for (id, config) in all {
        for (key, value) in config {
            let same = all.iter().all(|(_, other)| other.get(key) == Some(value));
            one.insert(if same { key.clone() } else { format!("{key}@{id}") }, value.clone());
        }
    }
    one
}

fn check_address(address: &str) -> Result<(), TargetError> {
    let unreachable = |source| TargetError::Unreachable { address: address.to_owned(), source };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut candidates = Vec::new();
    for one in address.split(',') {
        match std::net::ToSocketAddrs::to_socket_addrs(one.trim()) {
            Ok(resolved) => candidates.extend(resolved),
            Err(error) => last = error,
        }
    }
    for candidate in candidates {
        match std::net::TcpStream::connect_timeout(&candidate, Duration::from_secs(5)) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// Why a helper did not serve.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// Arguments that no version of the harness gives.
    #[error(
        "{HELPER_VERB} takes `null ADDRESS SPIN_NS`, `floor ADDRESS SPIN_NS pwrite|mmap|direct DIRECTORY`, `floor-leader ADDRESS pwrite|mmap DIRECTORY FOLLOWERS`, `floor-follower LEADER pwrite|mmap DIRECTORY`, `rdkafka-mock REPLICATION PARTITIONS TOPIC…`, `hold`, `exec PROGRAM …`, got {0:?}"
    )]
    Usage(Vec<String>),
    /// The mock cluster cannot be made.
    #[error("librdkafka's mock cluster: {0}")]
    Mock(String),
    /// The mock cluster is not part of this build.
    #[error("this build has no librdkafka; build with `cargo build --features rdkafka`")]
    NoMock,
    /// The program to become cannot be started.
    #[error("cannot start {program}: {source}")]
    Exec {
        /// Which program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot serve.
    #[error("cannot serve: {0}; is the address free, does the filesystem support the technique?")]
    Serve(#[from] io::Error),
}

/// Runs a small server until the process ends, or becomes another program; for the hidden verb.
///
/// # Errors
/// [`HelperError`] when the arguments are not understood or it cannot serve.
pub fn helper(arguments: &[String]) -> Result<(), HelperError> {
    crate::follow_parent();
    let usage = || HelperError::Usage(arguments.to_vec());
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let address = |text: &str| text.parse::<SocketAddr>().map_err(|_| usage());
    let per_record = |text: &str| text.parse().map(Duration::from_nanos).map_err(|_| usage());
    match words.as_slice() {
        [EXEC, program, arguments @ ..] => {
            // Returns only when it failed; the tie to the parent outlives it.
            let source = Command::new(program).args(arguments).exec();
            Err(HelperError::Exec { program: (*program).to_owned(), source })
        }
        [HOLD] => {
            println!("ready {LOOPBACK}");
            loop {
                std::thread::park();
            }
        }
        ["null", listen, spin] => Ok(serve::null(address(listen)?, per_record(spin)?)?),
        [RDKAFKA_MOCK, replication, partitions, names @ ..] => {
            let number = |text: &str| text.parse().map_err(|_| usage());
            let (replication, partitions) = (number(replication)?, partitions.parse().map_err(|_| usage())?);
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            MockTopics { names, partitions, replication }.serve()
        }
        ["floor", listen, spin, technique, dir] => {
            let technique = technique.parse().map_err(|_| usage())?;
            Ok(serve::floor(address(listen)?, technique, dir.as_ref(), per_record(spin)?)?)
        }
        ["floor-leader", listen, technique, dir, followers] => {
            let (technique, followers) =
                (technique.parse().map_err(|_| usage())?, followers.parse().map_err(|_| usage())?);
            Ok(serve::floor_leader(address(listen)?, technique, dir.as_ref(), followers)?)
        }
        ["floor-follower", leader, technique, dir] => {
            let technique = technique.parse().map_err(|_| usage())?;
            Ok(serve::floor_follower(address(leader)?, technique, dir.as_ref())?)
        }
        _ => Err(usage()),
    }
}
