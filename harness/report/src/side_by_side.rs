//! Runs, and the trials of a run, as rows of one table: on a terminal and on a page.

use plimsoll_results::{Metric, Phase, Quantile, RunDocument};

use crate::data::{ReportData, TrialData};
use crate::text_table::text_table;
use crate::units::{bytes, count, duration_ns, duration_us, exact, or_dash, three};

/// Columns of a table of runs, with units.
pub(crate) const HEAD: [&str; 11] = [
    "run",
    "records/s",
    "MB/s payload",
    "response p50",
    "p99",
    "p99.9",
    "end to end p99",
    "broker CPU per record",
    "broker peak memory",
    "lost or wrong",
    "trials",
];

/// One run, in the order of [`HEAD`].
pub(crate) fn cells(name: &str, document: &RunDocument) -> Vec<String> {
    let (response, e2e) = (&document.latency.quantiles.response, &document.latency.quantiles.e2e);
    let verify = &document.verify;
    let wrong = verify.lost + verify.duplicated + verify.reordered + verify.corrupted + verify.phantom;
    vec![
        name.to_owned(),
        or_dash(document.throughput.records_per_s, count),
        or_dash(document.throughput.payload_mb_per_s, three),
        or_dash(response.p50_us, duration_us),
        or_dash(response.p99_us, duration_us),
        or_dash(response.p999_us, duration_us),
        or_dash(e2e.p99_us, duration_us),
        or_dash(document.cost.broker.cpu_ns_per_record(), duration_ns),
        or_dash(document.cost.broker.rss_peak_bytes, |peak| bytes(peak as f64)),
        if verify.seen == 0 { "not read back".to_owned() } else { exact(wrong) },
        document.trials.to_string(),
    ]
}

/// Several runs, one line each, for a terminal. Give them names first ([`crate::name_apart`]).
pub fn runs_table(runs: &[ReportData]) -> String {
    let rows: Vec<_> = runs.iter().map(|run| cells(&run.name, &run.document)).collect();
    text_table(&HEAD, &rows, 1..)
}

/// The trials of a run, one line each, for a terminal. Empty for a single trial, which the card is about.
pub fn trials_table(run: &ReportData) -> String {
    if run.trials.len() < 2 {
        return String::new();
    }
    let rows: Vec<_> =
        run.trials.iter().enumerate().map(|(index, trial)| trial_cells(index + 1, trial)).collect();
    text_table(
        &["trial", "records/s", "response p50", "p99", "p99.9", "end to end p99", "records"],
        &rows,
        1..,
    )
}

fn trial_cells(number: usize, trial: &TrialData) -> Vec<String> {
    let measured = || trial.intervals.iter().filter(|row| row.phase == Phase::Measure);
    let seconds: f64 = measured().map(|row| row.len_ms / 1e3).sum();
    let acked: u64 = measured().map(|row| row.acked).sum();
    let response = trial.latency.pooled(&Metric::Response, Phase::Measure);
    let e2e = trial.latency.pooled(&Metric::EndToEnd, Phase::Measure);
    let rate = (seconds >= 1.0).then(|| acked as f64 / seconds);
    vec![
        number.to_string(),
        or_dash(rate, count),
        or_dash(response.quantile_us(Quantile::P50), duration_us),
        or_dash(response.quantile_us(Quantile::P99), duration_us),
        or_dash(response.quantile_us(Quantile::P999), duration_us),
        or_dash(e2e.quantile_us(Quantile::P99), duration_us),
        exact(response.len()),
    ]
}
