//! Phases and one-second intervals on the run's clock, the same for every thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_results::{Phase, PhaseSpan};

use crate::clock::{Nanos, SECOND};

/// When each phase begins. Intervals are one second long, start anew at each phase and are cut at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// Begin of the run and of warm-up.
    pub start: Nanos,
    /// End of warm-up, begin of the measured window.
    pub measure: Nanos,
    /// End of the measured window: no record is due from here on.
    pub end: Nanos,
}

/// One interval: where it begins and ends, and which phase it lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// Begin.
    pub begin: Nanos,
    /// End, exclusive.
    pub end: Nanos,
    /// Its phase.
    pub phase: Phase,
}

impl Timeline {
    /// A timeline of the two lengths from `start` on.
    pub fn new(start: Nanos, warmup_ns: Nanos, measure_ns: Nanos) -> Timeline {
        let measure = start + warmup_ns;
        Timeline { start, measure, end: measure + measure_ns }
    }

    /// The phase a time lies in; for a record, its intended time decides.
    pub fn phase_at(&self, at: Nanos) -> Phase {
        match at {
            at if at < self.measure => Phase::Warmup,
            at if at < self.end => Phase::Measure,
            _ => Phase::Drain,
        }
    }

    /// The interval a time lies in. Times before the start count to the first interval.
    pub fn slot_at(&self, at: Nanos) -> Slot {
        let at = at.max(self.start);
        let phase = self.phase_at(at);
        let (from, to) = match phase {
            Phase::Warmup => (self.start, self.measure),
            Phase::Measure => (self.measure, self.end),
            Phase::Drain => (self.end, Nanos::MAX),
        };
        let begin = from + (at - from) / SECOND * SECOND;
        Slot { begin, end: (begin + SECOND).min(to), phase }
    }

    /// The phases as a result file holds them, up to `ended`.
    pub fn spans(&self, ended: Nanos) -> Vec<PhaseSpan> {
        let spans = [
            (Phase::Warmup, self.start, self.measure),
            (Phase::Measure, self.measure, self.end),
            (Phase::Drain, self.end, ended),
        ];
        let kept = spans.into_iter().filter(|(_, from, to)| from < to && *from < ended);
        kept.map(|(phase, from, to)| PhaseSpan {
            name: phase.as_str().into(),
            t0_ns: from - self.start,
            t1_ns: to.min(ended) - self.start,
            ..PhaseSpan::default()
        })
        .collect()
    }

    /// Seconds of the measured window that had passed at `at`.
    pub fn measured_seconds(&self, at: Nanos) -> f64 {
        at.min(self.end).saturating_sub(self.measure) as f64 / 1e9
    }
}

/// A timeline that all threads share while they run. Measuring begins at the latest when the longest warm-up is over;
/// whoever watches may move that forward, and load goes on as before.
#[derive(Clone, Debug)]
pub struct LiveTimeline {
    start: Nanos,
    measure: Arc<AtomicU64>,
    measure_ns: Nanos,
}

impl LiveTimeline {
    /// The timeline as it is now. It changes only for times that lie ahead.
    pub fn get(&self) -> Timeline {
        let measure = self.measure.load(Ordering::Acquire);
        Timeline { start: self.start, measure, end: measure + self.measure_ns }
    }

    /// Begins measuring earlier. `at` must lie ahead, so that no thread has counted anything from then on.
    pub(crate) fn measure_from(&self, at: Nanos) {
        self.measure.fetch_min(at.max(self.start), Ordering::AcqRel);
    }
}

impl From<Timeline> for LiveTimeline {
    fn from(line: Timeline) -> Self {
        Self {
            start: line.start,
            measure: Arc::new(AtomicU64::new(line.measure)),
            measure_ns: line.end - line.measure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn intervals_are_cut_at_phase_borders() {
        let line = Timeline::new(100, SECOND + SECOND / 2, 2 * SECOND);
        let cut = line.slot_at(100 + SECOND);
        assert_eq!((cut.begin, cut.end, cut.phase), (100 + SECOND, line.measure, Phase::Warmup));
        let first = line.slot_at(line.measure);
        assert_eq!((first.begin, first.phase), (line.measure, Phase::Measure));
        assert_eq!(line.slot_at(line.end).phase, Phase::Drain);
    }

    #[test]
    fn spans_end_where_the_run_did() {
        let line = Timeline::new(0, SECOND, SECOND);
        let names = |ended| line.spans(ended).into_iter().map(|span| span.name).collect::<Vec<_>>();
        assert_eq!(names(SECOND / 2), ["warmup"]);
        assert_eq!(names(3 * SECOND), ["warmup", "measure", "drain"]);
        assert_eq!(line.spans(SECOND / 2)[0].t1_ns, SECOND / 2);
    }

    #[test]
    fn measuring_begins_earlier_and_never_later() {
        let live = LiveTimeline::from(Timeline::new(100, 10 * SECOND, SECOND));
        let shared = live.clone();
        shared.measure_from(100 + 3 * SECOND);
        shared.measure_from(100 + 5 * SECOND);
        assert_eq!(live.get(), Timeline::new(100, 3 * SECOND, SECOND));
    }

    proptest! {
        #[test]
        fn intervals_tile_the_run(warmup in 0u64..5_000_000_000, measure in 1u64..5_000_000_000, at in 0u64..12_000_000_000) {
            let line = Timeline::new(7, warmup, measure);
            let slot = line.slot_at(7 + at);
            prop_assert!(slot.begin <= 7 + at && 7 + at < slot.end);
            prop_assert!(slot.end - slot.begin <= SECOND);
            prop_assert_eq!(line.slot_at(slot.begin), slot);
            prop_assert!(line.slot_at(slot.end).begin == slot.end);
        }
    }
}
