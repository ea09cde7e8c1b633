//! One trial: fresh target, load, counters before and after the measured phase, proof, stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::{Outcome, RunError, RunInput, execute};
use plimsoll_load::workload::{ConsumeMode, LoadMode, Period, System, SystemKind, VerifyLevel, Workload};
use plimsoll_load::{CancelToken, Observer, Progress, Stage};
use plimsoll_probe::{
    HiccupMeter, Monitor, MonitorSample, ProcessSample, ProcessUsage, SystemSample, SystemUsage, device_of,
};
use plimsoll_results::{BundleWriter, Event, Histogram, LatencyInterval, Metric, Phase, attach_resources};
use plimsoll_target::Target;

use super::plan::Plan;
use super::progress::Watch;

/// What one trial left.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) outcome: Outcome,
    /// The target's processes, over the measured phase; `None` for somebody else's.
    pub(crate) broker: Option<ProcessUsage>,
    /// This process, over the measured phase.
    pub(crate) client: Option<ProcessUsage>,
    pub(crate) system: Option<SystemUsage>,
    pub(crate) hiccup: Histogram,
    pub(crate) effective_config: BTreeMap<String, String>,
}

/// Runs one trial and writes its folder.
pub(crate) fn measure(
    plan: &Plan,
    workload: &Workload,
    payload: &Payload,
    bundle: &mut BundleWriter,
    watch: &mut Watch,
    cancel: &CancelToken,
) -> anyhow::Result<Trial> {
    let mut folder = bundle.begin_trial()?;
    let target = Target::start(&plan.target(workload, folder.path().join("target.log")))?;
    let effective_config = effective_config(&target)?;
    let device = device_of(plan.data_root()).ok();
    let monitor = Monitor::start(Duration::from_secs(1), target.pid().into_iter().collect(), device)?;
    let mut sampler = Sampler::new(watch, target.pid(), device)?;
    let input =
        RunInput { workload: workload.clone(), bootstrap: target.bootstrap(), payload: payload.clone() };
    let ran = execute(&input, &mut sampler, cancel);
    let Sampler { before, after, hiccup, .. } = sampler;
    let samples = monitor.finish();
    let stopped = target.stop()?;
    let mut outcome = ran?;
    if let Some(stopped) = stopped.filter(|stopped| stopped.killed || stopped.code != Some(0)) {
        let how = if stopped.killed { "had to be killed" } else { "ended with an error" };
        outcome
            .status_reasons
            .push(format!("the target {how} when it was stopped; see its log in the bundle"));
    }
    let (broker, client, system) = usage(before, after);
    let hiccup = hiccup.unwrap_or_default();
    write(&mut outcome, &samples, &hiccup, bundle, &mut folder)?;
    Ok(Trial { outcome, broker, client, system, hiccup, effective_config })
}

/// What the generator reaches on a target that acknowledges and discards: records per second.
///
/// `None` when this workload cannot be sent there, for instance because it was stopped.
pub(crate) fn ceiling(
    plan: &Plan,
    payload: &Payload,
    watch: &mut Watch,
    cancel: &CancelToken,
) -> anyhow::Result<Option<f64>> {
    let mut workload = plan.workload.clone();
    if workload.chosen().1.kind == SystemKind::Null {
        return Ok(None);
    }
    workload.system = "null".into();
    workload.systems.insert("null".into(), System { kind: SystemKind::Null, ..System::default() });
    workload.load.mode = LoadMode::Closed;
    workload.load.in_flight = 0;
    workload.consume.mode = ConsumeMode::None;
    workload.verify.level = VerifyLevel::Off;
    workload.phases.warmup = Period(500_000_000);
    workload.phases.measure = Period(1_500_000_000);
    workload.check().context("the generator's own ceiling")?;
    watch.label("generator ceiling");
    let target = Target::start(&plan.target(&workload, PathBuf::new()))?;
    let input = RunInput { workload, bootstrap: target.bootstrap(), payload: payload.clone() };
    let outcome = match execute(&input, watch, cancel) {
        Err(RunError::Cancelled) => None,
        other => Some(other?),
    };
    target.stop()?;
    watch.label("");
    Ok(outcome.and_then(|outcome| outcome.throughput.records_per_s))
}

