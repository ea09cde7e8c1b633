//! What a comparison says beside its verdicts: how it ended, what each arm was, what to beware of.

use std::collections::BTreeMap;

use plimsoll_results::stats::{ComparisonVerdict, StopReason};
use plimsoll_results::{
    ComparedArm, ComparisonDocument, RunDocument, Status, TrialSummary, Verdict, durability_differences,
};

use super::arms::Source;
use super::request::Request;

/// `ok` unless something was not.
pub(super) fn status(document: &mut ComparisonDocument, failure: Option<(Status, String)>) {
    let (status, reasons) = match failure {
        Some((status, reason)) => (status, vec![reason]),
        None if document.design.stopped == Some(StopReason::Interrupted) => {
            (Status::Aborted, vec!["interrupted; what was measured is kept".to_owned()])
        }
        None => (Status::Ok, Vec::new()),
    };
    (document.status, document.status_reasons) = (status, reasons);
}

/// Describes each arm, by its trials and the run documents of those that were measured.
pub(super) fn arms(
    document: &mut ComparisonDocument,
    request: &Request<'_>,
    trials: Vec<Vec<Option<TrialSummary>>>,
    runs: Vec<RunDocument>,
) {
    let mut runs = runs.into_iter();
    for (arm, trials) in request.arms.iter().zip(trials) {
        let trials: Vec<_> = trials.iter().flatten().collect();
        let described = ComparedArm {
            name: arm.name.clone(),
            differences: arm.differences.clone(),
            trials: u32::try_from(trials.len()).unwrap_or(u32::MAX),
            verdicts: count(&trials),
            ..ComparedArm::default()
        };
        document.arms.push(match &arm.source {
            Source::Stored(stored) => {
                let path = stored.bundle.path().display().to_string();
                described_by(
                    RunDocument { bundle: Some(path), ..stored.bundle.document().clone() },
                    described,
                )
            }
            Source::Measure(_) => {
                runs.next().map_or_else(ComparedArm::default, |run| described_by(run, described))
            }
        });
    }
}

fn described_by(run: RunDocument, described: ComparedArm) -> ComparedArm {
    let RunDocument { bundle, arm, durability, status, .. } = run;
    ComparedArm { bundle, arm, durability, status, ..described }
}

fn count(trials: &[&TrialSummary]) -> BTreeMap<String, u32> {
    let mut verdicts = BTreeMap::new();
    for verdict in trials.iter().flat_map(|trial| &trial.verdicts) {
        *verdicts.entry(verdict.to_string()).or_default() += 1;
    }
    verdicts
}

/// What the reader should know before believing a figure. Also judges whether the load was fit, if it must be.
pub(super) fn remarks(document: &mut ComparisonDocument, request: &Request<'_>) {
    if let Some((first, others)) = document.arms.split_first() {
        let differ = others.iter().flat_map(|other| durability_differences(first, other));
        document.durability_differences = differ.collect();
    }
    if !document.design.paired && document.arms.len() > 1 {
        document.notices.push("unpaired: drift of the machine between the arms is not controlled".to_owned());
        document.notices.extend(unlike(request));
    }
    let unfit = unfit(document);
    for arm in &document.arms {
        for (verdict, trials) in &arm.verdicts {
            let clause = format!("{}: {verdict} in {trials} of {} trials", arm.name, arm.trials);
            document.status_reasons.push(clause);
        }
    }
    let regressed = document.verdict == Some(ComparisonVerdict::Regressed);
    if request.must_be_fit && unfit && document.status == Status::Ok && !regressed {
        document.status = Status::Invalid;
        document
            .status_reasons
            .insert(0, "in most trials of an arm the load was not what was asked for".to_owned());
    }
}

/// The generator was the limit, or the rate was not met, in more than half of an arm's trials.
fn unfit(document: &ComparisonDocument) -> bool {
    let limits = [Verdict::RateNotMet, Verdict::GeneratorBound].map(|verdict| verdict.to_string());
    document.arms.iter().any(|arm| {
        limits.iter().any(|limit| arm.verdicts.get(limit).is_some_and(|trials| 2 * trials > arm.trials))
    })
}

/// How stored trials differ from what runs now.
fn unlike(request: &Request<'_>) -> Vec<String> {
    let stored = request.arms.iter().filter_map(|arm| match &arm.source {
        Source::Stored(stored) => Some((&arm.name, stored.bundle.document())),
        Source::Measure(_) => None,
    });
    let mut notices = Vec::new();
    let here = request.machine.as_ref().map(|machine| machine.fingerprint.as_str());
    for (name, run) in stored {
        let there = run.machine.as_ref().map(|machine| machine.fingerprint.as_str());
        if here.zip(there).is_some_and(|(here, there)| here != there) {
            notices.push(format!("{name} was measured on another machine: its figures do not compare"));
        }
        let workload = request.workload();
        if workload.as_deref().zip(run.workload.as_deref()).is_some_and(|(now, then)| now != then) {
            notices.push(format!(
                "{name} is of another workload: {}",
                run.workload.as_deref().unwrap_or_default()
            ));
        }
    }
    notices
}
