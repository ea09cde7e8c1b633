//! Lines, points, instants and spans.

use serde_json::{Value, json};

use super::heat;
use crate::chart::{Axis, Chart, Color, Dash, Marker, Series, Width};

/// Every series of every panel, counts before the lines that lie over them.
pub(super) fn all(chart: &Chart) -> Vec<Value> {
    let mut out = Vec::new();
    for (index, panel) in chart.panels.iter().enumerate() {
        out.extend(panel.heat.as_ref().map(|counts| heat::series(counts, index)));
        for (nth, line) in panel.series.iter().enumerate() {
            let mut option = one(line, &panel.y, index);
            if nth == 0 {
                option["markLine"] = mark_line(chart, index == 0);
                option["markArea"] = mark_area(chart, index == 0);
            }
            out.push(option);
        }
    }
    out
}

fn one(line: &Series, axis: &Axis, panel: usize) -> Value {
    let mut option = json!({
        "type": "line", "name": line.name, "xAxisIndex": panel, "yAxisIndex": panel,
        "data": points(line, axis), "symbol": symbol(line.marker),
        "symbolSize": if line.marker == Marker::Speck { 5 } else { 10 }, "showSymbol": line.marker != Marker::None, "smooth": false, "connectNulls": false,
        "color": line.color.css_variable(), "z": 2 + line.depth(),
        "lineStyle": { "width": width(line), "type": dash(line.dash), "opacity": opacity(line) },
        "emphasis": { "disabled": true },
    });
    if matches!(line.marker, Marker::Ring | Marker::Hatched) {
        // The library's own ring is filled with white, also on a dark page.
        option["itemStyle"] =
            json!({ "color": "transparent", "borderColor": line.color.css_variable(), "borderWidth": 2 });
    }
    if !line.labels.is_empty() {
        option["label"] = json!({ "show": true, "formatter": "{b}", "position": "top", "fontSize": 11 });
        option["labelLayout"] = json!({ "hideOverlap": true });
    }
    option
}

fn points(line: &Series, axis: &Axis) -> Vec<Value> {
    let log = axis.scale.is_log();
    let visible = |y: &f64| !log || *y > 0.0;
    let mut labels = line.labels.iter();
    let point = |(x, y): &(f64, Option<f64>)| {
        let place = json!([tidy(*x), y.filter(visible).map(tidy)]);
        match y.and_then(|_| labels.next()) {
            Some(label) => json!({ "value": place, "name": label }),
            None => place,
        }
    };
    line.points.iter().map(point).collect()
}

/// Six digits are more than the three that are shown and half the bytes of all of them.
pub(super) fn tidy(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let unit = 10f64.powi(5 - value.abs().log10().floor() as i32);
    (value * unit).round() / unit
}

fn width(line: &Series) -> f64 {
    match line.width {
        Width::Thin => 1.2,
        Width::Normal => 2.0,
        Width::Bar => 10.0,
        Width::Wash => 26.0,
    }
}

fn opacity(line: &Series) -> f64 {
    match line.width {
        Width::Thin if line.color != Color::Grey && line.dash != Dash::Dotted => 0.45,
        Width::Wash => 0.22,
        _ => 1.0,
    }
}

fn dash(dash: Dash) -> Value {
    match dash {
        Dash::Solid => json!("solid"),
        Dash::Dashed => json!("dashed"),
        Dash::Dotted => json!("dotted"),
        Dash::DashDot => json!([8, 3, 2, 3]),
        Dash::LongDash => json!([12, 4]),
    }
}

pub(super) fn symbol(marker: Marker) -> &'static str {
    match marker {
        Marker::None => "none",
        Marker::Dot | Marker::Ring | Marker::Speck => "circle",
        // A ring and strokes within it, in a square of ten.
        Marker::Hatched => "path://M5 0A5 5 0 1 1 5 10A5 5 0 1 1 5 0ZM1 5L5 1M2 8L8 2M5 9L9 5",
    }
}

fn mark_line(chart: &Chart, with_labels: bool) -> Value {
    let data = chart.marks.iter().map(|mark| {
        json!({ "xAxis": mark.at, "name": mark.label,
            "label": { "show": with_labels && mark.labelled, "formatter": "{b}" } })
    });
    json!({ "silent": true, "symbol": "none", "animation": false,
        "lineStyle": { "type": "solid", "width": 1 }, "data": data.collect::<Vec<_>>() })
}

fn mark_area(chart: &Chart, with_labels: bool) -> Value {
    let data = chart.bands.iter().map(|band| {
        json!([{ "xAxis": band.from, "name": if with_labels { band.label.as_str() } else { "" } },
            { "xAxis": band.to }])
    });
    json!({ "silent": true, "label": { "position": "insideTop" }, "data": data.collect::<Vec<_>>() })
}
