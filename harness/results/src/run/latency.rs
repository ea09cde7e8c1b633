//! Latency quantiles of the measured phase.

use serde::{Deserialize, Serialize};

use crate::pooled::Quantile;
use crate::series::{LatencySeries, Metric, Phase};

/// Quantiles and what could not be counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Latency {
    /// By kind of latency.
    pub quantiles: Quantiles,
    /// Latencies beyond an hour. Not in the quantiles; a run with any is not `ok`.
    #[serde(default)]
    pub overflow: u64,
    /// Latencies that ran backwards. Not in the quantiles; a run with any is not `ok`.
    #[serde(default)]
    pub negative: u64,
}

/// One row per kind of latency. A kind that was not measured has `n = 0` and nulls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Quantiles {
    /// Acknowledgement minus intended send time: the headline.
    pub response: QuantileSet,
    /// Acknowledgement minus actual send.
    pub service: QuantileSet,
    /// Delivery to the consumer minus intended send time.
    pub e2e: QuantileSet,
    /// Actual minus intended send time: linger, waiting for a buffer, retries, and the generator's own lateness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<QuantileSet>,
    /// Oversleep of an idle thread: no figure may claim less than the platform's own hiccups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hiccup: Option<QuantileSet>,
}

/// Quantiles in microseconds. `null` when fewer than 100 samples, or samples of fewer than 10 intervals, lie
/// beyond one. Only a [`Pooled`](crate::Pooled) histogram makes these.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct QuantileSet {
    /// Median.
    pub p50_us: Option<f64>,
    /// 90 %.
    pub p90_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// 99.99 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p9999_us: Option<f64>,
    /// Largest value seen; shown, never compared.
    pub max_us: Option<f64>,
    /// Samples.
    pub n: u64,
}

impl QuantileSet {
    /// One of them, in microseconds.
    pub fn get(&self, quantile: Quantile) -> Option<f64> {
        match quantile {
            Quantile::P50 => self.p50_us,
            Quantile::P90 => self.p90_us,
            Quantile::P99 => self.p99_us,
            Quantile::P999 => self.p999_us,
            Quantile::P9999 => self.p9999_us,
        }
    }
}

impl Latency {
    /// Quantiles that claim less than an idle thread waits at the same quantile on this machine: the platform decides
    /// them and not the target (measuring reference, B1). In words, such as `service p99: 80 µs (hiccups 120 µs)`.
    pub fn below_hiccups(&self) -> Vec<String> {
        let Some(hiccup) = &self.quantiles.hiccup else { return Vec::new() };
        let Quantiles { response, service, e2e, .. } = &self.quantiles;
        let kinds = [("response", response), ("service", service), ("end-to-end", e2e)];
        let below = kinds.into_iter().flat_map(|(kind, set)| {
            Quantile::ALL.into_iter().filter_map(move |quantile| {
                let (value, floor) = (set.get(quantile)?, hiccup.get(quantile)?);
                let name = quantile.label();
                (value < floor).then(|| format!("{kind} {name}: {value:.0} µs (hiccups {floor:.0} µs)"))
            })
        });
        below.collect()
    }

    /// Reads the quantiles of the measured phase from the intervals of one trial or of several.
    pub fn of(series: &LatencySeries) -> Self {
        let set = |metric: Metric| series.pooled(&metric, Phase::Measure).quantiles();
        let some = |metric: Metric| Some(set(metric)).filter(|set| set.n > 0);
        let (overflow, negative) = series.uncounted(Phase::Measure);
        Self {
            quantiles: Quantiles {
                response: set(Metric::Response),
                service: set(Metric::Service),
                e2e: set(Metric::EndToEnd),
                schedule: some(Metric::Schedule),
                hiccup: some(Metric::Hiccup),
            },
            overflow,
            negative,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_no_quantile_claims_less_than_the_platforms_own_hiccups_unremarked() {
        let set = |p50, p99| QuantileSet { p50_us: Some(p50), p99_us: p99, n: 9, ..QuantileSet::default() };
        let quantiles = Quantiles {
            response: set(700.0, Some(2_000.0)),
            service: set(90.0, Some(110.0)),
            e2e: set(700.0, None),
            hiccup: Some(set(60.0, Some(120.0))),
            ..Quantiles::default()
        };
        let latency = Latency { quantiles, ..Latency::default() };
        assert_eq!(latency.below_hiccups(), ["service p99: 110 µs (hiccups 120 µs)"]);
        let mut unmeasured = latency;
        unmeasured.quantiles.hiccup = None;
        assert_eq!(unmeasured.below_hiccups(), [""; 0]);
    }
}
