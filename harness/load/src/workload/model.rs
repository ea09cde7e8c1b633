//! The sections of a workload file. Every key has a default and every default ends in the lock file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::consume::Consume;
use super::data::{Keys, Payload};
use super::driver::Driver;
use super::fault::Fault;
use super::load::{Load, Phases, Verify};
use super::matrix::Matrix;
use super::produce::Produce;
use super::system::{System, Topic};

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
    /// Whose client carries the records.
    #[serde(default)]
    pub driver: Driver,
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
    /// What happens to the brokers while it is measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// How long each phase lasts.
    #[serde(default)]
    pub phases: Phases,
    /// What is proved after the load.
    #[serde(default)]
    pub verify: Verify,
    /// Which settings vary, for `sweep`. A lock file is of one point and has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Matrix>,
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
