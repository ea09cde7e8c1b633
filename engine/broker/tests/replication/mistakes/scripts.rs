//! Mistakes that chance seldom punishes, each with a script in which it loses a committed record.

use plimsoll_broker::replication::acks::Acks;
use plimsoll_io::Dice;

use super::stage::{broken_by, elect, fence, fence_3, fetch, fetch_unanswered, last, led_by_1, proposals};
use crate::conduct::Mistake;

type Script = fn(Option<Mistake>) -> Option<&'static str>;

fn is_noticed(mistake: Mistake, script: Script) {
    assert_eq!(script(None), None, "without the mistake");
    assert_eq!(script(Some(mistake)), Some("committed is never lost"));
}

#[test]
fn forgetting_the_epoch_check_is_noticed() {
    is_noticed(Mistake::ForgetEpochCheck, late_fetch_of_a_former_epoch);
}

/// 2 has a record of 1's and asks for more, and that Fetch is late. 3 leads, without the record, and 2 cuts it off. 1
/// leads again and never knew of it; 3 fetches the record. Now the Fetch arrives: 2 seems to have the record. Nothing but
/// the fence can tell: that Fetch names the epoch of its last record rightly.
fn late_fetch_of_a_former_epoch(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = led_by_1(mistake);
    cluster.produce(1, Acks::All);
    fetch(&mut cluster, 2);
    cluster.send_fetch(2);
    let late = last(&mut cluster);
    elect(&mut cluster, 3, &[2, 3]);
    fetch(&mut cluster, 2);
    assert_eq!(cluster.node(2).log.end(), 0, "cut off");
    elect(&mut cluster, 1, &[1, 3]);
    (0..3).for_each(|_| fetch(&mut cluster, 3));
    assert_eq!((cluster.node(3).log.end(), cluster.node(1).high_watermark), (1, 0));
    broken_by(cluster, [late])
}

#[test]
fn taking_an_answer_by_its_offset_alone_is_noticed() {
    is_noticed(Mistake::TakeAnswerByOffset, second_answer_to_the_same_fetch);
}

/// 1 leads and has a record that nobody else has. 2 leads and tells it twice to cut that off. In between 1 gets another,
/// acknowledged, at the same offset.
fn second_answer_to_the_same_fetch(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = led_by_1(mistake);
    cluster.produce(1, Acks::All);
    elect(&mut cluster, 2, &[1, 2, 3]);
    let (answer, late) = (fetch_unanswered(&mut cluster, 1), fetch_unanswered(&mut cluster, 1));
    cluster.deliver(answer, 1);
    assert_eq!(cluster.node(1).log.end(), 0, "cut off");
    cluster.produce(2, Acks::All);
    [1, 3, 1, 3].into_iter().for_each(|id| fetch(&mut cluster, id));
    assert_eq!(cluster.history.acknowledged.len(), 1);
    broken_by(cluster, [late])
}

#[test]
fn joining_below_the_leaders_start_is_noticed() {
    is_noticed(Mistake::JoinBelowStart, join_with_what_nobody_compared);
}

/// 2 has a record of its own. 1 and 3 commit another at its offset, and 1 drops it as old, epochs included. When 2 comes, 1
/// cannot know that theirs differ.
fn join_with_what_nobody_compared(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = led_by_1(mistake);
    elect(&mut cluster, 2, &[1, 2, 3]);
    cluster.produce(2, Acks::All);
    elect(&mut cluster, 1, &[1, 2, 3]);
    cluster.produce(1, Acks::All);
    fence(&mut cluster, 2, true);
    [3, 3].into_iter().for_each(|id| fetch(&mut cluster, id));
    fence(&mut cluster, 2, false);
    cluster.move_start(1);
    assert_eq!((cluster.node(1).log.start(), cluster.node(1).high_watermark), (1, 1));
    let _late = fetch_unanswered(&mut cluster, 2);
    let proposals = proposals(&mut cluster);
    broken_by(cluster, proposals)
}

#[test]
fn joining_by_the_high_watermark_alone_is_noticed() {
    is_noticed(Mistake::JoinByHighWatermark, join_a_leader_that_knows_less);
}

/// 1 and 2 commit a record without 3. 2 has not heard of that when it leads. 3 has all that 2 knows to be committed.
fn join_a_leader_that_knows_less(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = led_by_1(mistake);
    fence_3(&mut cluster, true);
    cluster.produce(1, Acks::All);
    fetch(&mut cluster, 2);
    let _lost = fetch_unanswered(&mut cluster, 2);
    assert_eq!((cluster.node(1).high_watermark, cluster.node(2).high_watermark), (1, 0));
    fence_3(&mut cluster, false);
    elect(&mut cluster, 2, &[1, 2, 3]);
    let _late = fetch_unanswered(&mut cluster, 3);
    let proposals = proposals(&mut cluster);
    broken_by(cluster, proposals)
}

#[test]
fn forgetting_the_broker_epoch_is_noticed() {
    is_noticed(Mistake::ForgetBrokerEpoch, join_and_lose_the_tail);
}

/// 3 catches up, and its leader proposes it. 3 loses power and what it had, and is back. The proposal arrives.
fn join_and_lose_the_tail(mistake: Option<Mistake>) -> Option<&'static str> {
    let mut cluster = led_by_1(mistake);
    fence_3(&mut cluster, true);
    cluster.produce(1, Acks::All);
    [2, 2].into_iter().for_each(|id| fetch(&mut cluster, id));
    fence_3(&mut cluster, false);
    [3, 3].into_iter().for_each(|id| fetch(&mut cluster, id));
    let proposals = proposals(&mut cluster);
    assert_eq!((proposals.len(), cluster.node(1).high_watermark), (1, 1));
    cluster.crash(3, Some(1));
    cluster.start(3, &mut Dice::new(1));
    cluster.controller.unfence(3, &mut Dice::new(1));
    broken_by(cluster, proposals)
}

#[test]
fn taking_the_controllers_silence_for_a_refusal_is_noticed() {
    is_noticed(Mistake::TakeSilenceForRefusal, |mistake| late_proposal(mistake, false));
}

#[test]
fn taking_a_refusal_for_the_end_is_noticed() {
    is_noticed(Mistake::TakeRefusalForTheEnd, |mistake| late_proposal(mistake, true));
}

/// 3 has caught up and is proposed. No answer comes, or it is fenced just then and so refused. Nothing is proposed anew
/// while it is fenced, and a record is committed without it, unless it still counts. 3 is back when the proposal arrives
/// after all, or a second time.
fn late_proposal(mistake: Option<Mistake>, refused: bool) -> Option<&'static str> {
    let mut cluster = led_by_1(mistake);
    fence_3(&mut cluster, true);
    fence_3(&mut cluster, false);
    fetch(&mut cluster, 3);
    let late = proposals(&mut cluster);
    assert_eq!(late.len(), 1);
    fence_3(&mut cluster, true);
    if refused {
        cluster.deliver(late[0].clone(), 1);
        let refusal = last(&mut cluster);
        cluster.deliver(refusal, 1);
    } else {
        cluster.give_up_waiting(1);
    }
    cluster.produce(1, Acks::All);
    [2, 2].into_iter().for_each(|id| fetch(&mut cluster, id));
    fence_3(&mut cluster, false);
    broken_by(cluster, late)
}
