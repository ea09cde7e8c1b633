//! Rows as people read them on a terminal.

use std::fmt::Write;

use plimsoll_report::wrapped;
use plimsoll_storage::bench::{Outcome, Plan};

use super::columns::{self, Column};
use super::words::{self, DISK};

/// Sentences are broken to it.
const WIDTH: usize = 100;
const COLUMNS: [Column; 11] = [
    columns::NAME,
    columns::SURVIVES,
    columns::PAIRS,
    columns::RATE,
    columns::FLOOR_RATE,
    columns::FIO,
    columns::SHARE,
    columns::CPU,
    columns::FLOOR_CPU,
    columns::APPEND_OR_READ,
    columns::SYNC_OR_OPEN,
];

/// What would be measured.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    for cell in &plan.cells {
        let _ = writeln!(text, "{cell}, {} batches unacknowledged", cell.window());
    }
    let (rows, megabytes) = (plan.cells.len(), plan.trial_bytes / 1_000_000);
    let _ = writeln!(
        text,
        "{rows} rows, {} pairs each, {megabytes} MB per trial, seed {}, {}",
        plan.pairs,
        plan.seed,
        plan.time_max.map_or_else(
            || "for as long as it takes".to_owned(),
            |max| format!("no pair begins after {} s", max.as_secs())
        )
    );
    text
}

/// The table and what it says.
pub(super) fn rows(outcome: &Outcome) -> String {
    let head: Vec<String> = COLUMNS.iter().map(|column| column.head.to_owned()).collect();
    let cells = |row| COLUMNS.iter().map(|column| (column.text)(row)).collect();
    let lines: Vec<Vec<String>> = outcome.rows.iter().map(cells).collect();
    let width = |column: usize| {
        let widths = lines.iter().chain([&head]).filter_map(|line| Some(line.get(column)?.chars().count()));
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut text = aligned(&head, &widths);
    for (row, line) in outcome.rows.iter().zip(&lines) {
        text.push_str(&aligned(line, &widths));
        if let Some(shortfall) = words::shortfall(row) {
            let _ = writeln!(text, "    {shortfall}");
        }
    }
    let (verdict, spent) = (words::verdict(outcome), words::spent(&outcome.spent));
    let _ = write!(text, "\n{}{}{DISK}\n", wrapped(&verdict, WIDTH), wrapped(&spent, WIDTH));
    text
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let _ = if column < 2 { write!(text, "{cell:<width$}  ") } else { write!(text, "{cell:>width$}  ") };
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
