//! Apache Kafka's nodes as child processes with fresh data, in KRaft.
//!
//! Everything is Kafka's own: the published jars ([`Distribution`]), its defaults, its JVM flags. Set are only
//! addresses, the data directory, the roles, and as many replicas of internal topics as there are brokers, three at
//! most, as Kafka's own example configurations have it.

mod distribution;
mod java;
mod properties;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub use distribution::Distribution;
pub use java::Java;

use crate::cluster::{Cluster, Layout, Place, Software, answers, log_of};
use crate::error::TargetError;
use crate::home::Home;
use crate::process::{Launch, Process, Starting, Stopped, appending};
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
const LOGGING_FILE: &str = "log4j2.properties";

/// What may differ from Kafka's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Lines of its `server.properties`, over address, roles and data directory.
    pub config: BTreeMap<String, String>,
    /// JVM flags behind Kafka's own; the JVM obeys the last of two.
    pub jvm_options: Vec<String>,
}

/// How Apache Kafka's nodes are made.
#[derive(Debug)]
pub(crate) struct Kafka {
    launch: Launch,
    options: KafkaOptions,
    class_path: OsString,
    java: Java,
    layout: Layout,
}

impl Cluster {
    /// Starts Apache Kafka's nodes in `dir`, which they keep, to be left alone with [`Cluster::leave`].
    ///
    /// # Errors
    /// [`TargetError`] says what is missing and how to get it.
    pub fn kafka_in(
        mut launch: Launch,
        layout: Layout,
        options: &KafkaOptions,
        dir: &Path,
    ) -> Result<Cluster, TargetError> {
        launch.detached = true;
        let executable = launch.executable.clone();
        let kafka = Kafka::new(launch, layout, options)?;
        Cluster::start(Box::new(kafka), layout, &executable, Home::at(dir.to_owned()))
    }

    /// Formats fresh data directories below `root` and starts Apache Kafka's nodes on them. `launch` names the harness's
    /// own executable, which sets the tie to its parent and becomes the JVM; its arguments are filled in.
    ///
    /// # Errors
    /// [`TargetError`] says what is missing and how to get it.
    pub fn kafka(
        launch: Launch,
        layout: Layout,
        options: &KafkaOptions,
        root: &Path,
        keep: bool,
    ) -> Result<Cluster, TargetError> {
        let executable = launch.executable.clone();
        let kafka = Kafka::new(launch, layout, options)?;
        Cluster::start(Box::new(kafka), layout, &executable, Home::create(root, keep)?)
    }
}

impl Kafka {
    pub(crate) fn new(launch: Launch, layout: Layout, options: &KafkaOptions) -> Result<Kafka, TargetError> {
        let (java, distribution) = (Java::find()?, Distribution::from_env()?);
        let class_path = distribution.class_path()?;
        Ok(Kafka { launch, options: options.clone(), class_path, java, layout })
    }

    /// Class path and logging, which every JVM of a node has.
    fn jvm(&self, home: &Home) -> Vec<OsString> {
        let logging = home.file(LOGGING_FILE);
        vec![OsString::from("-cp"), self.class_path.clone(), properties::logging_flag(&logging)]
    }
}

impl Software for Kafka {
    fn prepare(&self, place: &Place, all: &[&Place], home: &Home) -> Result<Launch, TargetError> {
        let lines = properties::server(home, place, all, self.layout.brokers, &self.options.config);
        let config = home.write_config(&lines)?;
        home.write(LOGGING_FILE, properties::LOGGING)?;
        let mut jvm = self.jvm(home);
        jvm.extend(JVM_OPTIONS.iter().map(OsString::from));
        jvm.extend(self.options.jvm_options.iter().map(OsString::from));
        let mut launch = self.launch.clone();
        launch.log = log_of(&launch.log, place.id, self.layout.is_single(), home);
        if !self.layout.is_single() {
            launch.name = format!("{} {}", launch.name, place.id);
        }
        Ok(as_jvm(launch, &self.java, jvm, &config))
    }

