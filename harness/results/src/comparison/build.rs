//! From trials to one arm's comparison. Pure: the same trials give the same document.

use std::collections::BTreeMap;

use super::metric::{ArmComparison, LeftOut, MetricComparison, ShiftPoint};
use crate::stats::{
    ALPHA, BOOTSTRAP_RESAMPLES, Candidate, Evidence, METRIC_RULES, MetricRule, Precision, StatsError,
    bca_interval, judge_point, shift_function,
};
use crate::trial::TrialSummary;

/// The trials of two arms, the first arm first.
#[derive(Debug, Clone, Copy)]
pub enum Trials<'a> {
    /// Taken beside each other.
    Paired(&'a [(TrialSummary, TrialSummary)]),
    /// Taken at different times.
    Unpaired(&'a [TrialSummary], &'a [TrialSummary]),
}

/// Smallest effects wider than the rules', by metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MinEffects(BTreeMap<String, f64>);

impl MinEffects {
    /// Widens the smallest effect of a metric; a narrower one changes nothing.
    pub fn widen(&mut self, metric: &str, effect: f64) {
        self.0.insert(metric.to_owned(), effect);
    }

    /// What matters here.
    pub fn of(&self, rule: &MetricRule) -> f64 {
        self.0.get(rule.name).copied().unwrap_or_default().max(rule.min_effect)
    }
}

/// Compares two arms. Names are the caller's to fill in; `seed` is the bootstrap's.
pub fn compare(trials: Trials<'_>, min_effects: &MinEffects, seed: u64) -> ArmComparison {
    let mut candidates = Vec::new();
    let mut left_out = Vec::new();
    for rule in &METRIC_RULES {
        match evidence(trials, rule.name) {
            Ok(evidence) => candidates.push(Candidate { rule, min_effect: min_effects.of(rule), evidence }),
            Err(reason) => left_out.push(LeftOut { metric: rule.name.to_owned(), reason }),
        }
    }
    let judged = judge_point(&candidates);
    let metrics: Vec<_> = candidates
        .iter()
        .zip(judged)
        .map(|(one, judgement)| {
            let medians = medians(trials, one.rule.name);
            MetricComparison {
                verdict: judgement.verdict,
                pairs_needed: judgement.pairs_needed,
                ..row(one, medians, seed)
            }
        })
        .collect();
    let verdict = ArmComparison::worst(metrics.iter().filter(|row| row.is_gated()).map(|row| row.verdict));
    ArmComparison { verdict, metrics, left_out, shift: shift(trials), ..ArmComparison::default() }
}

impl ArmComparison {
    /// How well each gated metric is known: what the stopping rule looks at.
    pub fn precision(&self) -> Vec<Precision> {
        let gated = self.metrics.iter().filter(|row| row.is_gated());
        gated
            .map(|row| {
                let ends = row.low.zip(row.high);
                let half_width = ends.map(|(low, high)| (high.ln() - low.ln()) / 2.0);
                Precision { half_width, min_effect: row.min_effect }
            })
            .collect()
    }
}

fn evidence(trials: Trials<'_>, metric: &str) -> Result<Evidence, String> {
    let (a, b) = values(trials, metric);
    if a.is_empty() || b.is_empty() {
        return Err("not measured, or too few samples in a trial".to_owned());
    }
    let evidence = match trials {
        Trials::Paired(_) => Evidence::paired(&a.into_iter().zip(b).collect::<Vec<_>>()),
        Trials::Unpaired(..) => Evidence::unpaired(&a, &b),
    };
    evidence.map_err(|error| match error {
        StatsError::NoRatio { .. } => "zero in some trial, which has no ratio".to_owned(),
        StatsError::Empty => error.to_string(),
    })
}

/// The values of both arms. Of pairs only those count in which both arms have one; if that is less than half of
/// them, none does.
fn values(trials: Trials<'_>, metric: &str) -> (Vec<f64>, Vec<f64>) {
    let of = |trial: &TrialSummary| trial.metrics.get(metric).copied();
    match trials {
        Trials::Paired(pairs) => {
            let whole: Vec<_> = pairs.iter().filter_map(|(a, b)| of(a).zip(of(b))).collect();
            if 2 * whole.len() < pairs.len() { Default::default() } else { whole.into_iter().unzip() }
        }
        Trials::Unpaired(a, b) => (a.iter().filter_map(of).collect(), b.iter().filter_map(of).collect()),
    }
}

fn medians(trials: Trials<'_>, metric: &str) -> (f64, f64) {
    let (a, b) = values(trials, metric);
    (median(a), median(b))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
        (Some(upper), _) => *upper,
        (None, _) => f64::NAN,
    }
}

