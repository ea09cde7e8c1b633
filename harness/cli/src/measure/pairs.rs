//! Our broker beside another program, in pairs of trials inside one run.

use plimsoll_load::CancelToken;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::RunError;
use plimsoll_load::workload::Workload;
use plimsoll_results::stats::{block_order, paired_ratio};
use plimsoll_results::{BundleWriter, ComparisonRow, Status};

use super::measured::Trial;
use super::plan::Plan;
use super::progress::Watch;
use super::trial;

/// Confidence asked of intervals.
const CONFIDENCE: f64 = 0.95;

/// The trials of our side, and how they compare.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) ours: Vec<Trial>,
    pub(crate) comparisons: Vec<ComparisonRow>,
    /// What went wrong beside our trials: on the other side, or before a pair was whole.
    pub(crate) beside: Vec<(Status, String)>,
}

impl Measured {
    /// A run without pairs.
    pub(crate) fn of_one(trial: Trial) -> Self {
        Self::of_trials(vec![trial])
    }

    /// Trials whose comparison is told elsewhere.
    pub(crate) fn of_trials(ours: Vec<Trial>) -> Self {
        Self { ours, comparisons: Vec::new(), beside: Vec::new() }
    }
}

/// Runs the pairs, in random order balanced over two of them, so that drift of the machine favours neither side. Only pairs whose both trials ended well are compared; what was
/// measured before an error or a Ctrl-C is kept.
pub(crate) fn measure(
    plan: &Plan,
    other: &Workload,
    payload: &Payload,
    bundle: &mut BundleWriter,
    watch: &mut Watch,
    cancel: &CancelToken,
) -> anyhow::Result<Measured> {
    let mut measured = Measured { ours: Vec::new(), comparisons: Vec::new(), beside: Vec::new() };
    let mut whole = Vec::new();
    for pair in 0..plan.pairs {
        if cancel.is_cancelled() {
            break;
        }
        let mut sides = (None, None);
        for side in block_order(plan.workload.seed, 2, pair as usize) {
            let we_run = side == 0;
            let name = if we_run { "ours" } else { "floor" };
            watch.label(format!("pair {} of {}, {name}", pair + 1, plan.pairs));
            let trial = if we_run {
                trial::measure(plan, &plan.workload, payload, bundle.begin_trial()?, watch, cancel)
            } else {
                trial::measure(plan, other, payload, bundle.begin_other_trial()?, watch, cancel)
            };
            match trial {
                Ok(trial) if we_run => sides.0 = Some(trial),
                Ok(trial) => sides.1 = Some(trial),
                Err(error) if measured.ours.is_empty() && sides.0.is_none() => return Err(error),
                Err(error) => {
                    measured
                        .beside
                        .push((status_of(&error), format!("pair {}, {name}: {error:#}", pair + 1)));
                    break;
                }
            }
        }
        measured.take(sides, &mut whole);
        if measured.beside.iter().any(|(status, _)| *status != Status::Ok) {
            break;
        }
    }
    measured.comparisons = METRICS.iter().filter_map(|metric| compare(metric, &whole)).collect();
    Ok(measured)
}

/// The metrics of one pair, in the order of [`METRICS`]: ours and theirs.
type PairRow = Vec<Option<(f64, f64)>>;

impl Measured {
    fn take(&mut self, (ours, theirs): (Option<Trial>, Option<Trial>), whole: &mut Vec<PairRow>) {
        if let Some(theirs) = &theirs {
            let remarks = theirs.status_reasons.iter().filter(|reason| !reason.contains(NOT_VERIFIED));
            self.beside.extend(remarks.map(|reason| (theirs.status, format!("floor: {reason}"))));
        }
        let good = |trial: &Trial| trial.status == Status::Ok;
        if let (Some(ours), Some(theirs)) = (&ours, &theirs)
            && good(ours)
            && good(theirs)
        {
            whole.push(METRICS.iter().map(|metric| (metric.of)(ours).zip((metric.of)(theirs))).collect());
        }
        self.ours.extend(ours);
    }
}

/// The floor keeps no records; that it says so is no news.
const NOT_VERIFIED: &str = "this target keeps no records";

pub(crate) fn status_of(error: &anyhow::Error) -> Status {
    let cancelled = matches!(error.downcast_ref(), Some(RunError::Cancelled));
    if cancelled { Status::Aborted } else { Status::Failed }
}

struct Metric {
    name: &'static str,
    of: fn(&Trial) -> Option<f64>,
}

const METRICS: &[Metric] = &[
    Metric { name: "whole_path_cpu_s_per_gb", of: whole_path_cpu_s_per_gb },
    Metric { name: "broker_cpu_s_per_gb", of: broker_cpu_s_per_gb },
    Metric { name: "payload_mb_per_s", of: |trial| trial.throughput.payload_mb_per_s },
    Metric { name: "response_p50_us", of: |trial| trial.latency.quantiles.response.p50_us },
    Metric { name: "response_p99_us", of: |trial| trial.latency.quantiles.response.p99_us },
];

/// CPU seconds of both ends for each 10^9 payload bytes acknowledged.
pub(crate) fn whole_path_cpu_s_per_gb(trial: &Trial) -> Option<f64> {
    Some(broker_cpu_s_per_gb(trial)? + per_gb(trial, trial.client.as_ref()?.cpu_ns)?)
}

pub(crate) fn broker_cpu_s_per_gb(trial: &Trial) -> Option<f64> {
    per_gb(trial, trial.broker.as_ref()?.cpu_ns)
}

fn per_gb(trial: &Trial, cpu_ns: u64) -> Option<f64> {
    let bytes = trial.measured.acked_bytes;
    (bytes > 0).then(|| cpu_ns as f64 / bytes as f64)
}

fn compare(metric: &Metric, whole: &[PairRow]) -> Option<ComparisonRow> {
    let at = METRICS.iter().position(|known| known.name == metric.name)?;
    let pairs: Vec<(f64, f64)> = whole.iter().filter_map(|row| row.get(at).copied().flatten()).collect();
    row(metric.name, &pairs)
}

/// `pairs` are ours and theirs; the ratio is ours divided by theirs, as each entry of the row's `pairs` is.
fn row(name: &str, pairs: &[(f64, f64)]) -> Option<ComparisonRow> {
    // The estimator speaks of the second by the first.
    let theirs_first: Vec<(f64, f64)> = pairs.iter().map(|(ours, theirs)| (*theirs, *ours)).collect();
    let estimate = paired_ratio(&theirs_first, CONFIDENCE).ok()?;
    Some(ComparisonRow {
        metric: name.into(),
        against: "floor".into(),
        ratio: estimate.value,
        low: estimate.interval.map(|(low, _, _)| low),
        high: estimate.interval.map(|(_, high, _)| high),
        confidence: estimate.interval.map(|(_, _, confidence)| confidence),
        pairs: pairs.iter().map(|(a, b)| a / b).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_ours_by_theirs_like_every_pair() {
        let row = row("cpu", &[(2.0, 1.0), (2.2, 1.0), (1.8, 1.0), (2.0, 1.0), (2.1, 1.0), (1.9, 1.0)])
            .expect("a row");
        assert!((row.ratio - 2.0).abs() < 0.05, "{row:?}");
        assert!(row.pairs.iter().all(|pair| (1.7..2.3).contains(pair)), "{row:?}");
        let (low, high) = row.low.zip(row.high).expect("six pairs give an interval");
        assert!(low <= row.ratio && row.ratio <= high, "{row:?}");
    }
}
