//! One trial: fresh target, load, counters before and after the measured phase, proof, stop.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use plimsoll_load::CancelToken;
use plimsoll_load::payload::Payload;
use plimsoll_load::run::{Outcome, RunError, RunInput, execute};
use plimsoll_load::workload::{ConsumeMode, LoadMode, Period, System, SystemKind, VerifyLevel, Workload};
use plimsoll_probe::{Monitor, MonitorSample, canary, device_of, settle};
use plimsoll_results::{Canary, LatencyInterval, Metric, Phase, TrialWriter, attach_resources};
use plimsoll_target::Target;

use super::borders::Usage;
use super::faults::{Aftermath, ClusterWatch, Injector, aftermath};
use super::measured::Trial;
use super::page_cache::Files;
use super::plan::Plan;
use super::progress::Watch;
use super::sampler::{HiccupSecond, Sampler};
use super::stages::StageWatch;

/// Four pieces of work are timed before a trial, each for so long: a tenth of what `doctor --canary` takes.
const CANARY_EACH: Duration = Duration::from_millis(100);
/// Longer than this no trial waits for other programs' writes.
const SETTLE_PATIENCE: Duration = Duration::from_secs(3);

/// Runs one trial and writes its folder.
pub(crate) fn measure(
    plan: &Plan,
    workload: &Workload,
    payload: &Payload,
    mut folder: TrialWriter,
    watch: &mut Watch,
    cancel: &CancelToken,
) -> anyhow::Result<Trial> {
    prewarm(plan.data_root(), workload.phases.prewarm.0)?;
    let (canary, unsettled) = before(plan.data_root());
    let mut target = Target::start(&plan.target(workload, folder.path().join("target.log")))?;
    let (start_ms, no_start) = start_ms(&target)?;
    let version = target.version();
    let (effective_config, unread) = effective_config(&target)?;
    let device = device_of(plan.data_root()).ok();
    let brokers = target.pids();
    let pids = brokers.iter().map(|(_, pid)| *pid).collect();
    let monitor = Monitor::start(Duration::from_secs(1), pids, device)?;
    let seen = (StageWatch::at(target.stage_doors()), Files::new(workload, target.data_dirs()));
    let input =
        RunInput { workload: workload.clone(), bootstrap: target.bootstrap(), payload: payload.clone() };
    let injector = injector(&mut target, &input)?;
    let mut sampler = Sampler::new(watch, &monitor, brokers, device, seen, injector)?;
    let ran = execute(&input, &mut sampler, cancel);
    let Sampler { borders, hiccups, stages, files, injector, .. } = sampler;
    let aftermath = match (&ran, injector) {
        (Ok(outcome), Some(injector)) => aftermath(injector, outcome),
        _ => Aftermath::default(),
    };
    let samples = monitor.finish();
    let stopped = target.stop()?;
    let mut outcome = ran?;
    outcome.status_reasons.extend(aftermath.remarks);
    outcome.status_reasons.extend(unread.into_iter().chain(unsettled).chain(no_start));
    // The small servers have nothing to finish and end by the signal itself.
    let finishes = matches!(workload.chosen().1.kind, SystemKind::Managed | SystemKind::ManagedKafka);
    if let Some(stopped) = stopped.filter(|stopped| finishes && (stopped.killed || stopped.code != Some(0))) {
        let how = if stopped.killed { "had to be killed" } else { "ended with an error" };
        outcome
            .status_reasons
            .push(format!("the target {how} when it was stopped; see its log in the bundle"));
    }
    let Usage { broker, nodes, client, system, remarks, uncounted } = borders.usage(&outcome.timeline);
    outcome.status_reasons.extend(remarks.into_iter().chain(stages.remark()));
    let (files, remarks) = files.end(workload);
    outcome.status_reasons.extend(remarks);
    let zero_ns = outcome.timeline.start;
    let syncs = stages.put_into(&mut outcome.series, zero_ns);
    add_hiccups(&mut outcome, &hiccups);
    write(&mut outcome, &samples, &mut folder)?;
    let trial = Trial {
        broker,
        nodes,
        faults: aftermath.faults,
        events: aftermath.events,
        client,
        system,
        syncs,
        uncounted,
        effective_config,
        version,
        canary,
        start_ms,
        files,
        ..Trial::of(outcome)
    };
    folder.summary(&trial.summary())?;
    folder.measured(&trial)?;
    Ok(trial)
}

