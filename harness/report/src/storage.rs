//! What the bench of the storage engine shows: throughput against CPU, syncs by percentile, and a page of them.

use minijinja::value::Serde;
use minijinja::{Environment, context};
use plimsoll_results::{Histogram, Pooled};
use serde::Serialize;

use crate::chart::{Axis, Chart, Color, Dash, Marker, Panel, Scale, Series};
use crate::html::{ReportError, Shared};

const CURVE_POINTS_PER_NINE: u32 = 60;
const PAGE: &str = include_str!("../assets/figures.html");

/// A row and its floor in the plane of cost and speed.
#[derive(Debug, Clone, PartialEq)]
pub struct CostPoint {
    /// What shares a colour and a place in the legend, for example a backend.
    pub group: String,
    /// CPU seconds per 10⁹ bytes, and bytes per second.
    pub engine: (f64, f64),
    /// The floor's.
    pub floor: (f64, f64),
}

/// How much speed a CPU second buys: each row joined with the floor of its technique.
pub fn throughput_against_cpu(points: &[CostPoint], captions: Vec<String>) -> Chart {
    let groups = groups(points.iter().map(|point| point.group.as_str()));
    let mut series = Vec::new();
    for (group, color) in &groups {
        let of = || points.iter().filter(|point| point.group == *group);
        let joins = of().flat_map(|it| {
            [(it.floor.0, Some(it.floor.1)), (it.engine.0, Some(it.engine.1)), (it.engine.0, None)]
        });
        series.push(Series::line(group.clone(), *color, joins.collect()).dashed(Dash::Dotted).thin());
        series.push(Series::points(group.clone(), *color, Marker::Dot, of().map(|it| it.engine).collect()));
        let floor = format!("{group}, floor");
        series.push(Series::points(floor, *color, Marker::Ring, of().map(|it| it.floor).collect()));
    }
    let all = || points.iter().flat_map(|point| [point.engine, point.floor]);
    let y = Axis::from_zero("payload per second", Scale::Bytes, all().map(|(_, rate)| rate));
    Chart {
        id: "throughput-cpu".to_owned(),
        title: "Throughput against CPU".to_owned(),
        question: "How much speed does a CPU second buy? Up is faster, left is cheaper; each dot is joined with the \
                   ring of its floor, the plainest program of the same technique."
            .to_owned(),
        captions,
        x: Axis::from_zero("CPU seconds per GB of payload", Scale::Count, all().map(|(cpu, _)| cpu)),
        panels: vec![Panel { title: "payload per second".to_owned(), y, series, weight: 1.0 }],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: false,
    }
}

/// How long syncs took, by percentile. Curves are not smoothed; beyond 100 samples they are dotted.
pub fn sync_latency(curves: &[(String, &Histogram)], captions: Vec<String>) -> Chart {
    let colors = groups(curves.iter().map(|(name, _)| name.as_str()));
    let mut series = Vec::new();
    for ((name, histogram), (_, color)) in curves.iter().zip(&colors) {
        let pooled = Pooled::new([*histogram]);
        let points: Vec<_> = pooled.curve(CURVE_POINTS_PER_NINE);
        let firm = points.iter().take_while(|point| point.trusted).count();
        let place = |from: usize, to: usize| {
            let part = points.iter().skip(from).take(to.saturating_sub(from));
            part.map(|point| (point.nines, Some(point.value_us))).collect::<Vec<_>>()
        };
        let dash = [Dash::Solid, Dash::Dashed].into_iter().nth(series.len() / 10).unwrap_or(Dash::Solid);
        series.push(Series::line(name.clone(), *color, place(0, firm)).dashed(dash));
        series.push(
            Series::line(name.clone(), *color, place(firm.saturating_sub(1), points.len()))
                .dashed(Dash::Dotted)
                .thin(),
        );
    }
    series.retain(|line| line.points.len() > 1);
    let values = series.iter().flat_map(|line| line.points.iter().filter_map(|(_, y)| *y));
    let y = Axis::log_micros("time of a group's sync", values);
    let ends = series.iter().filter_map(|line| line.points.last().map(|(x, _)| *x));
    let x = Axis::nines("share of groups at or below", ends.fold(0.0, f64::max));
    Chart {
        id: "sync-latency".to_owned(),
        title: "Syncs by percentile".to_owned(),
        question: "How long does a group wait until it is durable, and how bad is the tail?".to_owned(),
        captions,
        x,
        panels: vec![Panel { title: "time of a group's sync".to_owned(), y, series, weight: 1.0 }],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: true,
    }
}

/// Names in the order they come, with a colour each; the sixth and later ones share grey.
fn groups<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(String, Color)> {
    const COLORS: [Color; 5] = [Color::First, Color::Second, Color::Third, Color::Fourth, Color::Fifth];
    let mut groups: Vec<(String, Color)> = Vec::new();
    for name in names {
        if !groups.iter().any(|(known, _)| known == name) {
            let color = COLORS.get(groups.len()).copied().unwrap_or(Color::Grey);
            groups.push((name.to_owned(), color));
        }
    }
    groups
}

/// A page of a table, charts and remarks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FiguresPage {
    /// What was measured.
    pub title: String,
    /// How it ended: one word, and whether it is good.
    pub status: (String, bool),
    /// The verdict in one sentence.
    pub sentence: String,
    /// What a reader should know before believing a figure.
    pub remarks: Vec<String>,
    /// Head of the table.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<FiguresRow>,
    /// Below the table.
    pub notes: Vec<String>,
    /// Facts about the machine.
    pub machine: Vec<(String, String)>,
}

/// A row of a page's table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FiguresRow {
    /// As texts, in the order of the head.
    pub cells: Vec<String>,
    /// Why it is not whole.
    pub remark: Option<String>,
    /// Nothing failed.
    pub good: bool,
}

/// Makes one HTML file that refers to nothing outside itself.
pub fn figures_page(page: &FiguresPage, charts: &[Chart]) -> Result<String, ReportError> {
    let charts: Vec<Chart> =
        charts.iter().filter(|chart| chart.panels.iter().any(|p| !p.series.is_empty())).cloned().collect();
    let shared = Shared::of(&charts)?;
    let mut environment = Environment::new();
    environment.add_template("figures.html", PAGE)?;
    Ok(environment
        .get_template("figures.html")?
        .render(context! { page => Serde(page), shared => Serde(&shared) })?)
}
