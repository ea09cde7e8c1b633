//! Which charts a run gets.

use plimsoll_results::{Event, IntervalRow, LatencySeries, Metric, Phase, Pooled, QuantileSet};

use crate::chart::{Axis, Band, Chart, Color, Dash, Mark, Panel, Scale, Series};
use crate::data::{ReportData, TrialData};
use crate::units;

/// Points per factor of ten in the tail: more than a screen can show, few enough to store.
const CURVE_POINTS_PER_NINE: u32 = 60;
/// More labels than this lie on top of one another.
const LABELS_MAX: usize = 8;
const ALWAYS_LABELLED: [&str; 3] = ["fault", "recovered", "election"];

/// The percentile curve of the measured phase: how bad is the tail, and from which nine on?
pub fn percentile_curve(data: &ReportData) -> Chart {
    let all = data.latency();
    let mut series = Vec::new();
    if data.trials.len() > 1 {
        series.extend(data.trials.iter().flat_map(|trial| trial_curve(&trial.latency)));
    }
    for (metric, name, color, dash) in [
        (Metric::Response, "response", Color::First, Dash::Solid),
        (Metric::EndToEnd, "end to end", Color::Second, Dash::Solid),
        (Metric::Service, "service", Color::Third, Dash::Dashed),
        (Metric::Hiccup, "hiccups of an idle thread", Color::Grey, Dash::Dotted),
    ] {
        series.extend(curve(&all.pooled(&metric, Phase::Measure), name, color, dash));
    }
    let values = series.iter().flat_map(|line| line.points.iter().filter_map(|(_, y)| *y));
    let y = Axis::log_micros("latency", values);
    let ends = series.iter().filter_map(|line| line.points.last().map(|(x, _)| *x));
    let x = Axis::nines("share of records at or below", ends.fold(0.0, f64::max));
    Chart {
        id: "percentiles".to_owned(),
        title: "Latency by percentile".to_owned(),
        question:
            "How bad is the tail, and from which nine on? Read upwards from 99 %: one record in a hundred \
                   took longer than the line there."
                .to_owned(),
        captions: vec![measured_from_to(data), curve_basis(&all), durability(data)],
        x,
        panels: vec![Panel { title: "latency".to_owned(), y, series, weight: 1.0 }],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: true,
    }
}

fn trial_curve(latency: &LatencySeries) -> Vec<Series> {
    let pooled = latency.pooled(&Metric::Response, Phase::Measure);
    let lines = curve(&pooled, "response, single trials", Color::First, Dash::Solid);
    lines.into_iter().map(Series::thin).collect()
}

/// The part with at least 100 samples beyond it as asked, the rest dotted.
fn curve(pooled: &Pooled<'_>, name: &str, color: Color, dash: Dash) -> Vec<Series> {
    let points = pooled.curve(CURVE_POINTS_PER_NINE);
    let place = |point: &plimsoll_results::CurvePoint| (point.nines, Some(point.value_us));
    let firm = points.iter().take_while(|point| point.trusted).count();
    let trusted = points.iter().take(firm).map(place).collect();
    let beyond = points.iter().skip(firm.saturating_sub(1)).map(place).collect();
    let lines = [
        Series::line(name, color, trusted).dashed(dash),
        Series::line(name, color, beyond).dashed(Dash::Dotted).thin(),
    ];
    lines.into_iter().filter(|line| line.points.len() > 1).collect()
}

