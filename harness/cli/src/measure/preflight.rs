//! Whether the machine is fit, before the first trial: what `doctor` finds, and what the caller wants done about it.

use std::time::Duration;

use clap::ValueEnum;
use plimsoll_probe::doctor::{Patient, examine, look};
use plimsoll_probe::tool_build;
use plimsoll_results::{Check, CheckVerdict, Machine};

use super::plan::Plan;
use crate::exit::UnfitError;

/// How long the machine is watched while nothing of ours runs.
const LOOK: Duration = Duration::from_millis(300);

/// What becomes of a machine that is not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Policy {
    /// It is said in the result.
    #[default]
    Warn,
    /// Nothing is measured where a check refuses.
    Refuse,
    /// Nobody looks.
    Off,
}

/// What was found that is not as it should be; empty where nobody looked. Ends the verb where a check refuses and the
/// policy says so.
pub(crate) fn preflight(plan: &Plan, machine: &Machine) -> anyhow::Result<Vec<Check>> {
    let policy = plan.preflight;
    if policy == Policy::Off {
        return Ok(Vec::new());
    }
    let idle = look(plan.data_root(), LOOK);
    let tool = tool_build("plimsoll", env!("CARGO_PKG_VERSION"));
    let checks = examine(&Patient { machine, idle: &idle, tool: &tool });
    judge(policy, checks)
}

fn judge(policy: Policy, checks: Vec<Check>) -> anyhow::Result<Vec<Check>> {
    let troubled = |check: &Check| matches!(check.verdict, CheckVerdict::Warn | CheckVerdict::Refuse);
    let found: Vec<Check> = checks.into_iter().filter(troubled).collect();
    let refused = remarks(&found);
    match policy {
        Policy::Refuse if !refused.is_empty() => Err(UnfitError(refused).into()),
        _ => Ok(found),
    }
}

/// The refusals among `checks`, as remarks of a result.
pub(crate) fn remarks(checks: &[Check]) -> Vec<String> {
    let refused = checks.iter().filter(|check| check.verdict == CheckVerdict::Refuse);
    let told = refused.map(|check| {
        let advice = check.advice.as_deref().unwrap_or_default();
        format!("not fit to measure on: {}: {}; {advice}", check.name, check.found)
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        vec![
            Check::ok("clock", "tsc"),
            Check::warn("governor", "powersave", "use performance"),
            Check::refuse("steal", "25 %", "measure elsewhere"),
        ]
    }

    #[test]
    fn b1_an_unfit_machine_is_told_or_refused_as_asked() {
        let warned = judge(Policy::Warn, checks()).expect("a warning only");
        assert_eq!(warned.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), ["governor", "steal"]);
        assert_eq!(remarks(&warned), ["not fit to measure on: steal: 25 %; measure elsewhere"]);
        let refused = judge(Policy::Refuse, checks()).expect_err("a refusal");
        assert!(refused.is::<UnfitError>() && refused.to_string().contains("steal: 25 %"), "{refused}");
        assert!(judge(Policy::Refuse, checks()[..2].to_vec()).is_ok(), "a warning refuses nothing");
    }
}
