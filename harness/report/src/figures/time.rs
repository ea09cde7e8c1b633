//! Throughput, latency, backlog, CPU and disk over time, with what happened on the axis.

use plimsoll_results::{IntervalResources, IntervalRow, QuantileSet};

use super::Choice;
use super::captions::{durability, measured};
use super::instants::{bands, marks};
use crate::chart::{Axis, Chart, Color, Dash, Panel, Scale, Series};
use crate::data::{ReportData, TrialData};

/// One chart per trial that has intervals, all on the same axes.
pub fn time_series(runs: &[ReportData]) -> Vec<Choice> {
    let scales = Scales::over(runs);
    let charts = runs.iter().flat_map(|run| {
        let trials = run.trials.iter().enumerate();
        let of_run = trials.filter(|(_, trial)| whole(trial).next().is_some());
        of_run.map(|(index, trial)| (trial_name(runs, run, index), trial_chart(run, trial, &scales)))
    });
    let numbered = charts.enumerate().map(|(index, (name, chart))| Choice {
        name,
        chart: Chart { id: format!("time-{}", index + 1), ..chart },
    });
    numbered.collect()
}

/// What a trial is called among all that are shown.
pub(super) fn trial_name(runs: &[ReportData], run: &ReportData, index: usize) -> String {
    match (runs.len(), run.trials.len()) {
        (1, _) => format!("trial {}", index + 1),
        (_, 1) => run.name.clone(),
        _ => format!("{}, trial {}", run.name, index + 1),
    }
}

/// Time from the begin of the longest trial's first interval to the end of its last whole one.
pub(super) fn time_axis(runs: &[ReportData]) -> Axis {
    let trials = runs.iter().flat_map(|run| &run.trials);
    let ends = trials.flat_map(|trial| whole(trial).map(|row| (row.at_ms + row.len_ms) / 1e3));
    Axis::between("time", Scale::Seconds, 0.0, ends.fold(1.0, f64::max).ceil())
}

/// Axes shared by all trials of a run.
struct Scales {
    x: Axis,
    panels: Vec<(PanelKind, Axis)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PanelKind {
    Rate,
    Response,
    EndToEnd,
    Backlog,
    Cpu,
    Disk,
}

impl PanelKind {
    const ALL: [Self; 6] = [Self::Rate, Self::Response, Self::EndToEnd, Self::Backlog, Self::Cpu, Self::Disk];

    fn title(self) -> &'static str {
        match self {
            Self::Rate => "records per second",
            Self::Response => "response latency",
            Self::EndToEnd => "end-to-end latency",
            Self::Backlog => "records waiting for consumers",
            Self::Cpu => "CPU, percent of one core",
            Self::Disk => "waiting for and written to disk",
        }
    }

    fn weight(self) -> f64 {
        match self {
            Self::Response | Self::EndToEnd => 1.6,
            _ => 1.0,
        }
    }

    fn axis(self, values: impl Iterator<Item = f64>) -> Axis {
        match self {
            Self::Rate => Axis::from_zero("records/s", Scale::Count, values),
            Self::Response | Self::EndToEnd => Axis::log_micros("latency", values),
            Self::Backlog => Axis::from_zero("records", Scale::Count, values),
            Self::Cpu => Axis::from_zero("% of a core", Scale::Percent, values),
            Self::Disk => Axis::from_zero("bytes", Scale::Bytes, values),
        }
    }

    fn series(self, data: &ReportData, trial: &TrialData) -> Vec<Series> {
        let lines = match self {
            Self::Rate => rate_lines(data, trial),
            Self::Response => latency_lines(trial, "response"),
            Self::EndToEnd => latency_lines(trial, "e2e"),
            Self::Backlog => {
                vec![line(trial, "backlog", Color::Third, |row| row.backlog_records.map(|n| n as f64))]
            }
            Self::Cpu => cpu_lines(trial),
            Self::Disk => disk_lines(trial),
        };
        lines.into_iter().filter(Series::has_values).collect()
    }
}

impl Scales {
    fn over(runs: &[ReportData]) -> Self {
        let trials = || runs.iter().flat_map(|run| run.trials.iter().map(move |trial| (run, trial)));
        let panels = PanelKind::ALL.into_iter().filter_map(|kind| {
            let series: Vec<_> = trials().flat_map(|(run, trial)| kind.series(run, trial)).collect();
            let values = series.iter().flat_map(|line| line.points.iter().filter_map(|(_, y)| *y));
            (!series.is_empty()).then(|| (kind, kind.axis(values)))
        });
        Self { x: time_axis(runs), panels: same_latency_axis(panels.collect()) }
    }
}

