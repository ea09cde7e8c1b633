//! Quantiles, with the samples that stand behind them.

use crate::histogram::Histogram;
use crate::run::QuantileSet;

/// Exceedances below which a quantile is not reported.
const MIN_EXCEEDANCES: f64 = 100.0;
/// Different intervals the exceedances must fall in: one stall is not a percentile.
const MIN_INTERVALS: usize = 10;
/// Exceedances asked for when a single interval describes itself in a time series.
const MIN_EXCEEDANCES_IN_ONE_INTERVAL: f64 = 10.0;

/// The quantiles this project reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// 50 %
    P50,
    /// 90 %
    P90,
    /// 99 %
    P99,
    /// 99.9 %
    P999,
    /// 99.99 %
    P9999,
}

impl Quantile {
    /// All of them, ascending.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P99, Self::P999, Self::P9999];

    /// The share of samples below it, 0 to 1.
    pub fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::P9999 => 0.9999,
        }
    }

    /// As people write it.
    pub fn label(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P9999 => "p99.99",
        }
    }
}

/// Interval histograms merged by adding counts. The only source of quantiles.
///
/// Quantiles cannot be added or averaged:
/// ```compile_fail
/// fn mean(a: plimsoll_results::QuantileSet, b: plimsoll_results::QuantileSet) -> plimsoll_results::QuantileSet {
///     (a + b) / 2.0
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Pooled<'a> {
    total: Histogram,
    parts: Vec<&'a Histogram>,
}

/// One point of the percentile curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Share of samples at or below the value, 0 to 1.
    pub share: f64,
    /// `log10(1 / (1 − share))`: 1 is 90 %, 2 is 99 %, 3 is 99.9 %.
    pub nines: f64,
    /// Latency in microseconds.
    pub value_us: f64,
    /// At least 100 samples lie beyond this point. Points that are not are drawn dashed.
    pub trusted: bool,
}

impl<'a> Pooled<'a> {
    /// Merges the histograms of intervals, of one trial or of several.
    pub fn new(parts: impl IntoIterator<Item = &'a Histogram>) -> Self {
        let parts: Vec<_> = parts.into_iter().collect();
        let mut total = Histogram::new();
        parts.iter().for_each(|part| total.add(part));
        Self { total, parts }
    }

    /// The merged counts.
    pub fn total(&self) -> &Histogram {
        &self.total
    }

    /// Samples in all intervals.
    pub fn len(&self) -> u64 {
        self.total.len()
    }

    /// True when no latency was counted.
    pub fn is_empty(&self) -> bool {
        self.total.len() == 0
    }

    /// How many intervals hold a sample at or above the quantile's value.
    pub fn exceed_intervals(&self, quantile: Quantile) -> usize {
        self.intervals_beyond(quantile.share())
    }

    fn intervals_beyond(&self, share: f64) -> usize {
        let value_ns = self.total.hdr().value_at_quantile(share);
        self.parts.iter().filter(|part| part.count_at_or_above(value_ns) > 0).count()
    }

    /// The quantile in microseconds, or `None` when too little stands behind it: fewer than 100 samples
    /// beyond it, or samples beyond it in fewer than 10 intervals.
    pub fn quantile_us(&self, quantile: Quantile) -> Option<f64> {
        self.trusted_us(quantile.share())
    }

    /// Any percentile, 0 to 100, in microseconds, by the same rule as [`Pooled::quantile_us`].
    pub fn percentile_us(&self, percent: f64) -> Option<f64> {
        self.trusted_us(percent / 100.0)
    }

    fn trusted_us(&self, share: f64) -> Option<f64> {
        let enough = self.exceedances(share) >= MIN_EXCEEDANCES
            && self.parts.len() >= MIN_INTERVALS
            && self.intervals_beyond(share) >= MIN_INTERVALS;
        enough.then(|| us(self.total.hdr().value_at_quantile(share)))
    }

    /// The quantile of one short interval, for a time series: at least 10 samples beyond it.
    /// It describes that interval and nothing more.
    pub fn interval_quantile_us(&self, quantile: Quantile) -> Option<f64> {
        (self.exceedances(quantile.share()) >= MIN_EXCEEDANCES_IN_ONE_INTERVAL).then(|| self.raw_us(quantile))
    }

    /// The value at a quantile as the curve shows it, however little stands behind it. `None` when empty.
    /// Not for summaries: use [`Pooled::quantile_us`] there.
    pub fn read_us(&self, quantile: Quantile) -> Option<f64> {
        (!self.is_empty()).then(|| self.raw_us(quantile))
    }

    /// The summary row stored in `run.json`.
    pub fn quantiles(&self) -> QuantileSet {
        self.set(|quantile| self.quantile_us(quantile))
    }

