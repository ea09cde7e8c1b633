//! Our broker beside another program, in pairs of trials inside one run.

use plimsoll_load::CancelToken;
use plimsoll_load::payload::Payload;
use plimsoll_load::workload::Workload;
use plimsoll_results::stats::paired_ratio;
use plimsoll_results::{BundleWriter, ComparisonRow};

use super::plan::Plan;
use super::progress::Watch;
use super::trial::{self, Trial};

/// Confidence asked of intervals.
const CONFIDENCE: f64 = 0.95;

/// The trials of our side, and how they compare.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) ours: Vec<Trial>,
    pub(crate) comparisons: Vec<ComparisonRow>,
}

/// Runs the pairs. Which side of a pair runs first alternates by a seeded coin, balanced over two pairs, so that
/// drift of the machine favours neither.
pub(crate) fn measure(
    plan: &Plan,
    other: &Workload,
    payload: &Payload,
    bundle: &mut BundleWriter,
    watch: &mut Watch,
    cancel: &CancelToken,
) -> anyhow::Result<Measured> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..plan.pairs {
        for first in [true, false] {
            if cancel.is_cancelled() {
                break;
            }
            let we_run = first == ours_first(plan.workload.seed, pair);
            let (workload, name) = if we_run { (&plan.workload, "ours") } else { (other, "floor") };
            watch.label(format!("pair {} of {}, {name}", pair + 1, plan.pairs));
            let trial = trial::measure(plan, workload, payload, bundle, watch, cancel)?;
            if we_run { ours.push(trial) } else { theirs.push(trial) }
        }
    }
    let comparisons = METRICS.iter().filter_map(|metric| compare(metric, &ours, &theirs)).collect();
    Ok(Measured { ours, comparisons })
}

/// Balanced every two pairs: AB BA or BA AB.
fn ours_first(seed: u64, pair: u32) -> bool {
    let coin = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (pair / 2 % 64)) & 1 == 1;
    coin == pair.is_multiple_of(2)
}

struct Metric {
    name: &'static str,
    of: fn(&Trial) -> Option<f64>,
}

const METRICS: &[Metric] = &[
    Metric { name: "whole_path_cpu_s_per_gb", of: whole_path_cpu_s_per_gb },
    Metric { name: "broker_cpu_s_per_gb", of: broker_cpu_s_per_gb },
    Metric { name: "payload_mb_per_s", of: |trial| trial.outcome.throughput.payload_mb_per_s },
    Metric { name: "response_p50_us", of: |trial| trial.outcome.latency.quantiles.response.p50_us },
    Metric { name: "response_p99_us", of: |trial| trial.outcome.latency.quantiles.response.p99_us },
];

/// CPU seconds of both ends for each 10^9 payload bytes acknowledged.
pub(crate) fn whole_path_cpu_s_per_gb(trial: &Trial) -> Option<f64> {
    Some(broker_cpu_s_per_gb(trial)? + per_gb(trial, trial.client.as_ref()?.cpu_ns)?)
}

pub(crate) fn broker_cpu_s_per_gb(trial: &Trial) -> Option<f64> {
    per_gb(trial, trial.broker.as_ref()?.cpu_ns)
}

fn per_gb(trial: &Trial, cpu_ns: u64) -> Option<f64> {
    let bytes = trial.outcome.measured.acked_bytes;
    (bytes > 0).then(|| cpu_ns as f64 / bytes as f64)
}

fn compare(metric: &Metric, ours: &[Trial], theirs: &[Trial]) -> Option<ComparisonRow> {
    let pairs: Vec<(f64, f64)> =
        ours.iter().zip(theirs).filter_map(|(a, b)| (metric.of)(a).zip((metric.of)(b))).collect();
    let estimate = paired_ratio(&pairs, CONFIDENCE).ok()?;
    Some(ComparisonRow {
        metric: metric.name.into(),
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
    fn each_side_goes_first_once_in_two_pairs() {
        for seed in [0, 1, 42, u64::MAX] {
            for pair in (0..40).step_by(2) {
                assert_ne!(ours_first(seed, pair), ours_first(seed, pair + 1), "seed {seed}, pair {pair}");
            }
        }
    }
}
