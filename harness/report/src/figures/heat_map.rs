//! Latency over time as counts: two modes or periodic stalls show where lines of percentiles hide them.

use std::collections::BTreeMap;

use plimsoll_results::{LatencyInterval, Metric, Quantile};

use super::Choice;
use super::captions::{durability, measured};
use super::instants::{bands, marks};
use super::time::{line, time_axis, trial_name};
use crate::chart::{Axis, Chart, Color, Dash, Heat, HeatCell, Panel, Series};
use crate::data::{ReportData, TrialData};

/// Rows in each factor of ten.
const ROWS_PER_DECADE: f64 = 12.0;
const RESPONSE: Metric = Metric::Response;

/// One chart per trial that has response times, all on the same axes and with the same colours.
pub fn heat_maps(runs: &[ReportData]) -> Vec<Choice> {
    let x = time_axis(runs);
    let shown = |interval: &&LatencyInterval| end_s(interval) <= x.max;
    let trials = runs.iter().flat_map(|run| run.trials.iter().enumerate().map(move |it| (run, it)));
    let trials: Vec<_> = trials
        .map(|(run, (index, trial))| {
            let intervals: Vec<_> = trial.latency.of(&RESPONSE).filter(shown).collect();
            (run, trial, trial_name(runs, run, index), intervals)
        })
        .filter(|(_, _, _, intervals)| !intervals.is_empty())
        .collect();
    let all = trials.iter().flat_map(|(_, _, _, intervals)| intervals);
    let y = Axis::log_micros("latency", all.flat_map(|interval| values_us(interval)).map(|(us, _)| us));
    let heats: Vec<_> = trials.iter().map(|(_, _, _, intervals)| heat(intervals, &y)).collect();
    let most = heats.iter().flat_map(|heat| heat.cells.iter().map(|cell| cell.count)).max();
    let levels = Heat::levels_up_to(most.unwrap_or(1));
    let charts = trials.into_iter().zip(heats).enumerate().map(|(nth, ((run, trial, name, _), heat))| {
        let heat = Heat { levels: levels.clone(), ..heat };
        let panel = Panel { heat: Some(heat), ..Panel::lines("latency", y.clone(), over(trial), 1.0) };
        Choice { name, chart: chart(nth + 1, run, trial, x.clone(), panel) }
    });
    charts.collect()
}

fn end_s(interval: &LatencyInterval) -> f64 {
    (interval.at_ns + interval.len_ns) as f64 / 1e9
}

fn values_us(interval: &LatencyInterval) -> impl Iterator<Item = (f64, u64)> {
    interval.histogram.iter().map(|(value_ns, count)| (value_ns as f64 / 1e3, count))
}

/// Counts by interval and row. Values below the axis, which a latency of zero is, go to its lowest row.
fn heat(intervals: &[&LatencyInterval], y: &Axis) -> Heat {
    let rows = ((y.max / y.min).log10() * ROWS_PER_DECADE).round() as usize;
    let border = |row: usize| y.min * 10f64.powf(row as f64 / ROWS_PER_DECADE);
    let mut cells = Vec::new();
    for (column, interval) in intervals.iter().enumerate() {
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for (us, count) in values_us(interval) {
            let row = ((us.max(y.min) / y.min).log10() * ROWS_PER_DECADE).floor() as usize;
            *counts.entry(row.min(rows.saturating_sub(1))).or_default() += count;
        }
        cells.extend(counts.into_iter().map(|(row, count)| HeatCell { column, row, count }));
    }
    Heat {
        unit: "records".to_owned(),
        columns: intervals.iter().map(|it| (it.at_ns as f64 / 1e9, end_s(it))).collect(),
        borders: (0..=rows).map(border).collect(),
        cells,
        levels: vec![1],
    }
}

/// Percentiles of the intervals in one colour, which no count has.
fn over(trial: &TrialData) -> Vec<Series> {
    let strokes =
        [(Quantile::P50, Dash::Solid), (Quantile::P99, Dash::Dashed), (Quantile::P999, Dash::Dotted)];
    let lines = strokes.into_iter().map(|(quantile, dash)| {
        let read = |row: &plimsoll_results::IntervalRow| row.latency.get("response")?.get(quantile);
        line(trial, quantile.label(), Color::Second, read).dashed(dash)
    });
    lines.filter(Series::has_values).collect()
}

fn chart(number: usize, run: &ReportData, trial: &TrialData, x: Axis, panel: Panel) -> Chart {
    let one = std::slice::from_ref(run);
    let (marks, bands) = (marks(run, x.max), bands(run, trial, x.max));
    Chart {
        id: format!("heat-{number}"),
        title: "Response times over time".to_owned(),
        question: "Are there two modes, or stalls that come back? Each cell counts the records of one interval in one \
                   range of latency; a mode is a strong line of its own, a stall a column that rises."
            .to_owned(),
        captions: [vec![measured(one)], durability(one)].concat(),
        x,
        panels: vec![panel],
        marks,
        bands,
        y_toggle: false,
    }
}
