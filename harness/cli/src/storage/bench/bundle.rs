//! What stays of a bench: `bench.json`, `env.json`, two charts and a page, in a directory of their own under `runs/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_report::{
    Chart, CostPoint, FiguresPage, FiguresRow, figures_page, svg, sync_latency, throughput_against_cpu,
};
use plimsoll_results::{Machine, Status, ToolBuild, bundle_id};
use plimsoll_storage::bench::{Measured, Outcome, Plan, Row, TimeSpent};
use serde::Serialize;

use super::table;

/// Everything a bench knows when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Results<'a> {
    pub(super) plan: &'a Plan,
    pub(super) outcome: &'a Outcome,
    pub(super) machine: &'a Machine,
    pub(super) remarks: &'a [String],
    pub(super) started: Timestamp,
}

/// `bench.json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    id: &'a str,
    started_at: String,
    seconds: f64,
    status: Status,
    status_reasons: Vec<String>,
    tool: ToolBuild,
    seed: u64,
    pairs_planned: usize,
    trial_bytes: u64,
    spent: TimeSpent,
    rows: &'a [Row],
}

/// Writes the bundle and returns the page.
pub(super) fn write(root: &Path, results: &Results<'_>) -> anyhow::Result<PathBuf> {
    let id = bundle_id(results.started, "storage bench", u64::from(std::process::id()));
    let dir = root.join(&id);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    save(&dir.join("bench.json"), &serde_json::to_string_pretty(&document(&id, results))?)?;
    save(&dir.join("env.json"), &serde_json::to_string_pretty(results.machine)?)?;
    let charts = charts(results);
    for chart in &charts {
        save(&dir.join(format!("{}.svg", chart.id)), &standalone(&svg(chart)))?;
    }
    let page = dir.join("report.html");
    save(&page, &figures_page(&page_of(results), &charts)?)?;
    Ok(page)
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Inside a page the namespace is implied; in a file of its own it is not.
fn standalone(svg: &str) -> String {
    svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
}

fn document<'a>(id: &'a str, results: &Results<'a>) -> Document<'a> {
    let Results { plan, outcome, .. } = *results;
    Document {
        schema: "storage-bench/1.1",
        id,
        started_at: results.started.to_string(),
        seconds: outcome.spent.total().as_secs_f64(),
        status: status(outcome),
        status_reasons: reasons(results),
        tool: plimsoll_probe::tool_build("plimsoll", env!("CARGO_PKG_VERSION")),
        seed: plan.seed,
        pairs_planned: plan.pairs,
        trial_bytes: plan.trial_bytes,
        spent: outcome.spent,
        rows: &outcome.rows,
    }
}

/// Why the status is what it is, and what to know before believing a figure.
fn reasons(results: &Results<'_>) -> Vec<String> {
    let stopped = results.outcome.aborted.then(|| "It was stopped before its end.".to_owned());
    let short = results.outcome.rows.iter();
    let short = short.filter_map(|row| Some(format!("{}: {}", table::name(row), table::shortfall(row)?)));
    stopped.into_iter().chain(short).chain(results.remarks.iter().cloned()).collect()
}

/// How the bench ended.
pub(super) fn status(outcome: &Outcome) -> Status {
    let empty = outcome.measured().next().is_none();
    match (outcome.is_sound(), outcome.aborted) {
        (false, _) => Status::Failed,
        (true, true) => Status::Aborted,
        (true, false) if empty => Status::Failed,
        (true, false) => Status::Ok,
    }
}

fn charts(results: &Results<'_>) -> Vec<Chart> {
    let appends = || results.outcome.measured().filter(|(row, _)| row.setting.phase == "append");
    let points: Vec<CostPoint> = appends().map(|(row, it)| point(row, it)).collect();
    let pairs = appends().map(|(row, _)| row.pairs).max().unwrap_or(0);
    let captions = |what: &str| {
        let basis = format!(
            "{what} {pairs} pairs per row; durability and what a record survives are named per group."
        );
        vec![basis, table::DISK.replace('\n', " ")]
    };
    let synced = appends().filter(|(_, it)| !it.sync_histogram.is_empty());
    let curves: Vec<_> = synced.map(|(row, it)| (table::name(row), &it.sync_histogram)).collect();
    vec![
        throughput_against_cpu(&points, captions("Medians of the engine's and its floor's trials.")),
        sync_latency(
            &curves,
            captions("From handing over a group's last batch until it is durable, all trials."),
        ),
    ]
}

fn point(row: &Row, it: &Measured) -> CostPoint {
    CostPoint {
        group: format!("{} {}", row.setting.backend, table::durability(row)),
        engine: (it.cpu_s_per_gb, it.mb_per_s * 1e6),
        floor: (it.floor_cpu_s_per_gb, it.floor_mb_per_s * 1e6),
    }
}

fn page_of(results: &Results<'_>) -> FiguresPage {
    let status = status(results.outcome);
    let machine = results.machine;
    let fact = |name: &str, value: Option<String>| Some((name.to_owned(), value?));
    let facts = [
        fact("processor", machine.cpu.model.clone()),
        fact("cores", Some(machine.cpu.cores.to_string())),
        fact("kernel", machine.kernel.clone()),
        fact(
            "file system",
            machine.filesystem.as_ref().map(|fs| format!("{} ({})", fs.kind, fs.mount_options)),
        ),
        fact("device", machine.disk.as_ref().map(|disk| disk.name.clone())),
        fact("seed", Some(results.plan.seed.to_string())),
    ];
    FiguresPage {
        title: "Storage engine against its floors".to_owned(),
        status: (status.to_string(), status == Status::Ok),
        sentence: table::verdict(results.outcome),
        remarks: results.remarks.to_vec(),
        head: table::HEAD.map(str::to_owned).to_vec(),
        rows: results.outcome.rows.iter().map(figures_row).collect(),
        notes: vec![
            table::LEGEND.to_owned(),
            table::DISK.replace('\n', " "),
            table::spent(&results.outcome.spent),
        ],
        machine: facts.into_iter().flatten().collect(),
    }
}

fn figures_row(row: &Row) -> FiguresRow {
    FiguresRow { cells: table::cells(row).to_vec(), remark: table::shortfall(row), good: row.is_sound() }
}
