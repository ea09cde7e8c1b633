//! The command line of `find`.

use std::path::PathBuf;

use clap::Args;
use plimsoll_load::workload::{Period, SystemKind};
use plimsoll_results::Slo;

use crate::options::CommonOptions;

/// Finds the largest rate that holds.
///
/// A burst in a closed loop gives a first guess; a ramp and then halves of the bracket narrow it down, each level in a
/// fresh trial, and a level fails only when it fails twice. The rate is then confirmed in longer trials and measured at a
/// quarter, half, three quarters, nine tenths and the whole of it.
///
///   plimsoll find hello --slo p99=10ms
///   plimsoll find small-records --slo p99=5ms --slo e2e.p99.9=50ms --backend io_uring
///   plimsoll find hello --slo p99=10ms --target managed-kafka
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct FindOptions {
    /// A workload file, or the name of a built-in one; its rate is what is searched for.
    pub(crate) workload: PathBuf,
    /// What must hold at the rate: a percentile of the response time, or end to end with e2e.p99; may be repeated. The
    /// rate itself, no error and no growing backlog must hold anyway.
    #[arg(long = "slo", value_name = "p99=10ms", default_value = "p99=10ms")]
    pub(crate) slos: Vec<Slo>,
    /// How long a level is held; a third of it in the ramp, twice as long to confirm and to measure.
    #[arg(long, value_name = "TIME", default_value = "30s", conflicts_with = "quick")]
    pub(crate) hold: Period,
    /// In less than 50 seconds: holds for a second, narrows to 15 %, confirms once.
    #[arg(long)]
    pub(crate) quick: bool,
    /// What is measured: plimsoll (our broker), managed-kafka (Apache Kafka, started here), external (with
    /// --bootstrap), null or floor.
    #[arg(long, value_name = "KIND")]
    pub(crate) target: Option<SystemKind>,
    /// Measures whatever Kafka cluster answers here instead of our broker.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "backend")]
    pub(crate) bootstrap: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonOptions,
}
