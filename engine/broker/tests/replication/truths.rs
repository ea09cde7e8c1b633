//! Random schedules, without mistakes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::cluster::{Durability, Settings};
use crate::conduct::Conduct;
use crate::healing::heal;
use crate::schedule::run;

/// Steps of a schedule.
pub(crate) const STEPS: usize = 250;

pub(crate) fn settings(durability: Durability, min_isr: usize) -> Settings {
    Settings { durability, min_isr, unclean: false, conduct: Conduct(None) }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_invariant_holds_in_any_schedule_and_replicas_come_together_again(
        seed: u64,
        fsync: bool,
        min_isr in 1usize..=2,
    ) {
        let durability = if fsync { Durability::Fsync } else { Durability::Replicated };
        let healed = run(settings(durability, min_isr), seed, STEPS).and_then(|mut cluster| heal(&mut cluster, seed));
        prop_assert!(healed.is_ok(), "{durability:?}, min ISR {min_isr}: {}", healed.expect_err("failed"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Truncation by epochs makes logs alike again whatever was elected (KIP-101, KIP-279, rule E28).
    #[test]
    fn replicas_come_together_again_after_unclean_elections(seed: u64, min_isr in 1usize..=2) {
        let settings = Settings { unclean: true, ..settings(Durability::Replicated, min_isr) };
        let healed = run(settings, seed, STEPS).and_then(|mut cluster| heal(&mut cluster, seed));
        prop_assert!(healed.is_ok(), "min ISR {min_isr}: {}", healed.expect_err("failed"));
    }
}

/// The schedules do what they are for: without this, invariants hold because nothing happens.
#[test]
fn schedules_commit_truncate_and_change_leaders() {
    let (mut committed, mut told, mut leaders, mut seldom) = (0, 0, 0, BTreeMap::new());
    for seed in 0..200 {
        let cluster = run(settings(Durability::Replicated, 2), seed, STEPS).unwrap_or_else(|e| panic!("{e}"));
        committed += cluster.history.committed.len();
        told += cluster.history.acknowledged.len();
        leaders += cluster.history.leaders.len();
        for (happened, times) in cluster.history.seldom {
            *seldom.entry(happened).or_insert(0) += times;
        }
    }
    println!("{committed} committed, {told} told, {leaders} leaders, {seldom:#?}");
    assert!(committed > 500 && told > 500 && leaders > 400);
    let expected = [
        "a follower truncated",
        "a follower asked again where to truncate",
        "a follower started anew",
        "a proposal was committed",
        "a proposal was refused",
        "a proposal was sent again",
        "a proposal was too old",
    ];
    assert_eq!(expected.into_iter().find(|what| !seldom.contains_key(what)), None);
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    let outcome = |seed| {
        let cluster = run(settings(Durability::Fsync, 2), seed, STEPS).unwrap_or_else(|e| panic!("{e}"));
        format!("{:?} {:?}", cluster.history, cluster.controller)
    };
    (0..3).for_each(|seed| assert_eq!(outcome(seed), outcome(seed)));
}
