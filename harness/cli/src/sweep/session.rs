//! Measures the points block by block, in a new directory or one that was begun before.

use std::path::Path;

use jiff::Timestamp;
use plimsoll_results::stats::StopReason;
use plimsoll_results::{SweepDesign, SweepDocument, SweepError, SweepWriter};

use super::request::Request;
use super::{rows, systems};
use crate::exit::{UnfitError, UsageError};
use crate::measure::blocks::{Blocks, OnFailure};
use crate::stored::write_report;

/// Runs the sweep and writes its bundle, also when it is stopped half-way.
pub(super) fn execute(request: &Request<'_>) -> anyhow::Result<SweepDocument> {
    let options = request.options;
    // One that was begun before has been asked then.
    let goes_on = options.resume.as_deref().is_some_and(SweepWriter::is_begun);
    if !options.allow_unequal_durability && !goes_on {
        systems::refuse_unequal(&request.points)?;
    }
    let writer = open(request)?;
    let mut document = begin(request, &writer)?;
    let mut blocks =
        Blocks::new(request.seed(), Some(request.blocks()), OnFailure::GoOn, options.common.json)?;
    let stopped = match prepare(request, &writer, &mut blocks) {
        Ok(()) => blocks.run(|blocks| {
            rows::take(&mut document, blocks);
            writer.checkpoint(&mut document)?;
            Ok((blocks.order.len() >= request.blocks()).then_some(StopReason::Asked))
        })?,
        Err(error) if error.is::<UsageError>() || error.is::<UnfitError>() => return Err(error),
        Err(error) => blocks.failed_before(&error),
    };
    document.design.stopped = Some(stopped);
    rows::conclude(&mut document, request, blocks)?;
    // The page is made of what is stored.
    writer.checkpoint(&mut document)?;
    document.report = Some(write_report(writer.path())?.display().to_string());
    writer.finish(&mut document, Timestamp::now())?;
    Ok(document)
}

fn open(request: &Request<'_>) -> anyhow::Result<SweepWriter> {
    let (options, plan) = (request.options, request.plan());
    let opened = match &options.resume {
        Some(dir) => SweepWriter::resume(Path::new(dir), Timestamp::now(), &plan),
        None => {
            let name = format!("sweep-{}", request.workload);
            SweepWriter::create(&options.common.output, &name, Timestamp::now(), &plan)
        }
    };
    opened.map_err(|error| match error {
        SweepError::Bundle(error) => error.into(),
        refused => UsageError(refused.to_string()).into(),
    })
}

fn begin(request: &Request<'_>, writer: &SweepWriter) -> anyhow::Result<SweepDocument> {
    let design = SweepDesign {
        cross: request.layout.cross,
        blocks: request.blocks(),
        seed: request.seed(),
        ..SweepDesign::default()
    };
    let mut document = SweepDocument::unfinished(request.layout.factors.clone(), design);
    document.workload = Some(request.workload.clone());
    document.tool = Some(request.plan().tool);
    document.machine = Some(request.machine.clone());
    writer.write_env(&request.machine)?;
    writer.checkpoint(&mut document)?;
    Ok(document)
}

/// Every point's records and bundle, with the trials of an earlier session.
fn prepare<'a>(
    request: &'a Request<'_>,
    writer: &SweepWriter,
    blocks: &mut Blocks<'a>,
) -> anyhow::Result<()> {
    for ((point, plan), number) in request.points.iter().zip(1..) {
        match writer.earlier(number, &point.name)? {
            Some(bundle) => blocks.add_again(&point.name, plan, &bundle, &request.machine)?,
            None => {
                let bundle = writer.begin_point(number, &point.name)?;
                blocks.add(&point.name, plan, bundle, &request.machine)?;
            }
        }
    }
    let kept: usize = blocks.arms.iter().map(|arm| arm.trials.len()).sum();
    if kept > 0 {
        eprintln!("going on after {kept} trials in {}", writer.path().display());
    }
    Ok(())
}
