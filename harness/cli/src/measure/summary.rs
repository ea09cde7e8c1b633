//! A trial as comparisons see it: one number per metric.

use plimsoll_results::TrialSummary;

use super::measured::Trial;

impl Trial {
    /// The metrics of [`plimsoll_results::stats::METRIC_RULES`], as far as they were measured.
    pub(crate) fn summary(&self) -> TrialSummary {
        let verdicts = self.load.verdicts.clone();
        let mut summary = TrialSummary::new(self.status, self.status_reasons.clone(), verdicts);
        let per = |amount: Option<u64>, count: u64| {
            amount.filter(|_| count > 0).map(|amount| amount as f64 / count as f64)
        };
        let (measured, broker) = (&self.measured, self.broker.as_ref());
        summary.put("broker_cpu_ns_per_record", per(broker.map(|usage| usage.cpu_ns), measured.acked));
        let written = broker.and_then(|usage| usage.write_bytes);
        summary.put("bytes_written_per_payload_byte", per(written, measured.acked_bytes));
        summary.put("records_per_s", self.throughput.records_per_s);
        let peak = broker.and_then(|usage| usage.rss_peak_bytes);
        summary.put("broker_rss_peak_bytes", peak.map(|bytes| bytes as f64));
        summary.put_latencies(&self.series);
        summary
    }
}
