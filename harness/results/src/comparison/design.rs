//! How arms were measured, and what each of them was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::run::{Arm, Durability, DurabilityMode};
use crate::stats::{ALPHA, StopReason};
use crate::status::Status;

/// How the trials were laid out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// Arms ran beside each other in random order; `false`: at different times, so that drift is not controlled.
    pub paired: bool,
    /// Blocks in which every arm ended well (pairs, with two arms).
    pub pairs: usize,
    /// Why no further one ran; `null` while it goes on.
    pub stopped: Option<StopReason>,
    /// The arms in the order they ran, one list per block.
    pub order: Vec<Vec<String>>,
    /// What the order derives from.
    pub seed: u64,
    /// How often a comparison of equal arms may find a change of a gated metric.
    pub alpha: f64,
}

impl Default for Design {
    fn default() -> Self {
        Self { paired: true, pairs: 0, stopped: None, order: Vec::new(), seed: 0, alpha: ALPHA }
    }
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct ComparedArm {
    /// What it is called here.
    pub name: String,
    /// What makes it different, as it was asked for.
    pub differences: Vec<String>,
    /// The run bundle that holds its trials.
    pub bundle: Option<String>,
    /// The system that ran.
    pub arm: Arm,
    /// What an acknowledgement of it means.
    pub durability: Durability,
    /// Trials that ended well.
    pub trials: u32,
    /// The worst status of its trials.
    pub status: Status,
    /// Verdicts on the load, and in how many trials.
    pub verdicts: BTreeMap<String, u32>,
}

/// What an acknowledgement means differently in `other` than in `first`, one clause per part of the durability line.
pub fn durability_differences(first: &ComparedArm, other: &ComparedArm) -> Vec<String> {
    let (a, b) = (&first.durability, &other.durability);
    let or_unknown = |word: Option<String>| word.unwrap_or_else(|| "unknown".into());
    let word = |mode: &Durability| or_unknown(mode.durability.map(|mode| mode.as_str().to_owned()));
    let survives = |mode: &Durability| or_unknown(mode.survives.map(|what| what.as_str().to_owned()));
    // Where nothing is acknowledged before a sync, how many records share one is a matter of speed.
    let synced = [a, b].iter().all(|mode| mode.durability == Some(DurabilityMode::Fsync));
    let flush = |mode: &Durability| if synced { String::new() } else { or_unknown(mode.flush.clone()) };
    let parts = [
        ("acks", a.acks.to_string(), b.acks.to_string()),
        ("replication factor", a.rf.to_string(), b.rf.to_string()),
        ("min.insync.replicas", a.min_isr.to_string(), b.min_isr.to_string()),
        ("flush", flush(a), flush(b)),
        ("durability", word(a), word(b)),
        ("an acknowledged record survives", survives(a), survives(b)),
    ];
    let differ = parts.into_iter().filter(|(_, a, b)| a != b);
    differ.map(|(part, a, b)| format!("{part}: {a} ({}), {b} ({})", first.name, other.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Acks;

    #[test]
    fn b7_unequal_durability_is_named_part_by_part() {
        let arm =
            |name: &str, durability| ComparedArm { name: name.into(), durability, ..Default::default() };
        let one = Durability {
            acks: Acks::All,
            rf: 1,
            durability: Some(DurabilityMode::Fsync),
            ..Default::default()
        };
        let two = Durability { acks: Acks::Leader, durability: None, ..one.clone() };
        let found = durability_differences(&arm("a", one.clone()), &arm("b", two));
        assert_eq!(found, ["acks: all (a), 1 (b)", "durability: fsync (a), unknown (b)"]);
        let rarer = Durability { flush: Some("every 9 records".into()), ..one.clone() };
        assert_eq!(durability_differences(&arm("a", one.clone()), &arm("b", rarer.clone())), [""; 0]);
        let kernel =
            Durability { durability: Some(DurabilityMode::Replicated), flush: None, ..rarer.clone() };
        assert_eq!(durability_differences(&arm("a", rarer), &arm("b", kernel)).len(), 2);
        assert_eq!(durability_differences(&arm("a", one.clone()), &arm("b", one)), [""; 0]);
    }
}
