//! What is compared: direction, smallest effect that matters, and whether it may fail a gate.

use serde::{Deserialize, Serialize};

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less is better: cost, latency.
    Lower,
    /// More is better: rates.
    Higher,
}

/// What a regression of a metric does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gating {
    /// It fails.
    Gated,
    /// It is said.
    Warn,
}

/// One compared metric. Maxima and means are never among them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricRule {
    /// Its name in results, with its unit.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Which way is good.
    pub better: Better,
    /// Smallest relative change that matters, for example 0.02.
    pub min_effect: f64,
    /// What a regression does.
    pub gating: Gating,
}

/// The metrics of a point, in the order they are shown. Eight pairs can confirm a change of one among six gated
/// metrics (2/2^8 ≤ 5 %/6) and not among seven, so there are no more.
pub const METRIC_RULES: [MetricRule; 8] = [
    rule("broker_cpu_ns_per_record", "broker CPU per record", Better::Lower, 0.02, Gating::Gated),
    rule(
        "bytes_written_per_payload_byte",
        "bytes written per payload byte",
        Better::Lower,
        0.01,
        Gating::Gated,
    ),
    rule("records_per_s", "records per second", Better::Higher, 0.03, Gating::Gated),
    rule("response_p50_us", "response p50", Better::Lower, 0.05, Gating::Gated),
    rule("response_p99_us", "response p99", Better::Lower, 0.10, Gating::Gated),
    rule("e2e_p99_us", "end-to-end p99", Better::Lower, 0.10, Gating::Gated),
    rule("response_p999_us", "response p99.9", Better::Lower, 0.15, Gating::Warn),
    rule("broker_rss_peak_bytes", "broker peak memory", Better::Lower, 0.05, Gating::Warn),
];

const fn rule(
    name: &'static str,
    title: &'static str,
    better: Better,
    min_effect: f64,
    gating: Gating,
) -> MetricRule {
    MetricRule { name, title, better, min_effect, gating }
}

impl MetricRule {
    /// The rule of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        METRIC_RULES.iter().find(|rule| rule.name == name)
    }

    /// Whether a regression of it fails.
    pub fn is_gated(&self) -> bool {
        self.gating == Gating::Gated
    }

    /// A log ratio turned so that positive is worse.
    pub fn worse(&self, log_ratio: f64) -> f64 {
        match self.better {
            Better::Lower => log_ratio,
            Better::Higher => -log_ratio,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{ALPHA, PrecisionRule};

    #[test]
    fn b5_the_first_pairs_can_confirm_a_change_of_one_gated_metric() {
        let gated = METRIC_RULES.iter().filter(|rule| rule.is_gated()).count();
        let smallest_p = 2.0 / 2f64.powi(i32::try_from(PrecisionRule::DEFAULT.min).unwrap());
        assert!(smallest_p <= ALPHA / gated as f64, "{gated} gated metrics");
    }

    #[test]
    fn b5_no_maximum_and_no_mean_is_compared() {
        assert!(METRIC_RULES.iter().all(|rule| !rule.name.contains("max") && !rule.name.contains("mean")));
    }
}
