//! Watches one trial: counters at the borders of the measured phase, hiccups second by second.

use plimsoll_load::{Observer, Progress, Stage, Timeline};
use plimsoll_probe::{HiccupMeter, Monitor, monotonic_ns};
use plimsoll_results::Histogram;

use super::borders::Borders;
use super::faults::Injector;
use super::page_cache::Files;
use super::progress::Watch;
use super::stages::StageWatch;

/// Begin, end (both on the monotonic clock) and oversleep of one second.
pub(super) type HiccupSecond = (u64, u64, Histogram);

/// Passes everything on to whoever watches.
pub(super) struct Sampler<'a> {
    watch: &'a mut Watch,
    monitor: &'a Monitor,
    /// Ids and processes of the target's nodes when it was started.
    brokers: Vec<(i32, u32)>,
    device: Option<(u32, u32)>,
    /// What is done to them.
    pub(super) injector: Option<Injector<'a>>,
    meter: HiccupMeter,
    pub(super) borders: Borders,
    pub(super) stages: StageWatch,
    pub(super) files: Files,
    /// When the second of hiccups that is being counted began; `None` outside the measured phase.
    second_from_ns: Option<u64>,
    pub(super) hiccups: Vec<HiccupSecond>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(
        watch: &'a mut Watch,
        monitor: &'a Monitor,
        brokers: Vec<(i32, u32)>,
        device: Option<(u32, u32)>,
        (stages, files): (StageWatch, Files),
        injector: Option<Injector<'a>>,
    ) -> anyhow::Result<Self> {
        let (meter, borders) = (HiccupMeter::start()?, Borders::default());
        Ok(Self {
            watch,
            monitor,
            brokers,
            device,
            injector,
            meter,
            borders,
            stages,
            files,
            second_from_ns: None,
            hiccups: Vec::new(),
        })
    }

    fn end_second(&mut self) {
        if let Some(from_ns) = self.second_from_ns {
            let now_ns = monotonic_ns();
            self.hiccups.push((from_ns, now_ns, self.meter.take()));
            self.second_from_ns = Some(now_ns);
            let silent = self.injector.as_ref().map(Injector::silent).unwrap_or_default();
            self.stages.next(&silent);
        }
    }
}

impl Observer for Sampler<'_> {
    fn stage(&mut self, stage: Stage) {
        match stage {
            Stage::Measure => {
                // What looking costs the broker is not in the phase's figures.
                self.stages.begin();
                self.borders.begin(&self.brokers, self.device);
                self.files.measuring_begins();
                let _before_the_phase = self.meter.take();
                self.second_from_ns = Some(monotonic_ns());
            }
            Stage::Drain => {
                self.borders.end(self.device);
                if let Some(injector) = &mut self.injector {
                    injector.load_ended(&mut self.borders);
                }
                self.end_second();
                self.second_from_ns = None;
                self.files.measuring_ended();
            }
            Stage::Prepare | Stage::Warmup | Stage::Verify => {}
        }
        self.watch.stage(stage);
    }

    fn before_reading(&mut self) {
        self.files.prepare();
    }

    fn tick(&mut self, now: u64, timeline: &Timeline) {
        let Some(injector) = &mut self.injector else { return };
        injector.tick(now, timeline, &mut self.borders);
        if let Some(pids) = injector.changed_pids() {
            self.monitor.set_brokers(pids);
        }
    }

    fn progress(&mut self, progress: &Progress) {
        if self.second_from_ns.is_some_and(|from_ns| monotonic_ns() - from_ns >= 1_000_000_000) {
            self.end_second();
        }
        self.watch.progress(progress);
    }
}
