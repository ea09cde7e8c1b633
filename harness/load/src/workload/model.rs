//! The sections of a workload file. Every key has a default and every default ends in the lock file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::scalar::{Scalar, scalars};
use super::units::{Period, Rate, Size};

/// Versions of the workload format that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    /// The first version.
    #[serde(rename = "workload/1")]
    V1,
}

/// A whole workload: what is measured, with what load, and how it is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Format version; the only key without a default.
    pub schema: Schema,
    /// Short name, used in file names and reports.
    #[serde(default = "unnamed")]
    pub name: String,
    /// One sentence for reports.
    #[serde(default)]
    pub about: String,
    /// All randomness (arrivals, keys, payload order) derives from this.
    #[serde(default = "seed")]
    pub seed: u64,
    /// Which of `systems` is measured; empty means the only one.
    #[serde(default)]
    pub system: String,
    /// What can be measured, by label. Without any there is one: a managed broker called `ours`.
    #[serde(default = "ours")]
    pub systems: BTreeMap<String, System>,
    /// The topics written to.
    #[serde(default)]
    pub topic: Topic,
    /// How producers batch and send.
    #[serde(default)]
    pub produce: Produce,
    /// How consumers read.
    #[serde(default)]
    pub consume: Consume,
    /// Where keys come from.
    #[serde(default)]
    pub keys: Keys,
    /// Where values come from.
    #[serde(default)]
    pub payload: Payload,
    /// When records are due.
    #[serde(default)]
    pub load: Load,
    /// How long each phase lasts.
    #[serde(default)]
    pub phases: Phases,
    /// What is proved after the load.
    #[serde(default)]
    pub verify: Verify,
}

fn unnamed() -> String {
    "unnamed".into()
}

fn seed() -> u64 {
    42
}

fn ours() -> BTreeMap<String, System> {
    BTreeMap::from([("ours".into(), System::default())])
}

/// One system that can be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct System {
    /// What kind of target this is.
    pub kind: SystemKind,
    /// `host:port` of an external cluster; empty for every other kind.
    pub bootstrap: String,
    /// What reports call an external system; empty means as it names itself.
    pub version_label: String,
    /// How the floor program writes.
    pub technique: Technique,
    /// How long a managed target may take to say `ready`.
    pub start_timeout: Period,
    /// How long a managed target may take to stop before it is killed.
    pub stop_timeout: Period,
    /// Keep the data directory of a managed target after the run.
    pub keep_data: bool,
    /// Broker configuration of a managed target: lines of its `server.properties`.
    #[serde(deserialize_with = "scalars")]
    pub config: BTreeMap<String, String>,
}

impl Default for System {
    fn default() -> Self {
        System {
            kind: SystemKind::Managed,
            bootstrap: String::new(),
            version_label: String::new(),
            technique: Technique::Pwrite,
            start_timeout: Period(20_000_000_000),
            stop_timeout: Period(20_000_000_000),
            keep_data: false,
            config: BTreeMap::new(),
        }
    }
}

/// Kinds of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemKind {
    /// Our broker, started as a child process with fresh data.
    Managed,
    /// Whatever answers at `bootstrap`.
    External,
    /// A server that acknowledges and discards: shows the generator's own ceiling.
    Null,
    /// The least program that receives, checks, appends and answers: shows what the machine allows.
    Floor,
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
    /// Replicas per partition.
    pub replication: i16,
    /// `min.insync.replicas`.
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

/// `acks` of a produce request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// No answer at all.
    None,
    /// The leader has written it.
    Leader,
    /// Every in-sync replica has it.
    All,
}

impl Acks {
    /// The value on the wire.
    pub const fn wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }

    /// The spelling used in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        }
    }
}

impl Serialize for Acks {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Acks {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] = &["0", "1", "all"];
        match Scalar::deserialize(source)?.0.as_str() {
            "0" => Ok(Acks::None),
            "1" => Ok(Acks::Leader),
            "all" | "-1" => Ok(Acks::All),
            other => Err(de::Error::unknown_variant(other, NAMES)),
        }
    }
}

