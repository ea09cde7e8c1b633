//! The shift function: how each quantile of the latency moved. It compares the trials' quantiles in pairs; testing
//! pooled records would call everything significant, because they are millions and not independent.

use super::judge::Evidence;

/// Quantiles of the shift function, in percent.
pub const SHIFT_PERCENTILES: [f64; 12] =
    [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.9];

/// A trial's quantiles in the order of [`SHIFT_PERCENTILES`]; `None` where it has no value.
pub type ShiftQuantiles = Vec<Option<f64>>;

/// The paired ratio of each quantile over pairs of trials; nothing where a trial has no value.
pub fn shift_function(pairs: &[(ShiftQuantiles, ShiftQuantiles)]) -> Vec<(f64, Option<Evidence>)> {
    let at = |index: usize| {
        let of_pair = |(a, b): &(ShiftQuantiles, ShiftQuantiles)| {
            a.get(index).copied().flatten().zip(b.get(index).copied().flatten())
        };
        let both: Option<Vec<(f64, f64)>> = pairs.iter().map(of_pair).collect();
        both.and_then(|both| Evidence::paired(&both).ok())
    };
    SHIFT_PERCENTILES.iter().enumerate().map(|(index, percent)| (*percent, at(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_a_tail_that_moves_alone_moves_alone() {
        let a: Vec<Option<f64>> = (1..=12).map(|q| Some(f64::from(q))).collect();
        let mut b = a.clone();
        b[10] = Some(22.0);
        b[11] = None;
        let shift = shift_function(&vec![(a, b); 8]);
        let effects: Vec<Option<f64>> = shift
            .iter()
            .map(|(_, evidence)| evidence.as_ref().map(|e| (e.effect.exp() * 100.0).round()))
            .collect();
        assert_eq!(effects[..10], [Some(100.0); 10]);
        assert_eq!(effects[10..], [Some(200.0), None]);
    }
}
