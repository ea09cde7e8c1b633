//! Draws a result: the terminal card, charts, and one HTML file that works without a network.
//!
//! [`card`] prints a run in at most 24 lines, [`comparison_table`] a comparison in one line per metric. [`ReportData`] collects what a page needs from a bundle and
//! [`html`] makes the page. Every figure is first a [`Chart`] of ours, which knows data, axes, marks and
//! captions but no drawing library; [`echarts_option`] and [`svg`] turn it into a picture.
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
mod html;
mod storage;
mod strip;
mod svg;
pub mod units;

pub use card::{CARD_LINES_MAX, CardStyle, card};
pub use chart::{Axis, Band, Chart, Color, Dash, Mark, Marker, Panel, Scale, Series, Width};
pub use codecs::{CodecPoint, LinkReign, best_by_link, ratio_against_speed};
pub use comparison::{comparison_csv, comparison_markdown, comparison_table};
pub use data::{ReportData, TrialData};
pub use echarts::echarts_option;
pub use figures::{percentile_curve, time_series};
pub use html::{ReportError, html};
pub use storage::{
    CostPoint, FiguresPage, FiguresRow, FiguresTable, SyncCurve, figures_page, sync_latency,
    throughput_against_cpu,
};
pub use svg::svg;
