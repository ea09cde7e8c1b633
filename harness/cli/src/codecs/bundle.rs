//! What stays of a comparison: `codecs.json`, `env.json`, charts and a page, in a directory of their own under `runs/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_codecs::{Overlap, Plan};
use plimsoll_report::{figures_page, svg_file};
use plimsoll_results::{Machine, Status, ToolBuild, bundle_id};
use serde::Serialize;

use super::compared::{Best, Compared, Group, Told};
use super::page;

/// Everything a comparison knows when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Results<'a> {
    pub(super) compared: &'a Compared,
    pub(super) plan: &'a Plan,
    pub(super) machine: &'a Machine,
    pub(super) remarks: &'a [String],
    pub(super) started: Timestamp,
}

/// `codecs.json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema: &'static str,
    id: &'a str,
    started_at: String,
    status: Status,
    status_reasons: Vec<String>,
    tool: ToolBuild,
    seed: u64,
    seconds_per_corpus: f64,
    rows: &'a [Told],
    best_by_link: Vec<BestByLink<'a>>,
}

#[derive(Debug, Serialize)]
struct BestByLink<'a> {
    corpus: &'a str,
    batch_bytes: u64,
    serial: Vec<Best>,
    pipelined: Vec<Best>,
}

/// Writes the bundle and returns the page.
pub(super) fn write(root: &Path, results: &Results<'_>) -> anyhow::Result<PathBuf> {
    let id = bundle_id(results.started, "codecs", u64::from(std::process::id()));
    let dir = root.join(&id);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    save(&dir.join("codecs.json"), &serde_json::to_string_pretty(&document(&id, results))?)?;
    save(&dir.join("env.json"), &serde_json::to_string_pretty(results.machine)?)?;
    let charts = page::charts(results);
    for chart in &charts {
        save(&dir.join(format!("{}.svg", chart.id)), &svg_file(chart))?;
    }
    let page = dir.join("report.html");
    save(&page, &figures_page(&page::of(results), &charts)?)?;
    Ok(page)
}

pub(super) fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn document<'a>(id: &'a str, results: &Results<'a>) -> Document<'a> {
    let Results { compared, plan, remarks, started, .. } = *results;
    let stopped = compared.aborted.then(|| "It was stopped before its end.".to_owned());
    Document {
        schema: "codecs/1.0",
        id,
        started_at: started.to_string(),
        status: compared.status(),
        status_reasons: stopped.into_iter().chain(remarks.iter().cloned()).collect(),
        tool: plimsoll_probe::tool_build("plimsoll", env!("CARGO_PKG_VERSION")),
        seed: plan.seed,
        seconds_per_corpus: plan.time.as_secs_f64(),
        rows: &compared.rows,
        best_by_link: compared.groups().filter_map(best_by_link).collect(),
    }
}

fn best_by_link(group: Group<'_>) -> Option<BestByLink<'_>> {
    let head = &group.head()?.row;
    Some(BestByLink {
        corpus: &head.corpus,
        batch_bytes: head.batch_bytes,
        serial: group.best_by_link(Overlap::Serial),
        pipelined: group.best_by_link(Overlap::Pipelined),
    })
}
