//! The machine profile: what comparisons of equal things showed here, so that no later one claims to see less.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::comparison::{ArmComparison, MinEffects};
use crate::stats::{PrecisionRule, smallest_effect, standard_deviation};

/// The schema this version writes. Readers accept every `profile/1.x`.
pub const PROFILE_SCHEMA: &str = "profile/1.0";

/// Pairs for which the smallest effect is told.
const PAIRS_TOLD: [usize; 3] = [8, 16, 24];

/// What a machine resolves, by workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineProfile {
    /// `profile/1.0`.
    pub schema: String,
    /// The machine's fingerprint; a profile of another one is not used.
    pub fingerprint: String,
    /// By name of the workload.
    pub workloads: BTreeMap<String, Calibration>,
}

/// One calibration: identical arms in pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// RFC 3339, UTC.
    pub calibrated_at: String,
    /// Pairs that were run.
    pub pairs: usize,
    /// Metrics of which equal arms differed by more than what matters: figures of that session mean nothing.
    pub unusable: Vec<String>,
    /// What was found, by metric.
    pub metrics: Vec<MetricNoise>,
}

/// The noise of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricNoise {
    /// Its name.
    pub metric: String,
    /// Standard deviation of the log ratio of a pair.
    pub sd: f64,
    /// Relative difference found between equal arms.
    pub effect: f64,
    /// Smallest relative effect that matters by itself.
    pub min_effect: f64,
    /// Smallest relative effect resolved, by number of pairs (`"8"`, `"16"`, `"24"`).
    pub resolves: BTreeMap<String, f64>,
}

impl MachineProfile {
    /// Nothing known yet about this machine.
    pub fn new(fingerprint: impl Into<String>) -> Self {
        Self {
            schema: PROFILE_SCHEMA.to_owned(),
            fingerprint: fingerprint.into(),
            workloads: BTreeMap::new(),
        }
    }
}

impl Calibration {
    /// Reads the noise off a comparison of equal arms.
    pub fn of(comparison: &ArmComparison, pairs: usize, calibrated_at: String) -> Self {
        let mut unusable = Vec::new();
        let mut metrics = Vec::new();
        for row in &comparison.metrics {
            let logs: Vec<f64> = row.ratios.iter().map(|ratio| ratio.ln()).collect();
            let Some(sd) = standard_deviation(&logs) else { continue };
            if row.is_gated() && row.ratio.ln().abs() > row.min_effect.ln_1p() {
                unusable.push(row.metric.clone());
            }
            let resolves = PAIRS_TOLD.map(|pairs| (pairs.to_string(), smallest_effect(sd, pairs)));
            metrics.push(MetricNoise {
                metric: row.metric.clone(),
                sd,
                effect: row.ratio - 1.0,
                min_effect: row.min_effect,
                resolves: resolves.into(),
            });
        }
        Self { calibrated_at, pairs, unusable, metrics }
    }

    /// Widens the smallest effects to what the largest number of pairs resolves here, and says where.
    pub fn widen(&self, min_effects: &mut MinEffects) -> Vec<String> {
        let mut notices = Vec::new();
        for noise in &self.metrics {
            let resolved = smallest_effect(noise.sd, PrecisionRule::DEFAULT.max);
            if resolved > noise.min_effect {
                min_effects.widen(&noise.metric, resolved);
                notices.push(format!(
                    "{}: this machine resolves {:.1} % with {} pairs, so that counts as the smallest effect and not {:.0} %",
                    noise.metric,
                    100.0 * resolved,
                    PrecisionRule::DEFAULT.max,
                    100.0 * noise.min_effect
                ));
            }
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::{Trials, compare};
    use crate::stats::MetricRule;
    use crate::{Status, TrialSummary};

    fn pairs(spread: f64, offset: f64) -> Vec<(TrialSummary, TrialSummary)> {
        let trial = |cpu_ns: f64| {
            let mut trial = TrialSummary::new(Status::Ok, Vec::new(), Vec::new());
            trial.put("broker_cpu_ns_per_record", Some(cpu_ns));
            trial
        };
        let signs = [1.0, -1.0, 0.5, -0.5, 0.2, -0.2, 0.9, -0.9, 0.1, -0.1];
        signs.iter().map(|sign| (trial(1000.0), trial(1000.0 * (offset + sign * spread)))).collect()
    }

    fn calibration(spread: f64, offset: f64) -> Calibration {
        let found = compare(Trials::Paired(&pairs(spread, offset)), &MinEffects::default(), 1);
        Calibration::of(&found, 10, "now".into())
    }

    #[test]
    fn b5_a_noisy_machine_widens_the_smallest_effect_with_a_notice() {
        let (mut wide, mut same) = (MinEffects::default(), MinEffects::default());
        let notices = calibration(0.10, 1.0).widen(&mut wide);
        let rule = MetricRule::named("broker_cpu_ns_per_record").unwrap();
        assert!(notices.len() == 1 && wide.of(rule) > 0.04, "{notices:?} {wide:?}");
        assert_eq!((calibration(0.005, 1.0).widen(&mut same).len(), same.of(rule)), (0, 0.02));
    }

    #[test]
    fn b5_equal_arms_that_differ_make_the_session_unusable() {
        assert_eq!(calibration(0.005, 1.05).unusable, ["broker_cpu_ns_per_record"]);
        let fine = calibration(0.005, 1.0);
        assert!(fine.unusable.is_empty() && fine.metrics[0].resolves["8"] > fine.metrics[0].resolves["24"]);
    }
}
