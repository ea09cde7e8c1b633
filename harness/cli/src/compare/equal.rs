//! Whether the arms promise the same before anything is measured: figures across unequal promises do not compare.

use anyhow::bail;
use plimsoll_results::{ComparedArm, Durability, durability_differences};

use super::arms::{Arm, Source};
use crate::exit::UsageError;
use crate::measure::durability;
use crate::measure::plan::Plan;

/// Refuses arms whose acknowledgements mean different things. Arms that will be measured are started for a moment
/// and asked, unless they are the same in everything that could matter; stored ones have said it.
pub(super) fn refuse_unequal(arms: &[Arm]) -> anyhow::Result<()> {
    let plans: Vec<&Plan> = arms.iter().filter_map(Arm::plan).collect();
    if plans.len() == arms.len() && plans.windows(2).all(|pair| pair[0].promises_like(pair[1])) {
        return Ok(());
    }
    let mut known: Vec<(&Plan, Durability)> = Vec::new();
    let mut said = Vec::new();
    for arm in arms {
        let durability = match &arm.source {
            Source::Stored(stored) => stored.bundle.document().durability.clone(),
            Source::Measure(plan) => match known.iter().find(|(other, _)| other.promises_like(plan)) {
                Some((_, durability)) => durability.clone(),
                None => durability::read_back(plan)?,
            },
        };
        known.extend(arm.plan().map(|plan| (plan, durability.clone())));
        said.push(ComparedArm { name: arm.name.clone(), durability, ..ComparedArm::default() });
    }
    let Some((first, others)) = said.split_first() else { return Ok(()) };
    let differ: Vec<String> = others.iter().flat_map(|other| durability_differences(first, other)).collect();
    if !differ.is_empty() {
        bail!(UsageError(format!(
            "the arms do not promise the same ({}), so their figures do not compare; \
             --allow-unequal-durability measures them all the same and says so in every result",
            differ.join("; ")
        )));
    }
    Ok(())
}
