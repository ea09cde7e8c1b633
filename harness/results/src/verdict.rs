//! What a generator must say of itself: when it, not the target, was the limit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A verdict on the load. A run with one is drawn hatched and cannot pass a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Less than 99 % of the asked rate was reached.
    RateNotMet,
    /// The generator was too busy or sent too late.
    GeneratorBound,
    /// Records waited in the client's own queue.
    ClientQueueBound,
    /// The host gave more than 1 % of the CPU time to others.
    StealAffected,
    /// The target rate is above half of what the generator reaches on the null target.
    NearGeneratorCeiling,
    /// The load had not become steady when measuring began.
    NotSteady,
    /// A verdict of a newer version.
    #[serde(untagged)]
    Other(String),
}

/// What a verdict is read from. Absent facts decide nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LoadObservation {
    /// Records per second asked for.
    pub target_rate: Option<f64>,
    /// Records per second acknowledged.
    pub achieved_rate: Option<f64>,
    /// Records never sent because a buffer was full.
    pub unsent: u64,
    /// Busiest generator core, percent of one core.
    pub generator_cpu_pct: Option<f64>,
    /// p99 of the time from a record's intended send until the generator took it up, microseconds.
    pub lateness_p99_us: Option<f64>,
    /// p99 of acknowledgement minus intended send time, microseconds.
    pub response_p99_us: Option<f64>,
    /// CPU time taken by others on the host, percent.
    pub steal_pct: Option<f64>,
    /// Records per second on the null target.
    pub generator_ceiling: Option<f64>,
    /// What warm-up said when it ended; `None` where it was not judged.
    pub steady: Option<bool>,
}

impl LoadObservation {
    /// The verdicts that follow, in a fixed order.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let judged = [
            (self.rate_not_met(), Verdict::RateNotMet),
            (self.generator_bound(), Verdict::GeneratorBound),
            (self.unsent > 0, Verdict::ClientQueueBound),
            (self.steal_pct.is_some_and(|pct| pct > 1.0), Verdict::StealAffected),
            (self.near_ceiling(), Verdict::NearGeneratorCeiling),
            (self.steady == Some(false), Verdict::NotSteady),
        ];
        judged.into_iter().filter_map(|(holds, verdict)| holds.then_some(verdict)).collect()
    }

    fn rate_not_met(&self) -> bool {
        let short = self.target_rate.zip(self.achieved_rate).is_some_and(|(target, got)| got < 0.99 * target);
        short || self.unsent > 0
    }

    fn generator_bound(&self) -> bool {
        let busy = self.generator_cpu_pct.is_some_and(|pct| pct > 85.0);
        let allowed_us = self.response_p99_us.map_or(1000.0, |p99| (0.1 * p99).max(1000.0));
        busy || self.lateness_p99_us.is_some_and(|late| late > allowed_us)
    }

    fn near_ceiling(&self) -> bool {
        self.target_rate.zip(self.generator_ceiling).is_some_and(|(target, ceiling)| target > 0.5 * ceiling)
    }
}

impl Verdict {
    /// What it means, as one clause for a reader.
    pub fn explain(&self) -> &str {
        match self {
            Self::RateNotMet => "less than 99 % of the asked rate was reached",
            Self::GeneratorBound => "the load generator was too busy or sent too late",
            Self::ClientQueueBound => "records waited in the client's own queue",
            Self::StealAffected => "the host gave more than 1 % of the CPU time to others",
            Self::NearGeneratorCeiling => "the rate is above half of what the generator can send at all",
            Self::NotSteady => "the load had not become steady when measuring began",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateNotMet => "rate_not_met",
            Self::GeneratorBound => "generator_bound",
            Self::ClientQueueBound => "client_queue_bound",
            Self::StealAffected => "steal_affected",
            Self::NearGeneratorCeiling => "near_generator_ceiling",
            Self::NotSteady => "not_steady",
            Self::Other(name) => name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_rate_not_met_below_99_percent() {
        let at = |got| LoadObservation {
            target_rate: Some(1000.0),
            achieved_rate: Some(got),
            ..Default::default()
        };
        assert_eq!(at(990.0).verdicts(), []);
        assert_eq!(at(989.9).verdicts(), [Verdict::RateNotMet]);
    }

    #[test]
    fn b2_generator_bound_by_core_or_by_lateness() {
        let busy = LoadObservation { generator_cpu_pct: Some(86.0), ..Default::default() };
        assert_eq!(busy.verdicts(), [Verdict::GeneratorBound]);
        let late = |schedule, response| LoadObservation {
            lateness_p99_us: Some(schedule),
            response_p99_us: Some(response),
            ..Default::default()
        };
        assert_eq!(late(900.0, 1000.0).verdicts(), []);
        assert_eq!(late(1100.0, 5000.0).verdicts(), [Verdict::GeneratorBound]);
        assert_eq!(late(1100.0, 50_000.0).verdicts(), []);
    }

    #[test]
    fn b2_client_queue_steal_ceiling_and_unsteadiness_each_have_their_verdict() {
        let none = LoadObservation::default();
        let verdicts = |seen: LoadObservation| seen.verdicts();
        assert_eq!(verdicts(none), []);
        let unsent = LoadObservation { unsent: 1, ..none };
        assert_eq!(verdicts(unsent), [Verdict::RateNotMet, Verdict::ClientQueueBound]);
        let stolen = |pct| LoadObservation { steal_pct: Some(pct), ..none };
        assert_eq!((verdicts(stolen(1.0)), verdicts(stolen(1.1))), (vec![], vec![Verdict::StealAffected]));
        let near = |rate| LoadObservation { target_rate: Some(rate), generator_ceiling: Some(100.0), ..none };
        assert_eq!(
            (verdicts(near(50.0)), verdicts(near(51.0))),
            (vec![], vec![Verdict::NearGeneratorCeiling])
        );
        let warm = |steady| LoadObservation { steady: Some(steady), ..none };
        assert_eq!((verdicts(warm(true)), verdicts(warm(false))), (vec![], vec![Verdict::NotSteady]));
    }

    #[test]
    fn unknown_verdicts_are_kept_as_they_are() {
        let read: Vec<Verdict> = serde_json::from_str(r#"["steal_affected","from_the_future"]"#).unwrap();
        assert_eq!(read, [Verdict::StealAffected, Verdict::Other("from_the_future".into())]);
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["steal_affected","from_the_future"]"#);
    }

    #[test]
    fn the_word_shown_is_the_word_stored() {
        for verdict in [Verdict::RateNotMet, Verdict::NearGeneratorCeiling, Verdict::NotSteady] {
            assert_eq!(serde_json::to_value(&verdict).unwrap(), verdict.to_string());
        }
    }
}
