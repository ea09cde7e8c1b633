use plimsoll_log::EpochCache;

use super::*;
use crate::partition::replication::metadata::{OwnLog, Standing};

const RULES: Rules = Rules { min_isr: 2, lag_max: Duration::from_secs(30) };

/// Replica 1 leads epoch 4 of three replicas; its log is 0..100 and the epoch began at 50, so that the high watermark is
/// no higher then.
struct Scene {
    leader: Leader,
    start: Instant,
    seconds: u64,
    brokers: BTreeMap<ReplicaId, Standing>,
    log: OwnLog,
}

fn state(isr: &[ReplicaId], partition_epoch: i32) -> PartitionState {
    PartitionState {
        replicas: vec![1, 2, 3],
        isr: isr.to_vec(),
        leader: Some(1),
        leader_epoch: 4,
        partition_epoch,
    }
}

impl Scene {
    fn new(isr: &[ReplicaId], high_watermark: i64) -> Self {
        let start = Instant::now();
        let standing = |id| Standing { broker_epoch: i64::from(id), fenced: false, shutting_down: false };
        Self {
            leader: Leader::new(1, &state(isr, 7), 50, high_watermark, RULES, start),
            start,
            seconds: 0,
            brokers: [1, 2, 3].map(|id| (id, standing(id))).into(),
            log: OwnLog { start: 0, end: 100, reached: 100 },
        }
    }