/// Whoever hurts the target, if the workload wants that.
fn injector<'a>(target: &'a mut Target, input: &RunInput) -> anyhow::Result<Option<Injector<'a>>> {
    let wanted = !input.workload.faults.is_empty();
    let Some(cluster) = target.cluster_mut().filter(|_| wanted) else { return Ok(None) };
    let watch = ClusterWatch::start(input.bootstrap.clone(), input.workload.topic_names())?;
    Ok(Some(Injector::new(cluster, watch, &input.workload)))
}

/// The machine before a trial: quiet, if it gets there soon, and timed. Says so when it does not get quiet.
fn before(dir: &Path) -> (Canary, Option<String>) {
    let canary = canary(dir, CANARY_EACH);
    let unsettled = match settle(dir, SETTLE_PATIENCE) {
        Ok(left) => left.map(|left| left.to_string()),
        Err(error) => Some(format!("the data directory's filesystem could not be synced: {error}")),
    };
    (canary, unsettled)
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
    workload.faults.clear();
    workload.phases.warmup = Period(500_000_000);
    workload.phases.warmup_max = workload.phases.warmup;
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

/// Writes `bytes` to a scratch file, syncs and removes it: the pages it leaves free are backed by the host.
fn prewarm(dir: &Path, bytes: u64) -> anyhow::Result<()> {
    const CHUNK_BYTES: usize = 256 << 10;
    if bytes == 0 {
        return Ok(());
    }
    let path = dir.join(format!("plimsoll-prewarm-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&path)?;
        let chunk = vec![0x5a; CHUNK_BYTES];
        for _ in 0..bytes.div_ceil(CHUNK_BYTES as u64) {
            file.write_all(&chunk)?;
        }
        file.sync_data()
    };
    let written = write();
    let removed = std::fs::remove_file(&path);
    written.and(removed).with_context(|| format!("memory cannot be touched through {}", path.display()))
}

/// How long the target took to its first record; or a remark.
fn start_ms(target: &Target) -> anyhow::Result<(Option<f64>, Option<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(match runtime.block_on(target.start_time()) {
        Ok(took) => (took.map(|took| took.as_secs_f64() * 1e3), None),
        Err(error) => (None, Some(format!("the time to start is unknown: {error}"))),
    })
}

/// The configuration in force; or, where a cluster that is not ours keeps it to itself, a remark.
pub(super) fn effective_config(
    target: &Target,
) -> anyhow::Result<(BTreeMap<String, String>, Option<String>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(target.effective_config()) {
        Ok(config) => Ok((config, None)),
        Err(error) if matches!(target, Target::External { .. }) => {
            Ok((BTreeMap::new(), Some(error.to_string())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts the platform's own hiccups beside the latencies, on the run's clock.
fn add_hiccups(outcome: &mut Outcome, hiccups: &[HiccupSecond]) {
    let zero_ns = outcome.timeline.start;
    for (from_ns, to_ns, histogram) in hiccups {
        outcome.series.push(LatencyInterval {
            at_ns: from_ns.saturating_sub(zero_ns),
            len_ns: to_ns.saturating_sub(*from_ns),
            phase: Phase::Measure,
            metric: Metric::Hiccup,
            histogram: histogram.clone(),
        });
    }
}

/// Writes histograms, seconds and findings of a trial.
fn write(outcome: &mut Outcome, samples: &[MonitorSample], folder: &mut TrialWriter) -> anyhow::Result<()> {
    let zero_ns = outcome.timeline.start;
    let samples: Vec<_> = samples.iter().map(|sample| sample.since(zero_ns)).collect();
    attach_resources(&mut outcome.rows, &samples);
    folder.replace_intervals(&outcome.rows)?;
    for row in outcome.series.rows() {
        folder.latency(row)?;
    }
    Ok(folder.verify(&outcome.verify_document)?)
}
