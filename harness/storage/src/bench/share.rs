//! Ratios within pairs, and medians over them.

use plimsoll_results::stats::paired_ratio;
use serde::Serialize;

use super::figures::Figures;

/// What an interval should at least cover.
const CONFIDENCE: f64 = 0.95;

/// A ratio in percent with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Hodges–Lehmann estimate.
    pub percent: f64,
    /// Lower end; absent with fewer than two pairs.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// What the interval covers.
    pub confidence: Option<f64>,
}

impl Share {
    /// The second of each pair by the first. `None` without pairs or if one of them has no ratio.
    pub(crate) fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Option<Share> {
        let pairs: Vec<_> = pairs.collect();
        // Fewer than six pairs cannot cover 95 %; then the widest interval says what it covers.
        let widest = 1.0 - 2f64.powi(1 - i32::try_from(pairs.len()).unwrap_or(i32::MAX));
        let estimate = paired_ratio(&pairs, CONFIDENCE.min(widest)).ok()?;
        let interval = estimate.interval.filter(|_| pairs.len() > 1);
        Some(Share {
            percent: estimate.value * 100.0,
            low: interval.map(|(low, _, _)| low * 100.0),
            high: interval.map(|(_, high, _)| high * 100.0),
            confidence: interval.map(|(_, _, covered)| covered),
        })
    }
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// Sum of a count over sum of a base; `None` if a trial lacks it.
pub(crate) fn per<'a>(
    figures: impl Iterator<Item = &'a Figures>,
    count: impl Fn(&Figures) -> Option<u64>,
    base: impl Fn(&Figures) -> u64,
) -> Option<f64> {
    let (mut counts, mut bases) = (0, 0);
    for figures in figures {
        counts += count(figures)?;
        bases += base(figures);
    }
    (bases > 0).then(|| counts as f64 / bases as f64)
}
