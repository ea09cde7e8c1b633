//! `storage`: the engine alone.

mod bench;
mod check;
mod compare;
mod dump;
mod progress;
mod repair;

use clap::Subcommand;
use plimsoll_results::Exit;

/// What to do with the engine alone.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageVerb {
    /// Measures the engine against the device and the plainest program of the same technique.
    Bench(Box<bench::BenchOptions>),
    /// Reads every byte of log directories and says what is wrong; changes nothing.
    Check(check::CheckOptions),
    /// Mends what `check` found: cuts torn tails, rebuilds indexes, sets strays aside.
    Repair(repair::RepairOptions),
    /// Holds the replicas in several brokers' log directories against each other, byte by byte.
    Compare(compare::CompareOptions),
    /// Prints segments, indexes, snapshots and checkpoints, with kafka-dump-log's flags.
    Dump(dump::DumpOptions),
}

impl StorageVerb {
    /// Whether stdout is to be exactly one JSON document.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            StorageVerb::Bench(options) => options.json,
            StorageVerb::Check(options) => options.json,
            StorageVerb::Repair(options) => options.json,
            StorageVerb::Compare(options) => options.json,
            StorageVerb::Dump(options) => options.json,
        }
    }
}

/// Runs one of them.
pub(crate) fn run(verb: &StorageVerb) -> anyhow::Result<Exit> {
    match verb {
        StorageVerb::Bench(options) => bench::run(options),
        StorageVerb::Check(options) => check::run(options),
        StorageVerb::Repair(options) => repair::run(options),
        StorageVerb::Compare(options) => compare::run(options),
        StorageVerb::Dump(options) => dump::run(options),
    }
}
