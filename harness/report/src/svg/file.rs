//! A picture in a file of its own, which has no page around it: with title, captions and a background, and with
//! colours as they are, since few programs other than browsers know CSS variables.

use std::fmt::Write as _;

use super::{CHAR, LINE, WIDTH, draw, escape, height, text};
use crate::chart::Chart;

const TITLE: f64 = 36.0;
const MARGIN: f64 = 14.0;

/// An SVG document, drawn for a light background. It says what is measured and under which durability.
/// The same chart gives the same bytes.
pub fn svg_file(chart: &Chart) -> String {
    let captions: Vec<String> = chart.captions.iter().flat_map(|caption| lines(caption)).collect();
    let body = height(chart);
    let total = TITLE + body + MARGIN + LINE * captions.len() as f64;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {total:.0}\" width=\"{WIDTH}\" \
         height=\"{total:.0}\" role=\"img\" aria-label=\"{}\" font-size=\"12\" \
         font-family=\"system-ui, 'DejaVu Sans', sans-serif\" fill=\"#222\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <text x=\"{MARGIN}\" y=\"24\" font-size=\"16\" font-weight=\"600\">{}</text>",
        escape(&chart.title),
        escape(&chart.title)
    );
    draw(&mut out, chart, TITLE);
    for (index, caption) in captions.iter().enumerate() {
        text(&mut out, MARGIN, TITLE + body + LINE * (index as f64 + 0.5), "start", caption);
    }
    out.push_str("</svg>\n");
    with_plain_colors(&out)
}

/// `"var(--c1, #0072b2)"` as its fallback. Texts hold no quotation mark and are left alone.
fn with_plain_colors(svg: &str) -> String {
    let mut parts = svg.split("\"var(");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('"');
        let (variable, rest) = part.split_once(')').unwrap_or((part, ""));
        out.push_str(variable.rsplit(", ").next().unwrap_or(variable));
        out.push_str(rest);
    }
    out
}

/// Lines that fit the picture, broken between words.
fn lines(caption: &str) -> Vec<String> {
    const ROOM: usize = ((WIDTH - 2.0 * MARGIN) / (CHAR - 0.6)) as usize;
    let mut lines = vec![String::new()];
    for word in caption.split_whitespace() {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= ROOM {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
