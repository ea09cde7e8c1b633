//! Counts over a grid: cells, and the levels that colour them. The page's script draws the cells.

use serde_json::{Value, json};

use super::series::tidy;
use crate::chart::{Chart, Heat};

/// The grid, for the script.
pub(super) fn grid(heat: &Heat) -> Value {
    let columns: Vec<_> = heat.columns.iter().map(|(from, to)| [tidy(*from), tidy(*to)]).collect();
    json!({ "columns": columns, "borders": heat.borders.iter().map(|y| tidy(*y)).collect::<Vec<_>>() })
}

/// Cells as column, row and count.
pub(super) fn series(heat: &Heat, panel: usize) -> Value {
    let cells = heat.cells.iter().map(|cell| json!([cell.column, cell.row, cell.count]));
    json!({ "type": "custom", "name": heat.unit, "xAxisIndex": panel, "yAxisIndex": panel, "clip": true, "z": 1,
        "silent": true, "tooltip": { "show": false }, "data": cells.collect::<Vec<_>>() })
}

/// What each colour means, and which cells have it. Series are counted as [`super::series::all`] puts them.
pub(super) fn levels(chart: &Chart) -> Vec<Value> {
    let mut before = 0;
    let mut maps = Vec::new();
    for panel in &chart.panels {
        if let Some(heat) = &panel.heat {
            maps.push(map(heat, before));
        }
        before += panel.series.len() + usize::from(panel.heat.is_some());
    }
    maps
}

fn map(heat: &Heat, series: usize) -> Value {
    let piece = |(level, least): (usize, &u64)| {
        let below = heat.levels.get(level + 1);
        let mut piece = json!({ "gte": least, "label": label(heat, level, *least),
            "color": format!("--h{}", heat.shade(level)) });
        if let Some(below) = below {
            piece["lt"] = json!(below);
        }
        piece
    };
    let pieces: Vec<Value> = heat.levels.iter().enumerate().map(piece).collect();
    json!({ "type": "piecewise", "seriesIndex": series, "dimension": 2, "pieces": pieces, "hoverLink": false,
        "orient": "horizontal", "top": 0, "right": 28, "itemWidth": 14, "itemHeight": 12, "itemGap": 8,
        "textGap": 4, "selectedMode": false, "padding": [3, 0] })
}

/// The least count; the first one says of what.
fn label(heat: &Heat, level: usize, least: u64) -> String {
    let unit = if level == 0 { format!(" {}", heat.unit) } else { String::new() };
    format!("≥ {}{unit}", crate::units::count(least as f64))
}
