//! One arm against the first, metric by metric.

use serde::{Deserialize, Serialize};

use crate::stats::{Better, ComparisonVerdict, Gating};

/// One arm against the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct ArmComparison {
    /// The arm.
    pub arm: String,
    /// The arm it is divided by.
    pub against: String,
    /// The word over its gated metrics: regressed if any did, else inconclusive if any is, else changed-small, improved,
    /// equivalent. `null` when no gated metric was measured.
    pub verdict: Option<ComparisonVerdict>,
    /// Every metric that both arms have.
    pub metrics: Vec<MetricComparison>,
    /// Metrics without a comparison, and why.
    pub left_out: Vec<LeftOut>,
    /// How each quantile of the response time moved; empty without pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shift: Vec<ShiftPoint>,
}

/// One metric of one arm against the first. Ratios are this arm divided by the first one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricComparison {
    /// Its name with its unit, for example `broker_cpu_ns_per_record`.
    pub metric: String,
    /// Which way is good.
    pub better: Better,
    /// Whether a regression of it fails.
    pub gating: Gating,
    /// Smallest relative change that matters, for example 0.02.
    pub min_effect: f64,
    /// Median over the first arm's trials. For orientation; the ratio does not come from it.
    pub against_median: f64,
    /// Median over this arm's trials.
    pub arm_median: f64,
    /// Hodges–Lehmann ratio.
    pub ratio: f64,
    /// Lower end of the ratio's interval; `null` with too few trials.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
    /// Confidence that the interval really has, 0 to 1.
    pub confidence: Option<f64>,
    /// Two-sided p of no difference, before Holm.
    pub p_value: f64,
    /// What may be said.
    pub verdict: ComparisonVerdict,
    /// About how many more pairs would give a verdict; `null` when there is one.
    pub pairs_needed: Option<usize>,
    /// Pairs, or trials of the smaller sample.
    pub pairs: usize,
    /// The ratio of each pair in the order they ran; empty without pairs.
    pub ratios: Vec<f64>,
    /// Pairs in which this arm was better.
    pub wins: usize,
    /// Pairs in which it was worse.
    pub losses: usize,
    /// Bootstrap interval of the ratio, as a cross-check from 30 pairs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<[f64; 2]>,
}

/// A metric that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub metric: String,
    /// Why.
    pub reason: String,
}

/// One quantile of the response time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShiftPoint {
    /// 10 to 99.9.
    pub percentile: f64,
    /// Hodges–Lehmann ratio of the trials' quantiles.
    pub ratio: f64,
    /// Interval of it.
    pub low: Option<f64>,
    /// Interval of it.
    pub high: Option<f64>,
}

impl ArmComparison {
    /// The word over several: the one that most needs to be heard.
    pub(crate) fn worst(verdicts: impl Iterator<Item = ComparisonVerdict>) -> Option<ComparisonVerdict> {
        verdicts.min_by_key(|verdict| match verdict {
            ComparisonVerdict::Regressed => 0,
            ComparisonVerdict::Inconclusive => 1,
            ComparisonVerdict::ChangedSmall => 2,
            ComparisonVerdict::Improved => 3,
            ComparisonVerdict::Equivalent => 4,
        })
    }
}

impl MetricComparison {
    /// Whether a regression of it fails.
    pub fn is_gated(&self) -> bool {
        self.gating == Gating::Gated
    }
}
