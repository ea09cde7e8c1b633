//! Rules E17, E24, E26 to E30 over real logs: what a follower makes of its leader's answers.

use plimsoll_wire::ErrorCode;

use super::trio::each_backend;
use super::{Trio, local};
use crate::partition::Taken;
use crate::partition::replication::acks::Acks;

#[test]
fn e24_a_follower_has_the_leaders_bytes_and_learns_the_high_watermark_one_fetch_later() {
    each_backend(async |backend| {
        let trio = Trio::new(&[&format!("plimsoll.storage.backend={backend}")]).await;
        trio.produce(&["a", "b", "c"]).await;
        assert!(matches!(trio.pull(2).await, Taken::Appended(bytes) if bytes > 0));
        assert_eq!((trio.log_end(2), trio.high_watermark(2)), (3, 0));
        trio.pull(3).await;
        assert_eq!(trio.high_watermark(1), 0, "nobody has said yet that it has them");
        trio.pull(2).await;
        trio.pull(3).await;
        assert_eq!(trio.high_watermark(1), 3);
        assert_eq!(trio.high_watermark(3), 3, "with the answer to the Fetch that said so");
        trio.pull(2).await;
        assert_eq!(trio.high_watermark(2), 3);
        trio.assert_identical().await;
    });
}

#[test]
fn e27_logs_that_went_apart_are_cut_where_they_did() {
    each_backend(async |backend| {
        let mut trio = Trio::new(&[&format!("plimsoll.storage.backend={backend}")]).await;
        trio.produce(&["a", "b"]).await;
        trio.pull_all().await;
        // Only 1 has these, and nobody was told that they are committed.
        trio.produce(&["lost", "lost too"]).await;
        trio.elect(2, &[2, 3]).await;
        trio.produce(&["c"]).await;
        assert_eq!(trio.pull(1).await, Taken::Cut);
        assert_eq!(trio.log_end(1), 2, "what both have stays");
        trio.pull_all().await;
        trio.assert_identical().await;
        // And a leader that had begun an epoch without a record.
        trio.elect(3, &[2, 3]).await;
        trio.elect(2, &[2, 3]).await;
        trio.produce(&["d"]).await;
        trio.pull_all().await;
        trio.assert_identical().await;
    });
}

#[test]
fn e27_a_follower_never_cuts_at_its_high_watermark() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a", "b"]).await;
        trio.pull(2).await;
        trio.pull(3).await;
        assert_eq!(trio.high_watermark(2), 0, "2 does not know what is committed");
        trio.elect(3, &[2, 3]).await;
        trio.pull(2).await;
        assert_eq!(trio.log_end(2), 2, "and keeps what its leader has");
    });
}

#[test]
fn e26_an_answer_of_an_epoch_before_is_thrown_away() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.produce(&["a"]).await;
        let position = trio.partition(2).position(1).expect("it follows 1");
        let answer = trio.fetch(2).await;
        trio.elect(1, &[1, 2, 3]).await;
        let taken = trio.partition(2).take_answer(1, &position.sent, answer.clone()).await;
        assert_eq!(taken.expect("no error"), Taken::Ignored);
        trio.elect(2, &[1, 2, 3]).await;
        let taken = trio.partition(2).take_answer(1, &position.sent, answer).await;
        assert_eq!(taken.expect("no error"), Taken::Ignored, "nor does a leader take it");
        assert_eq!(trio.log_end(2), 0);
    });
}

#[test]
fn e26_a_fetch_of_another_epoch_is_refused() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.state.leader_epoch = 2;
        trio.state.partition_epoch = 2;
        trio.partition(2).take_role(true, &trio.state).await.expect("a role");
        assert_eq!(trio.fetch(2).await.error, ErrorCode::UnknownLeaderEpoch, "1 has not heard of epoch 2");
        trio.announce().await;
        assert_eq!(trio.fetch(2).await.error, ErrorCode::None);
    });
}

#[test]
fn e28_a_follower_behind_the_leaders_start_begins_anew() {
    local(async {
        let trio = Trio::new(&["log.segment.bytes=200", "log.index.interval.bytes=0"]).await;
        let values: Vec<_> = (0..20).map(|n| format!("value-{n}")).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        trio.produce(&values).await;
        let leader = trio.partition(1).log();
        leader.delete_records(15, 20).await.expect("deleted");
        assert_eq!(trio.pull(3).await, Taken::Cut);
        let bounds = trio.partition(3).bounds();
        assert_eq!((bounds.log_start, bounds.log_end), (15, 15));
        trio.pull_all().await;
        trio.assert_identical().await;
    });
}

#[test]
fn e30_the_leaders_start_comes_with_its_answers_and_the_low_watermark_follows() {
    local(async {
        let trio = Trio::new(&[]).await;
        trio.produce(&["a", "b", "c"]).await;
        trio.pull_all().await;
        trio.partition(1).log().delete_records(2, 3).await.expect("deleted");
        assert_eq!(trio.partition(1).low_watermark(), Ok(Some(0)), "2 and 3 still have what was deleted");
        trio.pull_all().await;
        assert_eq!(trio.partition(3).bounds().log_start, 2);
        assert_eq!(trio.partition(1).low_watermark(), Ok(Some(2)));
    });
}

#[test]
fn e17_damage_on_the_way_is_not_appended() {
    local(async {
        let trio = Trio::new(&[]).await;
        trio.produce(&["some value that can be damaged"]).await;
        let position = trio.partition(2).position(1).expect("it follows 1");
        let mut answer = trio.fetch(2).await;
        let mut bytes = answer.records_bytes().to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        answer.records = vec![plimsoll_wire::Part::Bytes(bytes.into())];
        trio.partition(2).take_answer(1, &position.sent, answer).await.expect_err("the checksum is wrong");
        assert_eq!(trio.log_end(2), 0);
        trio.pull(2).await;
        assert_eq!(trio.log_end(2), 1, "the next answer is whole");
    });
}

#[test]
fn under_fsync_a_follower_counts_with_what_its_syncs_cover() {
    local(async {
        let trio = Trio::new(&["plimsoll.durability=fsync"]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("appended");
        trio.pull_all().await;
        assert!(trio.partition(2).position(1).expect("it follows").durable.is_some());
        assert_eq!(trio.high_watermark(1), 1);
        let told = trio.acked(1, &ticket, super::trio::PATIENCE).await;
        assert_eq!(told, Some(Ok(())));
    });
}
