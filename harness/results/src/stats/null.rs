//! Null distributions of the two rank statistics, and what is read off them: which order statistics bound an
//! interval, and how unlikely a count is.

use super::normal;

/// Largest n whose signed-rank distribution is counted exactly; the normal approximation serves above.
const SIGNED_RANK_EXACT_MAX: usize = 50;
/// The same for each of two unpaired samples. Counts stay whole numbers in f64.
const RANK_SUM_EXACT_MAX: usize = 25;

/// How a rank statistic is distributed when nothing differs. Symmetric around half its maximum.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Null {
    /// How many equally likely cases give each value from 0 up.
    Exact(Vec<f64>),
    /// The limit for many pairs.
    Normal { mean: f64, sd: f64 },
}

impl Null {
    /// Of the signed-rank statistic of `n` pairs: how many Walsh averages are on one side.
    pub(super) fn signed_rank(n: usize) -> Self {
        if n <= SIGNED_RANK_EXACT_MAX {
            return Self::Exact(signed_rank_counts(n));
        }
        let n = n as f64;
        Self::Normal { mean: n * (n + 1.0) / 4.0, sd: (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt() }
    }

    /// Of Mann and Whitney's U of samples of `a` and `b`: how many differences are on one side.
    pub(super) fn rank_sum(a: usize, b: usize) -> Self {
        if a.max(b) <= RANK_SUM_EXACT_MAX {
            return Self::Exact(rank_sum_counts(a, b));
        }
        let (a, b) = (a as f64, b as f64);
        Self::Normal { mean: a * b / 2.0, sd: (a * b * (a + b + 1.0) / 12.0).sqrt() }
    }

    /// Largest k whose interval, from the k-th smallest to the k-th largest value, covers at least
    /// `confidence`, and what it really covers: `1 − 2·P(W ≤ k − 1)`. `None` when there is too little.
    pub(super) fn k(&self, confidence: f64) -> Option<(usize, f64)> {
        match self {
            Self::Exact(counts) => {
                let all: f64 = counts.iter().sum();
                let mut below = 0.0;
                let coverage = counts.iter().enumerate().map(|(value, count)| {
                    below += count;
                    (value + 1, 1.0 - 2.0 * below / all)
                });
                coverage.take_while(|(_, coverage)| *coverage >= confidence).last()
            }
            Self::Normal { mean, sd } => {
                let k = (mean - normal::quantile(f64::midpoint(1.0, confidence)) * sd).floor();
                (k >= 1.0).then_some((k as usize, confidence))
            }
        }
    }

    /// Two-sided p of a statistic whose smaller side is `value`. At most the level α exactly where the interval
    /// of confidence 1 − α excludes zero.
    pub(super) fn p_value(&self, value: usize) -> f64 {
        let below = match self {
            Self::Exact(counts) => counts.iter().take(value + 1).sum::<f64>() / counts.iter().sum::<f64>(),
            Self::Normal { mean, sd } => normal::below((value as f64 + 1.0 - mean) / sd),
        };
        (2.0 * below).min(1.0)
    }
}

/// Interval of a location from the sorted values whose median is its estimate, and the p of location zero.
pub(super) fn interval_of(sorted: &[f64], null: &Null, confidence: f64) -> Option<(f64, f64, f64)> {
    let (k, really) = null.k(confidence)?;
    Some((*sorted.get(k.checked_sub(1)?)?, *sorted.get(sorted.len().checked_sub(k)?)?, really))
}

/// p of location zero, from the same values.
pub(super) fn p_of(sorted: &[f64], null: &Null) -> f64 {
    let not_above = sorted.partition_point(|value| *value <= 0.0);
    let not_below = sorted.len() - sorted.partition_point(|value| *value < 0.0);
    null.p_value(not_above.min(not_below))
}

/// The median of sorted values.
pub(super) fn median_of(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(middle - 1)?, upper))
}

