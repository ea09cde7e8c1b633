//! What one trial left, in memory and in its folder.

use std::collections::BTreeMap;

use plimsoll_load::recorder::Counters;
use plimsoll_load::run::{Outcome, TopicInForce};
use plimsoll_probe::{ProcessUsage, SystemUsage};
use plimsoll_results::{
    Canary, DataFiles, Event, Fault, Latency, LatencySeries, Load, PhaseSpan, Status, Throughput,
    VerifyCounts,
};
use serde::{Deserialize, Serialize};

/// One trial. All but the histograms is in `measured.json` of its folder, from which a session that goes on later
/// reads it again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) status: Status,
    pub(crate) status_reasons: Vec<String>,
    pub(crate) phases: Vec<PhaseSpan>,
    pub(crate) load: Load,
    pub(crate) throughput: Throughput,
    pub(crate) latency: Latency,
    /// Counters of the measured phase.
    pub(crate) measured: Counters,
    pub(crate) measured_s: f64,
    pub(crate) verify: VerifyCounts,
    pub(crate) steal_pct: Option<f64>,
    pub(crate) topic: Option<TopicInForce>,
    /// The target's processes, over the measured phase; `None` for somebody else's.
    pub(crate) broker: Option<ProcessUsage>,
    /// Each of the target's nodes.
    #[serde(default)]
    pub(crate) nodes: BTreeMap<i32, ProcessUsage>,
    /// This process, over the measured phase.
    pub(crate) client: Option<ProcessUsage>,
    pub(crate) system: Option<SystemUsage>,
    /// Why system calls were not counted.
    pub(crate) uncounted: Option<String>,
    /// Syncs of the target's logs over the measured phase, where it tells.
    pub(crate) syncs: Option<u64>,
    pub(crate) effective_config: BTreeMap<String, String>,
    /// The target's release, where it is known for certain and is not ours.
    pub(crate) version: Option<String>,
    /// How fast the machine was just before.
    pub(crate) canary: Canary,
    /// From the start of the target's process to its first acknowledged record.
    pub(crate) start_ms: Option<f64>,
    /// The target's segment files.
    #[serde(default)]
    pub(crate) files: DataFiles,
    /// What was done to the target, and what came of it.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// What happened on the run's clock.
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    /// Interval histograms, the platform's hiccups among them. A gigabyte over many trials: whoever runs many lets go of
    /// them and reads `latency.hlog` at the end.
    #[serde(skip)]
    pub(crate) series: LatencySeries,
}

impl Trial {
    /// What the load left; nothing of what was seen beside it.
    pub(super) fn of(outcome: Outcome) -> Self {
        Self {
            status: outcome.status,
            status_reasons: outcome.status_reasons,
            phases: outcome.phases,
            load: outcome.load,
            throughput: outcome.throughput,
            latency: outcome.latency,
            measured: outcome.measured,
            measured_s: outcome.measured_s,
            verify: outcome.verify_document.counts,
            steal_pct: outcome.steal_pct,
            topic: outcome.topic,
            series: outcome.series,
            broker: None,
            nodes: BTreeMap::new(),
            client: None,
            system: None,
            uncounted: None,
            syncs: None,
            effective_config: BTreeMap::new(),
            version: None,
            canary: Canary::default(),
            start_ms: None,
            files: DataFiles::default(),
            faults: Vec::new(),
            events: Vec::new(),
        }
    }
}
