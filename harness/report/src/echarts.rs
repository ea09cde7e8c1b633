//! A [`Chart`] as ECharts option. Only data: formatters are functions and live in the page's script, which
//! finds the scales under `plimsoll`.

use serde_json::{Value, json};

use crate::chart::{Axis, Chart, Color, Dash, Marker, Panel, Scale, Series, Width};

/// Above the first panel: its legend, and labels of marks where there are any.
const TOP_PX: f64 = 30.0;
const LABELS_PX: f64 = 18.0;
const PANEL_PX: f64 = 130.0;
/// Between panels: the lower one's title and legend.
const GAP_PX: f64 = 44.0;
const SINGLE_PANEL_PX: f64 = 330.0;
const BOTTOM_PX: f64 = 62.0;
const ZOOM_PX: f64 = 34.0;

/// The option object, with `plimsoll.height_px` for the element and `plimsoll` for the page's script.
/// Colours are CSS variables' names (`--c1`); the script puts in what they are in light or dark.
pub fn echarts_option(chart: &Chart) -> Value {
    let heights: Vec<f64> = chart.panels.iter().map(|panel| height(chart, panel)).collect();
    let zoom = chart.panels.len() > 1;
    let inner: f64 = heights.iter().sum::<f64>() + GAP_PX * (heights.len().saturating_sub(1)) as f64;
    let top = TOP_PX + if chart.marks.is_empty() { 0.0 } else { LABELS_PX };
    let height_px = top + inner + BOTTOM_PX + if zoom { ZOOM_PX } else { 0.0 };
    let panels: Vec<usize> = (0..chart.panels.len()).collect();
    json!({
        "animation": false,
        "legend": legends(chart, &tops(&heights, top), top),
        "grid": grids(&heights, top),
        "title": titles(chart, &tops(&heights, top), top),
        "xAxis": panels.iter().map(|index| x_axis(chart, *index)).collect::<Vec<_>>(),
        "yAxis": chart.panels.iter().enumerate().map(|(i, p)| y_axis(&p.y, i)).collect::<Vec<_>>(),
        "series": series(chart),
        "axisPointer": { "link": [{ "xAxisIndex": "all" }] },
        "tooltip": { "trigger": trigger(chart), "confine": true },
        "dataZoom": data_zoom(&panels, zoom),
        "plimsoll": {
            "height_px": height_px,
            "x": chart.x.scale,
            "y": chart.panels.iter().map(|panel| panel.y.scale).collect::<Vec<_>>(),
            "y_toggle": chart.y_toggle,
        },
    })
}

/// Points are read one by one, lines at one place of the shared axis.
fn trigger(chart: &Chart) -> &'static str {
    let marked = |panel: &Panel| panel.series.iter().any(|series| series.marker != Marker::None);
    if chart.panels.iter().any(marked) { "item" } else { "axis" }
}

fn height(chart: &Chart, panel: &Panel) -> f64 {
    if chart.panels.len() == 1 { SINGLE_PANEL_PX } else { PANEL_PX * panel.weight }
}

/// Where each panel begins.
fn tops(heights: &[f64], first: f64) -> Vec<f64> {
    let mut top = first;
    let begin = |height: &f64| {
        let this = top;
        top += height + GAP_PX;
        this
    };
    heights.iter().map(begin).collect()
}

fn grids(heights: &[f64], first: f64) -> Vec<Value> {
    let grid = |(top, height): (f64, &f64)| json!({ "top": top, "height": height, "left": 78, "right": 28 });
    tops(heights, first).into_iter().zip(heights).map(grid).collect()
}

/// Title and legend stand in one row above their own panel, the first one's above the labels of marks.
fn row_above(index: usize, top: f64, first: f64) -> f64 {
    if index == 0 { 0.0f64.max(first - TOP_PX - LABELS_PX) } else { top - 26.0 }
}

/// A chart of one panel has its title in the page.
fn titles(chart: &Chart, tops: &[f64], first: f64) -> Vec<Value> {
    if chart.panels.len() < 2 {
        return Vec::new();
    }
    let title = |(index, (panel, top)): (usize, (&Panel, &f64))| {
        json!({ "text": panel.title, "top": row_above(index, *top, first) + 4.0, "left": 78, "padding": 0,
            "textStyle": { "fontSize": 12, "fontWeight": 600 } })
    };
    chart.panels.iter().zip(tops).enumerate().map(title).collect()
}

