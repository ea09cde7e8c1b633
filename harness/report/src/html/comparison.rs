//! A comparison: the verdict, a forest plot, how the percentiles moved, and the runs of its arms.

use plimsoll_results::{ArmComparison, ComparedArm, ComparisonDocument, MetricComparison, Status};

use super::figures_page::{FiguresPage, FiguresRow, FiguresTable, page_of};
use super::view::facts;
use super::{ReportError, figures, seed_note};
use crate::comparison::column_names;
use crate::comparison::words::{change, design, durability, interval, left_out, remark, title, value};
use crate::data::ComparisonData;
use crate::figures::{Figure, forests, shift_function};
use crate::preflight::preflight;

/// Makes the page. Under 3 MB for 50 trials; refers to nothing outside itself.
pub fn comparison_page(data: &ComparisonData) -> Result<String, ReportError> {
    let mut all: Vec<Figure> =
        forests(&data.document).into_iter().map(|forest| forest.chart.into()).collect();
    all.extend(shift_function(&data.document).map(Figure::from));
    if !data.runs.is_empty() {
        all.extend(figures(&data.runs));
    }
    page_of(&page(data), &all)
}

fn page(data: &ComparisonData) -> FiguresPage {
    let document = &data.document;
    let equal = document.durability_differences.is_empty();
    let differences = durability(document).into_iter().map(|line| format!("durability: {line}"));
    let reasons = document.status_reasons.iter().chain(&document.notices).cloned();
    FiguresPage {
        title: document.workload.clone().unwrap_or_else(|| "Stored runs compared".to_owned()),
        status: status(document),
        sentences: vec![sentence(document), format!("{}.", design(document))],
        durability: if equal {
            durability(document).join("")
        } else {
            "NOT EQUAL between the arms".to_owned()
        },
        remarks: differences
            .filter(|_| !equal)
            .chain(reasons)
            .chain(preflight(&document.preflight))
            .collect(),
        tables: document.comparisons.iter().map(table).collect(),
        details: vec![arms(document)],
        notes: notes(document),
        machine: data.machine.as_ref().map(facts::machine).unwrap_or_default(),
    }
}

/// The verdict's word; a comparison that did not end well has none.
fn status(document: &ComparisonDocument) -> (String, bool) {
    use plimsoll_results::stats::ComparisonVerdict::{Inconclusive, Regressed};
    match (document.status, document.verdict) {
        (Status::Ok, Some(verdict)) => (verdict.to_string(), !matches!(verdict, Regressed | Inconclusive)),
        (Status::Ok, None) => ("NO VERDICT".to_owned(), false),
        (status, _) => (status.to_string(), false),
    }
}

fn sentence(document: &ComparisonDocument) -> String {
    let names: Vec<&str> = document.arms.iter().map(|arm| arm.name.as_str()).collect();
    let what = match &names[..] {
        [] | [_] => "Nothing to compare".to_owned(),
        [first, others @ ..] => format!("{} compared with {first}", others.join(", ")),
    };
    format!(
        "{what}, in fresh trials on this machine. A change is said to be one only when its interval excludes none and it is \
         large enough to matter; “inconclusive” means that more pairs are needed, not that nothing changed."
    )
}

fn table(comparison: &ArmComparison) -> FiguresTable {
    let ArmComparison { arm, against, .. } = comparison;
    let [first, second] = column_names(against, arm);
    let head = ["metric", &first, &second, "change", "interval", "verdict"];
    FiguresTable {
        title: format!("{arm} against {against}"),
        head: head.map(str::to_owned).to_vec(),
        rows: comparison.metrics.iter().map(row).collect(),
    }
}

fn row(row: &MetricComparison) -> FiguresRow {
    let cells = vec![
        title(row).to_owned(),
        value(&row.metric, row.against_median),
        value(&row.metric, row.arm_median),
        change(row.ratio),
        interval(row),
        row.verdict.to_string(),
    ];
    FiguresRow { cells, remark: Some(remark(row)), good: true }
}

fn arms(document: &ComparisonDocument) -> FiguresTable {
    FiguresTable {
        title: "The arms".to_owned(),
        head: ["arm", "differs in", "system", "trials", "status", "durability"].map(str::to_owned).to_vec(),
        rows: document.arms.iter().map(arm).collect(),
    }
}

fn arm(arm: &ComparedArm) -> FiguresRow {
    let system = [Some(arm.arm.system.as_str()), arm.arm.version.as_deref(), arm.arm.backend.as_deref()];
    let verdicts = arm.verdicts.iter().map(|(verdict, trials)| format!("{verdict} in {trials} trials"));
    let remark = verdicts.chain(arm.bundle.clone()).collect::<Vec<_>>().join("; ");
    FiguresRow {
        cells: vec![
            arm.name.clone(),
            if arm.differences.is_empty() { "–".to_owned() } else { arm.differences.join(" ") },
            system.into_iter().flatten().collect::<Vec<_>>().join(" "),
            arm.trials.to_string(),
            arm.status.to_string(),
            arm.durability.to_string(),
        ],
        remark: Some(remark).filter(|text| !text.is_empty()),
        good: arm.status == Status::Ok,
    }
}

fn notes(document: &ComparisonDocument) -> Vec<String> {
    let missing = document.comparisons.iter().flat_map(|comparison| {
        left_out(comparison).into_iter().map(|reason| format!("Not compared ({}): {reason}.", comparison.arm))
    });
    let basis = "Medians are for orientation; the change is the Hodges–Lehmann ratio of pairs, which drift of the machine \
                 does not move.";
    missing.chain([basis.to_owned(), seed_note(document.design.seed, &document.id)]).collect()
}