    /// Kafka does not start on a directory that its own tool has not formatted.
    fn format(&self, nodes: &[(Home, Launch)]) -> Result<(), TargetError> {
        let begun = nodes.iter().map(|(home, launch)| self.begin_format(home, launch));
        let begun: Vec<Child> = begun.collect::<Result<_, _>>()?;
        // Each is waited for, also after one has failed.
        let waited = begun.into_iter().map(|mut child| child.wait());
        let ended: Vec<_> = waited.collect();
        for (status, (_, launch)) in ended.into_iter().zip(nodes) {
            let status = status.map_err(|source| self.not_spawned(source))?;
            if !status.success() {
                return Err(TargetError::Died {
                    name: "Kafka's storage tool".to_owned(),
                    status: status.to_string(),
                    log: launch.log.clone(),
                    last_words: last_words(&launch.log),
                });
            }
        }
        Ok(())
    }

    fn start(&self, launch: Launch) -> Result<Starting, TargetError> {
        Starting::silent(launch)
    }

    fn ready(&self, starting: Starting, place: &Place) -> Result<Process, TargetError> {
        answers(starting, place)
    }

    fn judge(&self, mut stopped: Stopped) -> Stopped {
        // The last nodes of a quorum cannot ask anybody whether they may go (Kafka waits for minutes).
        let alone = stopped.killed && !self.layout.is_single();
        if stopped.code == Some(AFTER_SIGTERM) || alone {
            stopped = Stopped { code: Some(0), killed: false, ..stopped };
        }
        stopped
    }

    /// Kafka's metadata names any broker as the controller; the quorum's own file names the one that leads it.
    fn active_controller(&self, homes: &[&Home]) -> Option<i32> {
        let states = homes.iter().filter_map(|home| {
            std::fs::read_to_string(home.data_dir().join("__cluster_metadata-0/quorum-state")).ok()
        });
        let newest =
            states.filter_map(|state| Some((number(&state, "leaderEpoch")?, number(&state, "leaderId")?)));
        newest.max().map(|(_, leader)| leader).filter(|leader| *leader >= 0)
    }
}

impl Kafka {
    fn begin_format(&self, home: &Home, launch: &Launch) -> Result<Child, TargetError> {
        let started = Command::new(self.java.program())
            .args(self.jvm(home))
            .args(["kafka.tools.StorageTool", "format", "--cluster-id", properties::CLUSTER_ID, "--config"])
            .arg(home.config())
            .stdin(Stdio::null())
            .stdout(appending(&launch.log)?)
            .stderr(appending(&launch.log)?)
            .spawn();
        started.map_err(|source| self.not_spawned(source))
    }

    fn not_spawned(&self, source: std::io::Error) -> TargetError {
        TargetError::Spawn { executable: self.java.program().to_owned(), source }
    }
}

/// What no request reads back: `java.version`, and as `jvm.options` the flags of the running process.
pub(crate) fn jvm_config(pid: Option<u32>) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    if let Ok(java) = Java::find() {
        config.insert("java.version".to_owned(), java.version().to_owned());
    }
    if let Some(command_line) = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok()) {
        config.insert("jvm.options".to_owned(), java::flags(&String::from_utf8_lossy(&command_line)));
    }
    config
}

/// The pinned release, which the checksums of its jars stand for.
pub(crate) fn version() -> &'static str {
    distribution::version()
}

/// A whole number in Kafka's small JSON files.
fn number(json: &str, key: &str) -> Option<i32> {
    let (_, rest) = json.split_once(&format!("\"{key}\":"))?;
    rest.trim_start().split(|c: char| !(c.is_ascii_digit() || c == '-')).next()?.parse().ok()
}

fn as_jvm(mut launch: Launch, java: &Java, jvm: Vec<OsString>, config: &Path) -> Launch {
    let become_java = [HELPER_VERB.into(), EXEC.into(), java.program().as_os_str().to_owned()];
    launch.arguments = become_java.into_iter().chain(jvm).collect();
    launch.arguments.extend(["kafka.Kafka".into(), config.as_os_str().to_owned()]);
    launch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quorums_leader_is_read_from_its_file() {
        let state = r#"{"leaderId":2,"leaderEpoch":7,"votedId":-1,"data_version":1}"#;
        assert_eq!((number(state, "leaderId"), number(state, "votedId")), (Some(2), Some(-1)));
        assert_eq!(number(state, "none"), None);
    }
}
