//! A [`Chart`] as ECharts option. Only data: formatters are functions and live in the page's script, which
//! finds the scales under `plimsoll`.

mod heat;
mod series;

use serde_json::{Value, json};

use crate::chart::{Axis, Chart, Marker, Panel, Scale, Width};

/// Above the first panel: its legend, and labels of marks where there are any.
const TOP_PX: f64 = 30.0;
const LABELS_PX: f64 = 18.0;
const LEGEND_LINE_PX: f64 = 22.0;
/// Room of a legend on a narrow page.
const NARROW_PX: f64 = 640.0;
const PANEL_PX: f64 = 130.0;
/// Between panels: the lower one's title and legend.
const GAP_PX: f64 = 44.0;
/// Of that, one line of title and legend.
const HEAD_PX: f64 = 26.0;
const SINGLE_PANEL_PX: f64 = 330.0;
const BOTTOM_PX: f64 = 62.0;
const ZOOM_PX: f64 = 34.0;
const ROW_PX: f64 = 46.0;
const LEFT_PX: f64 = 78.0;
/// Room for names of rows.
const NAMES_PX: f64 = 250.0;

/// The option object, with `plimsoll.height_px` for the element and `plimsoll` for the page's script.
/// Colours are CSS variables' names (`--c1`); the script puts in what they are in light or dark.
pub fn echarts_option(chart: &Chart) -> Value {
    let zoom = has_zoom(chart);
    let places = places(chart);
    let bottom = places.last().map_or(TOP_PX, |place| place.top + place.height);
    let panels: Vec<usize> = (0..chart.panels.len()).collect();
    json!({
        "animation": false,
        "legend": legends(chart, &places),
        "grid": grids(chart, &places),
        "title": titles(chart, &places),
        "xAxis": panels.iter().map(|index| x_axis(chart, *index)).collect::<Vec<_>>(),
        "yAxis": chart.panels.iter().enumerate().map(|(i, p)| y_axis(&p.y, i)).collect::<Vec<_>>(),
        "series": series::all(chart),
        "visualMap": heat::levels(chart),
        "axisPointer": { "link": [{ "xAxisIndex": "all" }] },
        "tooltip": { "trigger": trigger(chart), "confine": true },
        "dataZoom": data_zoom(&panels, zoom),
        "plimsoll": {
            "height_px": bottom + BOTTOM_PX + if zoom { ZOOM_PX } else { 0.0 },
            "x": chart.x.scale,
            "y": chart.panels.iter().map(|panel| panel.y.scale).collect::<Vec<_>>(),
            "rows": chart.panels.iter().map(|panel| &panel.y.rows).collect::<Vec<_>>(),
            "heat": chart.panels.iter().find_map(|panel| panel.heat.as_ref()).map(heat::grid),
            "y_toggle": chart.y_toggle,
        },
    })
}

/// Time can be looked into, on the clock or in bars, and panels that share it go along.
fn has_zoom(chart: &Chart) -> bool {
    chart.panels.len() > 1 || matches!(chart.x.scale, Scale::Seconds | Scale::Micros)
}

/// Points are read one by one, lines at one place of the shared axis.
fn trigger(chart: &Chart) -> &'static str {
    let marked = |panel: &Panel| panel.series.iter().any(|series| series.marker != Marker::None);
    if chart.panels.iter().any(marked) { "item" } else { "axis" }
}

/// Where a panel stands, in pixels from the top of its chart.
struct Place {
    /// Its title, and its legend's first line unless that has to go below the title.
    head: f64,
    /// Its upper edge.
    top: f64,
    height: f64,
}

/// Panels from the top. Title and legend stand above their own panel, the first one's above the labels of marks.
fn places(chart: &Chart) -> Vec<Place> {
    let labels = if chart.marks.is_empty() { 0.0 } else { LABELS_PX };
    let mut head = 0.0;
    let mut above = TOP_PX + labels;
    let place = |panel: &Panel| {
        let top = head + above + LEGEND_LINE_PX * (head_lines(chart, panel) - 1) as f64;
        let place = Place { head, top, height: height(chart, panel) };
        head = top + place.height + GAP_PX - HEAD_PX;
        above = HEAD_PX;
        place
    };
    chart.panels.iter().map(place).collect()
}

/// Lines of title and legend. A single panel has its title in the page and a legend of as many lines as it takes.
fn head_lines(chart: &Chart, panel: &Panel) -> usize {
    if chart.panels.len() == 1 {
        return panel.legend_lines(NARROW_PX).len().max(1);
    }
    if fits_beside_title(panel) { 1 } else { 2 }
}

