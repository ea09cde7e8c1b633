//! Hodges–Lehmann estimate and exact Wilcoxon signed-rank interval of paired differences.

use thiserror::Error;

use super::null::{Null, interval_of, median_of, p_of};

/// A location with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Hodges–Lehmann estimate.
    pub value: f64,
    /// Lower and upper end, and the confidence the interval really has; absent when n is too small for the
    /// confidence asked for (95 % needs 6 pairs, 99 % needs 8).
    pub interval: Option<(f64, f64, f64)>,
    /// Pairs.
    pub pairs: usize,
}

/// Pairs that say nothing.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum StatsError {
    /// No pair at all.
    #[error("no pairs to compare")]
    Empty,
    /// A ratio needs positive, finite values.
    #[error("pair {pair}: {a} and {b} have no ratio; both must be positive and finite")]
    NoRatio {
        /// Which pair, from 1.
        pair: usize,
        /// This arm.
        a: f64,
        /// The other arm.
        b: f64,
    },
}

/// Ratio `b / a` over pairs `(a, b)` of trials, estimated on logarithms and given back as a ratio.
///
/// `confidence` is what the interval must at least have, for example 0.95.
pub fn paired_ratio(pairs: &[(f64, f64)], confidence: f64) -> Result<Estimate, StatsError> {
    let logs = log_ratios(pairs)?;
    let value = hodges_lehmann(&logs).ok_or(StatsError::Empty)?.exp();
    let interval = signed_rank_interval(&logs, confidence);
    let interval = interval.map(|(low, high, really)| (low.exp(), high.exp(), really));
    Ok(Estimate { value, interval, pairs: logs.len() })
}

/// `ln(b / a)` of each pair.
pub(super) fn log_ratios(pairs: &[(f64, f64)]) -> Result<Vec<f64>, StatsError> {
    let logs = pairs.iter().enumerate().map(|(index, (a, b))| {
        let log = (b / a).ln();
        let sound = *a > 0.0 && *b > 0.0 && log.is_finite();
        sound.then_some(log).ok_or(StatsError::NoRatio { pair: index + 1, a: *a, b: *b })
    });
    logs.collect()
}

/// Median of all Walsh averages `(d_i + d_j) / 2`, `i ≤ j`.
pub fn hodges_lehmann(differences: &[f64]) -> Option<f64> {
    median_of(&walsh_averages(differences))
}

/// The k-th smallest and k-th largest Walsh average, with k from the null distribution of the signed-rank
/// statistic (exact up to 50 pairs), and the confidence that this interval has. `None` when n is too small.
pub fn signed_rank_interval(differences: &[f64], confidence: f64) -> Option<(f64, f64, f64)> {
    interval_of(&walsh_averages(differences), &Null::signed_rank(differences.len()), confidence)
}

/// Two-sided p that the differences lie around zero: at most α exactly where the interval of confidence 1 − α
/// excludes zero.
pub fn signed_rank_p(differences: &[f64]) -> f64 {
    p_of(&walsh_averages(differences), &Null::signed_rank(differences.len()))
}

fn walsh_averages(differences: &[f64]) -> Vec<f64> {
    let mut walsh = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
    for (index, a) in differences.iter().enumerate() {
        walsh.extend(differences.iter().skip(index).map(|b| f64::midpoint(*a, *b)));
    }
    walsh.sort_by(f64::total_cmp);
    walsh
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Coverage counted by brute force: under the null every sign pattern of fixed magnitudes is equally
    /// likely, and the interval must hold zero in the share of patterns that it claims.
    #[test]
    fn b5_the_interval_covers_zero_as_often_as_it_says() {
        let magnitudes = [0.31, 0.72, 1.13, 2.9, 3.7, 5.21, 8.03, 13.9, 22.1];
        for n in [6, 8, 9] {
            let mut covered = 0;
            let mut claimed = 0.0;
            for pattern in 0..1u32 << n {
                let d: Vec<f64> = magnitudes[..n]
                    .iter()
                    .enumerate()
                    .map(|(bit, m)| if pattern >> bit & 1 == 1 { *m } else { -*m })
                    .collect();
                let (low, high, really) = signed_rank_interval(&d, 0.95).unwrap();
                claimed = really;
                covered += u32::from(low <= 0.0 && 0.0 <= high);
            }
            let share = f64::from(covered) / f64::from(1u32 << n);
            assert!((share - claimed).abs() < 1e-12, "n = {n}: covers {share}, claims {claimed}");
            assert!(claimed >= 0.95);
        }
    }

    #[test]
    fn a_constant_ratio_is_found_exactly() {
        let pairs: Vec<_> = (1..=8).map(|a| (f64::from(a), 1.25 * f64::from(a))).collect();
        let estimate = paired_ratio(&pairs, 0.95).unwrap();
        let (low, high, confidence) = estimate.interval.unwrap();
        assert!((estimate.value - 1.25).abs() < 1e-12 && (low - 1.25).abs() < 1e-12);
        assert!((high - 1.25).abs() < 1e-12 && confidence >= 0.95);
    }

    #[test]
    fn pairs_without_a_ratio_are_named() {
        let error = paired_ratio(&[(1.0, 2.0), (0.0, 2.0)], 0.95).unwrap_err();
        assert_eq!(error, StatsError::NoRatio { pair: 2, a: 0.0, b: 2.0 });
        assert_eq!(paired_ratio(&[], 0.95), Err(StatsError::Empty));
    }

    proptest! {
        #[test]
        fn b5_p_and_interval_say_the_same(
            d in proptest::collection::vec(-1.0..2.0f64, 6..24),
            confidence in 0.80..0.97f64,
        ) {
            let Some((low, high, really)) = signed_rank_interval(&d, confidence) else { return Ok(()) };
            prop_assert_eq!(signed_rank_p(&d) <= 1.0 - really + 1e-12, low > 0.0 || high < 0.0);
        }

        #[test]
        fn the_estimate_lies_in_its_interval(d in proptest::collection::vec(-5.0..5.0f64, 6..30)) {
            let value = hodges_lehmann(&d).unwrap();
            let (low, high, _) = signed_rank_interval(&d, 0.95).unwrap();
            prop_assert!(low <= value && value <= high);
        }

        #[test]
        fn swapping_the_arms_inverts_the_ratio(
            pairs in proptest::collection::vec((0.1..10.0f64, 0.1..10.0f64), 6..20),
        ) {
            let swapped: Vec<_> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
            let (one, two) = (paired_ratio(&pairs, 0.95).unwrap(), paired_ratio(&swapped, 0.95).unwrap());
            prop_assert!((one.value * two.value - 1.0).abs() < 1e-9);
        }
    }
}
