//! Ticks, instants and spans.

use std::fmt::Write as _;

use super::{Frame, RIGHT, WIDTH, text};
use crate::chart::{Chart, Panel};

pub(super) fn bands(out: &mut String, chart: &Chart, frame: Frame, labels: bool) {
    for band in &chart.bands {
        let (from, to) = (frame.x(chart, band.from), frame.x(chart, band.to));
        let _ = write!(
            out,
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--shade, #eceef0)\"/>",
            frame.top,
            to - from,
            frame.height
        );
        if labels {
            text(out, from + 4.0, frame.top + 13.0, "start", &band.label);
        }
    }
}

pub(super) fn y_ticks(out: &mut String, panel: &Panel, frame: Frame) {
    for tick in panel.y.ticks() {
        let y = frame.y(panel.y.place(tick));
        let _ = write!(
            out,
            "<line x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"var(--grid, #d9dde1)\"/>",
            frame.left,
            WIDTH - RIGHT
        );
        let label = panel.y.text(tick);
        match label.split_once('\n') {
            Some((name, remark)) => {
                text(out, frame.left - 8.0, y - 2.0, "end", name);
                faint(out, frame.left - 8.0, y + 12.0, "end", remark);
            }
            None => text(out, frame.left - 8.0, y + 4.0, "end", &label),
        }
    }
}

fn faint(out: &mut String, x: f64, y: f64, anchor: &str, what: &str) {
    out.push_str("<g font-size=\"11\" fill=\"var(--faint, #5b636b)\">");
    text(out, x, y, anchor, what);
    out.push_str("</g>");
}

pub(super) fn x_ticks(out: &mut String, chart: &Chart, frame: Frame, labels: bool) {
    for tick in chart.x.ticks() {
        let x = frame.x(chart, tick);
        let _ = write!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"var(--grid, #d9dde1)\"/>",
            frame.top,
            frame.bottom()
        );
        if labels {
            text(out, x, frame.bottom() + 16.0, "middle", &chart.x.text(tick));
        }
    }
    if labels {
        text(out, f64::midpoint(frame.left, WIDTH - RIGHT), frame.bottom() + 34.0, "middle", &chart.x.label);
    }
}

pub(super) fn marks(out: &mut String, chart: &Chart, frame: Frame, labels: bool) {
    for mark in &chart.marks {
        let x = frame.x(chart, mark.at);
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
