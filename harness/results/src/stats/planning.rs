//! How many pairs: before (from a calibrated spread), while running (the stopping rule) and after (what is still
//! missing).

use serde::{Deserialize, Serialize};

/// Half-width of a 95 % interval in standard errors.
const Z_95: f64 = 1.96;
/// Efficiency of the signed-rank interval beside Student's on normal data (3/π).
const EFFICIENCY: f64 = 0.955;

/// Stops on precision, never on significance: looking for significance after every pair finds it by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrecisionRule {
    /// Pairs to begin with.
    pub min: usize,
    /// Pairs added at a time.
    pub step: usize,
    /// No more than this.
    pub max: usize,
}

/// Why no further pair was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// Every gated interval is as narrow as half the smallest effect that matters.
    Precise,
    /// The largest number of pairs was reached first.
    Limit,
    /// As many as were asked for.
    Asked,
    /// Ctrl-C.
    Interrupted,
    /// A trial failed.
    Failed,
    /// They had been stored before.
    Stored,
}

/// How well a gated metric is known: half-width of its interval on the log scale, if there is one, and its
/// smallest effect that matters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Precision {
    /// Half-width, natural logarithm.
    pub half_width: Option<f64>,
    /// Relative, for example 0.02.
    pub min_effect: f64,
}

impl Precision {
    /// Narrow enough to tell "no effect" from "an effect that matters".
    pub fn suffices(&self) -> bool {
        self.half_width.is_some_and(|half| half <= self.min_effect.ln_1p() / 2.0)
    }

    /// Pairs still missing after `pairs` until there is a verdict, a guess from the width so far: at least two, always
    /// even. Either the interval becomes narrow enough to tell "no effect" from one that matters; or, when the `effect` found
    /// so far (natural logarithm) does matter, only so narrow that it excludes none, with as many pairs as an exact test needs
    /// to be below `level`.
    pub fn pairs_needed(&self, pairs: usize, effect: f64, level: f64) -> usize {
        let matters = self.min_effect.ln_1p();
        let wanted = match self.half_width {
            Some(half) => {
                let until = |narrow: f64| (pairs as f64 * (half / narrow).powi(2)).ceil() as usize;
                let precise = until(matters / 2.0);
                let certain = || until(effect.abs()).max(pairs_to_reach(level));
                if effect.abs() < matters { precise } else { precise.min(certain()) }
            }
            None => PrecisionRule::DEFAULT.min,
        };
        wanted.saturating_sub(pairs).max(PrecisionRule::DEFAULT.step).next_multiple_of(2)
    }
}

impl PrecisionRule {
    /// Eight, two more at a time, at most 24.
    pub const DEFAULT: Self = Self { min: 8, step: 2, max: 24 };

    /// Whether to stop after `pairs`, given every gated metric.
    pub fn stop(&self, pairs: usize, gated: &[Precision]) -> Option<StopReason> {
        let looks = pairs >= self.min && (pairs - self.min).is_multiple_of(self.step.max(1));
        if looks && gated.iter().all(Precision::suffices) {
            return Some(StopReason::Precise);
        }
        (pairs >= self.max).then_some(StopReason::Limit)
    }
}

/// Pairs of which all must point one way for the two-sided signed-rank test to be at most at `level`: its least p is
/// 2 / 2^pairs.
fn pairs_to_reach(level: f64) -> usize {
    (1.0 - level.log2()).ceil() as usize
}

/// Pairs for a 95 % half-width `half_width` when single pairs spread with standard deviation `sd`, both on the
/// log scale.
pub fn pairs_for(sd: f64, half_width: f64) -> usize {
    let pairs = (Z_95 * sd / half_width).powi(2) / EFFICIENCY;
    (pairs.ceil() as usize).max(PrecisionRule::DEFAULT.min)
}

/// The smallest relative effect that `pairs` pairs resolve: twice the half-width they give.
pub fn smallest_effect(sd: f64, pairs: usize) -> f64 {
    (2.0 * Z_95 * sd / (EFFICIENCY * pairs as f64).sqrt()).exp_m1()
}

/// Standard deviation, n − 1 in the denominator; `None` below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_the_planning_table() {
        for (sd, row) in [(0.03, [37, 10, 8, 8]), (0.05, [101, 26, 12, 8]), (0.08, [258, 65, 29, 11])] {
            assert_eq!([0.01, 0.02, 0.03, 0.05].map(|half| pairs_for(sd, half)), row, "sd {sd}");
        }
    }

    #[test]
    fn b5_eight_pairs_then_two_at_a_time_until_all_are_narrow_or_24() {
        let known = |half: f64| Precision { half_width: Some(half), min_effect: 0.02 };
        let (wide, narrow) = (known(0.011), known(0.009));
        let rule = PrecisionRule::DEFAULT;
        assert_eq!(rule.stop(7, &[narrow]), None);
        assert_eq!(rule.stop(8, &[narrow, wide]), None);
        assert_eq!(rule.stop(9, &[narrow]), None);
        assert_eq!(rule.stop(10, &[narrow, narrow]), Some(StopReason::Precise));
        assert_eq!(rule.stop(24, &[wide]), Some(StopReason::Limit));
    }

    #[test]
    fn b5_what_is_still_missing_grows_with_the_square_of_the_width() {
        let at = |half_width| Precision { half_width, min_effect: 0.02 }.pairs_needed(8, 0.0, 0.05);
        let half = 0.02f64.ln_1p() / 2.0;
        assert_eq!((at(Some(2.0 * half)), at(Some(half)), at(None)), (24, 2, 2));
    }

    #[test]
    fn b5_a_large_effect_needs_no_more_pairs_than_it_takes_to_be_certain_of_it() {
        let after_six = |half, effect, level| {
            Precision { half_width: Some(half), min_effect: 0.02 }.pairs_needed(6, effect, level)
        };
        // 2.2 times as much, known to a tenth: six pairs cannot pass Holm over two metrics, seven can.
        assert_eq!(after_six(0.11, 0.8, 0.025), 2);
        assert_eq!(after_six(0.11, -0.8, 0.025), 2);
        // Half as wide again as it is large: 2.25 times six pairs.
        assert_eq!(after_six(0.15, 0.1, 0.05), 8);
        // Too small to matter: only precision can tell.
        assert_eq!(after_six(0.11, 0.01, 0.05), after_six(0.11, 0.0, 0.05));
        assert_eq!([0.05, 0.025, 0.01].map(pairs_to_reach), [6, 7, 8]);
    }

    #[test]
    fn the_effect_resolved_is_what_planning_asks_for() {
        let effect = smallest_effect(0.05, 24);
        assert!((0.04..0.043).contains(&effect), "{effect}");
        assert!(pairs_for(0.05, effect.ln_1p() / 2.0).abs_diff(24) <= 1);
        assert_eq!(standard_deviation(&[1.0]), None);
        assert!((standard_deviation(&[1.0, 3.0]).unwrap() - 2f64.sqrt()).abs() < 1e-12);
    }
}
