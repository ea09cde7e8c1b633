//! The stages of a record's way as a waterfall: where does the time go?

use plimsoll_results::{QuantileSet, Stage, Stages};

use super::Choice;
use super::captions::{durability, measured};
use crate::chart::{Axis, Chart, Color, Panel, Scale, Series};
use crate::data::ReportData;
use crate::units::{duration_us, or_dash};

/// Bars of a row stand above one another, this part of a row apart.
const APART: f64 = 0.26;

/// One chart per run whose stages were counted, all on the same axis.
pub fn stage_waterfalls(runs: &[ReportData]) -> Vec<Choice> {
    let found = runs.iter().filter_map(|run| Some((run, waterfall(run)?)));
    let found: Vec<_> = found.collect();
    let ends = found.iter().flat_map(|(_, rows)| rows.iter().flat_map(Row::ends));
    let x = Axis::from_zero("time of a record, stage after stage", Scale::Micros, ends);
    let numbered = found.iter().enumerate().map(|(index, (run, rows))| Choice {
        name: run.name.clone(),
        chart: Chart { id: format!("stages-{}", index + 1), ..chart(run, rows, x.clone()) },
    });
    numbered.collect()
}

/// What is told of each row, in the order in which its bars stand.
const READINGS: [(&str, Color); 3] =
    [("mean, which adds up", Color::First), ("p50", Color::Third), ("p99", Color::Second)];

/// One row: by reading, from where to where its bar goes, in microseconds.
struct Row {
    name: String,
    bars: [Option<(f64, f64)>; 3],
}

impl Row {
    fn ends(&self) -> impl Iterator<Item = f64> {
        self.bars.into_iter().flatten().flat_map(|(from, to)| [from, to])
    }
}

/// The stages in the order of a record's way, what none of them covers, and the whole. Each bar begins where the one
/// above it ends.
fn waterfall(run: &ReportData) -> Option<Vec<Row>> {
    let stages = run.document.stages.as_ref()?;
    let whole = whole(stages, &run.document.latency.quantiles.response);
    let mut reached = [0.0; 3];
    let mut rows: Vec<Row> = stages
        .of_response()
        .map(|(stage, time)| {
            let times = [Some(time.mean_us), time.p50_us, time.p99_us];
            let bars = std::array::from_fn(|at| step(reached.get_mut(at)?, times.get(at).copied()??));
            Row { name: row_name(&format!("{}: {}", side(stage), words(stage)), times), bars }
        })
        .collect();
    let rest = std::array::from_fn(|at| Some(whole.get(at).copied()?? - reached.get(at)?));
    let bars = std::array::from_fn(|at| Some((*reached.get(at)?, whole.get(at).copied()??)));
    rows.push(Row { name: row_name("unaccounted", rest), bars });
    let bars = whole.map(|us| us.map(|us| (0.0, us)));
    rows.push(Row { name: row_name("response", whole), bars });
    Some(rows)
}

/// The response time itself, by reading.
fn whole(stages: &Stages, response: &QuantileSet) -> [Option<f64>; 3] {
    [stages.response_mean_us, response.p50_us, response.p99_us]
}

fn step(reached: &mut f64, us: f64) -> Option<(f64, f64)> {
    let from = *reached;
    *reached += us;
    Some((from, *reached))
}

fn row_name(name: &str, [mean, p50, p99]: [Option<f64>; 3]) -> String {
    let shown = |value| or_dash(value, duration_us);
    format!("{name}\nmean {} · p50 {} · p99 {}", shown(mean), shown(p50), shown(p99))
}

/// Who counted it.
pub(crate) fn side(stage: Stage) -> &'static str {
    match stage {
        Stage::Wire => "between",
        stage if stage.is_broker() => "broker",
        _ => "client",
    }
}

/// Its name for people.
pub(crate) fn words(stage: Stage) -> String {
    stage.as_str().replace('_', " ")
}

fn chart(run: &ReportData, rows: &[Row], x: Axis) -> Chart {
    let y = Axis::rows(rows.iter().map(|row| row.name.clone()).collect());
    let series = READINGS.iter().enumerate().map(|(at, (name, color))| bars(at, name, *color, rows, &y));
    let one = std::slice::from_ref(run);
    Chart {
        id: "stages".to_owned(),
        title: "Where the time goes".to_owned(),
        question: "Which stage makes a record wait? From the top in the order of its way, each bar begins where the one \
                   above it ends. In each row from the top: mean, p50, p99."
            .to_owned(),
        captions: [vec![measured(one), note()], durability(one)].concat(),
        x,
        panels: vec![Panel::lines("", y.clone(), series.collect(), 1.0)],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: false,
    }
}

fn bars(at: usize, name: &str, color: Color, rows: &[Row], y: &Axis) -> Series {
    let place = |row: usize| y.row(row) + APART * (1.0 - at as f64);
    let ends = rows.iter().enumerate().filter_map(|(index, row)| Some((index, row.bars.get(at).copied()??)));
    let points = ends.flat_map(|(row, (from, to))| {
        [(from.min(to), Some(place(row))), (from.max(to), Some(place(row))), (from.max(to), None)]
    });
    Series::line(name, color, points.collect()).bar()
}

fn note() -> String {
    "Means of the stages add up to the mean response time, with what is unaccounted for. Percentiles do not add up: the \
     record that lingered longest need not be the one whose append took longest; of the wire only the mean is known."
        .to_owned()
}
