//! What a rate has to hold, and whether it did.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::pooled::Quantile;
use crate::series::{LatencySeries, Metric, Phase};

/// Of the records that were due so many are to be acknowledged in time.
const ACHIEVED_SHARE: f64 = 0.99;
/// Seconds of backlog below which no trend is looked for.
const TREND_MIN: usize = 8;
/// One-sided: so rarely a backlog without a trend is called growing. A level fails only if that happens twice.
const TREND_Z: f64 = 2.326;

/// A bound on a quantile: `p99=10ms`, `e2e.p99.9=50ms`.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    metric: Metric,
    quantile: Quantile,
    at_most_us: f64,
    text: String,
}

/// Why a text is no bound.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`--slo {text}`: {reason}; write a percentile and a bound, such as p99=10ms or e2e.p99.9=50ms")]
pub struct SloError {
    text: String,
    reason: &'static str,
}

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Self, SloError> {
        let wrong = |reason| SloError { text: text.to_owned(), reason };
        let (what, bound) = text.split_once('=').ok_or(wrong("there is no `=`"))?;
        let (metric, quantile) = match what.trim().split_once(".p") {
            None => ("response", what.trim().strip_prefix('p').ok_or(wrong("it names no percentile"))?),
            Some((metric, quantile)) => (metric, quantile),
        };
        let metric = match metric {
            "response" => Metric::Response,
            "e2e" => Metric::EndToEnd,
            _ => return Err(wrong("it is neither response nor e2e")),
        };
        let known = Quantile::ALL.into_iter();
        let mut known = known.filter(|known| {
            let digits = known.label().trim_start_matches('p');
            digits == quantile || digits.replace('.', "") == quantile
        });
        let quantile = known.next().ok_or(wrong("percentiles are 50, 90, 99, 99.9 and 99.99"))?;
        let at_most_us =
            micros(bound.trim()).ok_or(wrong("the bound is no time with a unit (us, ms or s)"))?;
        Ok(Self { metric, quantile, at_most_us, text: text.to_owned() })
    }
}

fn micros(bound: &str) -> Option<f64> {
    // `ms` and `us` end in `s` too.
    let units = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((bound.strip_suffix(unit)?, factor)))?;
    let value: f64 = number.trim().parse().ok()?;
    (value.is_finite() && value > 0.0).then_some(value * factor)
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a level left.
#[derive(Debug, Clone, Copy)]
pub struct Level<'a> {
    /// Records due in its window.
    pub due: u64,
    /// Records acknowledged in it.
    pub acked: u64,
    /// Records never sent.
    pub unsent: u64,
    /// Failed requests.
    pub errors: u64,
    /// Its histograms.
    pub series: &'a LatencySeries,
    /// Acknowledged and not yet consumed, at the end of each second; empty without consumers.
    pub backlog: &'a [f64],
}

impl Level<'_> {
    /// Everything that did not hold, in words; empty when the level held.
    pub fn failures(&self, slos: &[Slo]) -> Vec<String> {
        let mut failures: Vec<String> = slos.iter().filter_map(|slo| self.breach(slo)).collect();
        if (self.acked as f64) < ACHIEVED_SHARE * self.due as f64 {
            failures.push(format!("{} of {} records were acknowledged in time", self.acked, self.due));
        }
        if self.unsent > 0 {
            failures.push(format!("{} records were never sent", self.unsent));
        }
        if self.errors > 0 {
            failures.push(format!("{} requests failed", self.errors));
        }
        if grows(self.backlog) {
            failures.push("the backlog of the consumers grew".to_owned());
        }
        failures
    }

    fn breach(&self, slo: &Slo) -> Option<String> {
        let found_us = self.series.pooled(&slo.metric, Phase::Measure).read_us(slo.quantile);
        match found_us {
            Some(found_us) if found_us <= slo.at_most_us => None,
            Some(found_us) => Some(format!("{}: {:.2} ms", slo.text, found_us / 1e3)),
            None => Some(format!("{}: there is no sample", slo.text)),
        }
    }
}

