//! The page of a sweep.

use std::path::Path;

use plimsoll_report::{
    Chart, FiguresPage, FiguresRow, FiguresTable, ReportData, SWEEP_HEAD, SWEEP_LEGEND, figures_page,
    hockey_stick, sweep_basis, sweep_cells, sweep_ratios,
};
use plimsoll_results::{Bundle, Status, SweepDocument, SweepRow};

use crate::codecs::page::facts;

/// One HTML file that refers to nothing outside itself.
pub(super) fn html(document: &SweepDocument) -> anyhow::Result<String> {
    let charts: Vec<Chart> =
        sweep_ratios(document).into_iter().chain(hockey_stick(&runs(document)?)).collect();
    Ok(figures_page(&page(document), &charts)?)
}

/// The points' bundles, as far as they have trials; where only rates differ they make a curve.
fn runs(document: &SweepDocument) -> anyhow::Result<Vec<ReportData>> {
    let measured = document.rows.iter().filter(|row| row.trials > 0);
    let bundles = measured.filter_map(|row| row.bundle.as_ref());
    bundles.map(|path| Ok(ReportData::from_bundle(&Bundle::open(Path::new(path))?)?)).collect()
}

fn page(document: &SweepDocument) -> FiguresPage {
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
        remarks: [&document.durability_differences[..], &document.status_reasons, &document.notices].concat(),
        tables: vec![FiguresTable {
            title: "Points".to_owned(),
            head: SWEEP_HEAD.map(str::to_owned).to_vec(),
            rows: document.rows.iter().map(row).collect(),
        }],
        notes: vec![SWEEP_LEGEND.to_owned()],
        machine: document
            .machine
            .as_ref()
            .map(|machine| facts(machine, document.design.seed))
            .unwrap_or_default(),
        ..FiguresPage::default()
    }
}

fn durability(document: &SweepDocument) -> String {
    let base = document.rows.first().map(|row| row.durability.to_string()).unwrap_or_default();
    if document.durability_differences.is_empty() {
        base
    } else {
        format!("{base}; not equal in all points (*)")
    }
}

fn row(row: &SweepRow) -> FiguresRow {
    let remark = (!row.status_reasons.is_empty()).then(|| row.status_reasons.join("; "));
    FiguresRow { cells: sweep_cells(row), remark, good: row.status == Status::Ok }
}
