//! Rows as people read them.

use std::fmt::Write;

use plimsoll_report::units;
use plimsoll_results::{DurabilityMode, QuantileSet};
use plimsoll_storage::bench::{Outcome, Plan, Row};

/// Said under every table: what a sync is worth on a disk that is not one.
const DISK: &str = "Sync times are those of this disk; on a virtual one they may end in the host's cache. Ratios carry over to other\n\
                    disks, absolute sync times do not.";

/// What would be measured.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    for cell in &plan.cells {
        let _ = writeln!(text, "{cell}, {} batches unacknowledged", cell.window());
    }
    let megabytes = plan.trial_bytes / 1_000_000;
    let _ = writeln!(
        text,
        "{} rows, {} pairs each, {megabytes} MB per trial, seed {}",
        plan.cells.len(),
        plan.pairs,
        plan.seed
    );
    text
}

/// The table and what it says.
pub(super) fn rows(outcome: &Outcome) -> String {
    let mut text = format!(
        "{:<11}{:<11}{:>8} {:>16} {:>19} {:>7} {:>6} {:>17} {:>17}  {}\n",
        "backend",
        "durability",
        "batch",
        "MB/s (floor)",
        "% of floor",
        "CPU",
        "floor",
        "append p50/p99",
        "sync p50/p99",
        "survives"
    );
    for row in &outcome.rows {
        line(&mut text, row);
    }
    let _ = writeln!(text, "{DISK}");
    text
}

fn line(text: &mut String, row: &Row) {
    let durability = if row.durability == DurabilityMode::Fsync { "fsync" } else { "replicated" };
    let range = match row.percent_low.zip(row.percent_high) {
        Some((low, high)) => format!("{:.0} % [{low:.0}, {high:.0}]", row.percent_of_floor),
        None => format!("{:.0} %", row.percent_of_floor),
    };
    let _ = writeln!(
        text,
        "{:<11}{durability:<11}{:>8} {:>16} {range:>19} {:>7} {:>6} {:>17} {:>17}  {}{}",
        row.backend,
        format!("{} KiB", row.batch_bytes >> 10),
        format!("{:.0} ({:.0})", row.mb_per_s, row.floor_mb_per_s),
        units::three(row.cpu_s_per_gb),
        units::three(row.floor_cpu_s_per_gb),
        quantiles(Some(&row.append)),
        quantiles(row.sync.as_ref()),
        format!("{:?}", row.survives).to_lowercase(),
        if row.verify_ok { "" } else { "  VERIFY FAILED" },
    );
}

fn quantiles(set: Option<&QuantileSet>) -> String {
    let show = |us: Option<f64>| us.map_or_else(|| "–".to_owned(), units::duration_us);
    set.map_or_else(|| "–".to_owned(), |set| format!("{} / {}", show(set.p50_us), show(set.p99_us)))
}