    fn with<T>(&mut self, ask: impl FnOnce(&mut Leader, &View<'_>) -> T) -> T {
        let brokers = self.brokers.clone();
        let now = self.start + Duration::from_secs(self.seconds);
        let view = View { now, log: self.log, brokers: &|id| brokers.get(&id).copied() };
        ask(&mut self.leader, &view)
    }

    fn fetch_as(&mut self, replica_id: ReplicaId, asked: Asked, broker_epoch: i64) -> Verdict {
        let mut epochs = EpochCache::default();
        epochs.assign(1, 0);
        epochs.assign(4, 50);
        let fetch =
            FollowerFetch { replica_id, broker_epoch, asked, log_start: 0, reached: asked.fetch_offset };
        let end = self.log.end;
        let epoch_end = epochs.end_offset_for(asked.last_fetched_epoch, end);
        let range = Range { start: 0, end, epoch_end };
        self.with(|leader, view| leader.fetch(&fetch, &range, view))
    }

    /// A Fetch that is in order; the high watermark after it.
    fn fetch(&mut self, replica_id: ReplicaId, fetch_offset: i64) -> i64 {
        let asked = Asked { current_leader_epoch: 4, fetch_offset, last_fetched_epoch: -1 };
        assert_eq!(self.fetch_as(replica_id, asked, i64::from(replica_id)), Verdict::Read);
        self.with(Leader::advance);
        self.leader.high_watermark()
    }

    fn proposed(&mut self) -> Option<Vec<ReplicaId>> {
        self.with(Leader::propose).map(|change| change.isr.into_keys().collect())
    }
}

#[test]
fn e23_a_fetch_that_is_not_read_is_not_recorded() {
    let asked = Asked { current_leader_epoch: 4, fetch_offset: 100, last_fetched_epoch: 4 };
    let cases = [
        (asked, 2, true, "in order"),
        (Asked { fetch_offset: 60, last_fetched_epoch: 1, ..asked }, 2, false, "diverging"),
        (Asked { current_leader_epoch: 3, ..asked }, 2, false, "an older leader's follower"),
        (Asked { current_leader_epoch: 5, ..asked }, 2, false, "a later leader's"),
        (Asked { fetch_offset: 101, last_fetched_epoch: -1, ..asked }, 2, false, "out of range"),
        (asked, 1, false, "of the process before this one"),
    ];
    for (asked, broker_epoch, recorded, why) in cases {
        let mut scene = Scene::new(&[1, 2, 3], 50);
        let verdict = scene.fetch_as(2, asked, broker_epoch);
        assert_eq!(verdict == Verdict::Read, recorded, "{why}");
        assert_eq!(scene.leader.followers()[&2].reported().is_some(), recorded, "{why}");
    }
}

#[test]
fn e25_a_fetch_of_a_former_process_is_refused_before_the_metadata_knows() {
    let mut scene = Scene::new(&[1, 2, 3], 50);
    let asked = Asked { current_leader_epoch: 4, fetch_offset: 60, last_fetched_epoch: -1 };
    assert_eq!(scene.fetch_as(2, asked, 9), Verdict::Read, "registered again, unknown here yet");
    let late = Asked { fetch_offset: 100, ..asked };
    assert_eq!(scene.fetch_as(2, late, 2), Verdict::Refuse(ErrorCode::NotLeaderOrFollower));
    assert_eq!(scene.leader.followers()[&2].reached(), Some(60));
}

#[test]
fn e26_a_stranger_is_told_that_this_leader_may_be_the_one_who_is_behind() {
    let mut scene = Scene::new(&[1, 2, 3], 50);
    let asked =
        |current_leader_epoch| Asked { current_leader_epoch, fetch_offset: 9, last_fetched_epoch: -1 };
    let cases = [
        (4, ErrorCode::UnknownLeaderEpoch),
        (3, ErrorCode::FencedLeaderEpoch),
        (-1, ErrorCode::NotLeaderOrFollower),
    ];
    for (epoch, code) in cases {
        assert_eq!(scene.fetch_as(9, asked(epoch), 9), Verdict::Refuse(code));
    }
}

#[test]
fn e24_the_high_watermark_follows_the_slowest_member() {
    let mut scene = Scene::new(&[1, 2, 3], 40);
    assert_eq!(scene.fetch(2, 90), 40, "nothing is known of 3 in this epoch");
    assert_eq!(scene.fetch(3, 80), 80);
    assert_eq!(scene.fetch(2, 95), 80);
    assert_eq!(scene.fetch(3, 70), 80, "never backwards");
    scene.log.reached = 85;
    assert_eq!(scene.fetch(3, 100), 85, "the leader's own disk is the slowest");
}

#[test]
fn e24_what_a_follower_has_not_synced_does_not_count_under_fsync() {
    let mut scene = Scene::new(&[1, 2], 50);
    let asked = Asked { current_leader_epoch: 4, fetch_offset: 90, last_fetched_epoch: -1 };
    let range = Range { start: 0, end: 100, epoch_end: plimsoll_log::UNKNOWN_EPOCH_END };
    for (reached, high_watermark) in [(70, 70), (90, 90), (99, 90)] {
        let fetch = FollowerFetch { replica_id: 2, broker_epoch: 2, asked, log_start: 0, reached };
        scene.with(|leader, view| leader.fetch(&fetch, &range, view));
        scene.with(Leader::advance);
        assert_eq!(scene.leader.high_watermark(), high_watermark, "{reached}");
    }
}

#[test]
fn e24_a_replica_about_to_join_holds_it_back() {
    let mut scene = Scene::new(&[1, 2], 50);
    assert_eq!(scene.fetch(2, 60), 60);
    assert_eq!(scene.fetch(3, 100), 60, "3 has caught up");
    scene.log = OwnLog { start: 0, end: 120, reached: 120 };
    assert_eq!(scene.fetch(2, 120), 100, "and may join at any moment, with 100");
    scene.seconds = 31;
    scene.with(Leader::advance);
    assert_eq!(scene.leader.high_watermark(), 120, "it came no more");
}

#[test]
fn e24_an_ineligible_replica_does_not() {
    let changes: [fn(&mut Standing); 3] =
        [|b| b.fenced = true, |b| b.shutting_down = true, |b| b.broker_epoch = 9];
    for change in changes {
        let mut scene = Scene::new(&[1, 2], 50);
        scene.fetch(3, 70);
        change(scene.brokers.get_mut(&3).expect("there"));
        assert_eq!(scene.fetch(2, 100), 100);
        assert_eq!(scene.proposed(), None);
    }
}

#[test]
fn e24_frozen_below_min_isr_until_a_member_is_committed() {
    let mut scene = Scene::new(&[1], 50);
    scene.with(Leader::advance);
    assert_eq!(scene.leader.high_watermark(), 50, "alone it is below min.insync.replicas");
    assert_eq!(scene.fetch(2, 100), 50, "caught up is not yet in sync");
    assert_eq!(scene.proposed(), Some(vec![1, 2]));
    scene.with(Leader::advance);
    assert_eq!(scene.leader.high_watermark(), 50, "proposed is not yet in sync");
    let answer = Answer::Committed { isr: vec![1, 2], leader_epoch: 4, partition_epoch: 8 };
    assert_eq!(scene.leader.answered(7, answer), Next::Committed);
    scene.with(Leader::advance);
    assert_eq!(scene.leader.high_watermark(), 100);
}

#[test]
fn e24_a_member_that_left_counts_until_that_is_committed() {
    let mut scene = Scene::new(&[1, 2, 3], 50);
    scene.seconds = 31;
    assert_eq!(scene.fetch(2, 100), 50);
    assert_eq!(scene.proposed(), Some(vec![1, 2]), "3 never came");
    scene.with(Leader::advance);
    assert_eq!(scene.leader.high_watermark(), 50);
    assert!(scene.leader.update(&state(&[1, 2], 8), scene.start));
    scene.with(Leader::advance);
    assert_eq!(scene.leader.high_watermark(), 100, "committed, as the metadata says");
}

#[test]
fn e25_who_may_join() {
    let cases = [
        (60, 60, Some(vec![1, 2, 3]), "all that is committed"),
        (59, 60, None, "not all of it"),
        (50, 40, Some(vec![1, 2, 3]), "all that was in the log when the epoch began"),
        (49, 40, None, "a former leader may have committed more than this one knows"),
    ];
    for (fetch_offset, high_watermark, expected, why) in cases {
        let mut scene = Scene::new(&[1, 2], 40);
        assert_eq!(scene.fetch(2, high_watermark), high_watermark);
        scene.fetch(3, fetch_offset);
        assert_eq!(scene.proposed(), expected, "{why}");
    }
}

#[test]
fn e30_a_follower_joins_once_it_has_dropped_what_the_leader_dropped() {
    let mut scene = Scene::new(&[1, 2], 50);
    scene.log.start = 20;
    scene.fetch(3, 100);
    assert_eq!(scene.proposed(), None, "it begins at 0");
    scene.log.start = 0;
    assert_eq!(scene.proposed(), Some(vec![1, 2, 3]));
}

#[test]
fn e13_what_acknowledgements_go_by() {
    let mut scene = Scene::new(&[1, 2, 3], 50);
    scene.log.reached = 90;
    scene.fetch(2, 100);
    scene.fetch(3, 80);
    let reach = scene.with(|leader, view| leader.reach(6, view));
    assert_eq!(reach, Reach { generation: 6, reached: 90, high_watermark: 80, isr_size: 3, min_isr: 2 });
    scene.leader.set_rules(Rules { min_isr: 5, ..RULES });
    assert_eq!(scene.leader.min_isr(), 3, "no more than there are replicas");
}

#[test]
fn e30_the_low_watermark_is_that_of_all_replicas_that_are_there() {
    let mut scene = Scene::new(&[1, 2, 3], 50);
    scene.log.start = 20;
    scene.fetch(2, 100);
    assert_eq!(scene.with(|leader, view| leader.low_watermark(view)), None, "3 did not say yet");
    scene.brokers.get_mut(&3).expect("there").fenced = true;
    assert_eq!(scene.with(|leader, view| leader.low_watermark(view)), Some(0));
}
