//! Latency by percentile: of one run every kind of latency, of several runs the response time of each.

use plimsoll_results::{CurvePoint, Metric, Phase, Pooled};

use super::captions::{durability, measured};
use super::strokes;
use crate::chart::{Axis, Chart, Color, Dash, Panel, Series};
use crate::data::ReportData;
use crate::units;

/// Points per factor of ten in the tail: more than a screen can show, few enough to store.
const CURVE_POINTS_PER_NINE: u32 = 60;
/// The same for single trials, which are context.
const TRIAL_POINTS_PER_NINE: u32 = 20;
const HICCUPS: &str = "hiccups of an idle thread";

/// The percentile curve of the measured phase: how bad is the tail, and from which nine on?
pub fn percentile_curve(runs: &[ReportData]) -> Chart {
    let series = match runs {
        [run] => kinds_of_latency(run),
        _ => response_of_each(runs),
    };
    let values = series.iter().flat_map(|line| line.points.iter().filter_map(|(_, y)| *y));
    let y = Axis::log_micros("latency", values);
    let ends = series.iter().filter_map(|line| line.points.last().map(|(x, _)| *x));
    let x = Axis::nines("share of records at or below", ends.fold(0.0, f64::max));
    let title = if runs.len() == 1 { "Latency by percentile" } else { "Response time by percentile" };
    Chart {
        id: "percentiles".to_owned(),
        title: title.to_owned(),
        question: "How bad is the tail, and from which nine on? Read upwards from 99 %: one record in a hundred took \
                   longer than the line there."
            .to_owned(),
        captions: captions(runs),
        x,
        panels: vec![Panel::lines("latency", y, series, 1.0)],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: true,
    }
}

fn kinds_of_latency(run: &ReportData) -> Vec<Series> {
    let mut series = Vec::new();
    for (metric, name, color, dash) in [
        (Metric::Response, "response", Color::First, Dash::Solid),
        (Metric::EndToEnd, "end to end", Color::Second, Dash::Dashed),
        (Metric::Service, "service", Color::Third, Dash::DashDot),
        (Metric::Hiccup, HICCUPS, Color::Grey, Dash::Dotted),
    ] {
        series.extend(curve(&run.pooled(&metric, Phase::Measure), name, (color, dash)));
    }
    series.extend(trial_curves(run, "response, single trials", (Color::First, Dash::Solid)));
    series
}

fn response_of_each(runs: &[ReportData]) -> Vec<Series> {
    let mut series = Vec::new();
    for (run, stroke) in runs.iter().zip(strokes()) {
        series.extend(curve(&run.pooled(&Metric::Response, Phase::Measure), &run.name, stroke));
        // Under the name of its run, so that the legend switches both together.
        series.extend(trial_curves(run, &run.name, stroke));
    }
    let hiccups = runs.iter().flat_map(|run| &run.trials).flat_map(|trial| trial.latency.of(&Metric::Hiccup));
    let measured = hiccups.filter(|row| row.phase == Phase::Measure);
    let together = Pooled::new(measured.map(|row| &row.histogram));
    series.extend(curve(&together, HICCUPS, (Color::Grey, Dash::Dotted)));
    series
}

/// Thin lines, when there is more than one trial.
fn trial_curves(run: &ReportData, name: &str, (color, dash): (Color, Dash)) -> Vec<Series> {
    if run.trials.len() < 2 {
        return Vec::new();
    }
    let lines = run.trials.iter().flat_map(|trial| {
        let pooled = trial.latency.pooled(&Metric::Response, Phase::Measure);
        let points = pooled.curve(TRIAL_POINTS_PER_NINE);
        let trusted: Vec<_> = points.iter().take_while(|point| point.trusted).map(place).collect();
        (trusted.len() > 1).then(|| Series::line(name, color, trusted).dashed(dash).thin())
    });
    lines.collect()
}

/// The part with at least 100 samples beyond it as asked, the rest grey and dotted.
fn curve(pooled: &Pooled<'_>, name: &str, (color, dash): (Color, Dash)) -> Vec<Series> {
    let points = pooled.curve(CURVE_POINTS_PER_NINE);
    let firm = points.iter().take_while(|point| point.trusted).count();
    let trusted = points.iter().take(firm).map(place).collect();
    let beyond = points.iter().skip(firm.saturating_sub(1)).map(place).collect();
    let lines = [
        Series::line(name, color, trusted).dashed(dash),
        Series::line(name, Color::Grey, beyond).dashed(Dash::Dotted).thin(),
    ];
    lines.into_iter().filter(|line| line.points.len() > 1).collect()
}

fn place(point: &CurvePoint) -> (f64, Option<f64>) {
    (point.nines, Some(point.value_us))
}

fn captions(runs: &[ReportData]) -> Vec<String> {
    let records = |run: &ReportData| run.pooled(&Metric::Response, Phase::Measure).len();
    let n: u64 = runs.iter().map(records).sum();
    let thin =
        if runs.iter().any(|run| run.trials.len() > 1) { "; thin lines are single trials" } else { "" };
    let basis =
        format!("{} records; grey and dotted where fewer than 100 lie beyond{thin}", units::count(n as f64));
    [vec![measured(runs), basis], durability(runs)].concat()
}
