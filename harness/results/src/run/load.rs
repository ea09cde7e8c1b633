//! What the generator was asked for, what it did, and the rate that came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::latency::QuantileSet;
use crate::verdict::Verdict;

/// Below these no rate is computed: a rate from one short write is an extrapolation.
const MIN_RATE_SECONDS: f64 = 1.0;
const MIN_RATE_RECORDS: u64 = 1000;

/// The generator's side of the run, over the measured phase of all trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Load {
    /// Open loop (latency from the intended time) or closed loop.
    pub mode: LoadMode,
    /// Records per second asked for; `null` in a closed loop.
    pub target_rate: Option<f64>,
    /// Records per second acknowledged.
    pub achieved_rate: Option<f64>,
    /// Records sent.
    pub sent: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records whose time had come but that were never sent.
    pub unsent: u64,
    /// What the generator says of itself.
    pub verdicts: Vec<Verdict>,
    /// Records whose intended time fell into the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended: Option<u64>,
    /// Failed requests by Kafka's error name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// Requests sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    /// Records sent again in the whole run, by a driver that counts those and not requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_resent: Option<u64>,
    /// Send time minus intended time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_delay: Option<QuantileSet>,
    /// Busiest generator core, percent of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_cpu_pct: Option<f64>,
    /// Records per second this generator reaches on the null target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_ceiling: Option<f64>,
    /// Requests in flight per connection; with `mode = closed` part of what the latency means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

/// How the next send is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// By the clock, fixed in advance: a slow target does not slow the schedule.
    #[default]
    Open,
    /// By the previous answer: its latency is service time only.
    Closed,
}

impl LoadMode {
    /// What a latency of this mode means, for the caption of every figure.
    pub fn caption(self) -> &'static str {
        match self {
            Self::Open => "open loop, from the intended send time",
            Self::Closed => "closed loop, service time",
        }
    }
}

/// The target's side, over the measured phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct Throughput {
    /// Acknowledged records per second; `null` when less than 1 s or 1,000 records were measured.
    pub records_per_s: Option<f64>,
    /// Acknowledged payload in 10^6 bytes per second, before compression, without keys, headers and framing.
    pub payload_mb_per_s: Option<f64>,
    /// Record batches as sent, in 10^6 bytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_mb_per_s: Option<f64>,
    /// Records consumed per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumed_records_per_s: Option<f64>,
}

impl Throughput {
    /// Rates of `records` and `payload_bytes` over `elapsed_ns`, or nothing when that would extrapolate.
    pub fn over(records: u64, payload_bytes: u64, elapsed_ns: u64) -> Self {
        let seconds = elapsed_ns as f64 / 1e9;
        if seconds < MIN_RATE_SECONDS || records < MIN_RATE_RECORDS {
            return Self::default();
        }
        Self {
            records_per_s: Some(records as f64 / seconds),
            payload_mb_per_s: Some(payload_bytes as f64 / 1e6 / seconds),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_no_rate_is_extrapolated() {
        assert_eq!(Throughput::over(999, 8192, 2_000_000_000), Throughput::default());
        assert_eq!(Throughput::over(50_000, 8192, 999_999_999), Throughput::default());
    }

    #[test]
    fn megabytes_are_decimal() {
        let rate = Throughput::over(2000, 4_000_000, 2_000_000_000);
        assert_eq!((rate.records_per_s, rate.payload_mb_per_s), (Some(1000.0), Some(2.0)));
    }
}
