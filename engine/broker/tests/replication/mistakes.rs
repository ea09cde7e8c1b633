//! Each mistake that is made on purpose is noticed, and by what it breaks. `docs/replication.md` has the table.

use plimsoll_broker::replication::acks::Acks;
use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_io::Dice;

use crate::cluster::network::Message;
use crate::cluster::{Cluster, Durability, Settings};
use crate::conduct::{Conduct, Mistake};
use crate::invariants;
use crate::schedule::run;
use crate::truths::STEPS;

/// Schedules that are tried before a mistake counts as not noticed.
const SCHEDULES: u64 = 2_000;

fn settings(mistake: Option<Mistake>) -> Settings {
    Settings { durability: Durability::Replicated, min_isr: 2, conduct: Conduct(mistake) }
}

fn is_noticed(mistake: Mistake, by: &[&str]) {
    let broken = (0..SCHEDULES).find_map(|seed| run(settings(Some(mistake)), seed, STEPS).err());
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
fn answering_a_waiter_of_an_old_generation_is_noticed() {
    is_noticed(Mistake::AnswerOldGeneration, &["acknowledged is committed"]);
}

#[test]
fn leading_after_an_unclean_restart_is_noticed() {
    is_noticed(Mistake::LeadAfterUncleanRestart, &["committed is never lost"]);
}

#[test]
fn taking_the_controllers_silence_for_a_refusal_is_noticed() {
    is_noticed(
        Mistake::TakeSilenceForRefusal,
        &["committed is never lost", "the high watermark is below the ISR"],
    );
}

#[test]
fn joining_by_the_high_watermark_alone_is_noticed() {
    is_noticed(
        Mistake::JoinByHighWatermark,
        &["committed is never lost", "the high watermark is below the ISR"],
    );
}

#[test]
fn recording_a_diverging_fetch_is_noticed() {
    is_noticed(Mistake::RecordDiverging, &["committed is never lost", "the high watermark is below the ISR"]);
}

#[test]
fn forgetting_the_broker_epoch_is_noticed() {
    is_noticed(
        Mistake::ForgetBrokerEpoch,
        &["committed is never lost", "the high watermark is below the ISR"],
    );
}

/// Where logs diverge is told by the epoch of the last record too, so that chance seldom finds a schedule in which the
/// fence alone stands between a late message and a lost record. This is one.
#[test]
fn forgetting_the_epoch_check_is_noticed() {
    assert_eq!(late_fetch_of_a_former_epoch(None), None);
    let noticed = late_fetch_of_a_former_epoch(Some(Mistake::ForgetEpochCheck));
    assert_eq!(noticed, Some("committed is never lost"));
}

/// Replica 2 has a record of 1's and asks for more, and that Fetch is late. 3 leads, without the record, and 2 cuts it
/// off. 1 leads again and never knew of it; 3 fetches the record. Now the Fetch arrives: 2 seems to have the record.
fn late_fetch_of_a_former_epoch(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = whole(mistake);
    elect(&mut cluster, 1, &[1, 2, 3]);
    cluster.produce(1, Acks::All);
    fetch(&mut cluster, 2);
    cluster.send_fetch(2);
    let late = cluster.network.pop().expect("sent");
    elect(&mut cluster, 3, &[2, 3]);
    fetch(&mut cluster, 2);
    assert_eq!(cluster.node(2).log.end(), 0, "cut off");
    elect(&mut cluster, 1, &[1, 3]);
    (0..3).for_each(|_| fetch(&mut cluster, 3));
    assert_eq!(cluster.node(3).log.end(), 1);
    assert_eq!(cluster.node(1).high_watermark, 0);
    broken_by(cluster, late)
}

/// Two Fetches of one log are under way, as when a follower gives up waiting for the first. Their answers come far apart.
#[test]
fn taking_an_answer_by_its_offset_alone_is_noticed() {
    assert_eq!(second_answer_to_the_same_fetch(None), None);
    let noticed = second_answer_to_the_same_fetch(Some(Mistake::TakeAnswerByOffset));
    assert_eq!(noticed, Some("committed is never lost"));
}

/// 1 leads and has a record that nobody else has. 2 leads and tells it twice to cut that off. In between 1 gets another,
/// acknowledged, at the same offset.
fn second_answer_to_the_same_fetch(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = whole(mistake);
    elect(&mut cluster, 1, &[1, 2, 3]);
    cluster.produce(1, Acks::All);
    elect(&mut cluster, 2, &[1, 2, 3]);
    cluster.send_fetch(1);
    let request = cluster.network.pop().expect("sent");
    cluster.deliver(request.clone(), 1);
    cluster.deliver(request, 1);
    let late = cluster.network.pop().expect("answered twice");
    let answer = cluster.network.pop().expect("answered");
    cluster.deliver(answer, 1);
    assert_eq!(cluster.node(1).log.end(), 0, "cut off");
    cluster.produce(2, Acks::All);
    [1, 3, 1, 3].into_iter().for_each(|id| fetch(&mut cluster, id));
    assert_eq!(cluster.history.acknowledged.len(), 1);
    broken_by(cluster, late)
}

fn whole(mistake: Option<Mistake>) -> Cluster {
    let mut dice = Dice::new(1);
    let mut cluster = Cluster::new(settings(mistake));
    while !cluster.is_whole() {
        cluster.quiet_round(&mut dice, true);
    }
    cluster.network.clear();
    cluster
}

/// The invariant that is broken when `message` arrives, if any.
fn broken_by(mut cluster: Cluster, message: Message) -> Option<&'static str> {
    let before = cluster.clone();
    cluster.deliver(message, 1);
    invariants::ALL.iter().find(|(_, holds)| holds(&before, &cluster).is_err()).map(|(name, _)| *name)
}

/// `leader` is elected, and those who are `told` know it.
fn elect(cluster: &mut Cluster, leader: ReplicaId, told: &[ReplicaId]) {
    let mut dice = Dice::new(7);
    cluster.controller.elect(&mut dice);
    while cluster.controller.now().state.leader != Some(leader) {
        cluster.controller.elect(&mut dice);
    }
    let latest = cluster.controller.versions().len() - 1;
    told.iter().for_each(|&id| cluster.learn(id, latest));
}

/// A Fetch and its answer, at once.
fn fetch(cluster: &mut Cluster, id: ReplicaId) {
    cluster.send_fetch(id);
    let request = cluster.network.pop().expect("sent");
    assert!(matches!(request, Message::Fetch { .. }));
    cluster.deliver(request, 1);
    let answer = cluster.network.pop().expect("answered");
    cluster.deliver(answer, 1);
}
