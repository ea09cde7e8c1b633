//! What every figure prints: from where to where, which loop, how many trials, and the durability line.

use plimsoll_results::{ComparedArm, durability_differences};

use crate::data::ReportData;

/// Loop, span and trials of runs that stand in one figure.
pub(super) fn measured(runs: &[ReportData]) -> String {
    let loops = distinct(runs.iter().map(|run| run.document.load.mode.caption().to_owned()));
    let trials = match runs.iter().map(|run| run.document.trials.max(1)).max().unwrap_or(1) {
        1 if runs.len() > 1 => "one trial of each run".to_owned(),
        1 => "1 trial".to_owned(),
        most if runs.len() > 1 => format!("up to {most} trials of each run, pooled by counts"),
        many => format!("{many} trials, pooled by counts"),
    };
    let ends = "response: to the broker's acknowledgement; end to end: to the consumer";
    format!("{}; {ends}; {trials}", loops.join(" and "))
}

/// One line if all runs have the same, otherwise one for each; under a warning if an acknowledgement does not mean the
/// same in all of them.
pub(crate) fn durability(runs: &[ReportData]) -> Vec<String> {
    if let [same] = &distinct(runs.iter().map(|run| run.document.durability.to_string()))[..] {
        return vec![format!("durability: {same}")];
    }
    let each = runs.iter().map(|run| format!("durability of {}: {}", run.name, run.document.durability));
    let warning = "DURABILITY IS NOT EQUAL: these figures do not compare.".to_owned();
    (!is_equal(runs)).then_some(warning).into_iter().chain(each).collect()
}

/// Direct or cached is in the durability line and does not change what an acknowledgement means.
fn is_equal(runs: &[ReportData]) -> bool {
    let arm = |run: &ReportData| ComparedArm {
        name: run.name.clone(),
        durability: run.document.durability.clone(),
        ..ComparedArm::default()
    };
    let mut arms = runs.iter().map(arm);
    let Some(first) = arms.next() else { return true };
    arms.all(|other| durability_differences(&first, &other).is_empty())
}

/// Different texts in the order they come.
pub(super) fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut distinct = Vec::new();
    for text in texts {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct
}
