//! Time and resources of a record, as tables.

use plimsoll_results::{Cost, ProcessCost, RunDocument, Stage, StageTime, Stages};

use crate::figures::{cost_facts, side, words};
use crate::units::{bytes, count, duration_ns, duration_us, or_dash, percent, three};

/// Every stage that was counted: those of the response in the order of a record's way, what none of them covers, and the
/// others. Empty without any.
pub(super) fn stages(doc: &RunDocument) -> Vec<Vec<String>> {
    let Some(stages) = &doc.stages else { return Vec::new() };
    let mut rows: Vec<_> = stages.of_response().map(stage_row).collect();
    rows.push(unaccounted(stages));
    let in_response = |stage: Stage| stages.of_response().any(|(other, _)| other == stage);
    rows.extend(stages.each().filter(|(stage, _)| !in_response(*stage)).map(stage_row));
    rows
}

fn stage_row((stage, time): (Stage, &StageTime)) -> Vec<String> {
    let values = [time.p50_us, time.p90_us, time.p99_us, time.p999_us, time.max_us];
    let mut row = vec![words(stage), side(stage).to_owned(), duration_us(time.mean_us)];
    row.push(or_dash(time.share, |share| percent(100.0 * share)));
    row.extend(values.map(|value| or_dash(value, duration_us)));
    row.push(count(time.n as f64));
    row
}

fn unaccounted(stages: &Stages) -> Vec<String> {
    let mut row = vec!["unaccounted".to_owned(), "–".to_owned()];
    row.push(or_dash(stages.unaccounted_mean_us, duration_us));
    row.push(or_dash(stages.unaccounted_pct, percent));
    row.resize(10, "–".to_owned());
    row
}

/// Both sides, without the columns of which neither knows anything.
pub(super) fn table(cost: &Cost) -> (Vec<String>, Vec<Vec<String>>) {
    const NAMES: [&str; 9] = [
        "CPU user",
        "CPU system",
        "CPU both",
        "waiting for a core",
        "syscalls",
        "context switches",
        "context switches/s",
        "major faults, in all",
        "peak memory, in all",
    ];
    let rows = [("broker", cells(&cost.broker)), ("client", cells(&cost.client))];
    let known: Vec<usize> = (0..NAMES.len())
        .filter(|at| rows.iter().any(|(_, cells)| cells.get(*at).is_some_and(Option::is_some)))
        .collect();
    let head = known.iter().filter_map(|at| NAMES.get(*at)).map(|name| (*name).to_owned());
    let row = |(name, cells): &(&str, [Option<String>; 9])| {
        let of = known.iter().map(|at| cells.get(*at).cloned().flatten());
        let shown = of.map(|cell| or_dash(cell, |text| text));
        std::iter::once((*name).to_owned()).chain(shown).collect()
    };
    (std::iter::once(String::new()).chain(head).collect(), rows.iter().map(row).collect())
}

fn cells(cost: &ProcessCost) -> [Option<String>; 9] {
    let switches = cost.voluntary_switches_per_record.zip(cost.involuntary_switches_per_record);
    [
        cost.cpu_user_ns_per_record.map(duration_ns),
        cost.cpu_sys_ns_per_record.map(duration_ns),
        cost.cpu_ns_per_record().map(duration_ns),
        cost.run_delay_ns_per_record.map(duration_ns),
        cost.syscalls_per_record.map(three),
        switches.map(|(own, others)| three(own + others)),
        cost.ctx_switches_per_s.map(count),
        cost.major_faults.map(|faults| count(faults as f64)),
        cost.rss_peak_bytes.map(|peak| bytes(peak as f64)),
    ]
}

/// What no side can be blamed for alone.
pub(super) fn notes(cost: &Cost) -> Vec<String> {
    let machine = [
        cost.steal_pct.map(|steal| format!("{} of the CPU time taken by the host (steal)", percent(steal))),
        cost.psi
            .as_ref()
            .and_then(|psi| psi.io.some_pct)
            .map(|share| format!("some task waited for storage {} of the time", percent(share))),
        cost.psi
            .as_ref()
            .and_then(|psi| psi.cpu.some_pct)
            .map(|share| format!("some task waited for a core {} of the time", percent(share))),
    ];
    cost_facts(cost).into_iter().chain(machine.into_iter().flatten()).collect()
}