fn effective_config(target: &Target) -> anyhow::Result<BTreeMap<String, String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(target.effective_config())?)
}

/// Writes histograms, seconds, findings and events of a trial.
fn write(
    outcome: &mut Outcome,
    samples: &[MonitorSample],
    hiccup: &Histogram,
    bundle: &BundleWriter,
    folder: &mut plimsoll_results::TrialWriter,
) -> anyhow::Result<()> {
    let zero_ns = outcome.timeline.start;
    let samples: Vec<_> = samples.iter().map(|sample| sample.since(zero_ns)).collect();
    attach_resources(&mut outcome.rows, &samples);
    folder.replace_intervals(&outcome.rows)?;
    let measured = outcome.timeline.measure - outcome.timeline.start;
    outcome.series.push(LatencyInterval {
        at_ns: measured,
        len_ns: outcome.timeline.end - outcome.timeline.measure,
        phase: Phase::Measure,
        metric: Metric::Hiccup,
        histogram: hiccup.clone(),
    });
    for row in outcome.series.rows() {
        folder.latency(row)?;
    }
    folder.verify(&outcome.verify_document)?;
    for span in &outcome.phases {
        bundle.event(&Event {
            at_ms: span.t0_ns as f64 / 1e6,
            kind: "phase".into(),
            message: span.name.clone(),
            ..Event::default()
        })?;
    }
    Ok(())
}

/// Counters at one border of the measured phase.
#[derive(Debug)]
struct Border {
    broker: Option<ProcessSample>,
    client: Option<ProcessSample>,
    system: SystemSample,
}

/// Reads counters at the borders of the measured phase, and passes everything on to whoever watches.
struct Sampler<'a> {
    watch: &'a mut Watch,
    broker: Option<u32>,
    device: Option<(u32, u32)>,
    meter: HiccupMeter,
    before: Option<Border>,
    after: Option<Border>,
    hiccup: Option<Histogram>,
}

impl<'a> Sampler<'a> {
    fn new(watch: &'a mut Watch, broker: Option<u32>, device: Option<(u32, u32)>) -> anyhow::Result<Self> {
        let meter = HiccupMeter::start()?;
        Ok(Self { watch, broker, device, meter, before: None, after: None, hiccup: None })
    }

    fn border(&self) -> Border {
        Border {
            broker: self.broker.and_then(|pid| ProcessSample::read(pid).ok()),
            client: ProcessSample::read(std::process::id()).ok(),
            system: SystemSample::read(self.device),
        }
    }
}

impl Observer for Sampler<'_> {
    fn stage(&mut self, stage: Stage) {
        match stage {
            Stage::Measure => {
                let _before_the_phase = self.meter.take();
                self.before = Some(self.border());
            }
            Stage::Drain => {
                self.after = Some(self.border());
                self.hiccup = Some(self.meter.take());
            }
            Stage::Prepare | Stage::Warmup | Stage::Verify => {}
        }
        self.watch.stage(stage);
    }

    fn progress(&mut self, progress: &Progress) {
        self.watch.progress(progress);
    }
}

type Usage = (Option<ProcessUsage>, Option<ProcessUsage>, Option<SystemUsage>);

fn usage(before: Option<Border>, after: Option<Border>) -> Usage {
    let Some((before, after)) = before.zip(after) else { return (None, None, None) };
    let between = |before: Option<ProcessSample>, after: Option<ProcessSample>| {
        before.zip(after).and_then(|(before, after)| ProcessUsage::between(&before, &after).ok())
    };
    (
        between(before.broker, after.broker),
        between(before.client, after.client),
        Some(SystemUsage::between(&before.system, &after.system)),
    )
}