/// Response and end-to-end are read against each other, so they get the same axis.
fn same_latency_axis(mut panels: Vec<(PanelKind, Axis)>) -> Vec<(PanelKind, Axis)> {
    let is_latency = |kind: PanelKind| matches!(kind, PanelKind::Response | PanelKind::EndToEnd);
    let ends: Vec<f64> =
        panels.iter().filter(|(kind, _)| is_latency(*kind)).flat_map(|(_, y)| [y.min, y.max]).collect();
    for (kind, axis) in &mut panels {
        if is_latency(*kind) {
            *axis = kind.axis(ends.iter().copied());
        }
    }
    panels
}

fn trial_chart(run: &ReportData, trial: &TrialData, scales: &Scales) -> Chart {
    let panels = scales
        .panels
        .iter()
        .map(|(kind, axis)| Panel::lines(kind.title(), axis.clone(), kind.series(run, trial), kind.weight()));
    let one = std::slice::from_ref(run);
    Chart {
        id: "time".to_owned(),
        title: "Over time".to_owned(),
        question: "Was it steady, and what happened when it was not? One point per interval; shaded spans are not in \
                   the figures above."
            .to_owned(),
        captions: [vec![measured(one)], durability(one)].concat(),
        x: scales.x.clone(),
        panels: panels.collect(),
        marks: marks(run, scales.x.max),
        bands: bands(run, trial, scales.x.max),
        y_toggle: false,
    }
}

/// The last, partial interval is left out: its rate would dip for no reason. It is in the totals.
pub(super) fn whole(trial: &TrialData) -> impl Iterator<Item = &IntervalRow> {
    trial.intervals.iter().filter(|row| !row.partial)
}

/// Each interval at its middle.
pub(super) fn line(
    trial: &TrialData,
    name: &str,
    color: Color,
    read: impl Fn(&IntervalRow) -> Option<f64>,
) -> Series {
    let points = whole(trial).map(|row| ((row.at_ms + row.len_ms / 2.0) / 1e3, read(row)));
    Series::line(name, color, points.collect())
}

fn per_second(row: &IntervalRow, n: u64) -> Option<f64> {
    (row.len_ms > 0.0).then(|| n as f64 * 1e3 / row.len_ms)
}

fn rate_lines(data: &ReportData, trial: &TrialData) -> Vec<Series> {
    let mut lines = Vec::new();
    if let Some(target) = data.document.load.target_rate {
        lines.push(line(trial, "asked", Color::Grey, |_| Some(target)).dashed(Dash::Dashed));
    }
    lines.push(line(trial, "acknowledged", Color::First, |row| per_second(row, row.acked)));
    if trial.intervals.iter().any(|row| row.consumed > 0) {
        let consumed = line(trial, "consumed", Color::Second, |row| per_second(row, row.consumed));
        lines.push(consumed.dashed(Dash::Dashed));
    }
    lines
}

fn latency_lines(trial: &TrialData, tag: &str) -> Vec<Series> {
    let quantile = |name: &str, color, dash, read: fn(&QuantileSet) -> Option<f64>| {
        line(trial, name, color, |row| row.latency.get(tag).and_then(read)).dashed(dash)
    };
    vec![
        quantile("p50", Color::First, Dash::Solid, |set| set.p50_us),
        quantile("p99", Color::Second, Dash::Dashed, |set| set.p99_us),
        quantile("p99.9", Color::Fourth, Dash::Dotted, |set| set.p999_us),
        quantile("max", Color::Grey, Dash::DashDot, |set| set.max_us),
    ]
}

fn cpu_lines(trial: &TrialData) -> Vec<Series> {
    let read = |name: &str, color, read: fn(&IntervalResources) -> Option<f64>| {
        line(trial, name, color, |row| row.resources.as_ref().and_then(read))
    };
    vec![
        read("broker CPU", Color::First, |r| r.broker_cpu_pct),
        read("client CPU", Color::Second, |r| r.client_cpu_pct).dashed(Dash::Dashed),
        read("steal (all cores)", Color::Fourth, |r| r.steal_pct).dashed(Dash::Dotted),
        read("some task waited for I/O", Color::Fifth, |r| r.psi_io_pct).dashed(Dash::DashDot),
    ]
}

fn disk_lines(trial: &TrialData) -> Vec<Series> {
    let dirty = |row: &IntervalRow| row.resources?.dirty_bytes.map(|bytes| bytes as f64);
    let written = |row: &IntervalRow| row.resources?.disk_write_bytes.map(|bytes| bytes as f64);
    vec![
        line(trial, "dirty memory", Color::Third, dirty),
        line(trial, "written to disk per interval", Color::Fourth, written).dashed(Dash::Dashed),
    ]
}
