//! A [`Chart`] as static SVG: for readers without scripts, and for files. Same model, same axes.

use std::fmt::Write as _;

use crate::chart::{Chart, Dash, Marker, Panel, Series, Width};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 24.0;
const ROW: f64 = 18.0;
const PANEL: f64 = 130.0;
const SINGLE: f64 = 320.0;
const GAP: f64 = 46.0;
const BOTTOM: f64 = 44.0;
/// Width of a character of the legend, generously.
const CHAR: f64 = 7.2;

/// An `<svg>` element. Colours are the CSS variables of the page (`--c1` …) with Okabe–Ito fallbacks, so that
/// it also stands alone. The same chart gives the same bytes.
pub fn svg(chart: &Chart) -> String {
    let top = if chart.marks.is_empty() { 30.0 } else { 30.0 + ROW };
    let heights: Vec<f64> = chart.panels.iter().map(|panel| height(chart, panel)).collect();
    let gaps = GAP * heights.len().saturating_sub(1) as f64;
    let total = top + heights.iter().sum::<f64>() + gaps + BOTTOM;
    let mut out = String::new();
    // Writing to a String cannot fail; the results of `write!` below are dropped for that reason.
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {total:.0}\" role=\"img\" aria-label=\"{}\" font-size=\"12\" \
         font-family=\"system-ui, sans-serif\" fill=\"var(--fg, #222)\">",
        escape(&chart.title)
    );
    let mut y = top;
    for (index, (panel, height)) in chart.panels.iter().zip(&heights).enumerate() {
        let last = index + 1 == chart.panels.len();
        draw_panel(&mut out, chart, panel, Frame { top: y, height: *height }, index == 0, last);
        y += height + GAP;
    }
    out.push_str("</svg>");
    out
}

#[derive(Clone, Copy)]
struct Frame {
    top: f64,
    height: f64,
}

impl Frame {
    fn y(self, place: f64) -> f64 {
        self.top + self.height * (1.0 - place.clamp(0.0, 1.0))
    }

    fn bottom(self) -> f64 {
        self.top + self.height
    }
}

fn x_of(chart: &Chart, value: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * chart.x.place(value).clamp(0.0, 1.0)
}

fn height(chart: &Chart, panel: &Panel) -> f64 {
    if chart.panels.len() == 1 { SINGLE } else { PANEL * panel.weight }
}

/// The panel's title at the left and its legend at the right, in the row that begins at `y`.
fn heading(out: &mut String, chart: &Chart, panel: &Panel, y: f64) {
    if chart.panels.len() > 1 {
        text(out, LEFT, y, "start", &panel.title);
    }
    let width = |name: &str| 34.0 + CHAR * name.chars().count() as f64;
    let names = panel.legend();
    let mut x = WIDTH - RIGHT - names.iter().map(|name| width(name)).sum::<f64>();
    for name in names {
        let Some(series) = panel.series.iter().find(|series| series.name == name) else { continue };
        let (end, middle) = (x + 22.0, y - 4.0);
        if series.marker == Marker::None {
            let _ = write!(
                out,
                "<line x1=\"{x:.1}\" x2=\"{end:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"{}/>",
                stroke(series)
            );
        } else {
            point(out, series, end - 5.0, middle);
        }
        text(out, x + 27.0, y, "start", name);
        x += width(name);
    }
}

fn draw_panel(out: &mut String, chart: &Chart, panel: &Panel, frame: Frame, first: bool, last: bool) {
    heading(out, chart, panel, if first { 14.0 } else { frame.top - 12.0 });
    bands(out, chart, frame, first);
    y_ticks(out, panel, frame);
    x_ticks(out, chart, frame, last);
    marks(out, chart, frame, first);
    panel.series.iter().for_each(|series| polyline(out, chart, panel, series, frame));
}

