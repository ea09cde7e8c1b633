//! Apache Kafka's broker as a child process with fresh data, in KRaft with both roles on one node.
//!
//! Everything is Kafka's own: the published jars ([`Distribution`]), its defaults, its JVM flags. Set are only an
//! address, the data directory, the roles, and one replica for internal topics, as Kafka's own example
//! configuration for one node has it.

mod distribution;
mod java;
mod properties;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use plimsoll_client::{ConnectOptions, Connection};

pub use distribution::Distribution;
pub use java::Java;

use crate::error::TargetError;
use crate::home::Home;
use crate::process::{Launch, Process, Stopped, appending};
use crate::ready::last_words;
use crate::target::{EXEC, HELPER_VERB};

/// The JVM flags of Kafka's start script: heap, then collector.
const JVM_OPTIONS: &[&str] = &[
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];
/// How a JVM ends after SIGTERM, its shutdown hooks having run.
const AFTER_SIGTERM: i32 = 128 + 15;
/// A running broker answers at once; a starting one is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What may differ from Kafka's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Lines of its `server.properties`, over address, roles and data directory.
    pub config: BTreeMap<String, String>,
    /// JVM flags behind Kafka's own; the JVM obeys the last of two.
    pub jvm_options: Vec<String>,
}

/// A running Apache Kafka broker. Killed, and its data removed, when dropped.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    home: Home,
    version: String,
    java: Java,
}

impl Kafka {
    /// Formats a fresh data directory below `root` and starts a broker on it. `launch` names the harness's own
    /// executable, which sets the tie to its parent and becomes the JVM; its arguments are filled in.
    ///
    /// # Errors
    /// [`TargetError`] says what is missing and how to get it.
    pub fn start(
        launch: Launch,
        options: &KafkaOptions,
        root: &Path,
        keep: bool,
    ) -> Result<Kafka, TargetError> {
        let (java, distribution) = (Java::find()?, Distribution::from_env()?);
        let class_path = distribution.class_path()?;
        let home = Home::create(root, keep)?;
        let launch = with_log(launch, &home);
        let address = free_address()?;
        let lines = properties::server(&home, address, free_address()?, &options.config);
        let config = home.write_config(&lines)?;
        let logging = home.write("log4j2.properties", properties::LOGGING)?;
        let mut jvm = vec![OsString::from("-cp"), class_path, properties::logging_flag(&logging)];
        format(&java, &jvm, &config, &launch)?;
        jvm.extend(JVM_OPTIONS.iter().map(OsString::from));
        jvm.extend(options.jvm_options.iter().map(OsString::from));
        let process = Process::start_answering(as_jvm(launch, &java, jvm, &config), address, answers)?;
        Ok(Kafka { process, home, version: distribution.version().to_owned(), java })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, to look whether it still runs.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where its data is.
    pub fn data_dir(&self) -> PathBuf {
        self.home.data_dir()
    }

    /// Its release, which the checksums of its jars stand for.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What no request reads back: `java.version`, and as `jvm.options` the flags of the running process.
    pub fn jvm_config(&self) -> BTreeMap<String, String> {
        let mut config = BTreeMap::from([("java.version".to_owned(), self.java.version().to_owned())]);
        if let Ok(command_line) = std::fs::read(format!("/proc/{}/cmdline", self.process.pid())) {
            config.insert("jvm.options".to_owned(), java::flags(&String::from_utf8_lossy(&command_line)));
        }
        config
    }

    /// Stops it as an operator would, with SIGTERM; its data goes with it unless kept.
    ///
    /// # Errors
    /// Only when it cannot be signalled.
    pub fn stop(self) -> Result<Stopped, TargetError> {
        let mut stopped = self.process.stop()?;
        if stopped.code == Some(AFTER_SIGTERM) {
            stopped.code = Some(0);
        }
        Ok(stopped)
    }
}

fn with_log(mut launch: Launch, home: &Home) -> Launch {
    if launch.log.as_os_str().is_empty() {
        launch.log = home.log();
    }
    launch
}

/// Kafka writes the port into its configuration, so it has to be known before. Nothing holds it until then.
fn free_address() -> Result<SocketAddr, TargetError> {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    free.map_err(|source| TargetError::Unreachable { address: "127.0.0.1:0".to_owned(), source })
}

/// Kafka does not start on a directory that its own tool has not formatted.
fn format(java: &Java, jvm: &[OsString], config: &Path, launch: &Launch) -> Result<(), TargetError> {
    let spawn = |source| TargetError::Spawn { executable: java.program().to_owned(), source };
    let status = Command::new(java.program())
        .args(jvm)
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", properties::CLUSTER_ID, "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(appending(&launch.log)?)
        .stderr(appending(&launch.log)?)
        .status()
        .map_err(spawn)?;
    if status.success() {
        return Ok(());
    }
    Err(TargetError::Died {
        name: "Kafka's storage tool".to_owned(),
        status: status.to_string(),
        log: launch.log.clone(),
        last_words: last_words(&launch.log),
    })
}

fn as_jvm(mut launch: Launch, java: &Java, jvm: Vec<OsString>, config: &Path) -> Launch {
    let become_java = [HELPER_VERB.into(), EXEC.into(), java.program().as_os_str().to_owned()];
    launch.arguments = become_java.into_iter().chain(jvm).collect();
    launch.arguments.extend(["kafka.Kafka".into(), config.as_os_str().to_owned()]);
    launch
}

/// Whether a broker there is registered and not fenced, which is when it names itself.
fn answers(address: SocketAddr) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return false };
    runtime.block_on(async {
        let options = ConnectOptions::default().with_request_timeout(ANSWER_TIMEOUT);
        let Ok(connection) = Connection::connect(&address.to_string(), options).await else { return false };
        connection.metadata(Some(&[]), false).await.is_ok_and(|cluster| !cluster.brokers.is_empty())
    })
}
