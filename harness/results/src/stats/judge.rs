//! From trials to verdicts: the evidence of each metric, Holm over the gated ones of a point, one word each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::metric::MetricRule;
use super::planning::Precision;
use super::unpaired::unpaired_shift;
use super::wilcoxon::{
    Estimate, StatsError, hodges_lehmann, log_ratios, signed_rank_interval, signed_rank_p,
};

/// How often a comparison of equal things may be wrong.
pub const ALPHA: f64 = 0.05;

/// What the trials say about one metric, on the log scale: `ln(b / a)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Hodges–Lehmann estimate.
    pub effect: f64,
    /// Interval and the confidence that it has, at least 95 %; absent when there are too few trials.
    pub interval: Option<(f64, f64, f64)>,
    /// Two-sided p of no effect, from the same ranks as the interval.
    pub p_value: f64,
    /// Pairs, or trials of the smaller sample.
    pub pairs: usize,
    /// The ratio of each pair in the order they ran; empty without pairs.
    pub ratios: Vec<f64>,
}

impl Evidence {
    /// Of pairs `(a, b)`.
    ///
    /// # Errors
    /// [`StatsError`] when there is no pair, or one without a ratio.
    pub fn paired(pairs: &[(f64, f64)]) -> Result<Self, StatsError> {
        let logs = log_ratios(pairs)?;
        Ok(Self {
            effect: hodges_lehmann(&logs).ok_or(StatsError::Empty)?,
            interval: signed_rank_interval(&logs, 1.0 - ALPHA),
            p_value: signed_rank_p(&logs),
            pairs: logs.len(),
            ratios: pairs.iter().map(|(a, b)| b / a).collect(),
        })
    }

    /// Of two samples that were not taken in pairs.
    ///
    /// # Errors
    /// As [`Evidence::paired`]; the number is then the trial's.
    pub fn unpaired(a: &[f64], b: &[f64]) -> Result<Self, StatsError> {
        let of_one =
            |values: &[f64]| log_ratios(&values.iter().map(|value| (1.0, *value)).collect::<Vec<_>>());
        let (a, b) = (of_one(a)?, of_one(b)?);
        let (estimate, p_value) = unpaired_shift(&a, &b, 1.0 - ALPHA).ok_or(StatsError::Empty)?;
        let Estimate { value: effect, interval, pairs } = estimate;
        Ok(Self { effect, interval, p_value, pairs, ratios: Vec::new() })
    }

    /// How well the effect is known.
    pub fn precision(&self, min_effect: f64) -> Precision {
        Precision { half_width: self.interval.map(|(low, high, _)| (high - low) / 2.0), min_effect }
    }
}

/// What is said about a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComparisonVerdict {
    /// Worse for certain, by at least the smallest effect that matters.
    Regressed,
    /// Better for certain, by at least that.
    Improved,
    /// The whole interval is within the smallest effect that matters.
    Equivalent,
    /// Different for certain, by less than that.
    ChangedSmall,
    /// More pairs are needed.
    Inconclusive,
}

impl ComparisonVerdict {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "REGRESSED",
            Self::Improved => "IMPROVED",
            Self::Equivalent => "EQUIVALENT",
            Self::ChangedSmall => "CHANGED-SMALL",
            Self::Inconclusive => "INCONCLUSIVE",
        }
    }
}

impl fmt::Display for ComparisonVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One metric of a point, to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// What it is.
    pub rule: &'static MetricRule,
    /// Smallest relative effect that matters here: the rule's, or wider on a machine that resolves less.
    pub min_effect: f64,
    /// What the trials say.
    pub evidence: Evidence,
}

/// A verdict and, where there is none, how many more pairs would probably give one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// The word.
    pub verdict: ComparisonVerdict,
    /// More pairs wanted; `None` unless inconclusive.
    pub pairs_needed: Option<usize>,
}

/// Judges the metrics of one point, in their order. A change of a gated metric counts only when it passes Holm over
/// all gated metrics; the others cannot fail anything and are judged one by one. "Equivalent" is read from the plain
/// interval.
pub fn judge_point(candidates: &[Candidate]) -> Vec<Judgement> {
    let gated = candidates.iter().filter(|one| one.rule.is_gated());
    let p_values: Vec<f64> = gated.map(|one| one.evidence.p_value).collect();
    let mut passed = holm(&p_values, ALPHA).into_iter();
    let strictest = ALPHA / p_values.len().max(1) as f64;
    let judged = candidates.iter().map(|one| match one.rule.is_gated() {
        true => judge(one, passed.next() == Some(true), strictest),
        false => judge(one, true, ALPHA),
    });
    judged.collect()
}

fn judge(one: &Candidate, confirmed: bool, level: f64) -> Judgement {
    let verdict = verdict(one, confirmed);
    let Evidence { pairs, effect, .. } = one.evidence;
    let needed = || one.evidence.precision(one.min_effect).pairs_needed(pairs, effect, level);
    Judgement { verdict, pairs_needed: (verdict == ComparisonVerdict::Inconclusive).then(needed) }
}

fn verdict(one: &Candidate, confirmed: bool) -> ComparisonVerdict {
    use ComparisonVerdict::{ChangedSmall, Equivalent, Improved, Inconclusive, Regressed};
    let Some((low, high, _)) = one.evidence.interval else { return Inconclusive };
    let (worse, matters) = (one.rule.worse(one.evidence.effect), one.min_effect.ln_1p());
    let changed = confirmed && (low > 0.0 || high < 0.0);
    match changed {
        true if worse >= matters => Regressed,
        true if worse <= -matters => Improved,
        _ if low > -matters && high < matters => Equivalent,
        true => ChangedSmall,
        false => Inconclusive,
    }
}

