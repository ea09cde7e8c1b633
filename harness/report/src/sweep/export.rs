//! Markdown and comma-separated values.

use plimsoll_results::{SweepDocument, SweepRow};

use super::cells::{SWEEP_HEAD, SWEEP_LEGEND, sweep_cells};
use super::table::sweep_basis;
use crate::comparison::quoted;
use crate::preflight::preflight;

/// A heading, how it was measured, and a table.
pub fn sweep_markdown(document: &SweepDocument) -> String {
    let workload = document.workload.as_deref().unwrap_or("a workload");
    let mut text = format!("### {workload}\n\n{}.\n\n", sweep_basis(document));
    if let Some(base) = document.rows.first() {
        text += &format!("- base: {}\n- durability of the base: {}\n", base.key, base.durability);
    }
    for difference in &document.durability_differences {
        text += &format!("- \\* not equal: {difference}\n");
    }
    let found = preflight(&document.preflight);
    for remark in document.status_reasons.iter().chain(&document.notices).chain(&found) {
        text += &format!("- {remark}\n");
    }
    text += &format!("\n| {} |\n|---|---{}|\n", SWEEP_HEAD.join(" | "), "|---:".repeat(SWEEP_HEAD.len() - 2));
    for row in &document.rows {
        let cells: Vec<String> = sweep_cells(row).iter().map(|cell| cell.replace('|', "\\|")).collect();
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text + "\n" + SWEEP_LEGEND + "\n"
}

const CSV_HEAD: &str = "key,name,status,trials,acks,survives,target_rate,records_per_s,payload_mb_per_s,response_p50_us,\
                        response_p99_us,response_p999_us,e2e_p50_us,e2e_p99_us,e2e_p999_us,broker_cpu_ns_per_record,\
                        client_cpu_ns_per_record,bytes_written_per_payload_byte,broker_rss_peak_bytes,start_ms,acked,lost,\
                        duplicated,reordered,corrupted,records_per_s_ratio,records_per_s_low,records_per_s_high,\
                        broker_cpu_ratio,broker_cpu_low,broker_cpu_high\n";

/// One row per point; ratios are the point divided by the base.
pub fn sweep_csv(document: &SweepDocument) -> String {
    std::iter::once(CSV_HEAD.to_owned()).chain(document.rows.iter().map(csv_row)).collect()
}

fn csv_row(row: &SweepRow) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let verify = &row.verify;
    let words = [
        quoted(&row.key),
        quoted(&row.name),
        row.status.as_str().to_owned(),
        row.trials.to_string(),
        row.durability.acks.to_string(),
        row.durability.survives.map_or_else(String::new, |what| what.as_str().to_owned()),
    ];
    let figures = [
        row.target_rate,
        row.throughput.records_per_s,
        row.throughput.payload_mb_per_s,
        row.response.p50_us,
        row.response.p99_us,
        row.response.p999_us,
        row.e2e.p50_us,
        row.e2e.p99_us,
        row.e2e.p999_us,
        row.cost.broker.cpu_ns_per_record(),
        row.cost.client.cpu_ns_per_record(),
        row.cost.bytes_written_per_payload_byte,
        row.cost.broker.rss_peak_bytes.map(|bytes| bytes as f64),
        row.start_ms,
    ];
    let counts = [verify.acked, verify.lost, verify.duplicated, verify.reordered, verify.corrupted];
    let ratios = ["records_per_s", "broker_cpu_ns_per_record"].map(|metric| ratio(row, metric)).concat();
    let cells = words
        .into_iter()
        .chain(figures.map(number))
        .chain(counts.map(|count| count.to_string()))
        .chain(ratios.into_iter().map(number));
    cells.collect::<Vec<_>>().join(",") + "\n"
}

/// Ratio and both ends of its interval.
fn ratio(row: &SweepRow, metric: &str) -> Vec<Option<f64>> {
    let found = row.ratio(metric);
    let (low, high) = found.and_then(|(_, interval)| interval).unzip();
    vec![found.map(|(ratio, _)| ratio), low, high]
}
