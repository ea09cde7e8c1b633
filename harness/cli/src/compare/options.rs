//! The command lines of `compare`, `gate` and `calibrate`.

use std::path::PathBuf;

use clap::Args;

use crate::export::ExportOptions;
use crate::options::CommonOptions;

/// Compares two or more arms in pairs of trials.
///
/// Every arm is measured in fresh trials, interleaved in random order, until each gated metric is known precisely
/// enough or 24 pairs have run. The first arm is the one that the others are compared with; with a single --arm that
/// is the workload as it is.
///
///   plimsoll compare hello --arm backend=page-cache --arm backend=mmap
///   plimsoll compare hello --arm rev=main --arm as-is
///   plimsoll compare old.toml new.toml
///   plimsoll compare runs/ONE runs/OTHER
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompareOptions {
    /// One workload whose arms --arm tells apart; or several workloads or stored bundles, each of them an arm.
    #[arg(required = true, value_name = "WORKLOAD|BUNDLE")]
    pub(crate) subjects: Vec<PathBuf>,
    /// What makes an arm different: words like backend=mmap, plimsoll.durability=fsync, produce.acks=all,
    /// binary=PATH (another build's broker), rev=REF (built from that git revision), target=managed-kafka, bootstrap=HOST:PORT,
    /// or as-is. Once for each arm.
    #[arg(long = "arm", value_name = "\"KEY=VALUE …\"")]
    pub(crate) arms: Vec<String>,
    /// What an arm is called; once for each arm, in order.
    #[arg(short = 'n', long = "name", value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Compares with trials stored under this name instead of a first arm; that is not paired.
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// Keeps the first arm's trials under this name.
    #[arg(long, value_name = "NAME")]
    pub(crate) save_baseline: Option<String>,
    #[command(flatten)]
    pub(crate) trials: TrialOptions,
    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

/// Compares with another revision or a stored baseline, for continuous integration.
///
/// The same comparison as `compare`, with a Markdown summary. It passes, fails with exit code 2 when a gated metric
/// regressed for certain, and with 4 when the measurement itself is not fit to judge by.
#[derive(Debug, Args)]
pub(crate) struct GateOptions {
    /// A workload file, or the name of a built-in one.
    #[arg(default_value = "hello")]
    pub(crate) workload: PathBuf,
    /// Compares with this git revision, built here and measured beside this program in pairs; as-is stands for this
    /// program itself, to see that the gate stays silent or finds what --arm seeds.
    #[arg(long, value_name = "REV|as-is", required_unless_present = "baseline", conflicts_with = "baseline")]
    pub(crate) against: Option<String>,
    /// Compares with trials stored by `compare --save-baseline`; drift of the machine is then not controlled.
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
    /// What is different about the candidate beside the program: words as for `compare --arm`.
    #[arg(long, value_name = "\"KEY=VALUE …\"", default_value = "as-is")]
    pub(crate) arm: String,
    /// Appends the Markdown summary to this file; also to $GITHUB_STEP_SUMMARY if that is set.
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trials: TrialOptions,
    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

/// Finds out what this machine can resolve.
///
/// Compares a workload with itself, and keeps how much single pairs spread. Later comparisons of that workload on
/// this machine do not claim to see less.
#[derive(Debug, Args)]
pub(crate) struct CalibrateOptions {
    /// A workload file, or the name of a built-in one.
    #[arg(default_value = "hello")]
    pub(crate) workload: PathBuf,
    /// Pairs of identical trials.
    #[arg(short = 'r', long = "runs", value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) runs: u32,
    /// Where the profile is kept, instead of the user's state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

/// How many trials, and what becomes of the result.
#[derive(Debug, Args)]
pub(crate) struct TrialOptions {
    /// Exactly this many trials of each arm, instead of 8 to 24 as precision asks.
    #[arg(short = 'r', long = "runs", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) runs: Option<u32>,
    /// Trials of each arm before those that count.
    #[arg(short = 'w', long = "warmup", value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) warmup: u32,
    /// Compares arms although an acknowledgement means something else in each (acks, replicas, flush, what it
    /// survives); result, table and chart then say what differs. Without it that is a usage error.
    #[arg(long)]
    pub(crate) allow_unequal_durability: bool,
    /// Exit code 3 when a gated metric is inconclusive.
    #[arg(long)]
    pub(crate) strict: bool,
    /// The machine profile made by `calibrate`, instead of the one in the user's state directory.
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) export: ExportOptions,
}