fn row(one: &Candidate, (against_median, arm_median): (f64, f64), seed: u64) -> MetricComparison {
    let Evidence { effect, interval, p_value, pairs, ratios } = &one.evidence;
    let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
    let bootstrap = bca_interval(&logs, 1.0 - ALPHA, BOOTSTRAP_RESAMPLES, seed);
    let worse = logs.iter().map(|log| one.rule.worse(*log));
    MetricComparison {
        metric: one.rule.name.to_owned(),
        better: one.rule.better,
        gating: one.rule.gating,
        min_effect: one.min_effect,
        against_median,
        arm_median,
        ratio: effect.exp(),
        low: interval.map(|(low, _, _)| low.exp()),
        high: interval.map(|(_, high, _)| high.exp()),
        confidence: interval.map(|(_, _, confidence)| confidence),
        p_value: *p_value,
        verdict: crate::stats::ComparisonVerdict::Inconclusive,
        pairs_needed: None,
        pairs: *pairs,
        wins: worse.clone().filter(|worse| *worse < 0.0).count(),
        losses: worse.filter(|worse| *worse > 0.0).count(),
        bootstrap: bootstrap.map(|(low, high)| [low.exp(), high.exp()]),
        ratios: ratios.clone(),
    }
}

fn shift(trials: Trials<'_>) -> Vec<ShiftPoint> {
    let Trials::Paired(pairs) = trials else { return Vec::new() };
    let quantiles: Vec<_> = pairs.iter().map(|(a, b)| (a.shift_quantiles(), b.shift_quantiles())).collect();
    let known = shift_function(&quantiles).into_iter();
    known
        .filter_map(|(percentile, evidence)| {
            let evidence = evidence?;
            let (low, high) = (evidence.interval.map(|i| i.0.exp()), evidence.interval.map(|i| i.1.exp()));
            Some(ShiftPoint { percentile, ratio: evidence.effect.exp(), low, high })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::ComparisonVerdict;
    use crate::status::Status;

    fn trial(cpu_ns: f64, written: f64) -> TrialSummary {
        let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
        trial.put("broker_cpu_ns_per_record", Some(cpu_ns));
        trial.put("bytes_written_per_payload_byte", Some(written));
        trial
    }

    fn pairs(count: u32, slower_by: f64) -> Vec<(TrialSummary, TrialSummary)> {
        let noise = |i: u32| 1.0 + f64::from(i % 5) * 0.001;
        (0..count)
            .map(|i| (trial(1_000.0 * noise(i), 0.0), trial(1_000.0 * slower_by * noise(3 * i + 1), 0.0)))
            .collect()
    }

    #[test]
    fn five_percent_more_cpu_regresses_and_what_has_no_ratio_is_left_out_with_its_reason() {
        let found = compare(Trials::Paired(&pairs(8, 1.05)), &MinEffects::default(), 1);
        let [cpu] = &found.metrics[..] else { panic!("{found:?}") };
        assert_eq!((found.verdict, cpu.losses), (Some(ComparisonVerdict::Regressed), 8));
        assert!((cpu.ratio - 1.05).abs() < 0.01 && cpu.low > Some(1.02) && cpu.pairs == 8, "{cpu:?}");
        let written = &found.left_out[0];
        assert!(written.metric == "bytes_written_per_payload_byte" && written.reason.contains("zero"));
        assert_eq!(found.left_out.len(), METRIC_RULES.len() - 1);
    }

    #[test]
    fn a_machine_that_resolves_less_is_told_less() {
        let mut wide = MinEffects::default();
        wide.widen("broker_cpu_ns_per_record", 0.08);
        wide.widen("records_per_s", 0.001);
        let found = compare(Trials::Paired(&pairs(8, 1.05)), &wide, 1);
        assert_eq!(found.metrics[0].verdict, ComparisonVerdict::Equivalent);
        assert_eq!(wide.of(MetricRule::named("records_per_s").unwrap()), 0.03);
    }

    #[test]
    fn equal_arms_are_equivalent_and_precise() {
        let found = compare(Trials::Paired(&pairs(8, 1.0)), &MinEffects::default(), 1);
        assert_eq!(found.verdict, Some(ComparisonVerdict::Equivalent));
        assert!(found.precision().iter().all(Precision::suffices));
    }

    #[test]
    fn thirty_pairs_bring_the_cross_check_and_unpaired_trials_no_ratios() {
        let many = pairs(30, 1.05);
        let [low, high] =
            compare(Trials::Paired(&many), &MinEffects::default(), 1).metrics[0].bootstrap.unwrap();
        assert!(low > 1.04 && high < 1.06, "{low} {high}");
        let (a, b): (Vec<_>, Vec<_>) = pairs(8, 1.05).into_iter().unzip();
        let found = compare(Trials::Unpaired(&a, &b), &MinEffects::default(), 1);
        assert!(found.metrics[0].ratios.is_empty() && found.shift.is_empty());
        assert_eq!(found.verdict, Some(ComparisonVerdict::Regressed));
    }

    #[test]
    fn nothing_measured_is_no_verdict() {
        let found = compare(Trials::Unpaired(&[], &[]), &MinEffects::default(), 1);
        assert_eq!((found.verdict, found.left_out.len()), (None, METRIC_RULES.len()));
    }
}