/// One legend per panel: colours mean something else in the next one.
fn legends(chart: &Chart, tops: &[f64], first: f64) -> Vec<Value> {
    let legend = |(index, (panel, top)): (usize, (&Panel, &f64))| {
        let single = chart.panels.len() == 1;
        let entries: Vec<Value> = panel.legend().into_iter().map(|name| legend_entry(panel, name)).collect();
        json!({ "data": entries, "top": row_above(index, *top, first), "padding": [3, 0],
            "right": 28, "left": if single { json!(78) } else { json!("auto") }, "itemGap": 14 })
    };
    chart.panels.iter().zip(tops).enumerate().map(legend).collect()
}

/// A line as it is drawn, or the dot of points that none joins.
fn legend_entry(panel: &Panel, name: &str) -> Value {
    match panel.series.iter().find(|series| series.name == name).map(|series| series.marker) {
        None | Some(Marker::None) => json!(name),
        Some(_) => json!({ "name": name, "icon": "circle", "itemStyle": { "opacity": 1 } }),
    }
}

fn x_axis(chart: &Chart, index: usize) -> Value {
    let last = index + 1 == chart.panels.len();
    let mut axis = json!({
        "type": kind(&chart.x), "gridIndex": index, "min": chart.x.min, "max": chart.x.max,
        "axisLabel": { "show": last, "hideOverlap": true },
        "axisTick": { "show": last }, "splitLine": { "show": chart.x.scale == Scale::Nines },
    });
    if last {
        axis["name"] = json!(chart.x.label);
        axis["nameLocation"] = json!("middle");
        axis["nameGap"] = json!(26);
    }
    if chart.x.scale == Scale::Nines {
        let ticks = json!(chart.x.ticks());
        axis["axisLabel"]["customValues"] = ticks.clone();
        axis["axisTick"]["customValues"] = ticks;
    }
    axis
}

fn kind(axis: &Axis) -> &'static str {
    if axis.scale.is_log() { "log" } else { "value" }
}

fn y_axis(axis: &Axis, index: usize) -> Value {
    let log = axis.scale.is_log();
    let mut option = json!({
        "type": kind(axis), "show": axis.scale != Scale::Unread,
        "gridIndex": index, "min": axis.min, "max": axis.max, "minorSplitLine": { "show": log },
        "axisLine": { "show": true }, "axisLabel": { "hideOverlap": true },
    });
    if !log {
        option["interval"] = json!(axis.step());
    }
    option
}

fn series(chart: &Chart) -> Vec<Value> {
    let mut out = Vec::new();
    for (index, panel) in chart.panels.iter().enumerate() {
        for (nth, line) in panel.series.iter().enumerate() {
            let mut option = one_series(line, &panel.y, index);
            if nth == 0 {
                option["markLine"] = mark_line(chart, index == 0);
                option["markArea"] = mark_area(chart, index == 0);
            }
            out.push(option);
        }
    }
    out
}

fn one_series(line: &Series, axis: &Axis, panel: usize) -> Value {
    let mut option = json!({
        "type": "line", "name": line.name, "xAxisIndex": panel, "yAxisIndex": panel,
        "data": points(line, axis), "symbol": if line.marker == Marker::None { "none" } else { "circle" },
        "symbolSize": 10, "showSymbol": line.marker != Marker::None, "smooth": false, "connectNulls": false,
        "color": line.color.css_variable(),
        "lineStyle": { "width": width(line), "type": dash(line.dash), "opacity": opacity(line) },
        "emphasis": { "disabled": true },
    });
    if line.marker == Marker::Ring {
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
fn tidy(value: f64) -> f64 {
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
    }
}

fn opacity(line: &Series) -> f64 {
    if line.width == Width::Thin && line.color != Color::Grey && line.dash == Dash::Solid {
        0.45
    } else {
        1.0
    }
}

fn dash(dash: Dash) -> &'static str {
    match dash {
        Dash::Solid => "solid",
        Dash::Dashed => "dashed",
        Dash::Dotted => "dotted",
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

fn data_zoom(panels: &[usize], slider: bool) -> Vec<Value> {
    if !slider {
        return Vec::new();
    }
    vec![json!({ "type": "slider", "xAxisIndex": panels, "bottom": 6, "height": 18, "filterMode": "none" })]
}