fn bands(out: &mut String, chart: &Chart, frame: Frame, labels: bool) {
    for band in &chart.bands {
        let (from, to) = (x_of(chart, band.from), x_of(chart, band.to));
        let _ = write!(
            out,
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--shade, #8882)\"/>",
            frame.top,
            to - from,
            frame.height
        );
        if labels {
            text(out, from + 4.0, frame.top + 13.0, "start", &band.label);
        }
    }
}

fn y_ticks(out: &mut String, panel: &Panel, frame: Frame) {
    for tick in panel.y.ticks() {
        let y = frame.y(panel.y.place(tick));
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"var(--grid, #8884)\"/>",
            WIDTH - RIGHT
        );
        text(out, LEFT - 6.0, y + 4.0, "end", &panel.y.text(tick));
    }
}

fn x_ticks(out: &mut String, chart: &Chart, frame: Frame, labels: bool) {
    for tick in chart.x.ticks() {
        let x = x_of(chart, tick);
        let _ = write!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"var(--grid, #8884)\"/>",
            frame.top,
            frame.bottom()
        );
        if labels {
            text(out, x, frame.bottom() + 16.0, "middle", &chart.x.text(tick));
        }
    }
    if labels {
        text(out, f64::midpoint(LEFT, WIDTH - RIGHT), frame.bottom() + 34.0, "middle", &chart.x.label);
    }
}

fn marks(out: &mut String, chart: &Chart, frame: Frame, labels: bool) {
    for mark in &chart.marks {
        let x = x_of(chart, mark.at);
        let _ = write!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"var(--mark, #777)\"/>",
            frame.top,
            frame.bottom()
        );
        if labels && mark.labelled {
            let anchor = if x > WIDTH / 2.0 { "end" } else { "start" };
            text(out, x, frame.top - 5.0, anchor, &mark.label);
        }
    }
}

fn polyline(out: &mut String, chart: &Chart, panel: &Panel, series: &Series, frame: Frame) {
    let mut path = String::new();
    let mut pen_down = false;
    let mut labels = series.labels.iter();
    for (x, y) in &series.points {
        let Some(y) = y.filter(|y| panel.y.place(*y).is_finite()) else {
            pen_down = false;
            continue;
        };
        let command = if pen_down { 'L' } else { 'M' };
        let (cx, cy) = (x_of(chart, *x), frame.y(panel.y.place(y)));
        let _ = write!(path, "{command}{cx:.1} {cy:.1}");
        point(out, series, cx, cy);
        if let Some(label) = labels.next() {
            text(out, cx, cy - 9.0, "middle", label);
        }
        pen_down = true;
    }
    if !path.is_empty() {
        let _ = write!(out, "<path d=\"{path}\" fill=\"none\"{}/>", stroke(series));
    }
}

fn point(out: &mut String, series: &Series, x: f64, y: f64) {
    let fill = match series.marker {
        Marker::None => return,
        Marker::Dot => color(series),
        Marker::Ring => "none".to_owned(),
    };
    let _ = write!(
        out,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{fill}\" stroke=\"{}\" stroke-width=\"2\"/>",
        color(series)
    );
}

fn stroke(series: &Series) -> String {
    let dash = match series.dash {
        Dash::Solid => "",
        Dash::Dashed => " stroke-dasharray=\"6 4\"",
        Dash::Dotted => " stroke-dasharray=\"2 3\"",
    };
    let width = match series.width {
        Width::Thin => "1.2",
        Width::Normal => "2",
        Width::Bar => "10",
    };
    format!(" stroke=\"{}\" stroke-width=\"{width}\"{dash}", color(series))
}

fn color(series: &Series) -> String {
    let fallback = match series.color.css_variable() {
        "--c1" => "#0072b2",
        "--c2" => "#d55e00",
        "--c3" => "#009e73",
        "--c4" => "#cc79a7",
        "--c5" => "#e69f00",
        _ => "#777",
    };
    format!("var({}, {fallback})", series.color.css_variable())
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(what));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