/// How producers behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Produce {
    /// Producer threads; each has its own runtime, connections, producer id and share of the rate.
    pub workers: u32,
    /// When a record counts as acknowledged.
    pub acks: Acks,
    /// `none`, `gzip`, `gzip:6`, `snappy`, `lz4`, `zstd`, `zstd:3`.
    pub codec: String,
    /// A batch is sent when the next record would make it larger than this (before compression).
    pub batch_bytes: Size,
    /// A batch is sent at the latest this long after its first record.
    pub linger: Period,
    /// Requests in flight per broker connection.
    pub max_in_flight: u32,
    /// Send with a producer id and sequence numbers, so that a retry is never a duplicate.
    pub idempotent: bool,
    /// Largest request: batches for several partitions of one broker travel together up to this.
    pub request_bytes: Size,
    /// Memory for batches that are open, queued or in flight, per worker. Beyond it records wait.
    pub buffer_bytes: Size,
    /// Records that may wait for memory, per worker. Beyond it they count as unsent and the run says
    /// `rate_not_met`.
    pub waiting_records_max: u64,
    /// How long a single request may stay without an answer.
    pub request_timeout: Period,
    /// How long a record may be retried.
    pub delivery_timeout: Period,
    /// Pause before a retry.
    pub retry_backoff: Period,
}

impl Default for Produce {
    fn default() -> Self {
        Produce {
            workers: 1,
            acks: Acks::Leader,
            codec: "none".into(),
            batch_bytes: Size(16 << 10),
            linger: Period(1_000_000),
            max_in_flight: 5,
            idempotent: true,
            request_bytes: Size(1 << 20),
            buffer_bytes: Size(32 << 20),
            waiting_records_max: 1_000_000,
            request_timeout: Period(30_000_000_000),
            delivery_timeout: Period(120_000_000_000),
            retry_backoff: Period(100_000_000),
        }
    }
}

/// When consumers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsumeMode {
    /// From the first record on, while producers write.
    Tail,
    /// They start when `backlog` is built and catch up while producers keep writing.
    Backlog,
    /// They start when producers have ended, and read everything.
    Replay,
    /// Nobody reads during the run; the proof pass still does.
    None,
}

/// Which records a fetch may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Everything below the high watermark.
    ReadUncommitted,
    /// Only committed transactions.
    ReadCommitted,
}

/// How consumers behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Consume {
    /// When they read.
    pub mode: ConsumeMode,
    /// Independent readers of everything (fan-out).
    pub groups: u32,
    /// Threads per group; partitions are dealt out among them.
    pub members: u32,
    /// Which records a fetch may return.
    pub isolation: Isolation,
    /// A fetch answers as soon as it has this much.
    pub fetch_min_bytes: Size,
    /// A fetch returns at most about this much.
    pub fetch_max_bytes: Size,
    /// And at most this much of one partition.
    pub partition_max_bytes: Size,
    /// A fetch answers at the latest after this long.
    pub fetch_max_wait: Period,
    /// `backlog` mode: how much payload is written before consumers start.
    pub backlog: Size,
}

impl Default for Consume {
    fn default() -> Self {
        Consume {
            mode: ConsumeMode::Tail,
            groups: 1,
            members: 1,
            isolation: Isolation::ReadUncommitted,
            fetch_min_bytes: Size(1),
            fetch_max_bytes: Size(8 << 20),
            partition_max_bytes: Size(1 << 20),
            fetch_max_wait: Period(500_000_000),
            backlog: Size(64 << 20),
        }
    }
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyDist {
    /// No key; partitions are filled one batch at a time.
    None,
    /// A field of each record; records without it go without a key.
    Data,
    /// Evenly from `cardinality` keys.
    Uniform,
    /// From `cardinality` keys, few of them hot.
    Zipf,
}

/// The `[keys]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// How keys are chosen.
    pub dist: KeyDist,
    /// Field of the record (`data`), such as `origin+dest`; empty means the corpus's own choice.
    pub field: String,
    /// Number of different keys (`uniform`, `zipf`).
    pub cardinality: u64,
    /// Skew of `zipf`.
    pub theta: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Keys { dist: KeyDist::None, field: String::new(), cardinality: 100_000, theta: 0.99 }
    }
}

