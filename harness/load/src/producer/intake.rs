//! Which records come next: by the schedule, whatever the target does, or as the target allows.

use std::collections::VecDeque;

use crate::clock::Nanos;
use crate::recorder::{Kind, Recorder};
use crate::schedule::{Schedule, share};
use crate::timeline::LiveTimeline;
use crate::workload::{LoadMode, Workload};

/// Slots taken between two looks at the clock.
const CHUNK: u32 = 256;

/// The source of due times for one producer.
#[derive(Debug)]
pub(super) enum Intake {
    /// Open loop.
    Open(Box<Open>),
    /// Closed loop.
    Closed {
        /// Records outstanding at most; 0 for as many as fit.
        limit: u64,
        /// When the load ends.
        timeline: LiveTimeline,
    },
}

impl Intake {
    /// What the workload makes due at one of its producers.
    pub(super) fn of(workload: &Workload, producer: u32, timeline: LiveTimeline) -> Intake {
        let (load, produce) = (&workload.load, &workload.produce);
        match load.mode {
            LoadMode::Closed => Intake::Closed { limit: load.in_flight, timeline },
            LoadMode::Open => {
                let (rate, seed) = share(load.rate, workload.seed, producer, produce.workers);
                let schedule = Schedule::new(load.arrival, rate, seed, timeline.get().start);
                Intake::Open(Box::new(Open::new(schedule, produce.waiting_records_max, timeline)))
            }
        }
    }

    /// Hands to `admit` what is due at `now`, at most one chunk, while it has room. `outstanding` records have been
    /// handed over and not settled. True when more could be handed over.
    ///
    /// # Errors
    /// What `admit` says.
    pub(super) fn take<E>(
        &mut self,
        now: Nanos,
        outstanding: u64,
        recorder: &mut Recorder,
        mut admit: impl FnMut(Nanos) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (limit, end) = match self {
            Intake::Open(open) => return open.take(now, recorder, admit),
            Intake::Closed { limit, timeline } => (*limit, timeline.get().end),
        };
        let room = if limit == 0 { u64::MAX } else { limit.saturating_sub(outstanding) };
        let wanted = room.min(u64::from(CHUNK));
        let mut taken = 0;
        while taken < wanted && now < end && admit(now)? {
            taken += 1;
        }
        recorder.due(now, taken);
        Ok(taken == u64::from(CHUNK))
    }

    /// True when no further record will be due.
    pub(super) fn has_ended(&self, now: Nanos) -> bool {
        match self {
            Intake::Open(open) => open.next_due().is_none(),
            Intake::Closed { timeline, .. } => now >= timeline.get().end,
        }
    }

    /// When the schedule's next slot is due; a closed loop has none.
    pub(super) fn next_slot(&self) -> Option<Nanos> {
        match self {
            Intake::Open(open) => open.next_slot(),
            Intake::Closed { .. } => None,
        }
    }

    /// Gives up the rest of a schedule at `now`.
    pub(super) fn abandon(&mut self, now: Nanos, recorder: &mut Recorder) {
        if let Intake::Open(open) = self {
            open.abandon(now, recorder);
        }
    }

    /// True when records have a time at which they should have gone out.
    pub(super) fn is_scheduled(&self) -> bool {
        matches!(self, Intake::Open(_))
    }
}

/// A schedule, and the slots that are due but found no room.
#[derive(Debug)]
pub(super) struct Open {
    schedule: Schedule,
    waiting: VecDeque<Nanos>,
    waiting_max: usize,
    timeline: LiveTimeline,
}

impl Open {
    fn new(schedule: Schedule, waiting_max: u64, timeline: LiveTimeline) -> Open {
        let waiting_max = usize::try_from(waiting_max).unwrap_or(usize::MAX);
        Open { schedule, waiting: VecDeque::new(), waiting_max, timeline }
    }

    /// No record is due from here on.
    fn end(&self) -> Nanos {
        self.timeline.get().end
    }

    /// When the next record is due; `None` once the schedule has ended and nothing waits.
    fn next_due(&self) -> Option<Nanos> {
        let slot = self.schedule.peek();
        self.waiting.front().copied().or((slot < self.end()).then_some(slot))
    }

    /// When the schedule's next slot is due, if it has one left.
    fn next_slot(&self) -> Option<Nanos> {
        Some(self.schedule.peek()).filter(|slot| *slot < self.end())
    }

