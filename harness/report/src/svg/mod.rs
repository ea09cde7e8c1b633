//! A [`Chart`] as static SVG: for readers without scripts, and for files. Same model, same axes.

mod axes;
mod file;
mod heat;
mod series;

use std::fmt::Write as _;

pub use self::file::svg_file;
use crate::chart::{Chart, Heat, Marker, Panel, Scale};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 78.0;
/// Room for names of rows.
const NAMES: f64 = 250.0;
const RIGHT: f64 = 24.0;
const LINE: f64 = 18.0;
const PANEL: f64 = 130.0;
const SINGLE: f64 = 320.0;
const ROW: f64 = 46.0;
const GAP: f64 = 46.0;
const BOTTOM: f64 = 44.0;
/// Width of a character of the legend, generously.
const CHAR: f64 = 7.2;

/// An `<svg>` element for a page. Colours are the CSS variables of the page (`--c1` …) with Okabe–Ito fallbacks.
/// The same chart gives the same bytes.
pub fn svg(chart: &Chart) -> String {
    let height = height(chart);
    let mut out = String::new();
    // Writing to a String cannot fail; the results of `write!` in this module are dropped for that reason.
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\" font-size=\"12\" \
         font-family=\"system-ui, sans-serif\" fill=\"var(--fg, #222)\">",
        escape(&chart.title)
    );
    draw(&mut out, chart, 0.0);
    out.push_str("</svg>");
    out
}

/// Draws all panels, the first one's legend at `begin`.
fn draw(out: &mut String, chart: &Chart, begin: f64) {
    let mut y = begin + top(chart);
    for (index, panel) in chart.panels.iter().enumerate() {
        let frame = Frame { left: left(chart), top: y, height: panel_height(chart, panel) };
        let place = Place { first: index == 0, last: index + 1 == chart.panels.len() };
        heading(out, chart, panel, if place.first { begin + 14.0 } else { frame.top - 12.0 });
        draw_panel(out, chart, panel, frame, place);
        y = frame.bottom() + GAP;
    }
}

/// Where a panel stands among the others.
#[derive(Clone, Copy)]
struct Place {
    first: bool,
    last: bool,
}

/// The rectangle of a panel.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    top: f64,
    height: f64,
}

impl Frame {
    fn y(self, place: f64) -> f64 {
        self.top + self.height * (1.0 - place.clamp(0.0, 1.0))
    }

    fn x(self, chart: &Chart, value: f64) -> f64 {
        self.left + (WIDTH - self.left - RIGHT) * chart.x.place(value).clamp(0.0, 1.0)
    }

    fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// Above the first panel: its legend, and labels of marks where there are any.
fn top(chart: &Chart) -> f64 {
    let lines = chart.panels.first().map_or(1, |panel| legend(chart, panel).len());
    let marks = if chart.marks.is_empty() { 0.0 } else { LINE };
    12.0 + LINE * lines.max(1) as f64 + marks
}

/// The legend of a panel, in as many lines as it needs where there is nothing else beside it.
fn legend<'a>(chart: &Chart, panel: &'a Panel) -> Vec<Vec<&'a str>> {
    let room = if chart.panels.len() == 1 { WIDTH - left(chart) - RIGHT } else { f64::INFINITY };
    panel.legend_lines(room)
}

fn left(chart: &Chart) -> f64 {
    if chart.has_rows() { NAMES } else { LEFT }
}

fn height(chart: &Chart) -> f64 {
    let panels: f64 = chart.panels.iter().map(|panel| panel_height(chart, panel)).sum();
    top(chart) + panels + GAP * chart.panels.len().saturating_sub(1) as f64 + BOTTOM
}

fn panel_height(chart: &Chart, panel: &Panel) -> f64 {
    match panel.y.scale {
        Scale::Rows => ROW * panel.y.rows.len() as f64,
        _ if chart.panels.len() == 1 => SINGLE,
        _ => PANEL * panel.weight,
    }
}

fn draw_panel(out: &mut String, chart: &Chart, panel: &Panel, frame: Frame, place: Place) {
    axes::bands(out, chart, frame, place.first);
    if let Some(counts) = &panel.heat {
        heat::cells(out, chart, panel, counts, frame);
    }
    axes::y_ticks(out, panel, frame);
    axes::x_ticks(out, chart, frame, place.last);
    axes::marks(out, chart, frame, place.first);
    let mut lines: Vec<_> = panel.series.iter().collect();
    lines.sort_by_key(|line| line.depth());
    lines.into_iter().for_each(|line| series::polyline(out, chart, panel, line, frame));
}

/// The panel's title at the left and its legend at the right, from the line at `y` on.
fn heading(out: &mut String, chart: &Chart, panel: &Panel, y: f64) {
    if chart.panels.len() > 1 {
        text(out, left(chart), y, "start", &panel.title);
    }
    for (index, names) in legend(chart, panel).iter().enumerate() {
        let counts = panel.heat.as_ref().filter(|_| index == 0);
        legend_line(out, panel, names, counts, y + LINE * index as f64);
    }
}

fn legend_line(out: &mut String, panel: &Panel, names: &[&str], counts: Option<&Heat>, y: f64) {
    let width = names.iter().map(|name| Panel::legend_width(name)).sum::<f64>();
    let mut x = WIDTH - RIGHT - width - counts.map_or(0.0, heat::legend_width);
    for name in names {
        let Some(line) = panel.series.iter().find(|line| line.name == *name) else { continue };
        let (end, middle) = (x + 22.0, y - 4.0);
        if line.marker == Marker::None {
            series::key(out, line, (x, end), middle);
        } else {
            series::point(out, line, end - 5.0, middle);
        }
        text(out, x + 27.0, y, "start", name);
        x += Panel::legend_width(name);
    }
    if let Some(counts) = counts {
        heat::legend(out, counts, x, y);
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(what));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
