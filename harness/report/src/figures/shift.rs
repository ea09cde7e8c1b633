//! The shift function: did the body of the response time move, or its tail?

use plimsoll_results::{ComparisonDocument, ShiftPoint};

use super::strokes;
use crate::chart::{Axis, Chart, Color, Dash, Marker, Panel, Series};
use crate::comparison::words::durability;

/// How each quantile of the response time moved, a line per further arm. `None` when trials have too few records.
pub fn shift_function(document: &ComparisonDocument) -> Option<Chart> {
    let arms: Vec<_> = document.comparisons.iter().filter(|arm| arm.shift.len() > 1).collect();
    let points = || arms.iter().flat_map(|arm| &arm.shift);
    let last = points().map(nines).reduce(f64::max)?;
    let values = points().flat_map(|point| [Some(point.ratio), point.low, point.high]).flatten();
    let y = Axis::log_ratio("change", values.map(f64::ln));
    let series = arms.iter().zip(strokes()).flat_map(|(arm, stroke)| lines(&arm.arm, &arm.shift, stroke));
    let against = arms.first().map_or("", |arm| arm.against.as_str());
    Some(Chart {
        id: "shift".to_owned(),
        title: format!("Response time against {against}, by percentile"),
        question: "Did all records get slower or faster, or only the tail? At each percentile, the ratio of the trials' \
                   quantiles with its interval; above “no change” is slower."
            .to_owned(),
        captions: captions(document),
        x: Axis::nines("percentile of the response time", last),
        panels: vec![Panel::lines("change", y, series.collect(), 1.0)],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: false,
    })
}

fn captions(document: &ComparisonDocument) -> Vec<String> {
    let basis = "Hodges–Lehmann ratios of pairs of trials with Wilcoxon intervals; not corrected for the number of \
                 percentiles: read the shape, take verdicts from the table.";
    let durability = durability(document).into_iter().map(|line| format!("durability: {line}"));
    std::iter::once(basis.to_owned()).chain(durability).collect()
}

fn nines(point: &ShiftPoint) -> f64 {
    -(1.0 - point.percentile / 100.0).log10()
}

fn lines(name: &str, shift: &[ShiftPoint], (color, dash): (Color, Dash)) -> Vec<Series> {
    let ratios: Vec<_> = shift.iter().map(|point| (nines(point), point.ratio.ln())).collect();
    let joined = ratios.iter().map(|(x, y)| (*x, Some(*y))).collect();
    let bars = shift.iter().filter_map(|point| Some((nines(point), point.low?.ln(), point.high?.ln())));
    let bars = bars.flat_map(|(x, low, high)| [(x, Some(low)), (x, Some(high)), (x, None)]);
    vec![
        Series::line(name, color, joined).dashed(dash),
        Series::points(name, color, Marker::Dot, ratios),
        Series::line(name, color, bars.collect()).thin(),
    ]
}
