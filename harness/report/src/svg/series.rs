//! Lines and points.

use std::fmt::Write as _;

use super::{Frame, text};
use crate::chart::{Chart, Dash, Marker, Panel, Series, Width};

/// A piece of the line, for the legend.
pub(super) fn key(out: &mut String, line: &Series, (from, to): (f64, f64), y: f64) {
    // As broad as it is drawn, a range would reach into the lines above and below.
    let stroke = stroke(line).replace("stroke-width=\"26\"", "stroke-width=\"10\"");
    let _ = write!(out, "<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"{stroke}/>");
}

/// A line; over counts with an edge of the background's colour, without which it would be lost among theirs.
pub(super) fn polyline(out: &mut String, chart: &Chart, panel: &Panel, line: &Series, frame: Frame) {
    let mut path = String::new();
    let mut pen_down = false;
    let mut labels = line.labels.iter();
    for (x, y) in &line.points {
        let Some(y) = y.filter(|y| panel.y.place(*y).is_finite()) else {
            pen_down = false;
            continue;
        };
        let command = if pen_down { 'L' } else { 'M' };
        let (cx, cy) = (frame.x(chart, *x), frame.y(panel.y.place(y)));
        let _ = write!(path, "{command}{cx:.1} {cy:.1}");
        point(out, line, cx, cy);
        if let Some(label) = labels.next() {
            text(out, cx, cy - 9.0, "middle", label);
        }
        pen_down = true;
    }
    if !path.is_empty() && panel.heat.is_some() {
        let _ =
            write!(out, "<path d=\"{path}\" fill=\"none\" stroke=\"var(--bg, #fff)\" stroke-width=\"5\"/>");
    }
    if !path.is_empty() {
        let _ = write!(out, "<path d=\"{path}\" fill=\"none\"{}/>", stroke(line));
    }
}

pub(super) fn point(out: &mut String, line: &Series, x: f64, y: f64) {
    let fill = match line.marker {
        Marker::None => return,
        Marker::Dot | Marker::Speck => color(line),
        Marker::Ring | Marker::Hatched => "none".to_owned(),
    };
    let (radius, border) = if line.marker == Marker::Speck { ("2.5", "0") } else { ("5", "2") };
    let _ = write!(
        out,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{}\" stroke-width=\"{border}\"/>",
        color(line)
    );
    if line.marker == Marker::Hatched {
        hatch(out, line, x, y);
    }
}

/// Three strokes within the ring.
fn hatch(out: &mut String, line: &Series, x: f64, y: f64) {
    let strokes = [(-4.0, 0.0), (-3.0, 3.0), (0.0, 4.0)];
    let path =
        strokes.map(|(from, to)| format!("M{:.1} {:.1}L{:.1} {:.1}", x + from, y + to, x - to, y - from));
    let _ = write!(out, "<path d=\"{}\" fill=\"none\" stroke=\"{}\"/>", path.concat(), color(line));
}

fn stroke(line: &Series) -> String {
    let dash = match line.dash {
        Dash::Solid => "",
        Dash::Dashed => " stroke-dasharray=\"6 4\"",
        Dash::Dotted => " stroke-dasharray=\"2 3\"",
        Dash::DashDot => " stroke-dasharray=\"8 3 2 3\"",
        Dash::LongDash => " stroke-dasharray=\"12 4\"",
    };
    let width = match line.width {
        Width::Thin => "1.2",
        Width::Normal => "2",
        Width::Bar => "10",
        Width::Wash => "26",
    };
    let faint = if line.width == Width::Wash { " stroke-opacity=\"0.22\"" } else { "" };
    format!(" stroke=\"{}\" stroke-width=\"{width}\"{dash}{faint}", color(line))
}

fn color(line: &Series) -> String {
    let fallback = match line.color.css_variable() {
        "--c1" => "#0072b2",
        "--c2" => "#d55e00",
        "--c3" => "#009e73",
        "--c4" => "#cc79a7",
        "--c5" => "#e69f00",
        _ => "#777",
    };
    format!("var({}, {fallback})", line.color.css_variable())
}
