//! What stays of a bench: `bench.json`, `env.json`, two charts and a page, in a directory of their own under `runs/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_report::{figures_page, svg_file};
use plimsoll_results::{Machine, Status, ToolBuild, bundle_id};
use plimsoll_storage::bench::{Outcome, Plan, Row, TimeSpent};
use serde::Serialize;

use super::{page, words};

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
    let charts = page::charts(results.outcome);
    for chart in &charts {
        save(&dir.join(format!("{}.svg", chart.id)), &svg_file(chart))?;
    }
    let path = dir.join("report.html");
    save(&path, &figures_page(&page::of(results), &charts)?)?;
    Ok(path)
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
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
    let short = short.filter_map(|row| Some(format!("{}: {}", words::name(row), words::shortfall(row)?)));
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
