//! `run.json`, schema `run/1.0`.
//!
//! Names and nesting are a contract with scripts: a field is never renamed or moved within major version 1.
//! Stable fields are always present and `null` when unknown; the others are absent when unknown. Nothing is
//! filled in with a guess.

mod arm;
mod cost;
mod durability;
mod latency;
mod load;
mod payload;
mod stages;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::arm::{Arm, ComparisonRow, DataFiles, Fault, PhaseSpan};
pub use self::cost::{Cost, Pressure, ProcessCost, Psi};
pub use self::durability::{Acks, Durability, DurabilityMode, Survives};
pub use self::latency::{Latency, QuantileSet, Quantiles};
pub use self::load::{Load, LoadMode, Throughput};
pub use self::payload::{CodecRatio, PayloadSummary};
pub use self::stages::{Stage, StageTime, Stages};
use crate::doctor::{Canary, Check};
use crate::machine::{Machine, ToolBuild};
use crate::status::Status;
use crate::verify::VerifyCounts;
use crate::warning::Warning;

/// The schema this version writes. Readers accept every `run/1.x`.
pub const SCHEMA: &str = "run/1.0";

/// The summary of a run: one JSON document, the only thing on stdout under `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDocument {
    /// `run/1.0`.
    pub schema: String,
    /// Unique name of the run; also the name of its directory.
    pub id: String,
    /// Path of the bundle directory.
    pub bundle: Option<String>,
    /// Path of the HTML report, once there is one.
    pub report: Option<String>,
    /// Completion and verification.
    pub status: Status,
    /// Why the status is not `ok`, and remarks on steadiness and noise when it is.
    pub status_reasons: Vec<String>,
    /// What an acknowledged record survives.
    pub durability: Durability,
    /// What was asked of the generator and what it did.
    pub load: Load,
    /// What the target did, over the measured phase.
    pub throughput: Throughput,
    /// Latencies from the intended send time, over the measured phase of all trials.
    pub latency: Latency,
    /// Where the response time went, where somebody counted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
    /// What a record cost.
    pub cost: Cost,
    /// What became of the acknowledged records.
    pub verify: VerifyCounts,
    /// Faults injected, and how they ended.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What was measured.
    pub arm: Arm,
    /// Trials in this bundle; each has its own folder and histograms merge by adding counts.
    pub trials: u32,
    /// The bytes that were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadSummary>,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The program that measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolBuild>,
    /// Warm-up, measurement and drain on the run's clock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSpan>,
    /// All randomness: `payload`, `keys`, `arrival`, `order`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub seeds: BTreeMap<String, u64>,
    /// Identity of the resolved workload without seeds and labels ([`crate::config_hash`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_hash: Option<String>,
    /// Name of the workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// What the reader should know before believing a figure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Paired comparisons made in the same trials, for example against the floor program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<ComparisonRow>,
    /// The target's segment files in the first trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<DataFiles>,
    /// What the examination of the machine before the first trial found that is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preflight: Vec<Check>,
    /// How fast the machine's parts were before each trial, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<Canary>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// RFC 3339, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

impl RunDocument {
    /// A document that says truthfully that nothing has been measured yet: status `aborted`.
    pub fn unfinished(id: impl Into<String>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: id.into(),
            bundle: None,
            report: None,
            status: Status::Aborted,
            status_reasons: vec!["the run ended before its summary was written".to_owned()],
            durability: Durability::default(),
            load: Load::default(),
            throughput: Throughput::default(),
            latency: Latency::default(),
            stages: None,
            cost: Cost::default(),
            verify: VerifyCounts::default(),
            faults: Vec::new(),
            arm: Arm::default(),
            trials: 0,
            payload: None,
            machine: None,
            tool: None,
            phases: Vec::new(),
            seeds: BTreeMap::new(),
            config_hash: None,
            workload: None,
            warnings: Vec::new(),
            comparisons: Vec::new(),
            files: None,
            preflight: Vec::new(),
            canaries: Vec::new(),
            started_at: None,
            ended_at: None,
        }
    }
}

/// What a verb prints on stdout under `--json` when there is no run to print.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureDocument {
    /// `failed`, `aborted` or `invalid`.
    pub status: Status,
    /// The error and its causes, outermost first.
    pub status_reasons: Vec<String>,
}

impl FailureDocument {
    /// A failure with its causes, outermost first.
    pub fn new(status: Status, reasons: impl IntoIterator<Item = String>) -> Self {
        Self { status, status_reasons: reasons.into_iter().collect() }
    }
}
