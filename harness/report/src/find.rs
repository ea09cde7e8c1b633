//! A search for people: the rate in a sentence, every level that was tried, and the parts that were measured.

use plimsoll_results::{FindDocument, FoundLevel};

use crate::card::CardStyle;
use crate::chart::{Chart, Mark};
use crate::data::FindData;
use crate::figures::hockey_stick;
use crate::preflight::preflight;
use crate::sweep::{SWEEP_HEAD, SWEEP_LEGEND, sweep_cells};
use crate::text_table::text_table;
use crate::units::{count, duration_us, or_dash};

/// Columns of what was tried.
pub(crate) const LEVELS: [&str; 6] = ["tried", "asked for", "reached", "response p50", "p99", "held"];
const YELLOW: &str = "33";
const FAINT: &str = "2";

/// Prints a search. Lines end in `\n`.
pub fn find_table(document: &FindDocument, style: CardStyle) -> String {
    let levels: Vec<_> = document.levels.iter().map(level_cells).collect();
    let rows: Vec<_> = document.rows.iter().map(sweep_cells).collect();
    let mut text = format!("{}\n  durability  {}\n\n", sentence(document), document.durability);
    text += &text_table(&LEVELS, &levels, 1..5);
    if !rows.is_empty() {
        text += &format!("\n{}{SWEEP_LEGEND}\n", text_table(&SWEEP_HEAD, &rows, 2..));
    }
    let tone = |code: &str, line: String| {
        if style.color { format!("\x1b[{code}m{line}\x1b[0m\n") } else { format!("{line}\n") }
    };
    for remark in document.status_reasons.iter().chain(&document.notices) {
        text += &tone(YELLOW, format!("  notice  {remark}"));
    }
    text.extend(preflight(&document.preflight).map(|found| tone(FAINT, format!("  {found}"))));
    document.bundle.iter().chain(&document.report).for_each(|path| text += &format!("{path}\n"));
    text
}

/// What was found.
pub(crate) fn sentence(document: &FindDocument) -> String {
    let workload = document.workload.as_deref().unwrap_or("a workload");
    let slo = document.slo.join(" and ");
    let Some(rate) = document.rate else { return format!("{workload}: no rate held {slo}") };
    let failed = or_dash(document.bracket.high, count);
    format!("{workload}: {} records/s hold {slo}; {failed} records/s do not", count(rate))
}

/// A level, in the order of [`LEVELS`].
pub(crate) fn level_cells(level: &FoundLevel) -> Vec<String> {
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

/// Latency against load, with the rate that was confirmed and the least that failed. `None` when there are not two rates.
pub fn find_curve(data: &FindData) -> Option<Chart> {
    let chart = hockey_stick(&data.runs)?;
    let mark = |at: Option<f64>, what: &str| {
        at.map(|at| Mark { at, label: format!("{what} {}/s", count(at)), labelled: true })
    };
    let ends = [mark(data.document.rate, "holds"), mark(data.document.bracket.high, "fails")];
    Some(Chart { marks: ends.into_iter().flatten().collect(), ..chart })
}
