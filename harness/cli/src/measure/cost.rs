//! What the trials of a run cost together.

use std::collections::BTreeMap;

use plimsoll_probe::{ProcessUsage, SystemUsage};
use plimsoll_results::{Cost, Pressure, ProcessCost, Psi, Warning};

use super::measured::Trial;

/// Counters of all trials, per record and per second. What one trial lacks the sum lacks too.
pub(super) fn cost(trials: &[Trial]) -> Cost {
    let records: u64 = trials.iter().map(|trial| trial.measured.acked).sum();
    let payload: u64 = trials.iter().map(|trial| trial.measured.acked_bytes).sum();
    let (broker, client) =
        (all(trials, |trial| trial.broker.as_ref()), all(trials, |trial| trial.client.as_ref()));
    let ratio = |bytes: Option<u64>| bytes.filter(|_| payload > 0).map(|bytes| bytes as f64 / payload as f64);
    let some = (!trials.is_empty()).then_some(trials);
    let sum = |of: &dyn Fn(&Trial) -> Option<u64>| -> Option<u64> { some?.iter().map(of).sum() };
    let disk = |trial: &Trial| trial.system.and_then(|system| system.disk);
    let fsyncs = sum(&|trial| trial.syncs);
    let seconds = trials.iter().map(|trial| trial.measured_s).sum::<f64>();
    let each = |n: Option<u64>, whole: f64| n.filter(|_| whole > 0.0).map(|n| n as f64 / whole);
    Cost {
        broker: broker.map(|usage| usage.cost(records)).unwrap_or_default(),
        client: client.map(|usage| usage.cost(records)).unwrap_or_default(),
        bytes_written_per_payload_byte: ratio(broker.and_then(|usage| usage.write_bytes)),
        read_bytes: broker.and_then(|usage| usage.read_bytes),
        device_bytes_written_per_payload_byte: ratio(sum(&|trial| Some(disk(trial)?.write_bytes))),
        device_bytes_read_per_payload_byte: ratio(sum(&|trial| Some(disk(trial)?.read_bytes))),
        device_flushes: sum(&|trial| disk(trial)?.flushes),
        fsyncs,
        fsyncs_per_record: each(fsyncs, records as f64),
        fsyncs_per_s: each(fsyncs, seconds),
        steal_pct: trials.iter().filter_map(|trial| trial.steal_pct).max_by(f64::total_cmp),
        psi: psi(trials),
        nodes: nodes(trials, trials.first().map_or(0, |trial| trial.measured.acked)),
        broker_cpu_s_per_gb: broker.filter(|_| payload > 0).map(|usage| usage.cpu_ns as f64 / payload as f64),
    }
}

/// Says why system calls were not counted.
pub(super) fn uncounted(trials: &[Trial]) -> Option<Warning> {
    let reason = trials.iter().find_map(|trial| trial.uncounted.as_deref())?;
    let message = format!("System calls were not counted: {reason}.");
    Some(Warning::new(
        "no_syscall_count",
        message,
        "Run as root, or with CAP_PERFMON and a readable tracefs.",
    ))
}

fn all(trials: &[Trial], side: impl Fn(&Trial) -> Option<&ProcessUsage>) -> Option<ProcessUsage> {
    let mut usages = trials.iter().map(side);
    let first = *usages.next()??;
    usages.try_fold(first, |sum, usage| usage.map(|usage| sum.followed_by(*usage)))
}

/// Each node of a cluster in the first trial; of one node there is nothing to add.
fn nodes(trials: &[Trial], records: u64) -> BTreeMap<String, ProcessCost> {
    let first = trials.first().map(|trial| &trial.nodes).filter(|nodes| nodes.len() > 1);
    first.into_iter().flatten().map(|(id, usage)| (id.to_string(), usage.cost(records))).collect()
}

/// Shares of all trials' phases together: each weighs by its length.
fn psi(trials: &[Trial]) -> Option<Psi> {
    let systems: Vec<&SystemUsage> = trials.iter().filter_map(|trial| trial.system.as_ref()).collect();
    let whole_ns = systems.iter().map(|system| system.wall_ns).sum::<u64>();
    if systems.len() < trials.len() || whole_ns == 0 {
        return None;
    }
    let share = |of: &dyn Fn(&Psi) -> Option<f64>| -> Option<f64> {
        let parts = systems.iter().map(|system| Some(of(&system.psi)? * system.wall_ns as f64));
        Some(parts.sum::<Option<f64>>()? / whole_ns as f64)
    };
    let pressure = |of: fn(&Psi) -> &Pressure| Pressure {
        some_pct: share(&|psi| of(psi).some_pct),
        full_pct: share(&|psi| of(psi).full_pct),
    };
    Some(Psi {
        cpu: pressure(|psi| &psi.cpu),
        io: pressure(|psi| &psi.io),
        memory: pressure(|psi| &psi.memory),
    })
}
