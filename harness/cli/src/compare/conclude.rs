//! What a comparison says beside its verdicts: how it ended, what each arm was, what to beware of.

use std::collections::BTreeMap;

use plimsoll_results::stats::{ComparisonVerdict, StopReason};
use plimsoll_results::{
    ComparedArm, ComparisonDocument, RunDocument, Status, TrialSummary, Verdict, durability_differences,
};

use super::arms::Source;
use super::request::Request;
use crate::measure::preflight;

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
    // Of trials that were stored it would be of another day.
    document.preflight = runs.first().map(|run| run.preflight.clone()).unwrap_or_default();
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
    if request.must_be_fit {
        judge_fitness(document);
    }
    for arm in &document.arms {
        for (verdict, trials) in &arm.verdicts {
            let clause = format!("{}: {verdict} in {trials} of {} trials", arm.name, arm.trials);
            document.status_reasons.push(clause);
        }
    }
    document.status_reasons.extend(preflight::remarks(&document.preflight));
}

/// Verdicts that no gate is passed with: of such trials the figures are not those of the load that was asked for. Steal is
/// not among them, since it hits both arms of a pair alike.
static UNFIT: [Verdict; 3] = [Verdict::RateNotMet, Verdict::GeneratorBound, Verdict::NotSteady];

/// Nothing is judged by an arm most of whose trials have such a verdict; a regression that was found in spite of it stands.
fn judge_fitness(document: &mut ComparisonDocument) {
    let reasons: Vec<String> = document.arms.iter().flat_map(unfit).collect();
    let regressed = document.verdict == Some(ComparisonVerdict::Regressed);
    if !reasons.is_empty() && document.status == Status::Ok && !regressed {
        document.status = Status::Invalid;
    }
    document.status_reasons.extend(reasons);
}

/// What most trials of an arm say against themselves.
fn unfit(arm: &ComparedArm) -> Vec<String> {
    let of = |verdict: &Verdict| arm.verdicts.get(&verdict.to_string()).copied().unwrap_or_default();
    let most = UNFIT.iter().filter(|verdict| 2 * of(verdict) > arm.trials);
    let told = most.map(|verdict| {
        let (name, trials, what) = (&arm.name, of(verdict), verdict.explain());
        format!("{name} is not fit to judge by: in {trials} of {} trials {what}", arm.trials)
    });
    told.collect()
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

#[cfg(test)]
mod tests {
    use plimsoll_results::{Design, Exit};

    use super::*;

    /// A gate whose candidate has `verdict` in so many of eight trials.
    fn judged(verdict: &Verdict, trials: u32, found: ComparisonVerdict) -> ComparisonDocument {
        let arm = |name: &str| ComparedArm { name: name.to_owned(), trials: 8, ..ComparedArm::default() };
        let verdicts = BTreeMap::from([(verdict.to_string(), trials)]);
        let mut document = ComparisonDocument {
            status: Status::Ok,
            status_reasons: Vec::new(),
            verdict: Some(found),
            arms: vec![arm("reference"), ComparedArm { verdicts, ..arm("candidate") }],
            ..ComparisonDocument::unfinished("x", Design::default())
        };
        judge_fitness(&mut document);
        document
    }

    #[test]
    fn b2_no_gate_is_passed_by_trials_that_were_never_steady_or_bound_by_the_generator() {
        use ComparisonVerdict::{Equivalent, Regressed};
        let unsteady = judged(&Verdict::NotSteady, 5, Equivalent);
        assert_eq!((unsteady.status, unsteady.exit(false)), (Status::Invalid, Exit::Invalid));
        let said = "candidate is not fit to judge by: in 5 of 8 trials the load had not become steady when measuring began";
        assert_eq!(unsteady.status_reasons, [said]);
        for verdict in [Verdict::RateNotMet, Verdict::GeneratorBound] {
            assert_eq!(judged(&verdict, 8, Equivalent).status, Status::Invalid, "{verdict}");
        }
        let regressed = judged(&Verdict::NotSteady, 8, Regressed);
        assert_eq!(regressed.exit(false), Exit::Regression, "found in spite of it");
        assert_eq!(regressed.status_reasons.len(), 1, "and it is said");
        for passes in
            [judged(&Verdict::NotSteady, 4, Equivalent), judged(&Verdict::StealAffected, 8, Equivalent)]
        {
            assert_eq!((passes.exit(false), passes.status_reasons.len()), (Exit::Pass, 0));
        }
    }
}
