//! A search: the rate, latency against load below it, and what was tried.

use plimsoll_results::{FoundLevel, Status, SweepRow};

use super::figures_page::{FiguresPage, FiguresRow, FiguresTable, figures_page};
use super::view::facts;
use super::{ReportError, seed_note};
use crate::data::FindData;
use crate::find::{LEVELS, find_curve, level_cells, sentence};
use crate::preflight::preflight;
use crate::sweep::{SWEEP_HEAD, SWEEP_LEGEND, sweep_cells};

/// Makes the page. Refers to nothing outside itself.
pub fn find_page(data: &FindData) -> Result<String, ReportError> {
    figures_page(&page(data), find_curve(data).as_slice())
}

fn page(data: &FindData) -> FiguresPage {
    let document = &data.document;
    let said = [&document.status_reasons[..], &document.notices].concat();
    let workload = document.workload.as_deref().unwrap_or("a workload");
    FiguresPage {
        title: format!("{workload}: the largest rate that holds"),
        status: (document.status.to_string(), document.status == Status::Ok),
        sentences: vec![sentence(document) + "."],
        durability: document.durability.to_string(),
        remarks: said.into_iter().chain(preflight(&document.preflight)).collect(),
        tables: vec![table(
            "Parts of the rate, in fresh trials",
            &SWEEP_HEAD,
            document.rows.iter().map(part).collect(),
        )],
        details: vec![table("What was tried", &LEVELS, document.levels.iter().map(level).collect())],
        notes: vec![SWEEP_LEGEND.to_owned(), seed_note(document.design.seed, &document.id)],
        machine: data.machine.as_ref().map(facts::machine).unwrap_or_default(),
    }
}

fn table(title: &str, head: &[&str], rows: Vec<FiguresRow>) -> FiguresTable {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    FiguresTable { title: title.to_owned(), head, rows }
}

fn part(row: &SweepRow) -> FiguresRow {
    FiguresRow { cells: sweep_cells(row), remark: None, good: row.status == Status::Ok }
}

fn level(level: &FoundLevel) -> FiguresRow {
    FiguresRow { cells: level_cells(level), remark: None, good: level.held }
}
