//! The shape of a run beside its figures: phases, how warm-up ended, and whether throughput held.

use plimsoll_results::stats::Steadiness;
use plimsoll_results::{IntervalRow, Phase, PhaseSpan};

use crate::clock::Nanos;
use crate::timeline::Timeline;

/// Seconds that a third of the measured phase has at least before thirds are compared.
const DECAY_SECONDS: usize = 3;
/// Throughput of the last third by that of the first, below which it is remarked upon.
const DECAY_BELOW: f64 = 0.95;

/// The phases as they were, and what was said of the warm-up; `None` of it stands for a fixed time.
pub(super) fn phases(timeline: &Timeline, ended: Nanos, warmup: Option<&Steadiness>) -> Vec<PhaseSpan> {
    let mut spans = timeline.spans(ended);
    if let Some(span) = spans.iter_mut().find(|span| span.name == Phase::Warmup.as_str()) {
        span.steady = warmup.map(|judged| judged.steady);
        let reason = warmup.map_or("a fixed time, not judged", |judged| &judged.reason);
        span.reason = Some(reason.to_owned());
    }
    spans
}

/// What a reader of the figures should know of it.
pub(super) fn remarks(phases: &[PhaseSpan], rows: &[IntervalRow]) -> impl Iterator<Item = String> {
    unsteady(phases).into_iter().chain(decay(rows))
}

/// Why warm-up ended at its limit and not before.
fn unsteady(phases: &[PhaseSpan]) -> Option<String> {
    let warmup = phases.iter().find(|span| span.steady == Some(false))?;
    let seconds = warmup.t1_ns.saturating_sub(warmup.t0_ns) as f64 / 1e9;
    Some(format!("warm-up ended at its limit of {seconds:.0} s: {}", warmup.reason.as_deref()?))
}

/// A throughput that fell while it was measured, which the average over the phase hides (measuring reference, B6).
/// One trial proves nothing: the remark is worth something when it comes again.
fn decay(rows: &[IntervalRow]) -> Option<String> {
    let whole = |row: &&IntervalRow| row.phase == Phase::Measure && !row.partial;
    let acked: Vec<u64> = rows.iter().filter(whole).map(|row| row.acked).collect();
    let third = acked.len() / 3;
    let sum = |part: &[u64]| part.iter().sum::<u64>() as f64;
    let (first, last) = (sum(acked.get(..third)?), sum(acked.get(acked.len() - third..)?));
    let fell = third >= DECAY_SECONDS && last < DECAY_BELOW * first;
    fell.then(|| {
        let percent = 100.0 * (1.0 - last / first);
        format!("throughput in the last third of the measured phase was {percent:.0} % below the first")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    fn rows(acked: impl Fn(usize) -> u64, seconds: usize) -> Vec<IntervalRow> {
        let row = |at| IntervalRow { phase: Phase::Measure, acked: acked(at), ..IntervalRow::default() };
        (0..seconds).map(row).collect()
    }

    #[test]
    fn b6_a_decay_within_the_trial_is_remarked_upon() {
        let falling = decay(&rows(|at| 1_000 - 20 * at as u64, 12)).expect("a remark");
        assert!(falling.contains("16 % below"), "{falling}");
        assert_eq!(decay(&rows(|at| 1_000 + at as u64 % 3, 30)), None);
        assert_eq!(decay(&rows(|at| 1_000 + 50 * at as u64, 12)), None, "a rise is no decay");
        assert_eq!(decay(&rows(|at| 1_000 / (1 + at as u64), 8)), None, "eight seconds are too few");
        let mut warm = rows(|_| 5_000, 9);
        warm.iter_mut().for_each(|row| row.phase = Phase::Warmup);
        warm.extend(rows(|_| 1_000, 9));
        assert_eq!(decay(&warm), None, "warm-up does not count");
    }

    #[test]
    fn b1_phases_say_how_warm_up_ended() {
        let line = Timeline::new(0, 10 * SECOND, SECOND);
        let judged = |steady| Steadiness { steady, reason: "throughput -1.20 %/s".into() };
        let of = |warmup: Option<&Steadiness>| phases(&line, 12 * SECOND, warmup);
        assert_eq!(
            (of(None)[0].steady, of(None)[0].reason.as_deref()),
            (None, Some("a fixed time, not judged"))
        );
        assert_eq!(of(Some(&judged(true)))[0].steady, Some(true));
        assert_eq!(remarks(&of(Some(&judged(true))), &[]).count(), 0);
        let told: Vec<String> = remarks(&of(Some(&judged(false))), &[]).collect();
        assert_eq!(told, ["warm-up ended at its limit of 10 s: throughput -1.20 %/s"]);
    }
}
