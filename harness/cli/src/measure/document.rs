//! Trials to `run.json`.

use std::collections::BTreeMap;

use plimsoll_load::run::RunError;
use plimsoll_load::workload::SystemKind;
use plimsoll_probe::{Observed, tool_build, warnings};
use plimsoll_results::{
    Arm, Canary, DurabilityMode, Latency, LatencySeries, Load, LoadObservation, Machine, Metric,
    PayloadSummary, Phase, RunDocument, Stages, Status, Throughput, Verdict, VerifyCounts, Warning,
    config_hash,
};

use super::cost::{cost, uncounted};
use super::durability;
use super::measured::Trial;
use super::pairs::Measured;
use super::plan::Plan;

/// A document that says truthfully that nothing has been measured yet.
pub(crate) fn begin(plan: &Plan, machine: &Machine) -> RunDocument {
    let workload = &plan.workload;
    let resolved = serde_json::to_value(workload).unwrap_or_default();
    RunDocument {
        machine: Some(machine.clone()),
        tool: Some(tool_build("plimsoll", env!("CARGO_PKG_VERSION"))),
        seeds: BTreeMap::from([("workload".to_owned(), workload.seed)]),
        config_hash: Some(config_hash(&resolved)),
        workload: Some(workload.name.clone()),
        durability: durability::of(workload, &BTreeMap::new(), None),
        ..RunDocument::unfinished("")
    }
}

/// Fills in what was measured.
pub(crate) fn fill(
    document: &mut RunDocument,
    plan: &Plan,
    measured: &Measured,
    payload: PayloadSummary,
    ceiling: Option<f64>,
) {
    let trials = &measured.ours;
    document.status =
        trials.iter().map(|trial| trial.status).max_by_key(|status| rank(*status)).unwrap_or_default();
    document.status_reasons = Vec::new();
    for reason in trials.iter().flat_map(|trial| &trial.status_reasons) {
        if !document.status_reasons.contains(reason) {
            document.status_reasons.push(reason.clone());
        }
    }
    for (status, reason) in &measured.beside {
        if rank(*status) > rank(document.status) {
            document.status = *status;
        }
        if !document.status_reasons.contains(reason) {
            document.status_reasons.push(reason.clone());
        }
    }
    if let Some(first) = trials.first() {
        document.durability = durability::of(&plan.workload, &first.effective_config, first.topic.as_ref());
        document.arm = Arm { start_ms: start_ms(trials), ..arm(plan, first) };
    }
    document.load = load(trials, ceiling);
    if document.load.verdicts.contains(&Verdict::NearGeneratorCeiling) {
        let verdict = Verdict::NearGeneratorCeiling;
        document.status_reasons.push(format!("{verdict}: {}", verdict.explain()));
    }
    document.throughput = throughput(trials);
    let series = all_trials(trials);
    document.latency = Latency::of(&series);
    document.stages = Stages::of(&series);
    document.verify = verify(trials);
    document.cost = cost(trials);
    if document.machine.as_ref().is_some_and(Machine::data_is_in_memory) {
        // Nothing is written anywhere; zero would read like a result.
        document.cost.bytes_written_per_payload_byte = None;
    }
    document.phases = trials.first().map(|trial| trial.phases.clone()).unwrap_or_default();
    document.faults = trials.iter().flat_map(|trial| trial.faults.clone()).collect();
    document.files = trials.first().map(|trial| trial.files.clone());
    document.comparisons = measured.comparisons.clone();
    let sent = |count: fn(&Trial) -> u64| trials.iter().map(count).sum::<u64>();
    document.payload = Some(PayloadSummary {
        records: sent(|trial| trial.measured.sent),
        bytes: sent(|trial| trial.measured.acked_bytes),
        ..payload
    });
    document.warnings = trials.last().map(|trial| observed(document, plan, trial)).unwrap_or_default();
    document.warnings.extend(below_hiccups(&document.latency));
    document.warnings.extend(document.arm.foreign.then(not_ours));
    document.canaries = trials.iter().map(|trial| trial.canary.clone()).collect();
    document.warnings.extend(noisy(&document.canaries));
    document.warnings.extend(uncounted(trials));
}

