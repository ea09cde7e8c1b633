//! What can be wrong with a workload, each with the place and what to write instead.

use std::path::PathBuf;

/// Why a workload was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkloadError {
    /// The file could not be read.
    #[error("cannot read workload {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, or a key or value that the format does not have.
    #[error("{file}:{line}: {message}{}", hint(suggestion))]
    File {
        /// The file's name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// An assignment on the command line that does not fit.
    #[error("--set {assignment}: {message}{}", hint(suggestion))]
    Set {
        /// The assignment as given.
        assignment: String,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// Values that each are possible, but not here or not together.
    #[error("{}{fault}", place(file, *line))]
    Invalid {
        /// The file's name, if the workload came from one.
        file: String,
        /// Line of the key, when the file sets it.
        line: Option<usize>,
        /// The rule that does not hold.
        fault: Invalid,
    },
    /// There is no built-in workload of this name.
    #[error("no workload file or built-in workload {name:?}; built in: {known}")]
    NoSuchWorkload {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// A rule between values that does not hold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A value outside its range.
    #[error("{key} = {value}: must be {must}")]
    Range {
        /// The dotted key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        must: &'static str,
    },
    /// Sequence numbers are worth nothing without answers.
    #[error(
        "produce.idempotent = true needs acks 1 or all: with acks = 0 no answer says what was stored; set produce.idempotent = false"
    )]
    IdempotentWithoutAcks,
    /// The five-batch window of the broker's duplicate check.
    #[error(
        "produce.max_in_flight = {0} with produce.idempotent = true: brokers remember five batches per producer; use at most 5"
    )]
    IdempotentWindow(u32),
    /// A batch must fit into a request and into the buffer.
    #[error("{key} = {value} is smaller than produce.batch_bytes = {batch}")]
    TooSmallForBatch {
        /// The key that is too small.
        key: &'static str,
        /// Its value.
        value: String,
        /// The batch size.
        batch: String,
    },
    /// More than one system and none chosen.
    #[error("this workload has several systems ({labels}); choose one with system = \"…\" or --set system=…")]
    ChooseSystem {
        /// The labels.
        labels: String,
    },
    /// A chosen system that is not there.
    #[error("system = {label:?} is not among the systems: {labels}")]
    NoSuchSystem {
        /// The label asked for.
        label: String,
        /// The labels there are.
        labels: String,
    },
    /// An external system without an address.
    #[error("systems.{0}.bootstrap is missing: an external system needs its host:port")]
    NoBootstrap(String),
    /// A key that this kind of system does not have.
    #[error("systems.{label}.{key} would have no effect: only {kinds} has it")]
    NoEffect {
        /// The system's label.
        label: String,
        /// The key.
        key: &'static str,
        /// The kinds that have it.
        kinds: &'static str,
    },
    /// Fewer replicas than the minimum that must have a record.
    #[error("topic.min_insync = {min_insync} is more than topic.replication = {replication}")]
    MinInsync {
        /// Minimum in-sync replicas.
        min_insync: i16,
        /// Replication factor.
        replication: i16,
    },
    /// More replicas than there are brokers.
    #[error(
        "topic.replication = {replication}, but system {label} has {brokers}; set systems.{label}.brokers = {replication}, or fewer replicas"
    )]
    TooFewBrokers {
        /// Replication factor.
        replication: i16,
        /// The system's label.
        label: String,
        /// How many brokers, in words.
        brokers: String,
    },
    /// A fault that cannot be, or that nothing could be seen of.
    #[error("faults: {kind}: {reason}")]
    Fault {
        /// Its kind.
        kind: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// An unknown codec or level.
    #[error("produce.codec = {codec:?}: {reason}")]
    Codec {
        /// What was written.
        codec: String,
        /// What is wrong.
        reason: String,
    },
    /// A value that the chosen driver cannot honour.
    #[error("{key} = {value} cannot be honoured by driver = rdkafka (librdkafka): {why}")]
    Driver {
        /// The dotted key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it takes instead.
        why: String,
    },
    /// A payload kind without what it needs.
    #[error("payload.kind = {kind:?} needs {needs}")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// The key that is missing.
        needs: &'static str,
    },
}

impl Invalid {
    /// The dotted key to look for in the file.
    pub fn key(&self) -> &str {
        match self {
            Invalid::Range { key, .. }
            | Invalid::TooSmallForBatch { key, .. }
            | Invalid::Driver { key, .. } => key,
            Invalid::IdempotentWithoutAcks => "produce.acks",
            Invalid::IdempotentWindow(_) => "produce.max_in_flight",
            Invalid::ChooseSystem { .. } => "systems",
            Invalid::NoSuchSystem { .. } => "system",
            Invalid::NoBootstrap(_) | Invalid::NoEffect { .. } => "systems",
            Invalid::MinInsync { .. } => "topic.min_insync",
            Invalid::TooFewBrokers { .. } => "topic.replication",
            Invalid::Fault { .. } => "faults",
            Invalid::Codec { .. } => "produce.codec",
            Invalid::Payload { .. } => "payload.kind",
        }
    }
}

fn hint(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |text| format!("; did you mean {text}?"))
}

fn place(file: &str, line: Option<usize>) -> String {
    match (file.is_empty(), line) {
        (true, _) => String::new(),
        (false, Some(line)) => format!("{file}:{line}: "),
        (false, None) => format!("{file}: "),
    }
}
