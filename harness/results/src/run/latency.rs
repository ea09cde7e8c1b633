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
