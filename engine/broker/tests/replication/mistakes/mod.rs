//! Each mistake that is made on purpose is noticed, and by what it breaks. `docs/replication.md` has the table.
//!
//! Some are noticed in random schedules, which are the same in every run. Those that seldom matter have a script.

mod scripts;
mod stage;

use crate::cluster::{Durability, Settings};
use crate::conduct::{Conduct, Mistake};
use crate::schedule::run;
use crate::truths::STEPS;

/// Schedules that are tried before a mistake counts as not noticed.
const SCHEDULES: u64 = 1_000;

fn settings(mistake: Option<Mistake>) -> Settings {
    Settings { durability: Durability::Replicated, min_isr: 2, unclean: false, conduct: Conduct(mistake) }
}

fn is_noticed(mistake: Mistake, by: &[&str]) {
    is_noticed_in(settings(Some(mistake)), mistake, by);
}

fn is_noticed_in(settings: Settings, mistake: Mistake, by: &[&str]) {
    let broken = (0..SCHEDULES).find_map(|seed| run(settings, seed, STEPS).err());
    let broken = broken.unwrap_or_else(|| panic!("{mistake:?} breaks nothing"));
    assert!(by.contains(&broken.invariant), "{mistake:?}: {broken}");
    println!("{mistake:?}: seed {}, {}", broken.seed, broken.invariant);
}

#[test]
fn acknowledging_before_the_quorum_is_noticed() {
    is_noticed(Mistake::AckBeforeQuorum, &["acknowledged is committed"]);
}

#[test]
fn truncating_to_the_high_watermark_is_noticed() {
    is_noticed(Mistake::TruncateToHighWatermark, &["committed is never lost", "nothing acknowledged is cut"]);
}

#[test]
fn advancing_below_min_isr_is_noticed() {
    is_noticed(Mistake::AdvanceBelowMinIsr, &["the high watermark is frozen below min ISR"]);
}

#[test]
fn counting_what_no_sync_covers_is_noticed() {
    let mistake = Mistake::CountUnsynced;
    let settings = Settings { durability: Durability::Fsync, ..settings(Some(mistake)) };
    is_noticed_in(settings, mistake, &["committed is never lost", "the high watermark is below the ISR"]);
}

#[test]
fn answering_a_waiter_of_an_old_generation_is_noticed() {
    is_noticed(Mistake::AnswerOldGeneration, &["acknowledged is committed"]);
}

#[test]
fn leading_after_an_unclean_restart_is_noticed() {
    is_noticed(Mistake::LeadAfterUncleanRestart, &["committed is never lost"]);
}

#[test]
fn recording_a_diverging_fetch_is_noticed() {
    is_noticed(Mistake::RecordDiverging, &["committed is never lost", "the high watermark is below the ISR"]);
}
