//! What becomes of a replica when the metadata changes, and what clients see of that.

use plimsoll_wire::ErrorCode;

use super::trio::PATIENCE;
use super::{Trio, local};
use crate::partition::Isolation;
use crate::partition::replication::acks::Acks;
use crate::partition::replication::role::Change;
use crate::partition::replication::serve::{Asked, Verdict};

const NOT_LEADER: Verdict = Verdict::Refuse(ErrorCode::NotLeaderOrFollower);

fn judged(trio: &Trio, id: i32, fetch_offset: i64, from_any: bool) -> Verdict {
    let partition = trio.partition(id);
    let asked = Asked { current_leader_epoch: -1, fetch_offset, last_fetched_epoch: -1 };
    partition.judge(&partition.bounds(), &asked, from_any)
}

#[test]
fn e27_a_new_epoch_is_on_disk_before_it_is_led_in() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.elect(2, &[1, 2, 3]).await;
        let text = std::fs::read_to_string(trio.partition(2).log().dir().join("leader-epoch-checkpoint"));
        assert!(text.expect("the checkpoint").lines().any(|line| line == "2 0"));
        assert_eq!(trio.partition(2).check_leads(2), Ok(()));
        assert_eq!(trio.partition(2).check_leads(1), Err(ErrorCode::FencedLeaderEpoch));
        assert_eq!(trio.partition(2).check_leads(3), Err(ErrorCode::UnknownLeaderEpoch));
        assert_eq!(trio.partition(1).check_leads(2), Err(ErrorCode::NotLeaderOrFollower));
    });
}

#[test]
fn a_record_that_is_no_news_changes_nothing() {
    local(async {
        let trio = Trio::new(&[]).await;
        let before = trio.partition(1).log().marks().generation;
        let change = trio.partition(1).take_role(true, &trio.state).await.expect("a role");
        assert_eq!(change, Change::Ignore);
        assert_eq!(trio.partition(1).log().marks().generation, before, "nobody who waits fails");
    });
}

#[test]
fn a_replica_waits_for_its_own_registration() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a"]).await;
        trio.pull_all().await;
        trio.restart(1).await;
        let change = trio.partition(1).take_role(false, &trio.state).await.expect("no error");
        assert_eq!(change, Change::Await);
        let change = trio.partition(1).take_role(true, &trio.state).await.expect("no error");
        assert_eq!(change, Change::Await, "its log knows epoch 1 already");
        assert!(!trio.partition(1).leads());
    });
}

#[test]
fn nobody_leads_and_nobody_is_served() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a"]).await;
        trio.state.leader = None;
        trio.state.leader_epoch += 1;
        trio.change_isr(&[1]).await;
        for id in 1..=3 {
            assert_eq!(judged(&trio, id, 0, true), NOT_LEADER, "replica {id}");
            assert!(trio.append(id, "b", Acks::Leader).await.is_err());
        }
    });
}

#[test]
fn e24_the_high_watermark_outlives_a_restart_by_its_checkpoint() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a", "b"]).await;
        trio.pull_all().await;
        trio.restart(2).await;
        assert_eq!(trio.high_watermark(2), 2);
        trio.elect(2, &[2, 3]).await;
        assert_eq!(trio.high_watermark(2), 2, "it leads on from there, though nobody has fetched yet");
    });
}

#[test]
fn e29_a_new_leader_tells_no_end_before_all_have_reached_its_epoch() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a", "b"]).await;
        trio.pull(2).await;
        trio.pull(3).await;
        trio.elect(2, &[2, 3]).await;
        let leader = trio.partition(2);
        assert_eq!(leader.bounds().high_watermark, 0);
        assert_eq!(leader.offset_available(None, 5), Err(ErrorCode::OffsetNotAvailable));
        assert_eq!(leader.offset_available(None, 4), Err(ErrorCode::LeaderNotAvailable));
        trio.pull(3).await;
        assert_eq!(leader.offset_available(None, 5), Ok(()));
        assert_eq!(leader.bounds().high_watermark, 2);
    });
}

#[test]
fn kip_392_a_follower_serves_consumers_up_to_its_own_high_watermark() {
    local(async {
        let trio = Trio::new(&[]).await;
        trio.produce(&["a", "b"]).await;
        trio.pull_all().await;
        trio.produce(&["c"]).await;
        trio.pull(2).await;
        assert_eq!(trio.log_end(2), 3);
        assert_eq!(judged(&trio, 2, 0, true), Verdict::Read);
        assert_eq!(judged(&trio, 2, 2, true), Verdict::Read, "the end of what it may show");
        let not_yet = Verdict::Refuse(ErrorCode::OffsetNotAvailable);
        assert_eq!(judged(&trio, 2, 3, true), not_yet, "the leader may show it already");
        assert_eq!(judged(&trio, 2, 9, true), not_yet);
        assert_eq!(judged(&trio, 2, 0, false), NOT_LEADER, "a client that knows no replicas");
        let follower = trio.partition(2);
        let read = follower.read(follower.bounds(), 0, Isolation::Uncommitted, 1 << 20, true).await;
        let bytes = read.expect("readable").records.to_bytes().expect("bytes");
        assert_eq!(bytes, trio.bytes(1, 2).await, "what is committed, and no more");
    });
}

#[test]
fn kip_392_the_leader_sends_consumers_to_the_replica_in_their_rack() {
    local(async {
        let trio = Trio::new(&[]).await;
        trio.produce(&["a"]).await;
        trio.pull_all().await;
        let leader = trio.partition(1);
        assert_eq!(leader.preferred_read_replica("rack-3", 0), Some(3));
        assert_eq!(leader.preferred_read_replica("rack-1", 0), None, "it is here");
        assert_eq!(leader.preferred_read_replica("", 0), None);
        assert_eq!(trio.partition(2).preferred_read_replica("rack-3", 0), None, "only a leader knows");
        trio.fence(&[3]);
        assert_eq!(leader.preferred_read_replica("rack-3", 0), None, "it is not there");
    });
}

#[test]
fn a_deposed_leader_keeps_nothing_that_its_follower_does_not_confirm() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a"]).await;
        trio.pull_all().await;
        let ticket = trio.append(1, "b", Acks::All).await.expect("appended");
        trio.pull(2).await;
        trio.elect(2, &[2, 3]).await;
        // 2 has it: it becomes committed, although nobody was told.
        trio.pull_all().await;
        trio.assert_identical().await;
        assert_eq!(trio.log_end(1), 2);
        assert!(trio.acked(1, &ticket, PATIENCE).await.expect("an answer").is_err());
    });
}