/// The legend leaves room for the title also on a narrow page.
fn fits_beside_title(panel: &Panel) -> bool {
    let legend: f64 = panel.legend().into_iter().map(Panel::legend_width).sum();
    Panel::legend_width(&panel.title) + legend <= NARROW_PX
}

fn height(chart: &Chart, panel: &Panel) -> f64 {
    match panel.y.scale {
        Scale::Rows => ROW_PX * panel.y.rows.len() as f64,
        _ if chart.panels.len() == 1 => SINGLE_PANEL_PX,
        _ => PANEL_PX * panel.weight,
    }
}

fn left(chart: &Chart) -> f64 {
    if chart.has_rows() { NAMES_PX } else { LEFT_PX }
}

fn grids(chart: &Chart, places: &[Place]) -> Vec<Value> {
    let left = left(chart);
    let grid = |place: &Place| json!({ "top": place.top, "height": place.height, "left": left, "right": 28 });
    places.iter().map(grid).collect()
}

/// A chart of one panel has its title in the page.
fn titles(chart: &Chart, places: &[Place]) -> Vec<Value> {
    if chart.panels.len() < 2 {
        return Vec::new();
    }
    let title = |(panel, place): (&Panel, &Place)| {
        json!({ "text": panel.title, "top": place.head + 4.0, "left": 78, "padding": 0,
            "textStyle": { "fontSize": 12, "fontWeight": 600 } })
    };
    chart.panels.iter().zip(places).map(title).collect()
}

/// One legend per panel: colours mean something else in the next one.
fn legends(chart: &Chart, places: &[Place]) -> Vec<Value> {
    let single = chart.panels.len() == 1;
    let legend = |(panel, place): (&Panel, &Place)| {
        let below = if single || fits_beside_title(panel) { 0.0 } else { LEGEND_LINE_PX };
        let entries: Vec<Value> = panel.legend().into_iter().map(|name| legend_entry(panel, name)).collect();
        json!({ "data": entries, "top": place.head + below, "padding": [3, 0],
            "right": 28, "left": if single { json!(left(chart)) } else { json!("auto") }, "itemGap": 14 })
    };
    chart.panels.iter().zip(places).map(legend).collect()
}

/// A line as it is drawn, the dot of points that none joins, or a patch of a range.
fn legend_entry(panel: &Panel, name: &str) -> Value {
    let line = panel.series.iter().find(|series| series.name == name);
    match line.map(|line| (line.marker, line.width)) {
        Some((Marker::None, Width::Wash)) => {
            json!({ "name": name, "icon": "rect", "itemStyle": { "opacity": 0.3 } })
        }
        None | Some((Marker::None, _)) => json!(name),
        Some((marker, _)) => {
            json!({ "name": name, "icon": series::symbol(marker), "itemStyle": { "opacity": 1 } })
        }
    }
}

fn x_axis(chart: &Chart, index: usize) -> Value {
    let last = index + 1 == chart.panels.len();
    let mut axis = json!({
        "type": kind(&chart.x), "gridIndex": index, "min": chart.x.min, "max": chart.x.max,
        "axisLabel": { "show": last, "hideOverlap": true },
        "axisTick": { "show": last }, "splitLine": { "show": has_own_ticks(&chart.x) },
    });
    if last {
        axis["name"] = json!(chart.x.label);
        axis["nameLocation"] = json!("middle");
        axis["nameGap"] = json!(26);
    }
    if has_own_ticks(&chart.x) {
        own_ticks(&mut axis, &chart.x);
    }
    axis
}

/// Values are places of something that is not linear, so that the library's round steps are none.
fn has_own_ticks(axis: &Axis) -> bool {
    matches!(axis.scale, Scale::Nines | Scale::LogRatio | Scale::Rows)
}

fn own_ticks(option: &mut Value, axis: &Axis) {
    let ticks = json!(axis.ticks());
    option["axisLabel"]["customValues"] = ticks.clone();
    option["axisTick"]["customValues"] = ticks;
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
    if has_own_ticks(axis) {
        own_ticks(&mut option, axis);
    } else if !log {
        option["interval"] = json!(axis.step());
    }
    option
}

fn data_zoom(panels: &[usize], slider: bool) -> Vec<Value> {
    if !slider {
        return Vec::new();
    }
    vec![json!({ "type": "slider", "xAxisIndex": panels, "bottom": 6, "height": 18, "filterMode": "none" })]
}
