//! When warm-up ends: once ten seconds of the load were steady, and otherwise at its limit.
//!
//! A second is judged shortly after its end, when every thread has closed it, and measuring begins with the next full
//! second: no thread has counted anything from there on, and load never stops.

use plimsoll_results::stats::{STEADY_INTERVALS, Steadiness, steadiness};

use crate::clock::{Nanos, SECOND};
use crate::recorder::Ledger;
use crate::timeline::LiveTimeline;
use crate::workload::Phases;

/// Time for every thread to close a second.
const CLOSING_NS: Nanos = 250_000_000;
/// A border that is moved lies at least so far ahead.
const AHEAD_NS: Nanos = 100_000_000;

/// The judge of one warm-up.
pub(super) struct Warmup<'a> {
    live: &'a LiveTimeline,
    ledger: &'a Ledger,
    /// Whole seconds at which judging begins; `None` where warm-up is fixed or steady already.
    from_s: Option<u64>,
    /// Seconds of load at the last look.
    looked_s: u64,
    /// What was said last.
    pub(super) judged: Option<Steadiness>,
}

impl<'a> Warmup<'a> {
    pub(super) fn new(live: &'a LiveTimeline, ledger: &'a Ledger, phases: &Phases) -> Self {
        let least_s = phases.warmup.0.div_ceil(SECOND).saturating_sub(1);
        let from_s = phases.judges_warmup().then(|| least_s.max(STEADY_INTERVALS as u64));
        Self { live, ledger, from_s, looked_s: 0, judged: None }
    }

    /// Judges the seconds that have ended by `now`, once each, and begins to measure when they were steady.
    pub(super) fn look(&mut self, now: Nanos) {
        let Some(from_s) = self.from_s else { return };
        let timeline = self.live.get();
        let ended_s = now.saturating_sub(timeline.start + CLOSING_NS) / SECOND;
        if now >= timeline.measure {
            self.from_s = None;
        } else if ended_s >= from_s && ended_s > self.looked_s {
            self.looked_s = ended_s;
            let last = ended_s.saturating_sub(STEADY_INTERVALS as u64)..ended_s;
            let found = steadiness(&self.ledger.seconds(timeline.start, last));
            if found.steady {
                self.live.measure_from(next_second(timeline.start, now));
                self.from_s = None;
            }
            self.judged = Some(found);
        }
    }
}

/// The next full second of the load that lies far enough ahead.
fn next_second(start: Nanos, now: Nanos) -> Nanos {
    start + (now + AHEAD_NS).saturating_sub(start).div_ceil(SECOND) * SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::{Kind, Recorder};
    use crate::timeline::Timeline;
    use crate::workload::Period;

    const START: Nanos = 7 * SECOND;

    /// A load of `seconds` whose rate is `rate` and whose latency `micros` at each second.
    fn load(live: &LiveTimeline, seconds: u64, rate: fn(u64) -> u64, micros: fn(u64) -> u64) -> Ledger {
        let ledger = Ledger::default();
        let mut recorder = Recorder::new(live.clone(), ledger.clone());
        for second in 0..seconds {
            let due = START + second * SECOND;
            recorder.roll(due + SECOND / 2);
            recorder.counters.acked += rate(second);
            recorder.span(Kind::Response, due, due, due + micros(second) * 1_000, rate(second));
        }
        recorder.finish();
        ledger
    }

    /// When measuring begins, in seconds of the load, and what was said of the warm-up.
    fn judged(rate: fn(u64) -> u64, micros: fn(u64) -> u64) -> (u64, Option<bool>) {
        let live = LiveTimeline::from(Timeline::new(START, 30 * SECOND, SECOND));
        let ledger = load(&live, 30, rate, micros);
        let phases =
            Phases { warmup: Period(3 * SECOND), warmup_max: Period(30 * SECOND), ..Phases::default() };
        let mut warmup = Warmup::new(&live, &ledger, &phases);
        (0..31 * 20).for_each(|look| warmup.look(START + look * SECOND / 20));
        ((live.get().measure - START) / SECOND, warmup.judged.map(|judged| judged.steady))
    }

    #[test]
    fn b1_measuring_begins_when_ten_seconds_were_steady_or_at_the_limit_with_a_verdict() {
        let wobble = |second: u64| [3, 1, 4, 1, 5, 9, 2, 6, 5, 3][second as usize % 10];
        let _: fn(u64) -> u64 = wobble;
        assert_eq!(judged(|_| 1_000, wobble), (11, Some(true)));
        let cold_for_five: fn(u64) -> u64 = |second| if second < 5 { 500 } else { 1_000 };
        assert_eq!(judged(cold_for_five, wobble), (16, Some(true)));
        assert_eq!(judged(|second| 1_000 + 100 * second, wobble), (30, Some(false)));
        assert_eq!(judged(|_| 1_000, |second| 100 + 10 * second), (30, Some(false)));
    }

    #[test]
    fn b1_a_fixed_warm_up_is_not_judged() {
        let live = LiveTimeline::from(Timeline::new(START, 20 * SECOND, SECOND));
        let (ledger, fixed) = (Ledger::default(), Period(20 * SECOND));
        let phases = Phases { warmup: fixed, warmup_max: fixed, ..Phases::default() };
        let mut warmup = Warmup::new(&live, &ledger, &phases);
        warmup.look(START + 15 * SECOND);
        assert!(warmup.judged.is_none() && live.get().measure == START + 20 * SECOND);
    }

    #[test]
    fn a_border_is_moved_only_where_nobody_has_been() {
        for now in [START + 10 * SECOND + CLOSING_NS, START + 11 * SECOND - AHEAD_NS] {
            assert_eq!(next_second(START, now), START + 11 * SECOND);
        }
        assert_eq!(next_second(START, START + 11 * SECOND - AHEAD_NS + 1), START + 12 * SECOND);
    }
}
