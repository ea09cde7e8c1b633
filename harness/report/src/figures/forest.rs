//! A comparison metric by metric: which moved, by how much, and how sure is that?

use plimsoll_results::stats::{Better, ComparisonVerdict};
use plimsoll_results::{ArmComparison, ComparisonDocument, MetricComparison};

use super::Choice;
use crate::chart::{Axis, Chart, Color, Dash, Mark, Marker, Panel, Series};
use crate::comparison::words::{change, design, durability, title};
use crate::units::exact;

const MATTERS: &str = "too small to matter";
const PAIRS: &str = "single pairs (small dots)";
/// Pairs stand below the interval of their row, this part of a row.
const BELOW: f64 = 0.27;
/// Verdicts in the order of a legend, each with its colour and stroke.
const VERDICTS: [(ComparisonVerdict, Color, Dash); 5] = [
    (ComparisonVerdict::Regressed, Color::Second, Dash::Solid),
    (ComparisonVerdict::Improved, Color::Third, Dash::Solid),
    (ComparisonVerdict::Equivalent, Color::First, Dash::Solid),
    (ComparisonVerdict::ChangedSmall, Color::Fifth, Dash::Dashed),
    (ComparisonVerdict::Inconclusive, Color::Grey, Dash::Dotted),
];

/// One chart per further arm, all on the same axis.
pub fn forests(document: &ComparisonDocument) -> Vec<Choice> {
    let all = document.comparisons.iter().flat_map(|comparison| &comparison.metrics);
    let x = Axis::log_ratio("change", all.flat_map(reach));
    let charts = document.comparisons.iter().enumerate().map(|(index, comparison)| Choice {
        name: comparison.arm.clone(),
        chart: Chart { id: format!("forest-{}", index + 1), ..forest(document, comparison, x.clone()) },
    });
    charts.collect()
}

/// Everything that must be on the axis.
fn reach(row: &MetricComparison) -> impl Iterator<Item = f64> {
    let ends = [row.low, row.high, Some(row.ratio), Some(1.0 + row.min_effect)].into_iter().flatten();
    ends.chain(row.ratios.iter().copied()).filter(|ratio| *ratio > 0.0).map(f64::ln)
}

fn forest(document: &ComparisonDocument, comparison: &ArmComparison, x: Axis) -> Chart {
    let y = Axis::rows(comparison.metrics.iter().map(row_name).collect());
    let label = format!("{} ÷ {}", comparison.arm, comparison.against);
    Chart {
        id: "forest".to_owned(),
        title: format!("How sure each change is: {} against {}", comparison.arm, comparison.against),
        question: "Which metrics moved, by how much, and how sure is that? A dot is the estimate, the line its interval: one \
                   that crosses “no change” may be none. Inside the shaded range a change is too small to matter."
            .to_owned(),
        captions: captions(document, comparison),
        x: Axis { label, ..x },
        panels: vec![Panel::lines("", y.clone(), series(comparison, &y), 1.0)],
        marks: vec![Mark { at: 0.0, label: String::new(), labelled: false }],
        bands: Vec::new(),
        y_toggle: false,
    }
}

fn row_name(row: &MetricComparison) -> String {
    let better = match row.better {
        Better::Lower => "less",
        Better::Higher => "more",
    };
    let warns = if row.is_gated() { "" } else { ", only warns" };
    format!("{}\n{better} is better{warns}", title(row))
}

fn series(comparison: &ArmComparison, y: &Axis) -> Vec<Series> {
    let rows = || comparison.metrics.iter().enumerate().map(|(index, row)| (y.row(index), row));
    let matters = rows().flat_map(|(at, row)| {
        let reach = row.min_effect.ln_1p();
        [(-reach, Some(at)), (reach, Some(at)), (reach, None)]
    });
    let pairs = rows().flat_map(|(at, row)| {
        row.ratios.iter().filter(|ratio| **ratio > 0.0).map(move |ratio| (ratio.ln(), at - BELOW))
    });
    let mut series = Vec::new();
    for (verdict, color, dash) in VERDICTS {
        let of: Vec<_> = rows().filter(|(_, row)| row.verdict == verdict).collect();
        series.extend(judged(verdict, &of, color, dash));
    }
    series.push(Series::points(PAIRS, Color::Grey, Marker::Speck, pairs.collect()));
    series.push(Series::line(MATTERS, Color::Grey, matters.collect()).wash());
    series.into_iter().filter(Series::has_values).collect()
}

/// Rows of one verdict: intervals, and estimates with the word beside them.
fn judged(
    verdict: ComparisonVerdict,
    rows: &[(f64, &MetricComparison)],
    color: Color,
    dash: Dash,
) -> [Series; 2] {
    let intervals = rows.iter().filter_map(|(at, row)| row.low.zip(row.high).map(|ends| (*at, ends)));
    let lines = intervals
        .flat_map(|(at, (low, high))| [(low.ln(), Some(at)), (high.ln(), Some(at)), (high.ln(), None)]);
    let dots = rows.iter().map(|(at, row)| (row.ratio.ln(), *at)).collect();
    let labels = rows.iter().map(|(_, row)| reading(row)).collect();
    [
        Series::points(verdict.as_str(), color, Marker::Dot, dots).labelled(labels),
        Series::line(verdict.as_str(), color, lines.collect()).dashed(dash),
    ]
}

/// `+5.0 % REGRESSED`, and what is missing where nothing can be said.
fn reading(row: &MetricComparison) -> String {
    let needed = row.pairs_needed.map(|pairs| format!(", about {} more pairs needed", exact(pairs as u64)));
    format!("{} {}{}", change(row.ratio), row.verdict, needed.unwrap_or_default())
}

fn captions(document: &ComparisonDocument, comparison: &ArmComparison) -> Vec<String> {
    let confidence = comparison.metrics.iter().filter_map(|row| row.confidence).reduce(f64::min);
    let confidence = confidence.map_or_else(String::new, |share| format!(" at {:.1} %", 100.0 * share));
    let basis = format!(
        "{}. Hodges–Lehmann ratios with Wilcoxon intervals{confidence}; gated metrics together are wrong in at most {:.0} % \
         of comparisons of equal things.",
        design(document),
        100.0 * document.design.alpha
    );
    std::iter::once(basis)
        .chain(durability(document).into_iter().map(|line| format!("durability: {line}")))
        .collect()
}
