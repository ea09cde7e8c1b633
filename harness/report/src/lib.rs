//! Draws a result: the terminal card, charts, and one HTML file that works without a network.
//!
//! [`card`] prints a run in at most 24 lines, [`comparison_table`] a comparison in one line per metric, [`sweep_table`] and
//! [`find_table`] one line per point or level. [`ReportData`] and [`CompositeData`] collect what a page needs from what is
//! stored; [`html`], [`runs_page`], [`comparison_page`], [`sweep_page`] and [`find_page`] make the page. Every figure is first a [`Chart`] of ours, which knows data, axes, marks and
//! captions but no drawing library; [`echarts_option`], [`svg`], [`svg_file`] and [`png_file`] turn it
//! into a picture.
//!
//! Rules kept here: three significant digits with units, at most six colours, never smoothed, log latency,
//! the same axes for what is meant to be compared, and the durability line on every figure.
//!
//! This crate must not know the wire, the load, or how a result came about.

mod card;
mod chart;
mod codecs;
mod comparison;
mod data;
mod echarts;
mod figures;
mod find;
mod html;
mod png;
mod preflight;
mod side_by_side;
mod storage;
mod strip;
mod svg;
mod sweep;
mod text_table;
pub mod units;

pub use card::{CARD_LINES_MAX, CardStyle, card};
pub use chart::{Axis, Band, Chart, Color, Dash, Heat, HeatCell, Mark, Marker, Panel, Scale, Series, Width};
pub use codecs::{CodecPoint, LinkReign, best_by_link, ratio_against_speed};
pub use comparison::{comparison_csv, comparison_markdown, comparison_table};
pub use data::{ComparisonData, CompositeData, FindData, ReportData, SweepData, TrialData, name_apart};
pub use echarts::echarts_option;
pub use figures::{
    Choice, Figure, cost_bars, forests, heat_maps, hockey_stick, percentile_curve, shift_function,
    stage_waterfalls, time_series,
};
pub use find::{find_curve, find_table};
pub use html::{
    FiguresPage, FiguresRow, FiguresTable, ReportError, comparison_page, figures_page, find_page, html,
    runs_page, sweep_page,
};
pub use png::{PngError, png_file};
pub use side_by_side::{runs_table, trials_table};
pub use storage::{CostPoint, SyncCurve, sync_latency, throughput_against_cpu};
pub use svg::{svg, svg_file};
pub use sweep::{sweep_csv, sweep_curve, sweep_markdown, sweep_ratios, sweep_table};
pub use text_table::{text_table, wrapped};
