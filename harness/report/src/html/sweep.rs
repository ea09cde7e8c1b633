//! A sweep: its points, what each setting does to each metric, and latency against load where rates differ.

use plimsoll_results::{Status, SweepDocument, SweepRow};

use super::figures_page::{FiguresPage, FiguresRow, FiguresTable, figures_page};
use super::view::facts;
use super::{ReportError, seed_note};
use crate::chart::Chart;
use crate::data::SweepData;
use crate::preflight::preflight;
use crate::sweep::{SWEEP_HEAD, SWEEP_LEGEND, sweep_basis, sweep_cells, sweep_curve, sweep_ratios};

/// Makes the page. Refers to nothing outside itself.
pub fn sweep_page(data: &SweepData) -> Result<String, ReportError> {
    let charts: Vec<Chart> = sweep_ratios(&data.document).into_iter().chain(sweep_curve(data)).collect();
    figures_page(&page(data), &charts)
}

fn page(data: &SweepData) -> FiguresPage {
    let document = &data.document;
    let base = document.rows.first();
    let workload = document.workload.as_deref().unwrap_or("a workload");
    FiguresPage {
        title: format!("{workload}: what each setting does"),
        status: (document.status.to_string(), document.status == Status::Ok),
        sentences: vec![
            format!("{}.", sweep_basis(document)),
            format!("The base is {}.", base.map_or("unknown", |row| row.key.as_str())),
        ],
        durability: durability(document),
        remarks: remarks(document),
        tables: vec![points(document)],
        details: Vec::new(),
        notes: vec![SWEEP_LEGEND.to_owned(), seed_note(document.design.seed, &document.id)],
        machine: data.machine.as_ref().map(facts::machine).unwrap_or_default(),
    }
}

fn remarks(document: &SweepDocument) -> Vec<String> {
    let said = [&document.durability_differences[..], &document.status_reasons, &document.notices].concat();
    said.into_iter().chain(preflight(&document.preflight)).collect()
}

fn durability(document: &SweepDocument) -> String {
    let base = document.rows.first().map(|row| row.durability.to_string()).unwrap_or_default();
    if document.durability_differences.is_empty() {
        base
    } else {
        format!("{base}; not equal in all points (*)")
    }
}

fn points(document: &SweepDocument) -> FiguresTable {
    FiguresTable {
        title: "Points".to_owned(),
        head: SWEEP_HEAD.map(str::to_owned).to_vec(),
        rows: document.rows.iter().map(point).collect(),
    }
}

fn point(row: &SweepRow) -> FiguresRow {
    let remark = (!row.status_reasons.is_empty()).then(|| row.status_reasons.join("; "));
    FiguresRow { cells: sweep_cells(row), remark, good: row.status == Status::Ok }
}
