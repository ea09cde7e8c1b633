//! `storage bench`: lists of choices in, a table or an array of rows out.

mod bundle;
mod options;
mod progress;
mod table;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_probe::{Observed, warnings};
use plimsoll_results::{Exit, Machine};
use plimsoll_storage::bench::{Outcome, Plan, idle_page_monitors, run as measure};

pub(crate) use options::BenchOptions;

use crate::exit::UsageError;
use bundle::Results;
use progress::Watch;

/// Runs it.
pub(crate) fn run(options: &BenchOptions) -> anyhow::Result<Exit> {
    let scratch = scratch(options)?;
    let plan = options.plan(scratch.path())?;
    if options.dry_run {
        return dry_run(options, &plan);
    }
    let machine = plimsoll_probe::machine(&plan.dir, None);
    check_space(&plan, &machine)?;
    let remarks = remarks(&machine);
    remarks.iter().for_each(|remark| eprintln!("note: {remark}"));
    let started = Timestamp::now();
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_ctrl_c(&stop)?;
    let mut watch = Watch::new(stop, options.json);
    let outcome = measure(&plan, &mut watch);
    watch.end();
    let outcome = outcome?;
    for (cell, reason) in &outcome.unavailable {
        eprintln!("{cell}: does not run here: {reason}");
    }
    let results = Results { plan: &plan, outcome: &outcome, machine: &machine, remarks: &remarks, started };
    let report = bundle::write(&options.output, &results)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&bundle::rows(&outcome)?)?);
        eprintln!("report: {}", report.display());
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
    let sound =
        outcome.failed.is_empty() && !outcome.rows.is_empty() && outcome.rows.iter().all(|row| row.verify_ok);
    if sound && !outcome.aborted { Exit::Pass } else { Exit::Failed }
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

/// Ctrl-C once stops after the pair under way and keeps what there is; twice ends at once.
fn stop_on_ctrl_c(stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    use std::sync::atomic::Ordering;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(Exit::Failed.code()));
                }
                eprintln!("stopping after this pair; what was measured is kept. Once more to end at once");
            }
        });
    })?;
    Ok(())
}
