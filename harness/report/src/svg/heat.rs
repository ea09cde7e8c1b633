//! Counts over a grid: one path per level, so that a thousand cells are a few kilobytes.

use std::fmt::Write as _;

use super::{CHAR, Frame, text};
use crate::chart::{Chart, Heat, Panel};
use crate::units::count;

/// From few to many, for a light background; the page has others for a dark one.
const FALLBACKS: [&str; Heat::LEVELS_MAX] =
    ["#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154"];
const SWATCH: f64 = 14.0;

/// Draws the cells.
pub(super) fn cells(out: &mut String, chart: &Chart, panel: &Panel, heat: &Heat, frame: Frame) {
    let mut paths = vec![String::new(); heat.levels.len()];
    for cell in &heat.cells {
        let column = heat.columns.get(cell.column);
        let rows = heat.borders.get(cell.row).zip(heat.borders.get(cell.row + 1));
        let Some(((from, to), (low, high))) = column.zip(rows) else { continue };
        let (left, right) = (frame.x(chart, *from), frame.x(chart, *to));
        let (bottom, top) = (frame.y(panel.y.place(*low)), frame.y(panel.y.place(*high)));
        if let Some(path) = paths.get_mut(heat.level(cell.count)) {
            let _ = write!(path, "M{left:.1} {top:.1}H{right:.1}V{bottom:.1}H{left:.1}z");
        }
    }
    for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = write!(out, "<path d=\"{path}\" fill=\"{}\"/>", color(heat, level));
    }
}

/// Room that the legend takes.
pub(super) fn legend_width(heat: &Heat) -> f64 {
    let labels = heat.levels.iter().map(|least| swatch_width(*least)).sum::<f64>();
    labels + CHAR * heat.unit.chars().count() as f64 + 24.0
}

/// What is counted, and the least count of each colour.
pub(super) fn legend(out: &mut String, heat: &Heat, begin: f64, y: f64) {
    text(out, begin + 12.0, y, "start", &heat.unit);
    let mut x = begin + 24.0 + CHAR * heat.unit.chars().count() as f64;
    for (level, least) in heat.levels.iter().enumerate() {
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{SWATCH}\" height=\"12\" fill=\"{}\"/>",
            y - 10.0,
            color(heat, level)
        );
        text(out, x + SWATCH + 4.0, y, "start", &label(*least));
        x += swatch_width(*least);
    }
}

fn swatch_width(least: u64) -> f64 {
    SWATCH + 12.0 + CHAR * label(least).chars().count() as f64
}

fn label(least: u64) -> String {
    format!("≥ {}", count(least as f64))
}

fn color(heat: &Heat, level: usize) -> String {
    let shade = heat.shade(level);
    format!("var(--h{shade}, {})", FALLBACKS.get(shade).copied().unwrap_or("#777"))
}