    /// Takes the slots that are due at `now`, at most one chunk, and hands to `admit` those for which it has
    /// room, oldest first. The rest wait; beyond the limit they count as unsent. True when more are due.
    ///
    /// # Errors
    /// What `admit` says; the slot it failed on is gone.
    fn take<E>(
        &mut self,
        now: Nanos,
        recorder: &mut Recorder,
        mut admit: impl FnMut(Nanos) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let (mut full, end) = (false, self.end());
        for _ in 0..CHUNK {
            let Some(due) = self.waiting.front().copied() else { break };
            full = !admit(due)?;
            if full {
                break;
            }
            self.waiting.pop_front();
        }
        for _ in 0..CHUNK {
            let due = self.schedule.peek();
            if due > now || due >= end {
                return Ok(!full && !self.waiting.is_empty());
            }
            self.schedule.take();
            recorder.due(due, 1);
            recorder.span(Kind::Lateness, due, due, now, 1);
            // Nobody overtakes those that wait.
            full = full || (self.waiting.is_empty() && !admit(due)?);
            if full || !self.waiting.is_empty() {
                self.put_aside(due, recorder);
            }
        }
        Ok(true)
    }

    /// Ends at `now`: what still waits was never sent, and so was every slot that was due by then and that the
    /// generator did not come round to. Each has taken at least as long as until now, and that is its response:
    /// leaving out who waited longest would flatter every quantile.
    fn abandon(&mut self, now: Nanos, recorder: &mut Recorder) {
        for due in self.waiting.drain(..) {
            recorder.unsent(due, 1);
            recorder.span(Kind::Response, due, due, now, 1);
        }
        let end = self.end();
        self.schedule.rest(end.min(now), |due, n| {
            recorder.due(due, n);
            recorder.unsent(due, n);
            recorder.span(Kind::Lateness, due, due, now, n);
            recorder.span(Kind::Response, due, due, now, n);
        });
    }

    fn put_aside(&mut self, due: Nanos, recorder: &mut Recorder) {
        if self.waiting.len() < self.waiting_max {
            self.waiting.push_back(due);
        } else {
            recorder.unsent(due, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use crate::recorder::Ledger;
    use crate::timeline::Timeline;
    use crate::workload::{Arrival, Rate};
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn open(rate: f64, waiting_max: u64) -> (Open, Recorder) {
        let line = Timeline::new(0, 0, SECOND);
        let schedule = Schedule::new(Arrival::Uniform, Rate(rate), 1, 0);
        (Open::new(schedule, waiting_max, line.into()), Recorder::new(line, Ledger::default()))
    }

    #[test]
    fn b2_a_slot_counts_in_the_phase_it_was_due_in_however_late_it_is_taken() {
        let line = Timeline::new(0, SECOND, SECOND);
        let ledger = Ledger::default();
        let mut recorder = Recorder::new(line, ledger.clone());
        let mut open = Open::new(Schedule::new(Arrival::Uniform, Rate(1000.0), 1, 0), 10_000, line.into());
        let room = |_| Ok::<_, Infallible>(true);
        // Asleep until long after the end; then one look only.
        let late = 3 * SECOND;
        recorder.roll(late);
        assert!(open.take(late, &mut recorder, room).unwrap());
        open.abandon(late, &mut recorder);
        assert_eq!(open.next_due(), None);
        recorder.finish();
        let counters = ledger.intervals(&line).last().unwrap().counters;
        assert_eq!((counters.due, counters.unsent), (1000, 1000), "the first 256 were due in the warm-up");
    }

    proptest! {
        /// Every slot is admitted once and in order, or counted as unsent, however often the buffer is full.
        #[test]
        fn b2_a_full_buffer_makes_records_wait_and_never_skips_them(
            rooms in proptest::collection::vec(0u32..400, 1..80), waiting_max in 0u64..600,
        ) {
            let (mut open, mut recorder) = open(1000.0, waiting_max);
            let mut admitted = Vec::new();
            let mut now = 0;
            for mut room in rooms.into_iter().chain(std::iter::repeat_n(2000, 60)) {
                now += 20_000_000;
                loop {
                    let more = open.take(now, &mut recorder, |due| {
                        if room == 0 { return Ok::<_, Infallible>(false) }
                        room -= 1;
                        admitted.push(due);
                        Ok(true)
                    }).unwrap();
                    if !more || room == 0 { break }
                }
            }
            prop_assert!(admitted.is_sorted());
            prop_assert_eq!(open.next_due(), None);
            prop_assert_eq!(admitted.len() as u64 + recorder.counters.unsent, 1000);
            prop_assert_eq!(recorder.counters.due, 1000);
        }
    }
}
