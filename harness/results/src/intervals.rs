//! `intervals.jsonl`: one row per second of a trial.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::QuantileSet;
use crate::series::Phase;

/// Counters and quantiles of one interval. They describe it; inference is made over trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct IntervalRow {
    /// Begin, milliseconds since the run began.
    pub at_ms: f64,
    /// Length in milliseconds.
    pub len_ms: f64,
    /// Phase.
    pub phase: Phase,
    /// Cut short by the end of a phase: kept in totals, left out of time series.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Records sent.
    pub sent: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Records delivered to consumers.
    #[serde(default)]
    pub consumed: u64,
    /// Payload bytes acknowledged.
    pub payload_bytes: u64,
    /// Failed requests.
    #[serde(default)]
    pub errors: u64,
    /// Acknowledged and not yet consumed at the end of the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backlog_records: Option<u64>,
    /// Quantiles of this interval by latency tag; `null` below 10 samples beyond.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub latency: BTreeMap<String, QuantileSet>,
    /// What the machine did meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<IntervalResources>,
}

impl IntervalRow {
    /// Acknowledged records per second of this interval.
    pub fn acked_per_s(&self) -> Option<f64> {
        (self.len_ms > 0.0).then(|| self.acked as f64 * 1000.0 / self.len_ms)
    }
}

/// The machine during one interval. Percentages of CPU are of one core: 200 is two cores busy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
pub struct IntervalResources {
    /// CPU of all brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_cpu_pct: Option<f64>,
    /// CPU of the generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cpu_pct: Option<f64>,
    /// Taken by the host, percent of all cores together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_pct: Option<f64>,
    /// Time some task waited for CPU, percent (PSI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi_cpu_pct: Option<f64>,
    /// Time some task waited for I/O, percent (PSI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi_io_pct: Option<f64>,
    /// Time some task waited for memory, percent (PSI).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi_memory_pct: Option<f64>,
    /// Dirty and being written back, bytes, at the end of the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty_bytes: Option<u64>,
    /// Written to the data device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_write_bytes: Option<u64>,
    /// Read from the data device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_read_bytes: Option<u64>,
}

/// Gives each interval the sample of the machine whose middle is nearest to its own, within one interval's
/// length. Samples are `(middle in milliseconds since the run began, resources)`, ascending.
pub fn attach_resources(rows: &mut [IntervalRow], samples: &[(f64, IntervalResources)]) {
    for row in rows {
        let middle = row.at_ms + row.len_ms / 2.0;
        let distance = |at: f64| (at - middle).abs();
        let nearest = samples.iter().min_by(|a, b| distance(a.0).total_cmp(&distance(b.0)));
        row.resources =
            nearest.filter(|(at, _)| distance(*at) <= row.len_ms).map(|(_, resources)| *resources);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_go_to_the_interval_they_were_taken_in() {
        let row = |at_ms| IntervalRow { at_ms, len_ms: 1000.0, ..Default::default() };
        let sample = |pct| IntervalResources { steal_pct: Some(pct), ..Default::default() };
        let mut rows = [row(0.0), row(1000.0), row(9000.0)];
        attach_resources(&mut rows, &[(450.0, sample(1.0)), (1480.0, sample(2.0))]);
        let got: Vec<_> = rows.iter().map(|r| r.resources.and_then(|r| r.steal_pct)).collect();
        assert_eq!(got, [Some(1.0), Some(2.0), None]);
    }
}