/// Throughput, latency, backlog, CPU and disk over time, one chart per trial on the same axes.
pub fn time_series(data: &ReportData) -> Vec<Chart> {
    let scales = Scales::over(data);
    let trials = data.trials.iter().enumerate();
    trials
        .filter(|(_, trial)| whole(trial).next().is_some())
        .map(|(index, trial)| trial_chart(data, trial, index, &scales))
        .collect()
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
    fn over(data: &ReportData) -> Self {
        let panels = PanelKind::ALL.into_iter().filter_map(|kind| {
            let series: Vec<_> = data.trials.iter().flat_map(|trial| kind.series(data, trial)).collect();
            let values = series.iter().flat_map(|line| line.points.iter().filter_map(|(_, y)| *y));
            (!series.is_empty()).then(|| (kind, kind.axis(values)))
        });
        let panels = same_latency_axis(panels.collect());
        let ends =
            data.trials.iter().flat_map(|trial| whole(trial).map(|row| (row.at_ms + row.len_ms) / 1e3));
        let end = ends.fold(0.0, f64::max).max(1.0);
        Self {
            x: Axis { label: "time".to_owned(), scale: Scale::Seconds, min: 0.0, max: end.ceil() },
            panels,
        }
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

fn trial_chart(data: &ReportData, trial: &TrialData, index: usize, scales: &Scales) -> Chart {
    let panels = scales.panels.iter().map(|(kind, axis)| Panel {
        title: kind.title().to_owned(),
        y: axis.clone(),
        series: kind.series(data, trial),
        weight: kind.weight(),
    });
    let several = data.trials.len() > 1;
    Chart {
        id: format!("time-{}", index + 1),
        title: if several { format!("Over time, trial {}", index + 1) } else { "Over time".to_owned() },
        question:
            "Was it steady, and what happened when it was not? One point per interval; shaded spans are not \
                   in the figures above."
                .to_owned(),
        captions: vec![measured_from_to(data), durability(data)],
        x: scales.x.clone(),
        panels: panels.collect(),
        marks: marks(&data.events, scales.x.max),
        bands: bands(trial, scales.x.max),
        y_toggle: false,
    }
}

/// The last, partial interval is left out: its rate would dip for no reason. It is in the totals.
fn whole(trial: &TrialData) -> impl Iterator<Item = &IntervalRow> {
    trial.intervals.iter().filter(|row| !row.partial)
}

/// Each interval at its middle.
fn line(trial: &TrialData, name: &str, color: Color, read: impl Fn(&IntervalRow) -> Option<f64>) -> Series {
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
        quantile("p99", Color::Second, Dash::Solid, |set| set.p99_us),
        quantile("p99.9", Color::Fourth, Dash::Dashed, |set| set.p999_us),
        quantile("max", Color::Grey, Dash::Dotted, |set| set.max_us),
    ]
}

fn cpu_lines(trial: &TrialData) -> Vec<Series> {
    let read = |name: &str, color, read: fn(&plimsoll_results::IntervalResources) -> Option<f64>| {
        line(trial, name, color, |row| row.resources.as_ref().and_then(read))
    };
    vec![
        read("broker CPU", Color::First, |r| r.broker_cpu_pct),
        read("client CPU", Color::Second, |r| r.client_cpu_pct).dashed(Dash::Dashed),
        read("steal (all cores)", Color::Fourth, |r| r.steal_pct).dashed(Dash::Dotted),
        read("some task waited for I/O", Color::Fifth, |r| r.psi_io_pct).dashed(Dash::Dotted),
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

fn marks(events: &[Event], end_s: f64) -> Vec<Mark> {
    // Phases are shaded; a rule at their border would say it twice.
    let drawn = events.iter().filter(|event| event.kind != "phase");
    let inside: Vec<_> = drawn.filter(|event| (0.0..=end_s * 1e3).contains(&event.at_ms)).collect();
    let all_fit = inside.len() <= LABELS_MAX;
    let marks = inside.into_iter().map(|event| Mark {
        at: event.at_ms / 1e3,
        label: event.message.clone(),
        labelled: all_fit || ALWAYS_LABELLED.contains(&event.kind.as_str()),
    });
    marks.collect()
}

/// Spans of intervals outside the measured phase.
fn bands(trial: &TrialData, end_s: f64) -> Vec<Band> {
    let mut bands: Vec<(Phase, Band)> = Vec::new();
    for row in trial.intervals.iter().filter(|row| row.phase != Phase::Measure) {
        let (from, to) = (row.at_ms / 1e3, (row.at_ms + row.len_ms) / 1e3);
        match bands.last_mut() {
            Some((phase, band)) if *phase == row.phase => band.to = to,
            _ => bands.push((row.phase, Band { from, to, label: phase_name(row.phase).to_owned() })),
        }
    }
    let visible = bands.into_iter().map(|(_, band)| Band { to: band.to.min(end_s), ..band });
    visible.filter(|band| band.from < band.to).collect()
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Warmup => "warm-up",
        Phase::Measure => "measured",
        Phase::Drain => "drain",
    }
}

fn measured_from_to(data: &ReportData) -> String {
    let trials = data.document.trials.max(1);
    format!(
        "{}; response: to the broker's acknowledgement; end to end: to the consumer; {trials} {}",
        data.document.load.mode.caption(),
        if trials == 1 { "trial" } else { "trials, pooled by counts" },
    )
}

fn curve_basis(all: &LatencySeries) -> String {
    let n = all.pooled(&Metric::Response, Phase::Measure).len();
    format!("{} records; dotted where fewer than 100 lie beyond", units::count(n as f64))
}

fn durability(data: &ReportData) -> String {
    format!("durability: {}", data.document.durability)
}
