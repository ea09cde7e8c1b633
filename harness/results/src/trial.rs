//! `trials/NNNN/trial.json`: one trial as comparisons see it, one number per metric.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::series::{LatencySeries, Metric, Phase};
use crate::stats::{SHIFT_PERCENTILES, ShiftQuantiles};
use crate::status::Status;
use crate::verdict::Verdict;

/// The schema this version writes. Readers accept every `trial/1.x`.
pub const TRIAL_SCHEMA: &str = "trial/1.0";

/// One trial: the unit of inference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialSummary {
    /// `trial/1.0`.
    pub schema: String,
    /// Completion and verification.
    pub status: Status,
    /// Why it is not `ok`, and remarks when it is.
    pub status_reasons: Vec<String>,
    /// What the generator says of itself.
    pub verdicts: Vec<Verdict>,
    /// By the names of [`crate::stats::METRIC_RULES`]; what was not measured is absent.
    pub metrics: BTreeMap<String, f64>,
    /// Response time in microseconds by percentile (`"50"`, `"99.9"`); one with too few samples is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub response_us: BTreeMap<String, f64>,
}

impl TrialSummary {
    /// A trial without figures yet.
    pub fn new(status: Status, status_reasons: Vec<String>, verdicts: Vec<Verdict>) -> Self {
        let (metrics, response_us) = Default::default();
        Self { schema: TRIAL_SCHEMA.to_owned(), status, status_reasons, verdicts, metrics, response_us }
    }

    /// Keeps a metric if it was measured.
    pub fn put(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.metrics.insert(name.to_owned(), value);
        }
    }

    /// Reads latencies from the trial's histograms: the compared quantiles and those of the shift function.
    pub fn put_latencies(&mut self, series: &LatencySeries) {
        let response = series.pooled(&Metric::Response, Phase::Measure);
        self.put("response_p50_us", response.percentile_us(50.0));
        self.put("response_p99_us", response.percentile_us(99.0));
        self.put("response_p999_us", response.percentile_us(99.9));
        let e2e = series.pooled(&Metric::EndToEnd, Phase::Measure);
        self.put("e2e_p99_us", e2e.percentile_us(99.0));
        for percent in SHIFT_PERCENTILES {
            if let Some(value) = response.percentile_us(percent) {
                self.response_us.insert(percent.to_string(), value);
            }
        }
    }

    /// Its response quantiles for the shift function.
    pub fn shift_quantiles(&self) -> ShiftQuantiles {
        SHIFT_PERCENTILES.iter().map(|percent| self.response_us.get(&percent.to_string()).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Histogram, LatencyInterval};

    #[test]
    fn quantiles_that_too_little_stands_behind_are_absent() {
        let mut series = LatencySeries::default();
        for second in 0..10 {
            let mut histogram = Histogram::new();
            histogram.record_n_ns(2_000_000, 1_000);
            let (at_ns, len_ns) = (second * 1_000_000_000, 1_000_000_000);
            let (phase, metric) = (Phase::Measure, Metric::Response);
            series.push(LatencyInterval { at_ns, len_ns, phase, metric, histogram });
        }
        let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
        trial.put_latencies(&series);
        assert!((trial.metrics["response_p99_us"] - 2_000.0).abs() < 3.0);
        assert!(!trial.metrics.contains_key("response_p999_us") && !trial.metrics.contains_key("e2e_p99_us"));
        let shift = trial.shift_quantiles();
        assert!(shift[0].is_some() && shift[10].is_some() && shift[11].is_none(), "{shift:?}");
    }
}
