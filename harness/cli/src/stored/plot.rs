//! `plot`: one chart in a file.

use std::path::PathBuf;

use plimsoll_report::{
    Chart, Choice, cost_bars, find_curve, forests, heat_maps, hockey_stick, percentile_curve, shift_function,
    stage_waterfalls, svg_file, sweep_curve, sweep_ratios, time_series,
};
use plimsoll_results::Exit;

use super::options::Plot;
use super::report::{say, write};
use super::{PlotOptions, Subject};
use crate::exit::UsageError;

/// Runs it.
pub(crate) fn run(options: &PlotOptions) -> anyhow::Result<Exit> {
    let output =
        options.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.svg", name(options.plot))));
    let format = Format::of(&output)?;
    let subject = Subject::read(&options.bundles)?;
    let chart = choose(charts(&subject, options.plot)?, options)?;
    write(&output, &format.draw(&chart)?)?;
    say("plot", &output, options.json)?;
    Ok(Exit::Pass)
}

/// What a picture is stored as.
enum Format {
    Svg,
    Png,
}

impl Format {
    fn of(path: &std::path::Path) -> Result<Self, UsageError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(UsageError(format!("{}: a picture is .svg or .png", path.display()))),
        }
    }

    fn draw(&self, chart: &Chart) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Svg => Ok(svg_file(chart).into_bytes()),
            Self::Png => Ok(plimsoll_report::png_file(chart)?),
        }
    }
}

fn name(plot: Plot) -> String {
    format!("{plot:?}").to_lowercase()
}

/// Every chart of that kind that these results have, or why they have none.
fn charts(subject: &Subject, plot: Plot) -> Result<Vec<Choice>, UsageError> {
    let none = |why: &str| Err(UsageError(format!("--plot {}: {why}", name(plot))));
    let one = |chart: Chart| vec![Choice { name: chart.title.clone(), chart }];
    let charts = match (plot, subject) {
        (Plot::Hdr, _) => one(percentile_curve(subject.runs())),
        (Plot::Time, _) => time_series(subject.runs()),
        (Plot::Heat, _) => heat_maps(subject.runs()),
        (Plot::Stages, _) => stage_waterfalls(subject.runs()),
        (Plot::Cost, _) => cost_bars(subject.runs()).map(one).unwrap_or_default(),
        (Plot::Hockey, _) => match against_load(subject) {
            Ok(chart) => one(chart),
            Err(why) => return none(why),
        },
        (Plot::Forest, Subject::Comparison(data)) => forests(&data.document),
        (Plot::Shift, Subject::Comparison(data)) => {
            shift_function(&data.document).map(one).unwrap_or_default()
        }
        (Plot::Settings, Subject::Sweep(data)) => sweep_ratios(&data.document).map(one).unwrap_or_default(),
        (Plot::Forest | Plot::Shift, _) => {
            return none("it shows a comparison, and this is none; `plimsoll compare` makes one");
        }
        (Plot::Settings, _) => return none("it shows a sweep, and this is none; `plimsoll sweep` makes one"),
    };
    let drawn: Vec<_> = charts.into_iter().filter(|choice| choice.chart.has_values()).collect();
    if drawn.is_empty() { none(missing(plot)) } else { Ok(drawn) }
}

/// Latency against load, or why these results have none.
fn against_load(subject: &Subject) -> Result<Chart, &'static str> {
    match subject {
        Subject::Find(data) => find_curve(data).ok_or("no two rates were measured"),
        Subject::Sweep(data) => sweep_curve(data).ok_or("no two points differ in their rate alone"),
        _ => hockey_stick(subject.runs()).ok_or("name at least two runs of one system at different rates"),
    }
}

/// What a chart without anything to draw would have been read from.
fn missing(plot: Plot) -> &'static str {
    match plot {
        Plot::Hdr | Plot::Heat => "it is drawn from latency.hlog, which is not there or holds nothing",
        Plot::Time => "it is drawn from intervals.jsonl, which is not there or holds nothing",
        Plot::Stages => "nobody counted the stages of these runs",
        Plot::Cost => "nobody counted the CPU time of these runs",
        Plot::Hockey => "too little stands behind every percentile of these runs",
        Plot::Forest => "no metric was compared",
        Plot::Shift => "the trials of the arms have no percentile in common",
        Plot::Settings => "no point has a ratio to the base",
    }
}

/// The one that was asked for, or the only one.
fn choose(mut charts: Vec<Choice>, options: &PlotOptions) -> Result<Chart, UsageError> {
    let names: Vec<String> = charts.iter().map(|choice| format!("\"{}\"", choice.name)).collect();
    let at = match &options.which {
        None if charts.len() == 1 => Some(0),
        None => {
            return Err(UsageError(format!(
                "there are {}: say --which {}",
                charts.len(),
                names.join(" or ")
            )));
        }
        Some(which) => charts.iter().position(|choice| choice.name == *which),
    };
    match at {
        Some(at) => Ok(charts.swap_remove(at).chart),
        None => Err(UsageError(format!("--which is one of {}", names.join(", ")))),
    }
}
