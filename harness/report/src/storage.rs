//! What the bench of the storage engine shows: throughput against CPU, and syncs by percentile.

use plimsoll_results::{CurvePoint, Histogram, Pooled};

use crate::chart::{Axis, Chart, Color, Dash, Marker, Panel, Scale, Series};

const CURVE_POINTS_PER_NINE: u32 = 60;
/// Heights by a time series' panel.
const COST_WEIGHT: f64 = 1.8;
const SYNC_WEIGHT: f64 = 1.5;

/// A row and its floor in the plane of cost and speed.
#[derive(Debug, Clone, PartialEq)]
pub struct CostPoint {
    /// What is meant to be compared: a panel of its own, for example what an acknowledged record survives.
    pub class: String,
    /// What shares a colour and a place in the legend, for example a backend.
    pub group: String,
    /// What tells it from the others of its group.
    pub label: String,
    /// CPU seconds per 10⁹ bytes, and bytes per second.
    pub engine: (f64, f64),
    /// The floor's.
    pub floor: (f64, f64),
}

/// How long the syncs of a row took.
#[derive(Debug, Clone, Copy)]
pub struct SyncCurve<'a> {
    /// What is meant to be compared: a panel of its own, for example a batch size.
    pub class: &'a str,
    /// What shares a colour, for example a backend.
    pub group: &'a str,
    /// Its place in the legend.
    pub name: &'a str,
    /// Times of groups' syncs.
    pub histogram: &'a Histogram,
}

/// How much speed a CPU second buys: each row joined with the floor of its technique, a panel per class.
pub fn throughput_against_cpu(points: &[CostPoint], captions: Vec<String>) -> Chart {
    let colors = colors(points.iter().map(|point| point.group.as_str()));
    let all = || points.iter().flat_map(|point| [point.engine, point.floor]);
    let y = Axis::from_zero("payload per second", Scale::BytesPerS, all().map(|(_, rate)| rate));
    let classes = distinct(points.iter().map(|point| point.class.as_str()));
    let panels = classes.iter().map(|class| {
        let series = colors.iter().flat_map(|(group, color)| {
            let of = points.iter().filter(|it| it.class == *class && it.group == *group);
            cost_series(group, *color, &of.collect::<Vec<_>>())
        });
        let title = format!("payload per second; {class}");
        Panel::lines(title, y.clone(), series.collect(), COST_WEIGHT)
    });
    Chart {
        id: "throughput-cpu".to_owned(),
        title: in_one_class("Throughput against CPU", &classes),
        question: "How much speed does a CPU second buy? Up is faster, left is cheaper. Each dot is a row, joined with \
                   the ring of its floor, the plainest program of the same technique. Compare within a panel: those of \
                   another one promise something else."
            .to_owned(),
        captions,
        x: Axis::from_zero("CPU seconds per GB of payload", Scale::Count, all().map(|(cpu, _)| cpu)),
        panels: panels.collect(),
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: false,
    }
}

/// Dots first: they are what the legend shows.
fn cost_series(group: &str, color: Color, points: &[&CostPoint]) -> Vec<Series> {
    if points.is_empty() {
        return Vec::new();
    }
    let joins = points.iter().flat_map(|it| {
        [(it.floor.0, Some(it.floor.1)), (it.engine.0, Some(it.engine.1)), (it.engine.0, None)]
    });
    let dots = points.iter().map(|it| it.engine).collect();
    let rings = points.iter().map(|it| it.floor).collect();
    let labels = points.iter().map(|it| it.label.clone()).collect();
    vec![
        Series::points(group, color, Marker::Dot, dots).labelled(labels),
        Series::points(group, color, Marker::Ring, rings),
        Series::line(group, color, joins.collect()).dashed(Dash::Dotted).thin(),
    ]
}

/// How long syncs took, by percentile, a panel per class. Curves are not smoothed; beyond 100 samples they are thin.
pub fn sync_latency(curves: &[SyncCurve<'_>], captions: Vec<String>) -> Chart {
    let colors = colors(curves.iter().map(|curve| curve.group));
    let classes = distinct(curves.iter().map(|curve| curve.class));
    let mut panels: Vec<(&str, Vec<Series>)> = Vec::new();
    for class in &classes {
        let mut series = Vec::new();
        for (index, (group, color)) in colors.iter().enumerate() {
            let of = curves.iter().filter(|curve| curve.class == *class && curve.group == *group);
            series.extend(
                of.enumerate().flat_map(|(nth, curve)| sync_series(curve, *color, Dash::nth(index + nth))),
            );
        }
        panels.push((class, series));
    }
    let lines = || panels.iter().flat_map(|(_, series)| series);
    let values = lines().flat_map(|line| line.points.iter().filter_map(|(_, y)| *y));
    let y = Axis::log_micros("time of a group's sync", values);
    let ends = lines().filter_map(|line| line.points.last().map(|(x, _)| *x));
    let x = Axis::nines("share of groups at or below", ends.fold(0.0, f64::max));
    let panel = |(class, series): (&str, Vec<Series>)| {
        let title = format!("time of a group's sync; {class}");
        Panel::lines(title, y.clone(), series, SYNC_WEIGHT)
    };
    Chart {
        id: "sync-latency".to_owned(),
        title: in_one_class("Syncs by percentile", &classes),
        question: "How long does a group of batches wait until it is durable, and how bad is the tail? Read upwards from \
                   99 %: one group in a hundred waited longer than the line there. A thin, dotted line has too few groups \
                   beyond it to be relied on."
            .to_owned(),
        captions,
        x,
        panels: panels.into_iter().map(panel).collect(),
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: true,
    }
}

/// The part with at least 100 samples beyond it, and the rest.
fn sync_series(curve: &SyncCurve<'_>, color: Color, dash: Dash) -> Vec<Series> {
    let pooled = Pooled::new([curve.histogram]);
    let points = pooled.curve(CURVE_POINTS_PER_NINE);
    let firm = points.iter().take_while(|point| point.trusted).count();
    let place = |point: &CurvePoint| (point.nines, Some(point.value_us));
    let trusted = points.iter().take(firm).map(place).collect();
    let beyond = points.iter().skip(firm.saturating_sub(1)).map(place).collect();
    let lines = [
        Series::line(curve.name, color, trusted).dashed(dash),
        Series::line(curve.name, color, beyond).dashed(Dash::Dotted).thin(),
    ];
    lines.into_iter().filter(|line| line.points.len() > 1).collect()
}

/// A chart of one panel says in its title what that is about.
fn in_one_class(title: &str, classes: &[&str]) -> String {
    match classes {
        [class] => format!("{title}: {class}"),
        _ => title.to_owned(),
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// Names in the order they come, with a colour each; the sixth and later ones share grey.
fn colors<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(&'a str, Color)> {
    const COLORS: [Color; 5] = [Color::First, Color::Second, Color::Third, Color::Fourth, Color::Fifth];
    let colors = COLORS.into_iter().chain(std::iter::repeat(Color::Grey));
    distinct(names).into_iter().zip(colors).collect()
}
