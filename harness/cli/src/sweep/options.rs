//! The command line of `sweep`.

use std::path::PathBuf;

use clap::Args;

use crate::export::ExportOptions;
use crate::options::CommonOptions;

/// Measures what each setting does: a matrix of points, one factor at a time around a base.
///
/// Every block holds one trial of every point in random order, so that what the machine does slowly hits all points
/// alike; each point is told with its ratio to the base. The first value of each factor is the base's.
///
///   plimsoll sweep hello --vary codec=none,lz4,zstd:3 --vary acks=1,all
///   plimsoll sweep hello --vary backend=page-cache,mmap,io_uring --resume results/backends
///   plimsoll sweep hello --vary rate=5_000/s,20_000/s,80_000/s
///   plimsoll sweep hello --vary target=plimsoll,managed-kafka --vary size=100B,10KB --cross
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SweepOptions {
    /// A workload file, perhaps with a `[matrix]` of its own, or the name of a built-in one.
    pub(crate) workload: PathBuf,
    /// A setting and its values, the base's first; may be repeated. Any key of the workload (produce.linger) or of the
    /// broker (num.io.threads), or one of: backend, target, codec, acks, batch, linger, size, rate, partitions,
    /// producers, durability. Takes the place of the file's values.
    #[arg(long = "vary", value_name = "KEY=A,B,C")]
    pub(crate) vary: Vec<String>,
    /// Every combination of values instead of one factor at a time.
    #[arg(long)]
    pub(crate) cross: bool,
    /// Blocks, each with one trial of every point; six are the fewest that give an interval.
    #[arg(short = 'r', long = "runs", value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) runs: u32,
    /// Runs even more than twelve points.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Measures systems beside each other although an acknowledgement means something else in each and no factor asks for
    /// that; result, table and page then say what differs. Without it that is a usage error.
    #[arg(long)]
    pub(crate) allow_unequal_durability: bool,
    /// Goes on with the sweep in this directory after an interruption or a crash, or begins it there; refuses when it was
    /// begun with another plan. More blocks than before are no other plan.
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) export: ExportOptions,
    #[command(flatten)]
    pub(crate) common: CommonOptions,
}