/// Which hypotheses fall under Holm's step-down procedure at family-wise level `alpha`, in their order.
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut fallen = vec![false; p_values.len()];
    for (rank, at) in order.into_iter().enumerate() {
        if p_values[at] > alpha / (p_values.len() - rank) as f64 {
            break;
        }
        fallen[at] = true;
    }
    fallen
}

#[cfg(test)]
mod tests {
    use super::ComparisonVerdict::*;
    use super::*;

    fn candidate(name: &str, interval: (f64, f64)) -> Candidate {
        let rule = MetricRule::named(name).unwrap();
        let (low, high) = interval;
        let evidence = Evidence {
            effect: f64::midpoint(low, high),
            interval: Some((low, high, 0.95)),
            p_value: if low > 0.0 || high < 0.0 { 0.007 } else { 0.5 },
            pairs: 8,
            ratios: Vec::new(),
        };
        Candidate { rule, min_effect: rule.min_effect, evidence }
    }

    fn word(name: &str, low: f64, high: f64) -> ComparisonVerdict {
        judge_point(&[candidate(name, (low, high))])[0].verdict
    }

    #[test]
    fn b5_every_verdict_by_where_the_interval_lies() {
        // CPU per record: 2 % matters, less is better.
        let cpu = |low, high| word("broker_cpu_ns_per_record", low, high);
        assert_eq!(cpu(0.03, 0.06), Regressed);
        assert_eq!(cpu(0.001, 0.06), Regressed);
        assert_eq!(cpu(-0.06, -0.03), Improved);
        assert_eq!(cpu(-0.01, 0.012), Equivalent);
        assert_eq!(cpu(0.002, 0.018), Equivalent);
        assert_eq!(cpu(0.002, 0.022), ChangedSmall);
        assert_eq!(cpu(-0.01, 0.03), Inconclusive);
        assert_eq!(cpu(-0.005, 0.09), Inconclusive);
        // Records per second: more is better.
        assert_eq!(word("records_per_s", -0.08, -0.04), Regressed);
        assert_eq!(word("records_per_s", 0.04, 0.08), Improved);
    }

    #[test]
    fn b5_too_few_pairs_are_inconclusive_and_say_how_many_are_missing() {
        let evidence = Evidence::paired(&[(1.0, 1.5); 5]).unwrap();
        let rule = MetricRule::named("response_p50_us").unwrap();
        let judged = judge_point(&[Candidate { rule, min_effect: rule.min_effect, evidence }]);
        assert_eq!(judged, [Judgement { verdict: Inconclusive, pairs_needed: Some(4) }]);
    }

    #[test]
    fn b5_holm_steps_down_and_stops_at_the_first_that_stands() {
        assert_eq!(holm(&[0.04, 0.01, 0.03], 0.05), [false, true, false]);
        assert_eq!(holm(&[0.02, 0.01, 0.04], 0.05), [true, true, true]);
        assert_eq!(holm(&[0.02, 0.001], 0.05), [true, true]);
        assert_eq!(holm(&[], 0.05), [false; 0]);
    }

    #[test]
    fn b5_one_of_many_gated_metrics_must_be_clearer_than_one_alone() {
        let mut shaky = candidate("broker_cpu_ns_per_record", (0.001, 0.06));
        shaky.evidence.p_value = 0.03;
        assert_eq!(judge_point(&[shaky.clone()])[0].verdict, Regressed);
        let still = candidate("response_p50_us", (-0.01, 0.01));
        let words: Vec<_> = judge_point(&[shaky, still]).iter().map(|judged| judged.verdict).collect();
        assert_eq!(words, [Inconclusive, Equivalent]);
    }

    #[test]
    fn what_only_warns_takes_no_share_of_the_level() {
        let gated = Candidate {
            evidence: Evidence { p_value: 0.04, ..candidate("records_per_s", (-0.08, -0.04)).evidence },
            ..candidate("records_per_s", (-0.08, -0.04))
        };
        let warns = candidate("broker_rss_peak_bytes", (-0.2, 0.2));
        assert_eq!(judge_point(&[gated, warns])[0].verdict, Regressed);
    }

    #[test]
    fn unpaired_trials_are_judged_the_same_way() {
        let (a, b): (Vec<f64>, Vec<f64>) =
            (1..=8).map(|i| (100.0 + f64::from(i), 110.0 + f64::from(i))).unzip();
        let evidence = Evidence::unpaired(&a, &b).unwrap();
        assert!((evidence.effect.exp() - 1.095).abs() < 0.005 && evidence.ratios.is_empty(), "{evidence:?}");
        let rule = MetricRule::named("broker_cpu_ns_per_record").unwrap();
        let judged = judge_point(&[Candidate { rule, min_effect: rule.min_effect, evidence }]);
        assert_eq!(judged[0].verdict, Regressed);
        assert!(Evidence::unpaired(&[0.0], &b).is_err());
    }

    #[test]
    fn the_word_stored_is_the_word_shown() {
        for verdict in [Regressed, Improved, Equivalent, ChangedSmall, Inconclusive] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.to_string().to_lowercase());
        }
    }
}
