//! What a broker is told: `server.properties` with Kafka's keys, ours under `plimsoll.`.
//!
//! `keys` is the one table of broker keys; `topic` the one of topic keys. A key that is not in a table
//! is an error with a suggestion; a key of Kafka's that is known but not enforced is a warning with its
//! reason, so that nobody believes in a setting that does nothing. `cluster` makes of the listeners and the quorum's keys
//! what this node is to others.

mod cluster;
mod keys;
pub mod properties;
mod replication;
mod settings;
mod topic;
mod values;

use std::path::PathBuf;

pub use cluster::{ClusterSettings, Roles};
pub use keys::{KEYS, Key, Kind, unenforced};
pub use replication::ReplicationSettings;
pub use settings::Settings;
pub use topic::{TOPIC_KEYS, TopicKey, TopicSettings};
pub use values::Endpoint;

/// A configuration that cannot be used. Every message names the place and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no properties file.
    #[error("{}:{line}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Nobody knows this key.
    #[error("{place}: unknown key `{key}`{suggestion}")]
    UnknownKey {
        /// File and line, or the command line.
        place: String,
        /// The key.
        key: String,
        /// `; did you mean …?` or nothing.
        suggestion: String,
    },
    /// The value does not fit the key.
    #[error("{place}: `{key}` cannot be `{value}`: {reason}")]
    BadValue {
        /// File and line, or the command line.
        place: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would fit.
        reason: String,
    },
    /// Two settings contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

/// Where a value comes from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The table's default.
    Default,
    /// A properties file or the command line: fixed while the broker runs.
    Static,
}

/// `; did you mean …?` with the nearest of `candidates`, or nothing if none is near.
pub fn suggestion<'a>(key: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    candidates
        .map(|candidate| (strsim::jaro_winkler(key, candidate), candidate))
        .filter(|(nearness, _)| *nearness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}
