//! The `[systems.NAME]` and `[topic]` sections: what is measured, and the topics in it.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::scalar::scalars;
use super::units::Period;

/// One system that can be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct System {
    /// What kind of target this is.
    pub kind: SystemKind,
    /// Brokers of a managed target.
    pub brokers: u16,
    /// Nodes of a managed target that are controllers and nothing else; with 0 the brokers are controllers too.
    pub controllers: u16,
    /// `host:port` of an external cluster, several with commas between; empty for every other kind.
    pub bootstrap: String,
    /// What reports call an external system; empty means as it names itself.
    pub version_label: String,
    /// How the floor program writes.
    pub technique: Technique,
    /// CPU that the null target and the floor program burn for each record: a slowdown of known size, to see that a
    /// comparison finds it. `0ns` everywhere else.
    pub spin_per_record: Period,
    /// How long a managed target may take to say `ready`.
    pub start_timeout: Period,
    /// How long a managed target may take to stop before it is killed.
    pub stop_timeout: Period,
    /// Keep the data directory of a managed target after the run.
    pub keep_data: bool,
    /// Broker configuration of a managed target: lines of its `server.properties`.
    #[serde(deserialize_with = "scalars")]
    pub config: BTreeMap<String, String>,
    /// JVM flags of a managed Apache Kafka, behind its own defaults (heap `-Xmx1G -Xms1G`, G1).
    pub jvm_options: Vec<String>,
}

impl Default for System {
    fn default() -> Self {
        System {
            kind: SystemKind::Managed,
            brokers: 1,
            controllers: 0,
            bootstrap: String::new(),
            version_label: String::new(),
            technique: Technique::Pwrite,
            spin_per_record: Period(0),
            // A JVM on a busy machine takes its time.
            start_timeout: Period(60_000_000_000),
            stop_timeout: Period(20_000_000_000),
            keep_data: false,
            config: BTreeMap::new(),
            jvm_options: Vec::new(),
        }
    }
}

/// Kinds of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemKind {
    /// Our broker, started as a child process with fresh data.
    #[serde(alias = "plimsoll")]
    Managed,
    /// Apache Kafka's broker, started as a child process with fresh data.
    ManagedKafka,
    /// librdkafka's mock cluster, started as a child process: a broker that is not ours, in memory. Only in builds
    /// with the feature `rdkafka`.
    RdkafkaMock,
    /// Whatever answers at `bootstrap`.
    External,
    /// A server that acknowledges and discards: shows the generator's own ceiling.
    Null,
    /// The least program that receives, checks, appends and answers: shows what the machine allows.
    Floor,
}

impl SystemKind {
    /// Every kind with its word.
    pub const ALL: [(SystemKind, &str); 6] = [
        (SystemKind::Managed, "managed"),
        (SystemKind::ManagedKafka, "managed-kafka"),
        (SystemKind::RdkafkaMock, "rdkafka-mock"),
        (SystemKind::External, "external"),
        (SystemKind::Null, "null"),
        (SystemKind::Floor, "floor"),
    ];

    /// The word in workload files.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

impl FromStr for SystemKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = if text == "plimsoll" { "managed" } else { text };
        let found = Self::ALL.iter().find(|(_, known)| *known == word);
        found.map(|(kind, _)| *kind).ok_or_else(|| {
            let words = Self::ALL.map(|(_, word)| word).join(", ");
            format!("a target is plimsoll (that is, managed) or one of {words}")
        })
    }
}

/// How the floor program writes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Technique {
    /// `pwrite` into the page cache.
    Pwrite,
    /// A copy into a mapped file.
    Mmap,
    /// `pwrite` with `O_DIRECT` from an aligned buffer.
    Direct,
}

/// The topics of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topic {
    /// Topic name; further topics of a run get `-2`, `-3` … appended.
    pub name: String,
    /// Number of topics.
    pub count: u32,
    /// Partitions per topic.
    pub partitions: i32,
    /// Replicas per partition; `replication_factor` means the same.
    #[serde(alias = "replication_factor")]
    pub replication: i16,
    /// `min.insync.replicas`: with fewer replicas in sync, `acks = "all"` is refused.
    pub min_insync: i16,
    /// Further topic configuration by Kafka's names, such as `"segment.bytes" = "67108864"`.
    #[serde(deserialize_with = "scalars")]
    pub config: BTreeMap<String, String>,
}

impl Default for Topic {
    fn default() -> Self {
        let name = "plimsoll".into();
        Topic { name, count: 1, partitions: 1, replication: 1, min_insync: 1, config: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_word_everywhere() {
        for (kind, word) in SystemKind::ALL {
            assert_eq!((serde_json::to_value(kind).unwrap(), word.parse()), (word.into(), Ok(kind)));
        }
        assert_eq!("plimsoll".parse(), Ok(SystemKind::Managed));
        assert!("kafka".parse::<SystemKind>().unwrap_err().contains("managed-kafka"));
    }
}
