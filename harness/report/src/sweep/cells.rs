//! What stands in each column, the same on a terminal, in Markdown and on a page.

use plimsoll_results::SweepRow;

use crate::units::{bytes, count, duration_ns, duration_us, exact, or_dash, three};

/// Names of the columns.
pub(crate) const SWEEP_HEAD: [&str; 16] = [
    "point",
    "acks, survives",
    "records/s",
    "× base",
    "MB/s",
    "response p50",
    "p99",
    "p99.9",
    "end to end p99",
    "broker CPU per record",
    "× base",
    "client CPU per record",
    "written per byte",
    "broker peak memory",
    "start",
    "lost or wrong",
];

/// What the columns are.
pub(crate) const SWEEP_LEGEND: &str = "× base: Hodges–Lehmann ratio to the base over blocks, with its 95 % interval from six \
                                blocks on. Latencies are of all trials together; – means too few samples. Start: from the start of the process to the first acknowledged record. Survives: the \
                                worst event after which an acknowledged record is still there.";

/// A row, in the order of [`SWEEP_HEAD`].
pub(crate) fn sweep_cells(row: &SweepRow) -> Vec<String> {
    let verify = &row.verify;
    let wrong = verify.lost + verify.duplicated + verify.reordered + verify.corrupted + verify.phantom;
    vec![
        row.name.clone(),
        durability(row),
        or_dash(row.throughput.records_per_s, count),
        ratio(row, "records_per_s"),
        or_dash(row.throughput.payload_mb_per_s, three),
        or_dash(row.response.p50_us, duration_us),
        or_dash(row.response.p99_us, duration_us),
        or_dash(row.response.p999_us, duration_us),
        or_dash(row.e2e.p99_us, duration_us),
        or_dash(row.cost.broker.cpu_ns_per_record(), duration_ns),
        ratio(row, "broker_cpu_ns_per_record"),
        or_dash(row.cost.client.cpu_ns_per_record(), duration_ns),
        or_dash(row.cost.bytes_written_per_payload_byte, three),
        or_dash(row.cost.broker.rss_peak_bytes, |peak| bytes(peak as f64)),
        or_dash(row.start_ms, |ms| duration_us(ms * 1e3)),
        if verify.seen == 0 { "not read back".to_owned() } else { exact(wrong) },
    ]
}

/// `1, process`; with a mark where it is not the base's.
fn durability(row: &SweepRow) -> String {
    if row.trials == 0 {
        return "–".to_owned();
    }
    let survives = row.durability.survives.map_or("unknown", |what| what.as_str());
    let mark = if row.durability_differences.is_empty() { "" } else { " *" };
    format!("{}, {survives}{mark}", row.durability.acks)
}

fn ratio(row: &SweepRow, metric: &str) -> String {
    match row.ratio(metric) {
        None => "–".to_owned(),
        Some((ratio, None)) => three(ratio),
        Some((ratio, Some((low, high)))) => format!("{} [{}, {}]", three(ratio), three(low), three(high)),
    }
}
