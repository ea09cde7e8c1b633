//! Rule E13 over real logs: who is told what, and when.

use std::time::Duration;

use plimsoll_wire::ErrorCode;

use super::trio::PATIENCE;
use super::{Trio, local};
use crate::partition::Unappended;
use crate::partition::replication::acks::Acks;

const SOON: Duration = Duration::from_millis(50);

#[test]
fn e13_acks_all_waits_until_all_in_sync_have_it() {
    local(async {
        let trio = Trio::new(&[]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("appended");
        assert!(!trio.partition(1).is_reached(&ticket));
        assert_eq!(trio.acked(1, &ticket, SOON).await, None, "nobody has fetched");
        trio.pull(2).await;
        trio.pull(2).await;
        assert_eq!(trio.acked(1, &ticket, SOON).await, None, "3 lacks it");
        let told = trio.acked(1, &ticket, PATIENCE);
        let pulls = async {
            trio.pull(3).await;
            trio.pull(3).await;
        };
        let (told, ()) = tokio::join!(told, pulls);
        assert_eq!(told, Some(Ok(())));
    });
}

#[test]
fn e13_acks_1_waits_for_the_leader_alone() {
    local(async {
        let trio = Trio::new(&[]).await;
        let ticket = trio.append(1, "a", Acks::Leader).await.expect("appended");
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, Some(Ok(())));
        assert_eq!(trio.high_watermark(1), 0, "and nobody may see it yet");
    });
}

#[test]
fn e13_a_follower_takes_nothing_from_producers() {
    local(async {
        let trio = Trio::new(&[]).await;
        for acks in [Acks::None, Acks::Leader, Acks::All] {
            let refused = trio.append(2, "a", acks).await.expect_err("a follower");
            assert!(matches!(refused, Unappended::Refused(ErrorCode::NotLeaderOrFollower)), "{refused}");
        }
    });
}

#[test]
fn e13_too_few_in_sync_refuse_acks_all_before_the_append() {
    local(async {
        let mut trio = Trio::new(&["min.insync.replicas=2"]).await;
        trio.change_isr(&[1]).await;
        let refused = trio.append(1, "a", Acks::All).await.expect_err("one is too few");
        assert!(matches!(refused, Unappended::Refused(ErrorCode::NotEnoughReplicas)), "{refused}");
        assert_eq!(trio.log_end(1), 0, "nothing was appended");
        let ticket = trio.append(1, "b", Acks::Leader).await.expect("acks=1 asks for one");
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, Some(Ok(())));
        assert_eq!(trio.high_watermark(1), 0, "frozen below min ISR");
    });
}

#[test]
fn e13_too_few_in_sync_after_the_append_are_told_of() {
    local(async {
        let mut trio = Trio::new(&["min.insync.replicas=2"]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("appended");
        trio.pull_all().await;
        assert_eq!(trio.high_watermark(1), 1);
        trio.change_isr(&[1]).await;
        let few = Some(Err(ErrorCode::NotEnoughReplicasAfterAppend));
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, few);
    });
}

#[test]
fn e13_a_waiter_of_an_old_epoch_fails_at_once() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("appended");
        let leader = trio.partition(1).clone();
        let waiting = tokio::task::spawn_local(async move {
            leader.wait_acked(&ticket, Some(tokio::time::Instant::now() + PATIENCE)).await
        });
        tokio::task::yield_now().await;
        trio.elect(2, &[2, 3]).await;
        let told = waiting.await.expect("no panic").expect("an answer in time");
        assert!(told.is_err(), "the record may be cut off");
    });
}

#[test]
fn e13_a_leader_elected_again_does_not_know_the_waiters_of_its_last_epoch() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("appended");
        trio.elect(1, &[1, 2, 3]).await;
        trio.pull_all().await;
        assert_eq!(trio.high_watermark(1), 1, "the record itself is committed");
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, Some(Err(ErrorCode::NotLeaderOrFollower)));
    });
}

#[test]
fn e13_who_gives_up_waiting_leaves_no_trace() {
    local(async {
        let trio = Trio::new(&[]).await;
        let first = trio.append(1, "a", Acks::All).await.expect("appended");
        let second = trio.append(1, "b", Acks::All).await.expect("appended");
        assert_eq!(trio.acked(1, &first, SOON).await, None);
        let (told, ()) = tokio::join!(trio.acked(1, &second, PATIENCE), trio.pull_all());
        assert_eq!(told, Some(Ok(())));
        assert_eq!(trio.acked(1, &first, PATIENCE).await, Some(Ok(())), "asked again, it is true by now");
    });
}