/// Whether values rise over time: Mann–Kendall, one-sided, with ties.
pub fn grows(values: &[f64]) -> bool {
    let n = values.len() as f64;
    if values.len() < TREND_MIN {
        return false;
    }
    let mut score = 0.0;
    for (at, earlier) in values.iter().enumerate() {
        score += values.iter().skip(at + 1).map(|later| (later - earlier).partial_cmp(&0.0)).fold(
            0.0,
            |sum, order| {
                sum + match order {
                    Some(std::cmp::Ordering::Greater) => 1.0,
                    Some(std::cmp::Ordering::Less) => -1.0,
                    _ => 0.0,
                }
            },
        );
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|tied| spread(tied.len() as f64)).sum();
    let variance = (spread(n) - ties) / 18.0;
    variance > 0.0 && (score - 1.0) / variance.sqrt() > TREND_Z
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Histogram, LatencyInterval};

    #[test]
    fn bounds_are_read_with_their_units_and_refused_without() {
        let slo: Slo = "p99=10ms".parse().unwrap();
        assert_eq!((slo.metric, slo.quantile, slo.at_most_us), (Metric::Response, Quantile::P99, 10_000.0));
        let slo: Slo = "e2e.p99.9=1.5s".parse().unwrap();
        assert_eq!(
            (slo.metric, slo.quantile, slo.at_most_us),
            (Metric::EndToEnd, Quantile::P999, 1_500_000.0)
        );
        assert_eq!("response.p999=500us".parse::<Slo>().unwrap().quantile, Quantile::P999);
        for (text, hint) in [
            ("p99", "no `=`"),
            ("p98=1ms", "percentiles are"),
            ("p99=10", "unit"),
            ("p99=-1ms", "unit"),
            ("q=1s", "no percentile"),
            ("wire.p99=1s", "neither"),
        ] {
            let error = text.parse::<Slo>().unwrap_err().to_string();
            assert!(error.contains(hint) && error.contains("such as p99=10ms"), "{error}");
        }
    }

    #[test]
    fn b3_each_condition_fails_a_level_by_itself() {
        let mut histogram = Histogram::new();
        histogram.record_n_ns(5_000_000, 1_000);
        let (phase, metric) = (Phase::Measure, Metric::Response);
        let mut series = LatencySeries::default();
        series.push(LatencyInterval { at_ns: 0, len_ns: 1_000_000_000, phase, metric, histogram });
        let slos = ["p99=10ms".parse().unwrap()];
        let good = Level { due: 1_000, acked: 1_000, unsent: 0, errors: 0, series: &series, backlog: &[] };
        assert_eq!(good.failures(&slos), [""; 0]);
        assert_eq!(good.failures(&["p50=1ms".parse().unwrap()]), ["p50=1ms: 5.00 ms"]);
        assert_eq!(good.failures(&["e2e.p50=1s".parse().unwrap()]).len(), 1);
        assert_eq!(Level { acked: 989, ..good }.failures(&slos).len(), 1);
        assert_eq!(Level { unsent: 1, ..good }.failures(&slos).len(), 1);
        assert_eq!(Level { errors: 1, ..good }.failures(&slos).len(), 1);
        let rising: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(Level { backlog: &rising, ..good }.failures(&slos), ["the backlog of the consumers grew"]);
    }

    #[test]
    fn b3_only_a_rising_backlog_grows() {
        assert!(grows(&[1.0, 3.0, 2.0, 5.0, 6.0, 8.0, 9.0, 11.0, 10.0, 14.0]));
        assert!(!grows(&[14.0, 10.0, 11.0, 9.0, 8.0, 6.0, 5.0, 2.0, 3.0, 1.0]));
        assert!(
            !grows(&[5.0; 30])
                && !grows(&[3.0, 1.0, 4.0, 1.0, 5.0, 2.0, 6.0, 1.0])
                && !grows(&[1.0, 2.0, 3.0])
        );
    }
}
