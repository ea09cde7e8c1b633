//! Two samples that were not taken in pairs: Mann–Whitney with the Hodges–Lehmann shift. Drift of the machine
//! between them is not controlled, and whoever prints it says so.

use super::null::{Null, interval_of, median_of, p_of};
use super::wilcoxon::Estimate;

/// Median of all differences `b_j − a_i`, with its exact interval, and the two-sided p of no shift.
/// `None` when a sample is empty.
pub fn unpaired_shift(a: &[f64], b: &[f64], confidence: f64) -> Option<(Estimate, f64)> {
    let mut differences: Vec<f64> = b.iter().flat_map(|b| a.iter().map(move |a| b - a)).collect();
    differences.sort_by(f64::total_cmp);
    let null = Null::rank_sum(a.len(), b.len());
    let estimate = Estimate {
        value: median_of(&differences)?,
        interval: interval_of(&differences, &null, confidence),
        pairs: a.len().min(b.len()),
    };
    Some((estimate, p_of(&differences, &null)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_a_shift_is_found_with_its_interval() {
        let a: Vec<f64> = (0..8).map(f64::from).collect();
        let b: Vec<f64> = a.iter().map(|value| value + 20.0).collect();
        let (estimate, p) = unpaired_shift(&a, &b, 0.95).unwrap();
        let (low, high, really) = estimate.interval.unwrap();
        assert_eq!(estimate.value, 20.0);
        assert!(low > 0.0 && high > 20.0 && (0.95..0.97).contains(&really), "{low} {high} {really}");
        // The most extreme of the 12,870 ways to mix eight and eight.
        assert!((p - 2.0 / 12_870.0).abs() < 1e-12, "{p}");
    }

    #[test]
    fn too_few_trials_have_no_interval_and_none_have_no_estimate() {
        let (estimate, p) = unpaired_shift(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.95).unwrap();
        assert_eq!((estimate.interval, estimate.value), (None, 3.0));
        assert!((p - 0.1).abs() < 1e-12, "{p}");
        assert_eq!(unpaired_shift(&[], &[1.0], 0.95), None);
    }
}
