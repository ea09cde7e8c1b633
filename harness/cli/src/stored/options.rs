//! The command lines of what is about stored results.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Writes one HTML file about stored results.
///
/// One run gets its own page, several runs one page side by side; a comparison, a sweep or a search the page that its verb
/// made. The page needs no network and no other file.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// Bundle directories: runs, or a single comparison, sweep or search.
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    /// Where the page goes; without it into the bundle, or for several runs to ./report.html.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// One JSON document on stdout: where the page is.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Draws one chart of stored results into a file.
#[derive(Debug, Args)]
pub(crate) struct PlotOptions {
    /// Bundle directories: runs, or a single comparison, sweep or search.
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    /// What to draw.
    #[arg(long, value_enum)]
    pub(crate) plot: Plot,
    /// Which one of several: a trial, an arm or a point by the name that its page gives it, for example "trial 2".
    #[arg(long, value_name = "NAME")]
    pub(crate) which: Option<String>,
    /// The picture, by its extension .svg or .png; without it PLOT.svg in this directory.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// One JSON document on stdout: where the picture is.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Charts that can be drawn on their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Plot {
    /// Latency by percentile, of one run or of several.
    #[value(alias = "percentiles")]
    Hdr,
    /// Latency against achieved rate, of several runs, of a search, or of a sweep that varies the rate.
    #[value(alias = "hockey-stick")]
    Hockey,
    /// Throughput, latency, CPU and disk over time.
    Time,
    /// Counts of response times over time.
    #[value(aliases = ["heatmap", "heat-map"])]
    Heat,
    /// Where a record's time goes, stage by stage.
    #[value(alias = "waterfall")]
    Stages,
    /// CPU time per record, of broker and client.
    Cost,
    /// A comparison metric by metric.
    Forest,
    /// How each percentile moved between the arms of a comparison.
    Shift,
    /// What each setting of a sweep does to each metric.
    Settings,
}

/// Prints stored results.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// Bundle directories: of `quick`, `run`, `compare`, `gate`, `sweep` and `find`.
    #[arg(required = true, value_name = "BUNDLE")]
    pub(crate) bundles: Vec<PathBuf>,
    /// The stored document on stdout; of several bundles an array of them.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists stored results, the newest last.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Where bundles are, at most three levels down.
    #[arg(value_name = "DIR", default_value = "runs")]
    pub(crate) directories: Vec<PathBuf>,
    /// One JSON array on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}
