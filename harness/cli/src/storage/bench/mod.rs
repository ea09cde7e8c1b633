//! `storage bench`: lists of choices in, a table or an array of rows out.

mod bundle;
mod columns;
mod options;
mod page;
mod progress;
mod table;
mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_probe::{Observed, warnings};
use plimsoll_results::{Exit, Machine, Status};
use plimsoll_storage::bench::{Outcome, Plan, idle_page_monitors, run as measure};

pub(crate) use options::BenchOptions;

use crate::exit::UsageError;
use crate::interrupt::on_ctrl_c;
use bundle::Results;
use progress::Watch;

/// Runs it.
pub(crate) fn run(options: &BenchOptions) -> anyhow::Result<Exit> {
    let scratch = scratch(options)?;
    let plan = options.plan(scratch.path())?;
    if options.dry_run {
        return dry_run(options, &plan);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    on_ctrl_c("stopping after this pair", move || stopped.store(true, Ordering::Relaxed))?;
    let machine = plimsoll_probe::machine(&plan.dir, None);
    check_space(&plan, &machine)?;
    let remarks = remarks(&machine);
    remarks.iter().for_each(|remark| eprintln!("note: {remark}"));
    let started = Timestamp::now();
    let mut watch = Watch::new(stop, options.json);
    let outcome = measure(&plan, &mut watch);
    watch.end();
    let outcome = outcome?;
    let results = Results { plan: &plan, outcome: &outcome, machine: &machine, remarks: &remarks, started };
    let report = bundle::write(&options.output, &results)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&outcome.rows)?);
        eprintln!("{}\nreport: {}", words::spent(&outcome.spent), report.display());
    } else {
        println!("{}report: {}", table::rows(&outcome), report.display());
    }
    Ok(exit(&outcome))
}

fn dry_run(options: &BenchOptions, plan: &Plan) -> anyhow::Result<Exit> {
    if options.json {
        let cells: Vec<String> = plan.cells.iter().map(ToString::to_string).collect();
        println!("{}", serde_json::to_string_pretty(&cells)?);
    } else {
        print!("{}", table::plan(plan));
    }
    Ok(Exit::Pass)
}

/// What the reader should know of this machine before believing a figure.
fn remarks(machine: &Machine) -> Vec<String> {
    let tool = plimsoll_probe::tool_build("plimsoll", env!("CARGO_PKG_VERSION"));
    let seen = Observed { machine: Some(machine), tool: Some(&tool), syncs: true, ..Observed::default() };
    let mut remarks: Vec<String> = warnings(&seen).iter().map(ToString::to_string).collect();
    if idle_page_monitors() > 0 {
        remarks.push(
            "This kernel takes away pages that were idle for a while: cached reads may find them gone."
                .to_owned(),
        );
    }
    remarks
}

fn exit(outcome: &Outcome) -> Exit {
    if bundle::status(outcome) == Status::Ok { Exit::Pass } else { Exit::Failed }
}

/// A directory of this bench's own, removed at the end.
fn scratch(options: &BenchOptions) -> anyhow::Result<tempfile::TempDir> {
    std::fs::create_dir_all(&options.dir)
        .with_context(|| format!("{} cannot be used; choose another with --dir", options.dir.display()))?;
    let scratch = tempfile::Builder::new().prefix("plimsoll-bench-").tempdir_in(&options.dir);
    scratch.with_context(|| format!("{} cannot be written; choose another with --dir", options.dir.display()))
}

/// A full disk in the middle of a trial would look like a fault of the engine.
fn check_space(plan: &Plan, machine: &Machine) -> anyhow::Result<()> {
    let Some(filesystem) = &machine.filesystem else { return Ok(()) };
    let needed_bytes = plan.disk_bytes();
    if filesystem.available_bytes >= needed_bytes {
        return Ok(());
    }
    let (needed, free) = (needed_bytes / 1_000_000, filesystem.available_bytes / 1_000_000);
    let text =
        format!("the trials need {needed} MB of disk and {free} MB are free: lower --bytes or set --dir");
    Err(UsageError(text).into())
}