/// Says why there are no figures.
pub(crate) fn fail(document: &mut RunDocument, error: &anyhow::Error) {
    let cancelled = matches!(error.downcast_ref(), Some(RunError::Cancelled));
    document.status = if cancelled { Status::Aborted } else { Status::Failed };
    document.status_reasons = error.chain().map(ToString::to_string).collect();
}

/// Of several trials' statuses the worst counts.
pub(crate) fn rank(status: Status) -> u8 {
    match status {
        Status::Ok => 0,
        Status::Invalid => 1,
        Status::Aborted => 2,
        Status::Failed => 3,
    }
}

fn arm(plan: &Plan, trial: &Trial) -> Arm {
    let (label, system) = plan.workload.chosen();
    let kind = match system.kind {
        SystemKind::Managed => "plimsoll",
        SystemKind::ManagedKafka => "kafka",
        SystemKind::RdkafkaMock => "rdkafka-mock",
        SystemKind::External if system.version_label.is_empty() => "external",
        SystemKind::External => &system.version_label,
        SystemKind::Null => "null",
        SystemKind::Floor => "floor",
    };
    let ours = system.kind == SystemKind::Managed;
    let (version, git_sha) = if ours { plan.broker_build() } else { (None, None) };
    Arm {
        system: kind.to_owned(),
        version: version.or_else(|| trial.version.clone()),
        backend: trial.effective_config.get("plimsoll.storage.backend").cloned(),
        effective_config: in_force(trial),
        foreign: system.kind == SystemKind::External,
        driver: Some(plan.workload.driver.version()),
        label: Some(label.to_owned()),
        git_sha,
        start_ms: None,
    }
}

