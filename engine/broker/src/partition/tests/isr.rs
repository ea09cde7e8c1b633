//! Rules E24 and E25 over real logs: who leaves the ISR and who comes back.

use std::time::Duration;

use super::trio::PATIENCE;
use super::{Trio, local};
use crate::partition::replication::acks::Acks;

const LAG_MAX: &str = "replica.lag.time.max.ms=300";

#[test]
fn e25_a_follower_that_stands_still_leaves_and_acks_all_goes_on() {
    local(async {
        let mut trio = Trio::new(&[LAG_MAX]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("appended");
        trio.pull(2).await;
        trio.pull(2).await;
        assert_eq!(trio.high_watermark(1), 0, "3 may still come");
        let mut shrunk = None;
        let began = std::time::Instant::now();
        while shrunk.is_none() && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            trio.pull(2).await;
            trio.partition(1).look_after_isr();
            shrunk = trio.commit_proposal().await;
        }
        assert_eq!(shrunk, Some(vec![1, 2]));
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, Some(Ok(())));
        assert_eq!(trio.around(1).counts.isr_changes(), (1, 0));
    });
}

#[test]
fn e25_it_comes_back_once_it_has_everything() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.change_isr(&[1, 2]).await;
        trio.produce(&["a", "b"]).await;
        trio.pull(2).await;
        trio.pull(2).await;
        assert_eq!(trio.high_watermark(1), 2);
        trio.pull(3).await;
        assert_eq!(trio.commit_proposal().await, None, "it has asked for 0 only");
        assert!(trio.around(1).proposals().take(10).is_empty());
        trio.pull(3).await;
        assert_eq!(trio.around(1).proposals().take(10), [trio.partition(1).key()], "the loop is told");
        assert_eq!(trio.commit_proposal().await, Some(vec![1, 2, 3]));
        assert_eq!(trio.around(1).counts.isr_changes(), (1, 1));
    });
}

#[test]
fn e24_one_that_is_proposed_counts_before_it_is_committed() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.change_isr(&[1, 2]).await;
        trio.pull(3).await;
        assert!(trio.partition(1).proposal().is_some());
        trio.produce(&["a"]).await;
        trio.pull(2).await;
        trio.pull(2).await;
        assert_eq!(trio.high_watermark(1), 0, "3 may be elected without it");
        trio.pull(3).await;
        trio.pull(3).await;
        assert_eq!(trio.high_watermark(1), 1);
    });
}

#[test]
fn kip_903_one_that_is_fenced_is_not_proposed() {
    local(async {
        let mut trio = Trio::new(&[]).await;
        trio.change_isr(&[1, 2]).await;
        trio.fence(&[3]);
        trio.pull(3).await;
        assert_eq!(trio.partition(1).proposal(), None);
        trio.fence(&[]);
        trio.pull(3).await;
        assert!(trio.partition(1).proposal().is_some());
    });
}

#[test]
fn e13_a_broker_that_has_the_only_replica_asks_nobody() {
    local(async {
        let mut trio = Trio::new(&["min.insync.replicas=3"]).await;
        (trio.state.replicas, trio.state.isr) = (vec![1], vec![1]);
        trio.elect(1, &[1]).await;
        let ticket = trio.append(1, "a", Acks::All).await.expect("one of one is in sync");
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, Some(Ok(())));
        assert_eq!(trio.high_watermark(1), 1);
        // A second replica comes: from now on it counts, once it is in sync.
        trio.state.replicas = vec![1, 2];
        trio.change_isr(&[1]).await;
        trio.produce(&["b"]).await;
        assert_eq!(trio.high_watermark(1), 1, "min.insync.replicas asks for both, as there are two now");
        trio.pull(2).await;
        trio.pull(2).await;
        assert_eq!(trio.commit_proposal().await, Some(vec![1, 2]));
        assert_eq!(trio.high_watermark(1), 2);
        // And leaves again.
        trio.state.replicas = vec![1];
        trio.change_isr(&[1]).await;
        let ticket = trio.append(1, "c", Acks::All).await.expect("appended");
        assert_eq!(trio.acked(1, &ticket, PATIENCE).await, Some(Ok(())));
    });
}
