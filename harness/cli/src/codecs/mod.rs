//! `codecs`: records in, a table or an array of rows out, a bundle beside.

mod broker;
mod bundle;
mod compared;
mod input;
mod options;
pub(crate) mod page;
mod progress;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_codecs::{Plan, measure};
use plimsoll_probe::{Observed, warnings};
use plimsoll_results::{Exit, Machine};

pub(crate) use options::CodecsOptions;

use crate::interrupt::on_ctrl_c;
use bundle::Results;
use compared::Compared;
use input::Input;
use progress::Watch;

/// Runs it.
pub(crate) fn run(options: &CodecsOptions) -> anyhow::Result<Exit> {
    if options.through_broker {
        return broker::run(options);
    }
    let inputs = input::load(options)?;
    let plan = options.plan(inputs.len());
    let bytes_each = options.bytes_each(&plan, inputs.len());
    if options.dry_run {
        return dry_run(options, &plan, &inputs, bytes_each);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    on_ctrl_c("stopping after this round", move || stopped.store(true, Ordering::Relaxed))?;
    let started = Timestamp::now();
    let machine = plimsoll_probe::machine(&std::env::temp_dir(), None);
    let compared = compare(&plan, &inputs, bytes_each, &stop, options.json)?;
    let remarks = remarks(&machine);
    let results = Results { compared: &compared, plan: &plan, machine: &machine, remarks: &remarks, started };
    let report = bundle::write(&options.output, &results)?;
    let json = serde_json::to_string_pretty(&compared.rows)?;
    options.export.write(|| table::markdown(&compared), || table::csv(&compared), &json)?;
    if options.json {
        println!("{json}");
        eprintln!("report: {}", report.display());
    } else {
        print!("{}", table::text(&compared));
        remarks.iter().for_each(|remark| println!("warning: {remark}"));
        println!("report: {}", report.display());
    }
    Ok(compared.status().exit())
}

fn compare(
    plan: &Plan,
    inputs: &[Input],
    bytes_each: u64,
    stop: &AtomicBool,
    json: bool,
) -> anyhow::Result<Compared> {
    let stopped = || stop.load(Ordering::Relaxed);
    let mut compared = Compared::default();
    let watch = Watch::new(json, inputs.len());
    for input in inputs {
        if stopped() {
            break;
        }
        watch.next(&input.name, plan.time);
        let rows = measure(plan, &input.name, &input.items(bytes_each), &stopped)
            .with_context(|| input.name.clone())?;
        compared.add(input, rows);
    }
    watch.end();
    compared.aborted = stopped();
    Ok(compared)
}

/// What the reader should know of this machine before believing a figure.
fn remarks(machine: &Machine) -> Vec<String> {
    let tool = plimsoll_probe::tool_build("plimsoll", env!("CARGO_PKG_VERSION"));
    let seen = Observed { machine: Some(machine), tool: Some(&tool), ..Observed::default() };
    warnings(&seen).iter().map(ToString::to_string).collect()
}

fn dry_run(options: &CodecsOptions, plan: &Plan, inputs: &[Input], bytes_each: u64) -> anyhow::Result<Exit> {
    let codecs: Vec<String> = plan.codecs.iter().map(ToString::to_string).collect();
    let batches: Vec<String> = plan.limits.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let rows = codecs.len() * batches.len() * names.len();
    if options.json {
        let document = serde_json::json!({
            "status": "ok", "status_reasons": ["dry run: nothing was measured"], "corpora": names,
            "codecs": codecs, "batches": batches, "rows": rows, "bytes_each": bytes_each,
            "seconds": plan.time.as_secs_f64() * inputs.len() as f64, "seed": plan.seed,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        let seconds = plan.time.as_secs_f64();
        println!("records: {}, at most {bytes_each} bytes of each", names.join(", "));
        println!("codecs: {}\nbatches: {}", codecs.join(", "), batches.join(", "));
        println!("{rows} rows; rounds for {seconds:.1} s on each set of records, seed {}", plan.seed);
    }
    Ok(Exit::Pass)
}
