//! Markdown and comma-separated values.

use plimsoll_results::{ArmComparison, ComparisonDocument, MetricComparison, Status};

use super::words::{change, design, durability, interval, left_out, remark, title, value};
use crate::preflight::preflight;

/// A heading, how it was measured, and a table per arm.
pub fn comparison_markdown(document: &ComparisonDocument) -> String {
    let word = match (document.status, document.verdict) {
        (Status::Ok, Some(verdict)) => verdict.as_str(),
        (Status::Ok, None) => "no verdict",
        // Whatever was found is not to be believed.
        (status, _) => status.as_str(),
    };
    let workload = document.workload.as_deref().unwrap_or("stored runs");
    let mut text = format!("### {workload}: {word}\n\n{}\n\n", design(document));
    for line in durability(document) {
        text += &format!("- durability: {line}\n");
    }
    let found = preflight(&document.preflight);
    for remark in document.status_reasons.iter().chain(&document.notices).chain(&found) {
        text += &format!("- {remark}\n");
    }
    document.comparisons.iter().for_each(|comparison| text += &markdown_table(comparison));
    text
}

fn markdown_table(comparison: &ArmComparison) -> String {
    let ArmComparison { arm, against, .. } = comparison;
    let (arm, against) = (cell(arm), cell(against));
    let mut text = format!("\n| metric | {against} | {arm} | change | 95 % interval | verdict | |\n");
    text += "|---|---:|---:|---:|---|---|---|\n";
    for row in &comparison.metrics {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            title(row),
            value(&row.metric, row.against_median),
            value(&row.metric, row.arm_median),
            change(row.ratio),
            interval(row),
            row.verdict,
            remark(row)
        );
    }
    for reason in left_out(comparison) {
        text += &format!("\nNot compared: {reason}.\n");
    }
    text
}

/// A bar would end a cell.
fn cell(name: &str) -> String {
    name.replace('|', "\\|")
}

const CSV_HEAD: &str = "arm,against,metric,verdict,ratio,low,high,confidence,p_value,pairs,wins,losses,\
                        pairs_needed,min_effect,against_median,arm_median\n";

/// One row per arm and metric; ratios are the arm divided by the first one.
pub fn comparison_csv(document: &ComparisonDocument) -> String {
    let rows = document
        .comparisons
        .iter()
        .flat_map(|comparison| comparison.metrics.iter().map(move |row| csv_row(comparison, row)));
    std::iter::once(CSV_HEAD.to_owned()).chain(rows).collect()
}

fn csv_row(comparison: &ArmComparison, row: &MetricComparison) -> String {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let needed = row.pairs_needed.map_or_else(String::new, |pairs| pairs.to_string());
    let cells = [
        quoted(&comparison.arm),
        quoted(&comparison.against),
        row.metric.clone(),
        row.verdict.as_str().to_lowercase(),
        row.ratio.to_string(),
        number(row.low),
        number(row.high),
        number(row.confidence),
        row.p_value.to_string(),
        row.pairs.to_string(),
        row.wins.to_string(),
        row.losses.to_string(),
        needed,
        row.min_effect.to_string(),
        row.against_median.to_string(),
        row.arm_median.to_string(),
    ];
    cells.join(",") + "\n"
}

/// By RFC 4180.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