/// Where values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PayloadKind {
    /// A named corpus of real records: the whole of it if it has been fetched, else its sample.
    Corpus,
    /// The sample of a corpus, whether or not the whole is there.
    Sample,
    /// Records of your own file, cut as `framing` says.
    File,
    /// Random bytes of a declared entropy.
    Random,
    /// The same bytes over and over: a control, never a result.
    Pattern,
}

/// How a payload file is cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// One record per line.
    Lines,
    /// A protobuf varint length in front of each record.
    Varint,
    /// A big-endian 32-bit length in front of each record.
    Length,
}

/// The `[payload]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payload {
    /// Where values come from.
    pub kind: PayloadKind,
    /// Name of the corpus (`plimsoll corpus list`).
    pub corpus: String,
    /// Path of the payload file.
    pub path: PathBuf,
    /// How the payload file is cut.
    pub framing: Framing,
    /// `random`: bits of entropy per byte, 0 to 8. Used when `ratio` is 0.
    pub entropy_bits: f64,
    /// `random`: compression ratio that every codec comes near, from 1; 0 leaves it to `entropy_bits`.
    pub ratio: f64,
    /// `pattern`: `zeros`, `ones`, `letters` or a text to repeat.
    pub pattern: String,
    /// Value size without the stamp. `0B` keeps the records' own sizes; anything else cuts or joins
    /// records of a corpus to this size. Generated values need one.
    pub size: Size,
    /// Pool of generated values. Below eight times the largest batch the result is marked.
    pub pool: Size,
}

impl Default for Payload {
    fn default() -> Self {
        Payload {
            kind: PayloadKind::Corpus,
            corpus: "flights.jsonl".into(),
            path: PathBuf::new(),
            framing: Framing::Lines,
            entropy_bits: 8.0,
            ratio: 0.0,
            pattern: "zeros".into(),
            size: Size(0),
            pool: Size(64 << 20),
        }
    }
}

/// Who decides when the next record is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// A schedule fixed in advance; a slow target does not slow it down.
    Open,
    /// The target: `in_flight` records are outstanding at any time, or as many as fit the buffer.
    Closed,
}

/// Spacing of intended times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Exponential gaps, as independent sources make them.
    Poisson,
    /// Equal gaps; locks in phase with timers.
    Uniform,
}

/// The `[load]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Open or closed loop.
    pub mode: LoadMode,
    /// Spacing of intended times (open loop).
    pub arrival: Arrival,
    /// Records per second over all workers (open loop).
    pub rate: Rate,
    /// Records outstanding per worker (closed loop); 0 means as fast as the buffer allows.
    pub in_flight: u64,
    /// The generator wakes at most this often; due times in between are sent at the next wake-up and
    /// still count from their own intended time.
    pub tick: Period,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            mode: LoadMode::Open,
            arrival: Arrival::Poisson,
            rate: Rate(20_000.0),
            in_flight: 0,
            tick: Period(50_000),
        }
    }
}

/// The `[phases]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phases {
    /// Load before measuring; kept in the files, shaded in plots, never in the figures.
    pub warmup: Period,
    /// The measured window.
    pub measure: Period,
    /// How long outstanding records may take after the load has ended.
    pub drain: Period,
}

impl Default for Phases {
    fn default() -> Self {
        Phases {
            warmup: Period(5_000_000_000),
            measure: Period(30_000_000_000),
            drain: Period(30_000_000_000),
        }
    }
}

/// How much is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLevel {
    /// Nothing; the result is marked.
    Off,
    /// Live checks in the timed run only.
    Counts,
    /// Live checks and a full re-read from the start offsets to the end offsets.
    Full,
}

/// The `[verify]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Verify {
    /// How much is proved.
    pub level: VerifyLevel,
    /// How long the full re-read may take.
    pub timeout: Period,
}

impl Default for Verify {
    fn default() -> Self {
        Verify { level: VerifyLevel::Full, timeout: Period(120_000_000_000) }
    }
}
