//! Several runs beside each other: a table, and charts in which each is a line.

use plimsoll_results::{Machine, Status};

use super::figures_page::{FiguresPage, FiguresRow, FiguresTable, page_of};
use super::view::facts;
use super::{ReportError, figures};
use crate::data::{ReportData, name_apart};
use crate::figures::{Figure, durability_of, hockey_stick};
use crate::side_by_side::{HEAD, cells};

/// Makes the page of several runs; of a single one it is the page of that.
pub fn runs_page(mut runs: Vec<ReportData>) -> Result<String, ReportError> {
    if let [run] = &runs[..] {
        return super::html(run);
    }
    name_apart(&mut runs);
    let mut all: Vec<Figure> = hockey_stick(&runs).map(Figure::from).into_iter().collect();
    all.extend(figures(&runs));
    page_of(&page(&runs), &all)
}

fn page(runs: &[ReportData]) -> FiguresPage {
    let worst = runs.iter().map(|run| run.document.status).max_by_key(|status| badness(*status));
    let status = worst.unwrap_or_default();
    let mut durability = durability_of(runs);
    let first = if durability.len() == 1 { durability.pop() } else { None };
    FiguresPage {
        title: format!("{} runs", runs.len()),
        status: (status.to_string(), status == Status::Ok),
        sentences: vec![
            "Runs that were measured at different times: what the machine did in between is in their differences. Use \
             `plimsoll compare` for a verdict."
                .to_owned(),
        ],
        durability: first.map_or_else(
            || "of each run: see below".to_owned(),
            |line| line.trim_start_matches("durability: ").to_owned(),
        ),
        remarks: durability.into_iter().chain(remarks(runs)).collect(),
        tables: vec![table(runs)],
        details: Vec::new(),
        notes: vec![
            "– = too little to say. MB = 10^6 bytes. CPU and records of the measured phase.".to_owned(),
        ],
        machine: runs.iter().find_map(|run| run.machine.as_ref()).map(facts::machine).unwrap_or_default(),
    }
}

/// The worst of several counts.
fn badness(status: Status) -> u8 {
    match status {
        Status::Ok => 0,
        Status::Invalid => 1,
        Status::Aborted => 2,
        Status::Failed => 3,
    }
}

fn remarks(runs: &[ReportData]) -> Vec<String> {
    let fingerprint =
        |run: &ReportData| run.machine.as_ref().map(|machine: &Machine| machine.fingerprint.clone());
    let mut remarks = Vec::new();
    if runs.iter().any(|run| fingerprint(run) != runs.first().and_then(fingerprint)) {
        remarks.push("These runs are not of the same machine; below is the first one's.".to_owned());
    }
    for run in runs {
        let document = &run.document;
        let verdicts =
            document.load.verdicts.iter().map(|verdict| format!("{verdict}: {}", verdict.explain()));
        let reasons = document.status_reasons.iter().filter(|_| document.status != Status::Ok).cloned();
        remarks.extend(reasons.chain(verdicts).map(|text| format!("{}: {text}.", run.name)));
    }
    remarks
}

fn table(runs: &[ReportData]) -> FiguresTable {
    FiguresTable {
        title: "Side by side".to_owned(),
        head: HEAD.map(str::to_owned).to_vec(),
        rows: runs.iter().map(row).collect(),
    }
}

fn row(run: &ReportData) -> FiguresRow {
    let document = &run.document;
    let good = document.status == Status::Ok;
    let path = document.bundle.clone().unwrap_or_else(|| document.id.clone());
    FiguresRow {
        cells: cells(&run.name, document),
        remark: Some(if good { path } else { format!("{}: {path}", document.status) }),
        good,
    }
}
