//! Small multiples: what each point does to each metric, all on one axis.

use plimsoll_results::stats::{Better, MetricRule};
use plimsoll_results::{MetricComparison, SweepDocument, SweepRow};

use super::table::sweep_basis;
use crate::chart::{Axis, Chart, Color, Dash, Mark, Marker, Panel, Series};
use crate::comparison::words::change;

const METRICS: [&str; 5] = [
    "records_per_s",
    "broker_cpu_ns_per_record",
    "bytes_written_per_payload_byte",
    "response_p50_us",
    "response_p99_us",
];

/// Ratios to the base, a panel per metric and a row per point. `None` when no point has one.
pub fn sweep_ratios(document: &SweepDocument) -> Option<Chart> {
    let points: Vec<&SweepRow> = document.rows.iter().filter(|row| row.against_base.is_some()).collect();
    let all = points.iter().flat_map(|row| METRICS.iter().filter_map(|metric| found(row, metric)));
    let ends = all.flat_map(|row| [Some(row.ratio), row.low, row.high]).flatten();
    let x = Axis::log_ratio("× base", ends.filter(|ratio| *ratio > 0.0).map(f64::ln));
    let y = Axis::rows(points.iter().map(|row| row.name.clone()).collect());
    let panels: Vec<Panel> =
        METRICS.iter().map(|metric| panel(metric, &points, &y)).filter(Panel::has_values).collect();
    let base = document.rows.first().map(|row| row.key.clone()).unwrap_or_default();
    let durability = document.rows.first().map(|row| row.durability.to_string()).unwrap_or_default();
    let unequal = document.durability_differences.iter().map(|difference| format!("not equal: {difference}"));
    (!panels.is_empty()).then(|| Chart {
        id: "settings".to_owned(),
        title: "What each setting does".to_owned(),
        question: "Which setting moves what, by how much? A dot is the ratio to the base, the line its interval: one that \
                   crosses “no change” may be none."
            .to_owned(),
        captions: [
            format!("{}; base: {base}. Hodges–Lehmann ratios with Wilcoxon intervals.", sweep_basis(document)),
            format!("durability of the base: {durability}"),
        ]
        .into_iter()
        .chain(unequal)
        .collect(),
        x,
        panels,
        marks: vec![Mark { at: 0.0, label: String::new(), labelled: false }],
        bands: Vec::new(),
        y_toggle: false,
    })
}

fn found<'a>(row: &'a SweepRow, metric: &str) -> Option<&'a MetricComparison> {
    let metrics = &row.against_base.as_ref()?.metrics;
    metrics.iter().find(|row| row.metric == metric && row.ratio > 0.0)
}

fn panel(metric: &str, points: &[&SweepRow], y: &Axis) -> Panel {
    let title = MetricRule::named(metric).map_or(metric, |rule| rule.title);
    let rows =
        || points.iter().enumerate().filter_map(|(index, row)| Some((y.row(index), found(row, metric)?)));
    let kinds = [
        ("better", Color::Third, Dash::Solid, Some(true)),
        ("worse", Color::Second, Dash::Dashed, Some(false)),
        ("may be no change", Color::Grey, Dash::Dotted, None),
    ];
    let series = kinds.into_iter().flat_map(|(name, color, dash, kind)| {
        let of: Vec<_> = rows().filter(|(_, row)| improves(row) == kind).collect();
        drawn(name, color, dash, &of)
    });
    Panel::lines(title, y.clone(), series.filter(Series::has_values).collect(), 1.0)
}

/// Whether it is better for certain, worse for certain, or neither.
fn improves(row: &MetricComparison) -> Option<bool> {
    let (low, high) = row.low.zip(row.high)?;
    let more = match (low > 1.0, high < 1.0) {
        (true, _) => true,
        (_, true) => false,
        _ => return None,
    };
    Some(more == (row.better == Better::Higher))
}

fn drawn(name: &str, color: Color, dash: Dash, rows: &[(f64, &MetricComparison)]) -> [Series; 2] {
    let dots = rows.iter().map(|(at, row)| (row.ratio.ln(), *at)).collect();
    let labels = rows.iter().map(|(_, row)| change(row.ratio)).collect();
    let intervals = rows.iter().filter_map(|(at, row)| row.low.zip(row.high).map(|ends| (*at, ends)));
    let lines = intervals
        .filter(|(_, (low, _))| *low > 0.0)
        .flat_map(|(at, (low, high))| [(low.ln(), Some(at)), (high.ln(), Some(at)), (high.ln(), None)]);
    [
        Series::points(name, color, Marker::Dot, dots).labelled(labels),
        Series::line(name, color, lines.collect()).dashed(dash),
    ]
}