    /// The summary row of one interval, stored in `intervals.jsonl`.
    pub fn interval_quantiles(&self) -> QuantileSet {
        self.set(|quantile| self.interval_quantile_us(quantile))
    }

    /// The percentile curve from the median's side to the last sample, `per_decade` points to each nine.
    /// Values are read, never smoothed.
    pub fn curve(&self, per_decade: u32) -> Vec<CurvePoint> {
        let samples = self.total.len();
        if samples == 0 || per_decade == 0 {
            return Vec::new();
        }
        let end = (samples as f64).log10();
        let steps = (end * f64::from(per_decade)).floor() as u32;
        (0..=steps)
            .map(|step| f64::from(step) / f64::from(per_decade))
            .chain(std::iter::once(end))
            .map(|nines| self.point(nines, samples as f64))
            .collect()
    }

    fn point(&self, nines: f64, samples: f64) -> CurvePoint {
        let beyond = 10f64.powf(-nines);
        let share = 1.0 - beyond;
        let value_us = us(self.total.hdr().value_at_quantile(share));
        CurvePoint { share, nines, value_us, trusted: samples * beyond >= MIN_EXCEEDANCES - 1e-6 }
    }

    fn set(&self, read: impl Fn(Quantile) -> Option<f64>) -> QuantileSet {
        QuantileSet {
            p50_us: read(Quantile::P50),
            p90_us: read(Quantile::P90),
            p99_us: read(Quantile::P99),
            p999_us: read(Quantile::P999),
            p9999_us: read(Quantile::P9999),
            max_us: self.total.max_ns().map(us),
            n: self.total.len(),
        }
    }

    /// `n·(1−q)`, with room for the rounding of `1 − 0.99`.
    fn exceedances(&self, share: f64) -> f64 {
        self.total.len() as f64 * (1.0 - share) + 1e-6
    }

    fn raw_us(&self, quantile: Quantile) -> f64 {
        us(self.total.hdr().value_at_quantile(quantile.share()))
    }
}

fn us(value_ns: u64) -> f64 {
    value_ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(count: usize, samples_each: u64, value_ns: u64) -> Vec<Histogram> {
        let mut one = Histogram::new();
        one.record_n_ns(value_ns, samples_each);
        vec![one; count]
    }

    #[test]
    fn b0_a_quantile_needs_100_exceedances() {
        let (few, enough) = (intervals(10, 999, 970_000), intervals(10, 1000, 970_000));
        assert_eq!(Pooled::new(&few).quantile_us(Quantile::P99), None);
        let p99 = Pooled::new(&enough).quantile_us(Quantile::P99).unwrap();
        assert!((p99 - 970.0).abs() < 1.0, "{p99}");
        assert_eq!(Pooled::new(&enough).quantile_us(Quantile::P999), None);
    }

    #[test]
    fn b0_exceedances_of_one_stall_are_not_a_percentile() {
        let mut parts = intervals(60, 10_000, 1_000_000);
        parts[7].record_n_ns(500_000_000, 9_000);
        let pooled = Pooled::new(&parts);
        assert_eq!(pooled.exceed_intervals(Quantile::P99), 1);
        assert_eq!(pooled.quantile_us(Quantile::P99), None);
        assert!(pooled.quantile_us(Quantile::P90).is_some());
        assert!(pooled.quantiles().max_us.unwrap() >= 500_000.0);
    }

    #[test]
    fn b4_the_pooled_quantile_is_not_the_mean_of_quantiles() {
        let mut parts = intervals(19, 1000, 1_000_000);
        parts.extend(intervals(1, 1000, 100_000_000));
        let pooled = Pooled::new(&parts);
        let p50 = pooled.quantile_us(Quantile::P50).unwrap();
        assert!((p50 - 1000.0).abs() < 2.0, "the mean of medians would be 5950, the median is {p50}");
    }

    #[test]
    fn one_interval_speaks_for_itself_from_ten_exceedances() {
        let (few, enough) = (intervals(1, 999, 500), intervals(1, 1000, 500));
        assert_eq!(Pooled::new(&few).interval_quantiles().p99_us, None);
        assert_eq!(Pooled::new(&enough).interval_quantiles().p99_us, Some(0.5));
    }

    #[test]
    fn the_curve_ends_at_the_last_sample_and_says_what_to_trust() {
        let parts = intervals(10, 1000, 2_000_000);
        let curve = Pooled::new(&parts).curve(10);
        assert_eq!(curve.first().unwrap().nines, 0.0);
        assert_eq!(curve.last().unwrap().nines, 4.0);
        assert!(curve.iter().all(|p| p.trusted == (p.nines <= 2.0)), "{curve:?}");
    }
}
