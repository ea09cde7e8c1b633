//! Whether what is compared promises the same before anything is measured: figures across unequal promises do not compare.

use anyhow::bail;
use plimsoll_results::{ComparedArm, Durability, durability_differences};

use crate::exit::UsageError;
use crate::measure::durability;
use crate::measure::plan::Plan;

/// Who says what an acknowledgement means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Promise<'a> {
    /// The target that this plan starts, when it is asked.
    Asked(&'a Plan),
    /// A run that is stored.
    Said(&'a Durability),
}

impl<'a> Promise<'a> {
    fn plan(self) -> Option<&'a Plan> {
        match self {
            Self::Asked(plan) => Some(plan),
            Self::Said(_) => None,
        }
    }
}

/// Refuses `sides`, called `what` in the message, if their acknowledgements mean different things. Targets are started for
/// a moment and asked, unless they are the same in everything that could matter.
pub(crate) fn refuse_unequal(what: &str, sides: &[(&str, Promise<'_>)]) -> anyhow::Result<()> {
    let plans: Vec<&Plan> = sides.iter().filter_map(|(_, promise)| promise.plan()).collect();
    if plans.len() == sides.len() && plans.windows(2).all(|pair| pair[0].promises_like(pair[1])) {
        return Ok(());
    }
    let mut known: Vec<(&Plan, Durability)> = Vec::new();
    let mut said = Vec::new();
    for (name, promise) in sides {
        let durability = match promise {
            Promise::Said(durability) => (*durability).clone(),
            Promise::Asked(plan) => match known.iter().find(|(other, _)| other.promises_like(plan)) {
                Some((_, durability)) => durability.clone(),
                None => durability::read_back(plan)?,
            },
        };
        known.extend(promise.plan().map(|plan| (plan, durability.clone())));
        said.push(ComparedArm { name: (*name).to_owned(), durability, ..ComparedArm::default() });
    }
    let Some((first, others)) = said.split_first() else { return Ok(()) };
    let differ: Vec<String> = others.iter().flat_map(|other| durability_differences(first, other)).collect();
    if !differ.is_empty() {
        bail!(UsageError(format!(
            "the {what} do not promise the same ({}), so their figures do not compare; \
             --allow-unequal-durability measures them all the same and says so in every result",
            differ.join("; ")
        )));
    }
    Ok(())
}
