//! What was found, for a terminal and as a page.

use std::path::Path;

use plimsoll_report::units::{count, duration_us, or_dash};
use plimsoll_report::{
    Chart, FiguresPage, FiguresRow, FiguresTable, Mark, ReportData, SWEEP_HEAD, SWEEP_LEGEND, figures_page,
    hockey_stick, sweep_cells, text_table,
};
use plimsoll_results::{Bundle, FindDocument, FoundLevel, Status, SweepRow};

use crate::codecs::page::facts;

const LEVELS: [&str; 6] = ["tried", "asked for", "reached", "response p50", "p99", "held"];

/// The result in a few lines, and what was measured below it.
pub(super) fn text(document: &FindDocument) -> String {
    let levels: Vec<_> = document.levels.iter().map(level_cells).collect();
    let rows: Vec<_> = document.rows.iter().map(sweep_cells).collect();
    let mut text = format!("{}\n  durability  {}\n\n", sentence(document), document.durability);
    text += &text_table(&LEVELS, &levels, 1..5);
    if !rows.is_empty() {
        text += &format!("\n{}{SWEEP_LEGEND}\n", text_table(&SWEEP_HEAD, &rows, 2..));
    }
    for remark in document.status_reasons.iter().chain(&document.notices) {
        text += &format!("  notice  {remark}\n");
    }
    document.bundle.iter().chain(&document.report).for_each(|path| text += &format!("{path}\n"));
    text
}

fn sentence(document: &FindDocument) -> String {
    let workload = document.workload.as_deref().unwrap_or("a workload");
    let slo = document.slo.join(" and ");
    let Some(rate) = document.rate else { return format!("{workload}: no rate held {slo}") };
    let failed = or_dash(document.bracket.high, count);
    format!("{workload}: {} records/s hold {slo}; {failed} records/s do not", count(rate))
}

fn level_cells(level: &FoundLevel) -> Vec<String> {
    let held = if level.held { "yes".to_owned() } else { level.reasons.join("; ") };
    vec![
        level.phase.clone(),
        or_dash(level.target_rate, count),
        or_dash(level.achieved_rate, count),
        or_dash(level.response_p50_us, duration_us),
        or_dash(level.response_p99_us, duration_us),
        if level.phase == "burst" { "–".to_owned() } else { held },
    ]
}

/// One HTML file that refers to nothing outside itself.
pub(super) fn html(document: &FindDocument) -> anyhow::Result<String> {
    let chart = curve(document)?;
    Ok(figures_page(&page(document), chart.as_slice())?)
}

/// Latency against load, with the rate that was confirmed and the least that failed.
fn curve(document: &FindDocument) -> anyhow::Result<Option<Chart>> {
    let mut runs = Vec::new();
    for bundle in document.rows.iter().filter_map(|row| row.bundle.as_ref()) {
        runs.push(ReportData::from_bundle(&Bundle::open(Path::new(bundle))?)?);
    }
    let Some(mut chart) = hockey_stick(&runs) else { return Ok(None) };
    let mark = |at: Option<f64>, what: &str| {
        at.map(|at| Mark { at, label: format!("{what} {}/s", count(at)), labelled: true })
    };
    chart.marks.extend(mark(document.rate, "holds"));
    chart.marks.extend(mark(document.bracket.high, "fails"));
    Ok(Some(chart))
}

fn page(document: &FindDocument) -> FiguresPage {
    let row =
        |row: &SweepRow| FiguresRow { cells: sweep_cells(row), remark: None, good: row.status == Status::Ok };
    let level = |level: &FoundLevel| FiguresRow { cells: level_cells(level), remark: None, good: level.held };
    let table = |title: &str, head: &[&str], rows: Vec<FiguresRow>| FiguresTable {
        title: title.to_owned(),
        head: head.iter().map(|name| (*name).to_owned()).collect(),
        rows,
    };
    let measured = document.rows.iter().map(row).collect();
    FiguresPage {
        title: format!(
            "{}: the largest rate that holds",
            document.workload.as_deref().unwrap_or("a workload")
        ),
        status: (document.status.to_string(), document.status == Status::Ok),
        sentences: vec![sentence(document) + "."],
        durability: document.durability.to_string(),
        remarks: [&document.status_reasons[..], &document.notices].concat(),
        tables: vec![table("Parts of the rate, in fresh trials", &SWEEP_HEAD, measured)],
        details: vec![table("What was tried", &LEVELS, document.levels.iter().map(level).collect())],
        notes: vec![SWEEP_LEGEND.to_owned()],
        machine: document
            .machine
            .as_ref()
            .map(|machine| facts(machine, document.design.seed))
            .unwrap_or_default(),
    }
}
