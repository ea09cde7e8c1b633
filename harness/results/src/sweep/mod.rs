//! A matrix on disk, `sweep/1.0`: points that differ in chosen settings, each with its figures and its ratio to the first.

mod writer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::writer::{SweepError, SweepPlan, SweepPoint, SweepWriter};
use crate::comparison::ArmComparison;
use crate::composite::{Composite, CompositeDocument};
use crate::doctor::Check;
use crate::machine::{Machine, ToolBuild};
use crate::run::{Cost, Durability, QuantileSet, RunDocument, Throughput};
use crate::stats::StopReason;
use crate::status::Status;
use crate::verify::VerifyCounts;

/// The schema this version writes. Readers accept every `sweep/1.x`.
pub const SWEEP_SCHEMA: &str = "sweep/1.0";

/// A stored sweep, with the runs of its points.
pub type Sweep = Composite<SweepDocument>;

/// A matrix of points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepDocument {
    /// `sweep/1.0`.
    pub schema: String,
    /// Unique name; also the name of its directory, unless the caller chose that.
    pub id: String,
    /// Path of its directory.
    pub bundle: Option<String>,
    /// Path of the page.
    pub report: Option<String>,
    /// The worst of all points.
    pub status: Status,
    /// Why the status is not `ok`, and remarks when it is.
    pub status_reasons: Vec<String>,
    /// Name of the workload.
    pub workload: Option<String>,
    /// What varies.
    pub factors: Vec<Factor>,
    /// How it was measured.
    pub design: SweepDesign,
    /// What an acknowledgement means differently in some points; figures across it do not compare.
    pub durability_differences: Vec<String>,
    /// The points; the first is the one that all others are compared with.
    pub rows: Vec<SweepRow>,
    /// What the reader should know before believing a figure.
    pub notices: Vec<String>,
    /// What the examination of the machine before the first trial found that is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<Check>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The program that measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolBuild>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

/// A setting with its values; the first is the base's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// As it was written: `codec`, `load.rate`, `num.io.threads`.
    pub name: String,
    /// As they were written, without repetition.
    pub values: Vec<String>,
}

/// How points are laid out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SweepDesign {
    /// Every combination of values; `false`: one factor at a time around the base.
    pub cross: bool,
    /// Blocks asked for; each holds one trial of every point.
    pub blocks: usize,
    /// Why no further block ran; `null` while it goes on.
    pub stopped: Option<StopReason>,
    /// The points in the order they ran, one list per block.
    pub order: Vec<Vec<String>>,
    /// What the order derives from.
    pub seed: u64,
}

/// One point. Figures are of all its trials together, as in `run.json`; histograms merge by counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// Every factor with its value: `backend=mmap,codec=lz4`.
    pub key: String,
    /// By factor.
    pub values: BTreeMap<String, String>,
    /// What it is called here: the values that are not the base's, or `base`.
    pub name: String,
    /// The worst status of its trials.
    pub status: Status,
    /// Why it is not `ok`, and remarks when it is.
    pub status_reasons: Vec<String>,
    /// Trials that ended.
    pub trials: u32,
    /// Verdicts on the load, and in how many trials.
    pub verdicts: BTreeMap<String, u32>,
    /// The rate asked for; `null` in a closed loop.
    pub target_rate: Option<f64>,
    /// Rates reached.
    pub throughput: Throughput,
    /// From the intended send time to the acknowledgement; in a closed loop from the send.
    pub response: QuantileSet,
    /// From the intended send time to the consumer.
    pub e2e: QuantileSet,
    /// What a record cost.
    pub cost: Cost,
    /// What became of every record.
    pub verify: VerifyCounts,
    /// What an acknowledgement means here.
    pub durability: Durability,
    /// How that differs from the base.
    pub durability_differences: Vec<String>,
    /// The system that ran.
    pub system: String,
    /// Its version.
    pub version: Option<String>,
    /// The storage backend that really ran.
    pub backend: Option<String>,
    /// From the start of its process to its first acknowledgement: median over trials.
    pub start_ms: Option<f64>,
    /// Each metric divided by the base's, over blocks; `null` for the base itself.
    pub against_base: Option<ArmComparison>,
    /// Its run bundle.
    pub bundle: Option<String>,
}

impl CompositeDocument for SweepDocument {
    const FILE: &'static str = "sweep.json";
    const KNOWN: &'static str = "sweep/1.x";
    const FOLDER: &'static str = "points";

    fn runs(&self) -> Vec<(&str, Option<&str>)> {
        self.rows.iter().filter_map(SweepRow::run).collect()
    }

    fn machine(&self) -> Option<&Machine> {
        self.machine.as_ref()
    }
}

impl SweepDocument {
    /// A document that says truthfully that nothing has been measured yet: status `aborted`.
    pub fn unfinished(factors: Vec<Factor>, design: SweepDesign) -> Self {
        Self {
            schema: SWEEP_SCHEMA.to_owned(),
            id: String::new(),
            bundle: None,
            report: None,
            status: Status::Aborted,
            status_reasons: vec![
                "the sweep ended before its summary was written; --resume goes on".to_owned(),
            ],
            workload: None,
            factors,
            design,
            durability_differences: Vec::new(),
            rows: Vec::new(),
            notices: Vec::new(),
            preflight: Vec::new(),
            machine: None,
            tool: None,
            started_at: None,
            ended_at: None,
        }
    }
}

impl SweepRow {
    /// The figures of a run.
    pub fn of(run: RunDocument) -> Self {
        Self {
            status: run.status,
            status_reasons: run.status_reasons,
            trials: run.trials,
            target_rate: run.load.target_rate,
            throughput: run.throughput,
            response: run.latency.quantiles.response,
            e2e: run.latency.quantiles.e2e,
            cost: run.cost,
            verify: run.verify,
            durability: run.durability,
            system: run.arm.system,
            version: run.arm.version,
            backend: run.arm.backend,
            start_ms: run.arm.start_ms,
            bundle: run.bundle,
            ..Self::default()
        }
    }

    /// Its name and its bundle, if anything was measured.
    pub(crate) fn run(&self) -> Option<(&str, Option<&str>)> {
        (self.trials > 0).then_some((self.name.as_str(), self.bundle.as_deref()))
    }

    /// Its ratio to the base in one metric, with the ends of its interval.
    pub fn ratio(&self, metric: &str) -> Option<(f64, Option<(f64, f64)>)> {
        let row = self.against_base.as_ref()?.metrics.iter().find(|row| row.metric == metric)?;
        Some((row.ratio, row.low.zip(row.high)))
    }
}
