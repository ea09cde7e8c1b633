//! The thread that watches: stages and progress for the observer, and an end for everybody when one has failed.

use std::time::Duration;

use plimsoll_results::Phase;
use plimsoll_results::stats::Steadiness;

use super::teller::Teller;
use super::threads::Running;
use super::warmup::Warmup;
use crate::clock::{self, Nanos};
use crate::consumer::{ConsumerReport, Gate};
use crate::cpu::StealSample;
use crate::producer::ProducerReport;
use crate::progress::{Counted, Observer, Stage};
use crate::recorder::Ledger;
use crate::stop::CancelToken;
use crate::timeline::{LiveTimeline, Timeline};
use crate::workload::{ConsumeMode, Workload};

/// Longest nap, so that borders are met within milliseconds.
const NAP: Duration = Duration::from_millis(5);

/// Watches the threads of a run.
pub(super) struct Watch<'a> {
    pub(super) progress: &'a Counted,
    pub(super) ledger: &'a Ledger,
    pub(super) workload: &'a Workload,
    pub(super) gate: &'a Gate,
    /// The caller's wish to stop.
    pub(super) cancel: &'a CancelToken,
    /// Stops the threads.
    pub(super) stop: &'a CancelToken,
    pub(super) observer: &'a mut dyn Observer,
}

/// What was seen while the load went on.
pub(super) struct Watched {
    /// CPU that the host gave to others in the measured window, percent of all cores.
    pub(super) steal_pct: Option<f64>,
    /// What was said of warm-up when it ended; `None` where it was fixed or never ended.
    pub(super) warmup: Option<Steadiness>,
}

impl Watch<'_> {
    /// Until producers have ended. Ends the warm-up when it has become steady.
    pub(super) fn load(
        self,
        live: &LiveTimeline,
        producers: &[Running<ProducerReport>],
        consumers: &[Running<ConsumerReport>],
    ) -> Watched {
        let mut teller = Teller::new(self.progress, self.ledger);
        let mut warmup = Warmup::new(live, self.ledger, &self.workload.phases);
        let mut borders = Borders::default();
        let mut backlog = Some(self.workload.consume.backlog.0)
            .filter(|_| self.workload.consume.mode == ConsumeMode::Backlog);
        loop {
            // Asked first: whoever has ended did so before the time that is read next.
            let ended = producers.iter().all(Running::is_finished);
            let now = clock::now();
            warmup.look(now);
            let timeline = live.get();
            borders.reach(&timeline, now, self.observer);
            if backlog.is_some_and(|bytes| self.progress.acked_bytes_so_far() >= bytes) {
                backlog = None;
                self.observer.before_reading();
                self.gate.let_in();
            }
            if ended {
                let steal_pct = borders.end(self.observer);
                return Watched { steal_pct, warmup: warmup.judged.filter(|_| now >= timeline.measure) };
            }
            // No thread ends before the load does, unless it failed; what the others did is kept.
            let failed = now < timeline.end
                && (producers.iter().any(Running::is_finished) || consumers.iter().any(Running::is_finished));
            if failed || self.cancel.is_cancelled() {
                self.stop.cancel();
            }
            self.observer.tick(now, &timeline);
            teller.tell(borders.told, now, &timeline, self.observer);
            std::thread::sleep(nap(&timeline, now));
        }
    }

    /// Until consumers have ended.
    pub(super) fn drain(self, timeline: Timeline, consumers: &[Running<ConsumerReport>]) {
        let mut teller = Teller::new(self.progress, self.ledger);
        while !consumers.iter().all(Running::is_finished) {
            teller.tell(Stage::Drain, clock::now(), &timeline, self.observer);
            std::thread::sleep(NAP);
        }
    }
}

/// Which stages have been told, each once and in order, however late the watching thread came round.
struct Borders {
    told: Stage,
    steal: Option<StealSample>,
    steal_pct: Option<f64>,
}

impl Default for Borders {
    fn default() -> Self {
        Self { told: Stage::Prepare, steal: None, steal_pct: None }
    }
}

impl Borders {
    /// Tells every stage that has begun by `now` and was not told.
    fn reach(&mut self, timeline: &Timeline, now: Nanos, observer: &mut dyn Observer) {
        let reached = stage_at(timeline, now);
        for stage in [Stage::Warmup, Stage::Measure, Stage::Drain] {
            let empty = stage == Stage::Warmup && timeline.start == timeline.measure;
            if self.told < stage && stage <= reached && !empty {
                self.tell(stage, observer);
            }
        }
    }

    /// The load is over, by the plan or before; what was begun is ended.
    fn end(mut self, observer: &mut dyn Observer) -> Option<f64> {
        if self.told == Stage::Measure {
            self.tell(Stage::Drain, observer);
        }
        self.steal_pct
    }

    fn tell(&mut self, stage: Stage, observer: &mut dyn Observer) {
        self.told = stage;
        match stage {
            Stage::Measure => self.steal = StealSample::take(),
            Stage::Drain => {
                let to = StealSample::take();
                self.steal_pct = to.zip(self.steal).and_then(|(to, from)| to.percent_since(&from));
            }
            _ => {}
        }
        observer.stage(stage);
    }
}

fn stage_at(timeline: &Timeline, now: Nanos) -> Stage {
    match timeline.phase_at(now) {
        _ if now < timeline.start => Stage::Prepare,
        Phase::Warmup => Stage::Warmup,
        Phase::Measure => Stage::Measure,
        Phase::Drain => Stage::Drain,
    }
}

/// Until the next border, but not long.
fn nap(timeline: &Timeline, now: Nanos) -> Duration {
    let borders = [timeline.measure, timeline.end];
    let next = borders.into_iter().filter(|border| *border > now).map(|border| border - now).min();
    next.map_or(NAP, |left| Duration::from_nanos(left).min(NAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told(Vec<Stage>);

    impl Observer for Told {
        fn stage(&mut self, stage: Stage) {
            self.0.push(stage);
        }
    }

    /// The stages that are told when the watching thread comes round at these times and then finds all ended.
    fn told(timeline: &Timeline, looks: &[Nanos]) -> Vec<Stage> {
        let (mut told, mut borders) = (Told::default(), Borders::default());
        looks.iter().for_each(|now| borders.reach(timeline, *now, &mut told));
        let _steal_pct = borders.end(&mut told);
        told.0
    }

    #[test]
    fn both_borders_of_the_measured_window_are_told_however_late() {
        use Stage::{Drain, Measure, Warmup};
        let line = Timeline::new(100, 10, 10);
        for (looks, expected) in [
            (&[99, 105, 112, 125][..], &[Warmup, Measure, Drain][..]),
            (&[99, 105, 106, 112, 119], &[Warmup, Measure, Drain]),
            (&[105, 125], &[Warmup, Measure, Drain]),
            (&[99], &[]),
            (&[105], &[Warmup]),
        ] {
            assert_eq!(told(&line, looks), expected, "{looks:?}");
        }
        assert_eq!(told(&Timeline::new(100, 0, 10), &[101]), [Measure, Drain]);
    }
}
