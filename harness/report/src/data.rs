//! What a page needs from stored results, read once.

use std::collections::BTreeSet;

use plimsoll_results::{
    Bundle, BundleError, ComparisonDocument, Composite, CompositeDocument, Event, FindDocument, IntervalRow,
    LatencySeries, Machine, Metric, Phase, Pooled, RunDocument, SweepDocument, VerifyDocument,
};

use crate::units::count;

/// A run ready to be drawn. Build it from a bundle, or by hand from what is still in memory.
#[derive(Debug, Clone)]
pub struct ReportData {
    /// What it is called where several are shown; see [`name_apart`].
    pub name: String,
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

/// A result that is made of runs, ready to be drawn.
#[derive(Debug, Clone)]
pub struct CompositeData<D> {
    /// What was found.
    pub document: D,
    /// The machine.
    pub machine: Option<Machine>,
    /// The runs that are stored with it, under the names that it gives them.
    pub runs: Vec<ReportData>,
}

/// A comparison, with the runs of its arms.
pub type ComparisonData = CompositeData<ComparisonDocument>;
/// A sweep, with the runs of its points.
pub type SweepData = CompositeData<SweepDocument>;
/// A search, with the runs at parts of the rate.
pub type FindData = CompositeData<FindDocument>;

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
        let document = bundle.document().clone();
        Ok(Self {
            name: document.workload.clone().unwrap_or_else(|| document.id.clone()),
            document,
            machine: bundle.machine()?,
            events: bundle.events()?,
            lock: bundle.lock(),
            trials: trials.collect::<Result<_, BundleError>>()?,
        })
    }

    /// One kind of latency in one phase, all trials pooled by counts.
    pub fn pooled<'a>(&'a self, metric: &'a Metric, phase: Phase) -> Pooled<'a> {
        let rows = self.trials.iter().flat_map(|trial| trial.latency.of(metric));
        Pooled::new(rows.filter(|row| row.phase == phase).map(|row| &row.histogram))
    }
}

impl<D: CompositeDocument + Clone> CompositeData<D> {
    /// Reads the document and its runs.
    pub fn from_stored(stored: &Composite<D>) -> Result<Self, BundleError> {
        let runs = stored
            .runs()?
            .into_iter()
            .map(|(name, bundle)| Ok(ReportData { name, ..ReportData::from_bundle(&bundle)? }));
        Ok(Self {
            document: stored.document().clone(),
            machine: stored.machine()?,
            runs: runs.collect::<Result<_, BundleError>>()?,
        })
    }
}

/// Names runs by what is different between them; by their ids where nothing is.
pub fn name_apart(runs: &mut [ReportData]) {
    let names = differences(runs, |document| {
        let mut facets = system_facets(document);
        facets.push(document.load.target_rate.map_or_else(String::new, |rate| format!("{}/s", count(rate))));
        facets
    });
    let unique = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    for (run, name) in runs.iter_mut().zip(names) {
        run.name = if unique && !name.is_empty() { name } else { run.document.id.clone() };
    }
}

/// What tells the systems of runs apart, leaving aside the rate: the same text for those on one line of a chart.
pub(crate) fn same_but_for_the_rate(runs: &[ReportData]) -> Vec<String> {
    differences(runs, system_facets)
}

fn system_facets(document: &RunDocument) -> Vec<String> {
    let (arm, durability) = (&document.arm, &document.durability);
    let version = arm.version.as_deref().unwrap_or_default();
    vec![
        document.workload.clone().unwrap_or_default(),
        format!("{} {version}", arm.system).trim_end().to_owned(),
        arm.backend.clone().unwrap_or_default(),
        format!("acks={}", durability.acks),
        format!("rf {}", durability.rf),
        durability.durability.map_or_else(String::new, |mode| mode.as_str().to_owned()),
        durability.flush.as_ref().map_or_else(String::new, |flush| format!("flush {flush}")),
    ]
}

/// Of each run's facets those that not all runs share.
fn differences(runs: &[ReportData], facets: impl Fn(&RunDocument) -> Vec<String>) -> Vec<String> {
    let all: Vec<Vec<String>> = runs.iter().map(|run| facets(&run.document)).collect();
    let differs =
        |at: usize| all.iter().any(|one| one.get(at) != all.first().and_then(|first| first.get(at)));
    let name = |of: &Vec<String>| {
        let told = of.iter().enumerate().filter(|(at, text)| differs(*at) && !text.is_empty());
        told.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(", ")
    };
    all.iter().map(name).collect()
}