/// How many of the 2^n sign patterns give each rank sum.
fn signed_rank_counts(n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n * (n + 1) / 2 + 1];
    counts[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..counts.len()).rev() {
            counts[sum] += counts[sum - rank];
        }
    }
    counts
}

/// How many of the ways to mix two ordered samples give each U: the coefficients of the Gaussian binomial
/// `Π (1 − x^(b+i)) / (1 − x^i)`.
fn rank_sum_counts(a: usize, b: usize) -> Vec<f64> {
    let mut counts = vec![0.0; a * b + 1];
    counts[0] = 1.0;
    for i in 1..=a {
        for at in (b + i..counts.len()).rev() {
            counts[at] -= counts[at - b - i];
        }
        for at in i..counts.len() {
            counts[at] += counts[at - i];
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_signed_rank_counts_match_every_sign_pattern() {
        for n in 0..=12 {
            let mut counts = vec![0.0; n * (n + 1) / 2 + 1];
            for pattern in 0..1u32 << n {
                let sum: usize = (0..n).filter(|bit| pattern >> bit & 1 == 1).map(|bit| bit + 1).sum();
                counts[sum] += 1.0;
            }
            assert_eq!(signed_rank_counts(n), counts, "n = {n}");
        }
        assert_eq!(signed_rank_counts(50).iter().sum::<f64>(), 2f64.powi(50));
    }

    #[test]
    fn b5_rank_sum_counts_match_every_mixture() {
        for (a, b) in [(1, 1), (3, 2), (4, 4), (5, 3)] {
            let mut counts = vec![0.0; a * b + 1];
            for pattern in (0..1u32 << (a + b)).filter(|pattern| pattern.count_ones() as usize == a) {
                let mut seen_b = 0;
                let mut u = 0;
                for bit in 0..a + b {
                    if pattern >> bit & 1 == 1 { u += seen_b } else { seen_b += 1 }
                }
                counts[u] += 1.0;
            }
            assert_eq!(rank_sum_counts(a, b), counts, "{a} and {b}");
        }
        assert_eq!(rank_sum_counts(24, 24).iter().sum::<f64>(), 32_247_603_683_100.0, "48 over 24");
    }

    #[test]
    fn b5_known_table_values() {
        // Two-sided 5 % critical values of the signed-rank test: reject at W ≤ 3 (n = 8), 8 (n = 10), 52 (n = 20).
        for (n, critical) in [(8, 3), (10, 8), (20, 52)] {
            assert_eq!(Null::signed_rank(n).k(0.95).unwrap().0, critical + 1, "n = {n}");
        }
        // Of U: 13 (8 and 8), 23 (10 and 10), 127 (20 and 20).
        for (n, critical) in [(8, 13), (10, 23), (20, 127)] {
            assert_eq!(Null::rank_sum(n, n).k(0.95).unwrap().0, critical + 1, "n = {n}");
        }
    }

    #[test]
    fn b5_95_percent_needs_six_pairs_and_99_needs_eight() {
        let enough = |n: usize, confidence| Null::signed_rank(n).k(confidence).is_some();
        assert!(!enough(5, 0.95) && enough(6, 0.95) && !enough(7, 0.99) && enough(8, 0.99));
        assert_eq!(Null::signed_rank(0).k(0.95), None);
    }

    #[test]
    fn the_normal_approximation_meets_the_exact_one() {
        let n = 50.0;
        let normal = Null::Normal { mean: n * 51.0 / 4.0, sd: (n * 51.0 * 101.0f64 / 24.0).sqrt() };
        let (exact, near) = (Null::signed_rank(50).k(0.95).unwrap().0, normal.k(0.95).unwrap().0);
        assert!(exact.abs_diff(near) <= 2, "{exact} and {near}");
        assert!((Null::signed_rank(50).p_value(400) - normal.p_value(400)).abs() < 0.01);
    }
}
