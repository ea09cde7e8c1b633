//! What a page needs from a bundle, read once.

use plimsoll_results::{
    Bundle, BundleError, Event, IntervalRow, LatencySeries, Machine, RunDocument, VerifyDocument,
};

/// A run ready to be drawn. Build it from a bundle, or by hand from what is still in memory.
#[derive(Debug, Clone)]
pub struct ReportData {
    /// The summary.
    pub document: RunDocument,
    /// The machine.
    pub machine: Option<Machine>,
    /// Events, on the run's clock.
    pub events: Vec<Event>,
    /// The resolved workload as text.
    pub lock: Option<String>,
    /// Trials in the order they ran.
    pub trials: Vec<TrialData>,
}

/// One trial.
#[derive(Debug, Clone, Default)]
pub struct TrialData {
    /// Interval histograms.
    pub latency: LatencySeries,
    /// Interval rows.
    pub intervals: Vec<IntervalRow>,
    /// The verifier's findings.
    pub verify: Option<VerifyDocument>,
}

impl ReportData {
    /// Reads everything a page needs.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, BundleError> {
        let trials = bundle.trials()?.into_iter().map(|trial| {
            Ok(TrialData {
                latency: trial.latency()?,
                intervals: trial.intervals()?,
                verify: trial.verify()?,
            })
        });
        Ok(Self {
            document: bundle.document().clone(),
            machine: bundle.machine()?,
            events: bundle.events()?,
            lock: bundle.lock(),
            trials: trials.collect::<Result<_, BundleError>>()?,
        })
    }

    /// All trials' histograms, to be pooled by counts.
    pub fn latency(&self) -> LatencySeries {
        self.trials.iter().flat_map(|trial| trial.latency.rows().iter().cloned()).collect()
    }
}