/// The median: a start is slow once in a while for reasons of the machine.
fn start_ms(trials: &[Trial]) -> Option<f64> {
    let mut all: Vec<f64> = trials.iter().filter_map(|trial| trial.start_ms).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

/// The broker's settings, and under `topic.` those of the topic written to.
fn in_force(trial: &Trial) -> BTreeMap<String, String> {
    let topic = trial.topic.iter().flat_map(|topic| &topic.config);
    let topic = topic.map(|(key, value)| (format!("topic.{key}"), value.clone()));
    trial.effective_config.clone().into_iter().chain(topic).collect()
}

/// Counts add up over trials; rates are over the summed time; nothing is averaged.
fn load(trials: &[Trial], ceiling: Option<f64>) -> Load {
    let Some(first) = trials.first() else { return Load::default() };
    let seconds: f64 = trials.iter().map(|trial| trial.measured_s).sum();
    let sum = |count: fn(&Load) -> u64| trials.iter().map(|trial| count(&trial.load)).sum::<u64>();
    let acked = sum(|load| load.acked);
    let mut verdicts = Vec::new();
    for verdict in trials.iter().flat_map(|trial| &trial.load.verdicts) {
        if !verdicts.contains(verdict) {
            verdicts.push(verdict.clone());
        }
    }
    let near = LoadObservation {
        target_rate: first.load.target_rate.or(first.load.achieved_rate),
        generator_ceiling: ceiling,
        ..LoadObservation::default()
    };
    verdicts.extend(near.verdicts());
    let mut errors = BTreeMap::new();
    for (name, count) in trials.iter().flat_map(|trial| &trial.load.errors) {
        *errors.entry(name.clone()).or_default() += count;
    }
    let busiest = trials.iter().filter_map(|trial| trial.load.generator_cpu_pct).max_by(f64::total_cmp);
    Load {
        achieved_rate: (seconds > 0.0).then(|| acked as f64 / seconds),
        sent: sum(|load| load.sent),
        acked,
        unsent: sum(|load| load.unsent),
        verdicts,
        intended: Some(sum(|load| load.intended.unwrap_or_default())),
        errors,
        retries: trials.iter().map(|trial| trial.load.retries).sum(),
        records_resent: trials.iter().map(|trial| trial.load.records_resent).sum(),
        schedule_delay: Latency::of(&all_trials(trials)).quantiles.schedule,
        generator_cpu_pct: busiest,
        generator_ceiling: ceiling,
        ..first.load.clone()
    }
}

fn throughput(trials: &[Trial]) -> Throughput {
    let seconds: f64 = trials.iter().map(|trial| trial.measured_s).sum();
    let elapsed_ns = (seconds * 1e9) as u64;
    let sum = |count: fn(&Trial) -> u64| trials.iter().map(count).sum::<u64>();
    let acked = sum(|trial| trial.measured.acked);
    let payload = Throughput::over(acked, sum(|trial| trial.measured.acked_bytes), elapsed_ns);
    let wire = Throughput::over(acked, sum(|trial| trial.measured.wire_bytes), elapsed_ns);
    let consumed = Throughput::over(sum(|trial| trial.measured.consumed), 0, elapsed_ns);
    Throughput {
        wire_mb_per_s: wire.payload_mb_per_s,
        consumed_records_per_s: consumed.records_per_s,
        ..payload
    }
}

fn all_trials(trials: &[Trial]) -> LatencySeries {
    let mut all = LatencySeries::default();
    trials.iter().for_each(|trial| all.append(trial.series.clone()));
    all
}

fn verify(trials: &[Trial]) -> VerifyCounts {
    let mut counts = trials.iter().map(|trial| trial.verify);
    let Some(mut sum) = counts.next() else { return VerifyCounts::default() };
    counts.for_each(|more| sum.add(&more));
    sum
}

/// The reader of an external cluster's figures knows less than of one that was started here.
fn not_ours() -> Warning {
    let message =
        "This system was not started here: its machine, its load and the state of its data are not known.";
    Warning::new("not_ours", message, "Compare it only with runs against the same cluster, in pairs.")
}

/// Figures that this machine's own delays decide.
fn below_hiccups(latency: &Latency) -> Option<Warning> {
    let below = latency.below_hiccups();
    let message = format!("An idle thread here waits longer than these figures claim: {}.", below.join(", "));
    let advice = "Read them as at most what the hiccups show; a quieter machine tells them apart.";
    (!below.is_empty()).then(|| Warning::new("below_hiccups", message, advice))
}

/// Trials before which the machine was faster or slower than before the others.
fn noisy(canaries: &[Canary]) -> Option<Warning> {
    let outliers = Canary::outliers(canaries);
    let told: Vec<String> = outliers
        .iter()
        .map(|(trial, figure, z)| format!("trial {} ({figure}, {z:+.1} robust SD)", trial + 1))
        .collect();
    let message = format!("The machine was not the same before all trials: {}.", told.join(", "));
    (!told.is_empty()).then(|| Warning::new("noisy_env", message, "Repeat these trials, or leave them out."))
}

fn observed(document: &RunDocument, plan: &Plan, trial: &Trial) -> Vec<plimsoll_results::Warning> {
    let measured = &trial.measured;
    let batch_bytes = measured.wire_bytes.checked_div(measured.acked_batches);
    warnings(&Observed {
        machine: document.machine.as_ref(),
        system: trial.system.as_ref(),
        broker: trial.broker.as_ref(),
        tool: document.tool.as_ref(),
        generator_cpu_pct: trial.load.generator_cpu_pct,
        payload_bytes: Some(measured.acked_bytes),
        batch_bytes,
        data_bytes: Some(measured.wire_bytes * u64::try_from(plan.workload.topic.replication).unwrap_or(1)),
        hiccup_p999_us: trial.series.pooled(&Metric::Hiccup, Phase::Measure).interval_quantiles().p999_us,
        syncs: document.durability.durability == Some(DurabilityMode::Fsync),
    })
}
