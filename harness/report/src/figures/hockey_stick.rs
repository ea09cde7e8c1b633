//! Latency against achieved rate: where does it saturate?

use plimsoll_results::{Metric, Phase, Quantile, Verdict};

use super::captions::{distinct, durability, measured};
use super::strokes;
use crate::chart::{Axis, Chart, Color, Dash, Marker, Panel, Scale, Series};
use crate::data::{ReportData, same_but_for_the_rate};

const QUANTILES: [Quantile; 3] = [Quantile::P50, Quantile::P99, Quantile::P999];
const NOT_REACHED: &str = "rate not reached";
const IN_DOUBT: &str = "reached, with a verdict";

/// Response times of runs that differ in their rate, a line for each system and quantile, joined in the order of the
/// rates that were achieved. `None` when there are not two rates to compare.
pub fn hockey_stick(runs: &[ReportData]) -> Option<Chart> {
    lines_against_load(runs, same_but_for_the_rate(runs))
}

/// The same of runs whose systems the caller tells apart: those of one name are on one line.
pub(crate) fn lines_against_load(runs: &[ReportData], systems: Vec<String>) -> Option<Chart> {
    let points: Vec<_> = runs.iter().zip(systems).filter_map(point).collect();
    let systems = distinct(points.iter().map(|point| point.system.clone()));
    let joined = |system: &String| points.iter().filter(|point| point.system == *system).count() > 1;
    if !systems.iter().any(joined) {
        return None;
    }
    let panels: Vec<(String, Vec<Series>)> = match &systems[..] {
        [_] => vec![("response time".to_owned(), of_one_system(&points))],
        _ => QUANTILES.map(|quantile| of_one_quantile(&points, &systems, quantile)).into(),
    };
    let values = panels.iter().flat_map(|(_, series)| series).flat_map(|line| &line.points);
    let y = Axis::log_micros("response time", values.filter_map(|(_, y)| *y));
    let panels = panels.into_iter().map(|(title, mut series)| {
        // What rings mean stands at the end of the legend.
        series.sort_by_key(|line| [IN_DOUBT, NOT_REACHED].contains(&line.name.as_str()));
        Panel::lines(title, y.clone(), series, 1.6)
    });
    Some(Chart {
        id: "hockey-stick".to_owned(),
        title: "Latency against load".to_owned(),
        question: "Where does it saturate? Follow a line to the right: where it bends upwards, records begin to wait. A \
                   ring is a rate that was asked for and not reached; it stands where it really was. A hatched one has \
                   another verdict: the generator or the machine may be what it shows."
            .to_owned(),
        captions: captions(runs),
        x: Axis::from_zero("records per second, acknowledged", Scale::Count, points.iter().map(|p| p.rate)),
        panels: panels.filter(Panel::has_values).collect(),
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: true,
    })
}

/// One run.
struct Point<'a> {
    system: String,
    rate: f64,
    marker: Marker,
    run: &'a ReportData,
}

fn point<'a>((run, system): (&'a ReportData, String)) -> Option<Point<'a>> {
    let document = &run.document;
    let rate = document.throughput.records_per_s.or(document.load.achieved_rate)?;
    let verdicts = &document.load.verdicts;
    let marker = match verdicts.contains(&Verdict::RateNotMet) {
        true => Marker::Ring,
        false if verdicts.is_empty() => Marker::Dot,
        false => Marker::Hatched,
    };
    Some(Point { system, rate, marker, run })
}

/// A colour per quantile.
fn of_one_system(points: &[Point<'_>]) -> Vec<Series> {
    let colors = [(Color::First, Dash::Solid), (Color::Second, Dash::Dashed), (Color::Fourth, Dash::DashDot)];
    let all: Vec<_> = points.iter().collect();
    let lines = QUANTILES.into_iter().zip(colors);
    lines.flat_map(|(quantile, stroke)| curve(&all, quantile.label(), quantile, stroke)).collect()
}

/// A panel of its own, with a colour per system.
fn of_one_quantile(points: &[Point<'_>], systems: &[String], quantile: Quantile) -> (String, Vec<Series>) {
    let lines = systems.iter().zip(strokes()).flat_map(|(system, stroke)| {
        let of: Vec<_> = points.iter().filter(|point| point.system == *system).collect();
        curve(&of, system, quantile, stroke)
    });
    (format!("response {}", quantile.label()), lines.collect())
}

fn curve(points: &[&Point<'_>], name: &str, quantile: Quantile, (color, dash): (Color, Dash)) -> Vec<Series> {
    let mut known: Vec<_> = points
        .iter()
        .filter_map(|point| Some((*point, point.run.document.latency.quantiles.response.get(quantile)?)))
        .collect();
    known.sort_by(|(a, _), (b, _)| a.rate.total_cmp(&b.rate));
    let places = |marker: Marker| {
        known
            .iter()
            .filter(|(point, _)| point.marker == marker)
            .map(|(point, us)| (point.rate, *us))
            .collect()
    };
    let line = known.iter().map(|(point, us)| (point.rate, Some(*us))).collect();
    let spread = known.iter().flat_map(|(point, _)| over_trials(point, quantile)).collect();
    let series = [
        Series::line(name, color, line).dashed(dash),
        Series::points(name, color, Marker::Dot, places(Marker::Dot)),
        Series::points(IN_DOUBT, color, Marker::Hatched, places(Marker::Hatched)),
        Series::points(NOT_REACHED, color, Marker::Ring, places(Marker::Ring)),
        Series::line(name, color, spread).thin(),
    ];
    series.into_iter().filter(Series::has_values).collect()
}

/// A vertical line from the least to the greatest of the trials.
fn over_trials(point: &Point<'_>, quantile: Quantile) -> Vec<(f64, Option<f64>)> {
    let of_trials =
        point.run.trials.iter().filter_map(|trial| {
            trial.latency.pooled(&Metric::Response, Phase::Measure).quantile_us(quantile)
        });
    let values: Vec<f64> = of_trials.collect();
    if values.len() < 2 {
        return Vec::new();
    }
    let (low, high) = values.iter().fold((f64::MAX, 0.0f64), |(low, high), us| (low.min(*us), high.max(*us)));
    vec![(point.rate, Some(low)), (point.rate, Some(high)), (point.rate, None)]
}

fn captions(runs: &[ReportData]) -> Vec<String> {
    let several = runs.iter().any(|run| run.trials.len() > 1);
    let spread = several.then(|| "vertical lines: from the least to the greatest trial".to_owned());
    let extra = spread.into_iter().chain(missing(runs));
    [vec![measured(runs)], extra.collect(), durability(runs)].concat()
}

/// Runs of which something is not drawn.
fn missing(runs: &[ReportData]) -> Option<String> {
    let lacks = |run: &&ReportData| {
        let response = &run.document.latency.quantiles.response;
        QUANTILES.iter().any(|quantile| response.get(*quantile).is_none())
    };
    let names: Vec<&str> = runs.iter().filter(lacks).map(|run| run.name.as_str()).collect();
    let text = "not every percentile is drawn, since too little stands behind it";
    (!names.is_empty()).then(|| format!("{text}: {}", names.join(", ")))
}
