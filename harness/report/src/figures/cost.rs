//! What a record costs on both sides of the socket.

use plimsoll_results::{Cost, ProcessCost};

use super::captions::{durability, measured};
use crate::chart::{Axis, Chart, Color, Panel, Scale, Series};
use crate::comparison::short;
use crate::data::ReportData;
use crate::units::{bytes, count, duration_ns, three};

/// CPU time per record, user and system, of broker and client of each run. `None` where nobody counted it.
pub fn cost_bars(runs: &[ReportData]) -> Option<Chart> {
    let sides = runs.iter().flat_map(|run| {
        let cost = &run.document.cost;
        [("broker", &cost.broker), ("client", &cost.client)].map(|(side, cost)| (run, side, cost))
    });
    let known = sides.filter_map(|(run, side, cost)| {
        let (user, system) = (cost.cpu_user_ns_per_record? / 1e3, cost.cpu_sys_ns_per_record? / 1e3);
        let name = if runs.len() > 1 { format!("{}: {side}", short(&run.name)) } else { side.to_owned() };
        Some((format!("{name}\n{}", beside(cost)), user, system))
    });
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return None;
    }
    let y = Axis::rows(known.iter().map(|(name, ..)| name.clone()).collect());
    let bar = |from: fn(f64) -> f64, to: fn(f64, f64) -> f64| {
        let rows = known.iter().enumerate().map(|(row, (_, user, system))| (y.row(row), *user, *system));
        let ends = rows.flat_map(|(at, user, system)| {
            let end = to(user, system);
            [(from(user), Some(at)), (end, Some(at)), (end, None)]
        });
        ends.collect()
    };
    let series = vec![
        Series::line("user", Color::First, bar(|_| 0.0, |user, _| user)).bar(),
        Series::line("system (the kernel)", Color::Second, bar(|user| user, |user, system| user + system))
            .bar(),
    ];
    let ends = known.iter().map(|(_, user, system)| user + system);
    Some(Chart {
        id: "cost".to_owned(),
        title: "What a record costs".to_owned(),
        question: "How much CPU time does a record take, and who takes it? Each bar is user time and then system time; shorter \
                   is cheaper."
            .to_owned(),
        captions: captions(runs),
        x: Axis::from_zero("CPU time per acknowledged record", Scale::Micros, ends),
        panels: vec![Panel::lines("", y, series, 1.0)],
        marks: Vec::new(),
        bands: Vec::new(),
        y_toggle: false,
    })
}

/// What else a side spends, per record.
fn beside(cost: &ProcessCost) -> String {
    let both = cost.voluntary_switches_per_record.zip(cost.involuntary_switches_per_record);
    let told = [
        cost.cpu_ns_per_record().map(duration_ns),
        cost.syscalls_per_record.map(|calls| format!("{} syscalls", three(calls))),
        both.map(|(own, others)| format!("{} switches", three(own + others))),
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn captions(runs: &[ReportData]) -> Vec<String> {
    let each = runs.iter().filter_map(|run| {
        let facts = facts(&run.document.cost);
        let name = if runs.len() > 1 { format!("{}: ", run.name) } else { String::new() };
        (!facts.is_empty()).then(|| format!("{name}{}", facts.join("; ")))
    });
    [vec![measured(runs)], each.collect(), durability(runs)].concat()
}

/// Everything that the target and its disk spent besides CPU time, as far as it was counted.
pub(crate) fn facts(cost: &Cost) -> Vec<String> {
    let ratio = |value: Option<f64>, what: &str| value.map(|ratio| format!("{} {what}", three(ratio)));
    let facts = [
        ratio(cost.bytes_written_per_payload_byte, "bytes written per payload byte"),
        ratio(cost.device_bytes_written_per_payload_byte, "bytes written to the device per payload byte"),
        cost.read_bytes.map(|read| format!("{} read from storage", bytes(read as f64))),
        cost.fsyncs_per_s.map(|rate| format!("{} fsyncs/s", count(rate))),
        cost.broker
            .run_delay_ns_per_record
            .map(|ns| format!("the broker waits {} per record for a core", duration_ns(ns))),
        cost.broker_cpu_s_per_gb.map(|cpu| format!("{} broker CPU seconds per GB of payload", three(cpu))),
    ];
    facts.into_iter().flatten().collect()
}
