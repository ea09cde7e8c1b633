//! Points to rows: figures of each, and its ratio to the base.

use std::collections::BTreeMap;

use plimsoll_results::stats::StopReason;
use plimsoll_results::{
    ArmComparison, ComparedArm, MinEffects, RunDocument, Status, SweepDocument, SweepRow, TrialSummary,
    Trials, compare, durability_differences,
};

use super::factors::Point;
use super::request::Request;
use super::systems;
use crate::measure::blocks::Blocks;
use crate::measure::document::rank;
use crate::measure::preflight;

/// What is known while trials go on: their order.
pub(super) fn take(document: &mut SweepDocument, blocks: &Blocks<'_>) {
    document.design.order.clone_from(&blocks.order);
}

/// Closes the points' bundles and fills in everything.
pub(super) fn conclude(
    document: &mut SweepDocument,
    request: &Request<'_>,
    mut blocks: Blocks<'_>,
) -> anyhow::Result<()> {
    take(document, &blocks);
    let failure = blocks.failure.take();
    let trials: Vec<_> = blocks.arms.iter().map(|arm| arm.summaries.clone()).collect();
    let runs = blocks.end(false)?;
    document.preflight = runs.first().map(|run| run.preflight.clone()).unwrap_or_default();
    document.rows = rows(request, trials, runs);
    let differ = document.rows.iter().flat_map(|row| row.durability_differences.clone());
    document.durability_differences = differ.collect();
    (document.status, document.status_reasons) = status(document, failure);
    document.status_reasons.extend(preflight::remarks(&document.preflight));
    document.notices = systems::notices(&request.points, &document.rows);
    document.notices.extend(verdicts(document));
    Ok(())
}

fn rows(
    request: &Request<'_>,
    trials: Vec<Vec<Option<TrialSummary>>>,
    runs: Vec<RunDocument>,
) -> Vec<SweepRow> {
    let base = trials.first().cloned().unwrap_or_default();
    let points = request.points.iter().map(|(point, _)| point);
    let mut rows: Vec<SweepRow> = Vec::new();
    for ((point, trials), run) in points.zip(&trials).zip(runs) {
        let mut row = row(point, trials, run);
        if let Some(first) = rows.first() {
            row.against_base = Some(against(&first.name, &base, &row.name, trials, request.seed()));
            row.durability_differences = durability_differences(&compared(first), &compared(&row));
        }
        rows.push(row);
    }
    rows
}

fn row(point: &Point, trials: &[Option<TrialSummary>], run: RunDocument) -> SweepRow {
    let mut verdicts = BTreeMap::new();
    for verdict in trials.iter().flatten().flat_map(|trial| &trial.verdicts) {
        *verdicts.entry(verdict.to_string()).or_default() += 1;
    }
    SweepRow {
        key: point.key(),
        values: point.values.iter().cloned().collect(),
        name: point.name.clone(),
        verdicts,
        ..SweepRow::of(run)
    }
}

/// Over the blocks in which both ended well.
fn against(
    base_name: &str,
    base: &[Option<TrialSummary>],
    name: &str,
    trials: &[Option<TrialSummary>],
    seed: u64,
) -> ArmComparison {
    let pairs: Vec<_> = base.iter().zip(trials).filter_map(|(a, b)| a.clone().zip(b.clone())).collect();
    let found = compare(Trials::Paired(&pairs), &MinEffects::default(), seed);
    ArmComparison { arm: name.to_owned(), against: base_name.to_owned(), ..found }
}

fn compared(row: &SweepRow) -> ComparedArm {
    ComparedArm { name: row.name.clone(), durability: row.durability.clone(), ..ComparedArm::default() }
}

/// The worst of all points, and why.
fn status(document: &SweepDocument, failure: Option<(Status, String)>) -> (Status, Vec<String>) {
    let ended = failure.iter().map(|(status, _)| *status);
    let worst = document.rows.iter().map(|row| row.status).chain(ended).max_by_key(|status| rank(*status));
    let mut reasons: Vec<String> = Vec::new();
    if document.design.stopped == Some(StopReason::Interrupted) {
        reasons.push("interrupted; what was measured is kept, and --resume goes on".to_owned());
    } else {
        reasons.extend(failure.map(|(_, reason)| reason));
    }
    for row in document.rows.iter().filter(|row| row.status != Status::Ok) {
        reasons.push(format!("{}: {}", row.name, row.status_reasons.join("; ")));
    }
    (worst.unwrap_or(Status::Failed), reasons)
}

/// Points of which the load was not what was asked for.
fn verdicts(document: &SweepDocument) -> Vec<String> {
    let verdicts = |row: &SweepRow| {
        let told = row
            .verdicts
            .iter()
            .map(|(verdict, trials)| (row.name.clone(), verdict.clone(), *trials, row.trials));
        told.collect::<Vec<_>>()
    };
    let all = document.rows.iter().flat_map(verdicts);
    all.map(|(name, verdict, of, trials)| format!("{name}: {verdict} in {of} of {trials} trials")).collect()
}
