//! Bias-corrected and accelerated bootstrap (Efron 1987) of the Hodges–Lehmann estimate: a cross-check where there
//! are enough pairs for it, never the verdict.

use super::normal;
use super::random::SplitMix64;
use super::wilcoxon::hodges_lehmann;

/// Pairs below which the bootstrap says nothing: its intervals are too narrow there.
pub const BOOTSTRAP_PAIRS_MIN: usize = 30;
/// Resamples of a comparison.
pub const BOOTSTRAP_RESAMPLES: usize = 10_000;

/// Interval of the Hodges–Lehmann estimate of `differences`; `None` below [`BOOTSTRAP_PAIRS_MIN`].
pub fn bca_interval(differences: &[f64], confidence: f64, resamples: usize, seed: u64) -> Option<(f64, f64)> {
    if differences.len() < BOOTSTRAP_PAIRS_MIN || resamples == 0 {
        return None;
    }
    let estimate = hodges_lehmann(differences)?;
    let drawn = resampled(differences, resamples, seed);
    let below = drawn.partition_point(|value| *value < estimate);
    let bias = normal::quantile((below as f64 + 0.5) / (resamples as f64 + 1.0));
    let acceleration = acceleration(differences);
    let end = |share: f64| {
        let shifted = bias + normal::quantile(share);
        let share = normal::below(bias + shifted / (1.0 - acceleration * shifted));
        let at = (share * resamples as f64).floor() as usize;
        drawn.get(at.min(resamples - 1)).copied()
    };
    let tail = (1.0 - confidence) / 2.0;
    Some((end(tail)?, end(1.0 - tail)?))
}

/// Estimates of resamples, sorted.
fn resampled(differences: &[f64], resamples: usize, seed: u64) -> Vec<f64> {
    let mut dice = SplitMix64::new(seed);
    let mut sample = vec![0.0; differences.len()];
    let mut walsh = Vec::new();
    let mut drawn: Vec<f64> = (0..resamples)
        .map(|_| {
            sample.fill_with(|| differences[dice.below(differences.len())]);
            walsh.clear();
            for (index, a) in sample.iter().enumerate() {
                walsh.extend(sample[index..].iter().map(|b| f64::midpoint(*a, *b)));
            }
            let middle = walsh.len() / 2;
            // Upper median: enough for a share of ten thousand, and a selection instead of a sort.
            *walsh.select_nth_unstable_by(middle, f64::total_cmp).1
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    drawn
}

/// Skew of the estimate, by leaving out one pair at a time.
fn acceleration(differences: &[f64]) -> f64 {
    let without = |left_out: usize| {
        let kept: Vec<f64> = differences
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != left_out)
            .map(|(_, value)| *value)
            .collect();
        hodges_lehmann(&kept)
    };
    let left: Vec<f64> = (0..differences.len()).filter_map(without).collect();
    let mean = left.iter().sum::<f64>() / left.len() as f64;
    let power = |exponent| left.iter().map(|value| (mean - value).powi(exponent)).sum::<f64>();
    let spread = power(2).powf(1.5);
    if spread > 0.0 { power(3) / (6.0 * spread) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::signed_rank_interval;

    fn skewed(n: usize, seed: u64) -> Vec<f64> {
        let mut dice = SplitMix64::new(seed);
        (0..n).map(|_| -((dice.below(1 << 20) as f64 + 1.0) / 1_048_577.0).ln() * 0.05).collect()
    }

    #[test]
    fn b5_it_agrees_with_the_exact_interval() {
        let differences = skewed(40, 3);
        let (low, high) = bca_interval(&differences, 0.95, 2_000, 1).unwrap();
        let (exact_low, exact_high, _) = signed_rank_interval(&differences, 0.95).unwrap();
        let width = exact_high - exact_low;
        assert!((low - exact_low).abs() < 0.3 * width, "{low} {exact_low}");
        assert!((high - exact_high).abs() < 0.3 * width, "{high} {exact_high}");
        assert_eq!(bca_interval(&differences, 0.95, 2_000, 1), Some((low, high)), "seeded");
    }

    #[test]
    fn b5_below_thirty_pairs_it_says_nothing() {
        assert_eq!(bca_interval(&skewed(29, 1), 0.95, 100, 1), None);
        assert!(bca_interval(&[0.5; 30], 0.95, 100, 1).is_some_and(|(low, high)| low == 0.5 && high == 0.5));
    }
}
