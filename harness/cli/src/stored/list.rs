//! `list`: one row for each bundle of a directory, whatever wrote it.

use std::path::Path;

use plimsoll_report::text_table;
use plimsoll_report::units::{count, duration_us, or_dash};
use plimsoll_results::{
    ComparisonDocument, Exit, FindDocument, RunDocument, Stored, SweepDocument, bundles_below,
};
use serde::Serialize;
use serde_json::Value;

use super::ListOptions;
use crate::exit::UsageError;

/// Levels of directories that are looked through.
const DEPTH: usize = 3;

/// What a bundle is in one row.
#[derive(Debug, Default, Serialize)]
struct Row {
    /// Its directory below the one that was named.
    id: String,
    bundle: String,
    /// `run`, `compare`, `sweep`, `find`, `storage bench` or `codecs`.
    kind: &'static str,
    /// RFC 3339, UTC.
    started_at: Option<String>,
    workload: Option<String>,
    /// `ok`, `invalid`, `aborted`, `failed`, or `unreadable`.
    status: String,
    /// The verdict's word, of a comparison.
    verdict: Option<String>,
    /// Reached; of a search the rate that holds.
    records_per_s: Option<f64>,
    response_p99_us: Option<f64>,
    durability: Option<String>,
    /// Why it cannot be read.
    reason: Option<String>,
}

/// Runs it.
pub(crate) fn run(options: &ListOptions) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for dir in &options.directories {
        if !dir.is_dir() {
            let text =
                format!("{} is not a directory; `plimsoll quick` makes bundles in ./runs", dir.display());
            return Err(UsageError(text).into());
        }
        rows.extend(bundles_below(dir, DEPTH).iter().map(|path| row(dir, path)));
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        let names: Vec<_> = options.directories.iter().map(|dir| dir.display().to_string()).collect();
        println!("no bundles in {}", names.join(" or "));
    } else {
        let cells: Vec<_> = rows.iter().map(cells).collect();
        print!(
            "{}",
            text_table(
                &["id", "when", "workload", "status", "records/s", "response p99", "durability"],
                &cells,
                4..6
            )
        );
    }
    Ok(Exit::Pass)
}

/// A bundle that cannot be read is a row too: the others are still of use.
fn row(dir: &Path, path: &Path) -> Row {
    let found = match Stored::open(path) {
        Ok(Stored::Run(run)) => of_run(run.document()),
        Ok(Stored::Comparison(stored)) => of_comparison(stored.document()),
        Ok(Stored::Sweep(stored)) => of_sweep(stored.document()),
        Ok(Stored::Find(stored)) => of_find(stored.document()),
        Err(error) => of_other(path).unwrap_or_else(|| Row {
            kind: "run",
            status: "unreadable".to_owned(),
            reason: Some(error.to_string()),
            ..Row::default()
        }),
    };
    let id = path.strip_prefix(dir).unwrap_or(path).display().to_string();
    Row { id, bundle: path.display().to_string(), ..found }
}

fn of_run(document: &RunDocument) -> Row {
    Row {
        kind: "run",
        started_at: document.started_at.clone(),
        workload: document.workload.clone(),
        status: document.status.to_string(),
        records_per_s: document.throughput.records_per_s,
        response_p99_us: document.latency.quantiles.response.p99_us,
        durability: Some(document.durability.to_string()),
        ..Row::default()
    }
}

fn of_comparison(document: &ComparisonDocument) -> Row {
    let equal = document.durability_differences.is_empty();
    let first = document.arms.first().map(|arm| arm.durability.to_string());
    Row {
        kind: "compare",
        started_at: document.started_at.clone(),
        workload: document.workload.clone(),
        status: document.status.to_string(),
        verdict: document.verdict.map(|verdict| verdict.to_string()),
        durability: if equal { first } else { Some("not equal between the arms".to_owned()) },
        ..Row::default()
    }
}

fn of_sweep(document: &SweepDocument) -> Row {
    let equal = document.durability_differences.is_empty();
    let base = document.rows.first().map(|row| row.durability.to_string());
    Row {
        kind: "sweep",
        started_at: document.started_at.clone(),
        workload: document.workload.clone(),
        status: document.status.to_string(),
        durability: if equal { base } else { Some("not equal between the points".to_owned()) },
        ..Row::default()
    }
}

fn of_find(document: &FindDocument) -> Row {
    Row {
        kind: "find",
        started_at: document.started_at.clone(),
        workload: document.workload.clone(),
        status: document.status.to_string(),
        records_per_s: document.rate,
        durability: document.rows.first().map(|row| row.durability.to_string()),
        ..Row::default()
    }
}

/// Results that have a page of their own; of these only how they ended is of use here.
fn of_other(path: &Path) -> Option<Row> {
    let documents = [("bench.json", "storage bench"), ("codecs.json", "codecs")];
    let (file, kind) = documents.into_iter().find(|(file, _)| path.join(file).is_file())?;
    let document: Value = serde_json::from_slice(&std::fs::read(path.join(file)).ok()?).ok()?;
    let text = |key: &str| document.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Row {
        kind,
        started_at: text("started_at"),
        workload: text("workload"),
        status: text("status")?,
        ..Row::default()
    })
}

fn cells(row: &Row) -> Vec<String> {
    let what = match (row.kind, &row.workload) {
        ("run", Some(workload)) => workload.clone(),
        (kind, Some(workload)) => format!("{kind} {workload}"),
        (kind, None) => kind.to_owned(),
    };
    let word = row.verdict.as_ref().map(|verdict| format!("{}, {verdict}", row.status));
    vec![
        row.id.clone(),
        or_dash(row.started_at.as_deref(), minute),
        what,
        word.unwrap_or_else(|| row.status.clone()),
        or_dash(row.records_per_s, count),
        or_dash(row.response_p99_us, duration_us),
        row.durability.clone().or(row.reason.clone()).unwrap_or_else(|| "–".to_owned()),
    ]
}

/// `2026-11-21 10:14` of an RFC 3339 time.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}
