//! `quick` and `run`: a workload becomes trials, trials become a bundle, a bundle becomes a card and a page.
//! `compare` shares everything up to the trial.

mod arm;
pub(crate) mod blocks;
mod borders;
pub(crate) mod by_codec;
pub(crate) mod codecs;
mod cost;
pub(crate) mod document;
pub(crate) mod durability;
mod faults;
pub(crate) mod measured;
mod page_cache;
pub(crate) mod pairs;
pub(crate) mod plan;
pub(crate) mod preflight;
pub(crate) mod progress;
mod sampler;
mod stages;
mod summary;
mod system;
pub(crate) mod trial;

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use plimsoll_load::CancelToken;
use plimsoll_load::corpus::CorpusCache;
use plimsoll_load::run::prepare_payload;
use plimsoll_report::{CardStyle, ReportData, card, html};
use plimsoll_results::{Bundle, BundleWriter, Exit, RunDocument};

use crate::interrupt::on_ctrl_c;
use crate::options::MeasureOptions;
use pairs::Measured;
use plan::Plan;
use progress::Watch;

/// The workload of `quick`.
const QUICK: &str = "hello";

pub(crate) fn quick(options: &MeasureOptions) -> anyhow::Result<Exit> {
    execute(Plan::built_in(QUICK, options)?, options)
}

pub(crate) fn run(workload: &Path, options: &MeasureOptions) -> anyhow::Result<Exit> {
    execute(Plan::of_file(workload, options)?, options)
}

fn execute(plan: Plan, options: &MeasureOptions) -> anyhow::Result<Exit> {
    if options.common.dry_run {
        let plan = if options.common.json {
            serde_json::to_string_pretty(&plan.to_json())? + "\n"
        } else {
            plan.to_text()
        };
        print!("{plan}");
        return Ok(Exit::Pass);
    }
    let cancel = CancelToken::new();
    let token = cancel.clone();
    on_ctrl_c("stopping", move || token.cancel())?;
    let document = measure(&plan, options, &cancel)?;
    if options.common.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print!("{}", card(&document, style()));
    }
    Ok(document.status.exit())
}

/// Runs every trial and writes the bundle, also when it is stopped half-way.
fn measure(plan: &Plan, options: &MeasureOptions, cancel: &CancelToken) -> anyhow::Result<RunDocument> {
    let payload = prepare_payload(&plan.workload, &CorpusCache::from_env()?)?;
    plan.check_corpus(&payload)?;
    let machine = plan.machine();
    let unfit = preflight::preflight(plan, &machine)?;
    let mut watch = Watch::new(options.common.json);
    let mut bundle = BundleWriter::create(&options.common.output, &plan.workload.name, Timestamp::now())?;
    bundle.write_lock(&plan.workload.to_lock())?;
    bundle.write_env(&machine)?;
    let mut document = document::begin(plan, &machine);
    document.preflight.clone_from(&unfit);
    bundle.checkpoint(&mut document)?;
    let summary = codecs::summary(plan, &payload, &mut watch)?;
    let ceiling = if options.no_ceiling { None } else { trial::ceiling(plan, &payload, &mut watch, cancel)? };
    let outcome = match &plan.against {
        Some(other) => pairs::measure(plan, other, &payload, &mut bundle, &mut watch, cancel),
        None => {
            let folder = bundle.begin_trial()?;
            trial::measure(plan, &plan.workload, &payload, folder, &mut watch, cancel).map(Measured::of_one)
        }
    };
    watch.end();
    match outcome {
        Ok(measured) => {
            // The first trial's: one axis of time holds one of them.
            for event in measured.ours.first().iter().flat_map(|trial| &trial.events) {
                bundle.event(event)?;
            }
            document::fill(&mut document, plan, &measured, summary, ceiling);
        }
        Err(error) => document::fail(&mut document, &error),
    }
    document.status_reasons.extend(preflight::remarks(&unfit));
    bundle.checkpoint(&mut document)?;
    write_report(&bundle)?;
    bundle.finish(&mut document, Timestamp::now())?;
    Ok(document)
}

pub(crate) fn write_report(bundle: &BundleWriter) -> anyhow::Result<()> {
    let read = Bundle::open(bundle.path())?;
    let page = html(&ReportData::from_bundle(&read)?)?;
    let path = bundle.report_path();
    std::fs::write(&path, page).with_context(|| path.display().to_string())
}

/// Colours only on a terminal that has not asked for none.
pub(crate) fn style() -> CardStyle {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    CardStyle { color: terminal && !plain, ..CardStyle::default() }
}
