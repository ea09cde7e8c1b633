//! Hodges–Lehmann estimate and exact Wilcoxon signed-rank interval of paired differences.

use thiserror::Error;

/// Largest n whose null distribution is counted exactly; the normal approximation serves above.
const EXACT_MAX_PAIRS: usize = 50;

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
    let logs = pairs.iter().enumerate().map(|(index, (a, b))| {
        let log = (b / a).ln();
        let sound = *a > 0.0 && *b > 0.0 && log.is_finite();
        sound.then_some(log).ok_or(StatsError::NoRatio { pair: index + 1, a: *a, b: *b })
    });
    let logs = logs.collect::<Result<Vec<_>, _>>()?;
    let value = hodges_lehmann(&logs).ok_or(StatsError::Empty)?.exp();
    let interval = signed_rank_interval(&logs, confidence);
    let interval = interval.map(|(low, high, really)| (low.exp(), high.exp(), really));
    Ok(Estimate { value, interval, pairs: logs.len() })
}

/// Median of all Walsh averages `(d_i + d_j) / 2`, `i ≤ j`.
pub fn hodges_lehmann(differences: &[f64]) -> Option<f64> {
    let walsh = walsh_averages(differences);
    let middle = walsh.len() / 2;
    let upper = *walsh.get(middle)?;
    if walsh.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*walsh.get(middle - 1)?, upper))
}

/// The k-th smallest and k-th largest Walsh average, with k from the null distribution of the signed-rank
/// statistic, and the confidence that this interval has. `None` when n is too small.
pub fn signed_rank_interval(differences: &[f64], confidence: f64) -> Option<(f64, f64, f64)> {
    let n = differences.len();
    let (k, really) = if n <= EXACT_MAX_PAIRS { exact_k(n, confidence) } else { normal_k(n, confidence) }?;
    let walsh = walsh_averages(differences);
    let low = *walsh.get(k - 1)?;
    let high = *walsh.get(walsh.len().checked_sub(k)?)?;
    Some((low, high, really))
}

fn walsh_averages(differences: &[f64]) -> Vec<f64> {
    let mut walsh = Vec::with_capacity(differences.len() * (differences.len() + 1) / 2);
    for (index, a) in differences.iter().enumerate() {
        walsh.extend(differences.iter().skip(index).map(|b| f64::midpoint(*a, *b)));
    }
    walsh.sort_by(f64::total_cmp);
    walsh
}

/// Largest k whose interval covers at least `confidence`: coverage is `1 − 2·P(W ≤ k − 1)`.
fn exact_k(n: usize, confidence: f64) -> Option<(usize, f64)> {
    let counts = null_counts(n);
    let all = 2f64.powi(i32::try_from(n).ok()?);
    let mut below = 0.0;
    let mut best = None;
    for (rank_sum, count) in counts.iter().enumerate() {
        below += count;
        let coverage = 1.0 - 2.0 * below / all;
        if coverage < confidence {
            break;
        }
        best = Some((rank_sum + 1, coverage));
    }
    best
}

/// How many of the 2^n sign patterns give each rank sum. Exact in f64 up to n = 50.
fn null_counts(n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n * (n + 1) / 2 + 1];
    counts[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..counts.len()).rev() {
            counts[sum] += counts[sum - rank];
        }
    }
    counts
}

fn normal_k(n: usize, confidence: f64) -> Option<(usize, f64)> {
    let n = n as f64;
    let (mean, sd) = (n * (n + 1.0) / 4.0, (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt());
    let k = (mean - normal_quantile(f64::midpoint(1.0, confidence)) * sd).floor();
    (k >= 1.0).then_some((k as usize, confidence))
}

/// Quantile of the standard normal distribution, by bisection on its distribution function.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_below(middle) < share { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Abramowitz and Stegun 26.2.17, error below 7.5e-8.
fn normal_below(x: f64) -> f64 {
    const FACTORS: [f64; 5] = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let polynomial = FACTORS.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every sign pattern of the ranks 1..=n, one by one.
    fn brute_force_counts(n: usize) -> Vec<f64> {
        let mut counts = vec![0.0; n * (n + 1) / 2 + 1];
        for pattern in 0..1u32 << n {
            let sum: usize = (0..n).filter(|bit| pattern >> bit & 1 == 1).map(|bit| bit + 1).sum();
            counts[sum] += 1.0;
        }
        counts
    }

    #[test]
    fn b5_null_distribution_matches_brute_force() {
        for n in 0..=12 {
            assert_eq!(null_counts(n), brute_force_counts(n), "n = {n}");
        }
        let fifty: f64 = null_counts(50).iter().sum();
        assert_eq!(fifty, 2f64.powi(50));
    }

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
    fn b5_95_percent_needs_six_pairs_and_99_needs_eight() {
        let n = |n: usize, confidence| exact_k(n, confidence).is_some();
        assert!(!n(5, 0.95) && n(6, 0.95) && !n(7, 0.99) && n(8, 0.99));
        assert_eq!(exact_k(0, 0.95), None);
    }

    #[test]
    fn b5_known_table_values() {
        // Two-sided 5 % critical values of the signed-rank test: reject at W ≤ 3 (n = 8), 8 (n = 10), 52 (n = 20).
        for (n, critical) in [(8, 3), (10, 8), (20, 52)] {
            assert_eq!(exact_k(n, 0.95).unwrap().0, critical + 1, "n = {n}");
        }
    }

    #[test]
    fn the_normal_approximation_meets_the_exact_one_at_fifty() {
        let (exact, normal) = (exact_k(50, 0.95).unwrap().0, normal_k(50, 0.95).unwrap().0);
        assert!(exact.abs_diff(normal) <= 2, "{exact} and {normal}");
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
