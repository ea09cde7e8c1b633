//! What can go wrong with a target, and what to do about it.

use std::path::PathBuf;
use std::time::Duration;

/// Why a target could not be started, stopped or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The directory for its data or log could not be made.
    #[error("cannot create {}: {source}", path.display())]
    Prepare {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The executable did not start.
    #[error("cannot start {}: {source}", executable.display())]
    Spawn {
        /// What was to be executed.
        executable: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended with {status} before it was ready; its last words ({}): {last_words}", log.display())]
    Died {
        /// Which target.
        name: String,
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The end of the log.
        last_words: String,
    },
    /// It did not say `ready` in time.
    #[error("{name} was not ready after {after:?}; see {}", log.display())]
    NotReady {
        /// Which target.
        name: String,
        /// How long was waited.
        after: Duration,
        /// Its log file.
        log: PathBuf,
    },
    /// No port is free.
    #[error("no free port was found at {ip}: stop what listens there, or raise the limit of open files")]
    NoPort {
        /// Where it should be.
        ip: std::net::IpAddr,
    },
    /// A network of a node could not be made or changed.
    #[error("the nodes' network: `{command}` failed: {reason}")]
    Network {
        /// What was tried.
        command: String,
        /// What was said.
        reason: String,
    },
    /// A process's writes could not be limited.
    #[error("the disk of process {pid} cannot be slowed down: {source}")]
    SlowDisk {
        /// Whose.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// A signal could not be sent.
    #[error("cannot signal {name} (process {pid}): {source}")]
    Signal {
        /// Which target.
        name: String,
        /// Its process id.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
    /// No Java that can run Kafka.
    #[error("Apache Kafka needs Java 17 or newer, and {} will not do: {reason}; install one, or name it with JAVA_HOME", program.display())]
    NoJava {
        /// What was tried.
        program: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A jar of Kafka's is missing, or is another one than the pinned.
    #[error("Apache Kafka is not in the cache: {}: {reason}; run `scripts/kafka fetch`, which assembles it with Maven", path.display())]
    NoKafka {
        /// The jar.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The address of an external system does not answer.
    #[error("nothing answers at {address}: {source}; is the cluster up, is the address right?")]
    Unreachable {
        /// Where it should be.
        address: String,
        /// What the client said.
        source: std::io::Error,
    },
    /// It is ready and takes no record.
    #[error("{address} acknowledges no record: {reason}")]
    FirstRecord {
        /// Where it was sent.
        address: String,
        /// What the client or the broker said.
        reason: String,
    },
    /// Its configuration could not be read back.
    #[error("cannot read the configuration back from {address}: {reason}")]
    Config {
        /// Where it was asked.
        address: String,
        /// What the client said.
        reason: String,
    },
}
