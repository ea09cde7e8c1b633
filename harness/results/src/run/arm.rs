//! What was measured, in which phases, with which faults, against what.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The system under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Arm {
    /// `plimsoll`, `kafka`, `redpanda`, `null`, `floor`, or what the target calls itself.
    pub system: String,
    /// Its version, as it says itself.
    pub version: Option<String>,
    /// The storage backend that really ran: `page-cache`, `mmap` or `io_uring`.
    pub backend: Option<String>,
    /// Configuration read back from the broker, not assumed; `topic.` begins the settings of the topic written to.
    #[serde(default)]
    pub effective_config: BTreeMap<String, String>,
    /// The client that drove it, with its version; absent in bundles from before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Name in charts, when several arms are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Commit of the binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_sha: Option<String>,
    /// Milliseconds from the start of the target's process to its first acknowledgement of a record, in the median over
    /// trials; absent where it was not started here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<f64>,
    /// The system was not started here: `machine` is the generator's, and its own is not known. Absent if false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign: bool,
}

impl Arm {
    /// The client that drove it, where it is not ours.
    pub fn foreign_driver(&self) -> Option<&str> {
        self.driver.as_deref().filter(|driver| !driver.starts_with("plimsoll"))
    }
}

/// One fault that was injected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Fault {
    /// `kill`, `pause`, `restart`, `isolate`, `slow-disk`, `add-broker`.
    pub kind: String,
    /// Which node, as `broker:2`.
    pub target: String,
    /// Milliseconds since the run began.
    pub at_ms: f64,
    /// Its partitions were acknowledged again before the run ended.
    pub recovered: bool,
    /// The longest time from the injection on in which one of the partitions that the target led had no record
    /// acknowledged; to the run's end when it never recovered.
    pub unavailable_ms: f64,
    /// Acknowledged records that the run lost. Of several faults each shows the same: a record does not say which one it
    /// was lost to.
    pub lost: u64,
    /// The target as the workload names it, such as `leader`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// How long it lasted in milliseconds, where it has a length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<f64>,
    /// Partitions whose acknowledgements `unavailable_ms` is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<u32>,
    /// From the injection until every replica of the run's topics was in sync again, in milliseconds; 0 when none ever
    /// left. Absent when that did not happen while somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isr_full_ms: Option<f64>,
}

/// The target's segment files, as far as they are ours to look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct DataFiles {
    /// What was asked of the page cache before consumers of a backlog began: `as-is`, `warm` or `cold`.
    pub page_cache: String,
    /// Part of the files in the page cache when consumers of a backlog began, or else the measured phase, in percent.
    pub resident_pct_before: Option<f64>,
    /// The same at the end of the measured phase.
    pub resident_pct_after: Option<f64>,
    /// Segments begun in the measured phase.
    pub segments_rolled: Option<u64>,
}

/// One phase on the run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct PhaseSpan {
    /// `warmup`, `measure` or `drain`.
    pub name: String,
    /// Begin, nanoseconds since the run began.
    pub t0_ns: u64,
    /// End, nanoseconds since the run began.
    pub t1_ns: u64,
    /// Whether the load was steady by the end of it; absent where it is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady: Option<bool>,
    /// Why it ended or was not steady.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One metric compared in pairs of trials: this arm divided by the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct ComparisonRow {
    /// What is compared, with its unit, for example `broker_cpu_s_per_gb`.
    pub metric: String,
    /// The other arm, for example `floor`.
    pub against: String,
    /// Hodges–Lehmann ratio.
    pub ratio: f64,
    /// Interval of the ratio, `null` with fewer than 6 pairs.
    pub low: Option<f64>,
    /// Interval of the ratio, `null` with fewer than 6 pairs.
    pub high: Option<f64>,
    /// Confidence that the interval really has, 0 to 1.
    pub confidence: Option<f64>,
    /// Ratio of every pair, in the order they ran.
    pub pairs: Vec<f64>,
}
