//! Segments written anew: who may, what readers see, and what a power cut makes of two lives in one file.

use std::path::Path;
use std::time::Duration;

use plimsoll_io::{
    MmapStore, PageCacheStore, Preallocation, Records, SegmentStore, SimConfig, UringOptions, UringStore,
    probe_io_uring,
};
use plimsoll_log::{CompactError, Log, LogConfig, OpenHints, SegmentCounts, layout};
use plimsoll_records::Batch;
use proptest::prelude::*;

use crate::common::*;
use crate::compaction::{Cleaned, map_of};

const LIVES: usize = 40;

fn sim(seed: u64, direct: bool) -> TestStore {
    let limits = if direct { DIRECT } else { INLINE };
    let preallocation = Preallocation::Recycle;
    TestStore::new(SimConfig { seed, limits, preallocation, reorder: direct, ..SimConfig::default() })
}

fn retired(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).expect("list").map(|entry| entry.expect("entry").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(layout::RETIRED_SUFFIX)).count()
}

/// Appends as the leader of `epoch` and returns the batch as it is stored.
async fn appended<S: SegmentStore>(log: &Log<S>, value_bytes: usize) -> Batch {
    let mut batch = batch(1, value_bytes);
    let at = append(log, batch.clone()).await.expect("append");
    batch.set_base_offset(at.base_offset);
    batch.set_leader_epoch(0);
    batch
}

/// Lets retention take all but the last two segments.
async fn retain<S: SegmentStore>(log: &Log<S>) {
    log.flush().await.expect("flush");
    let segments = log.segments();
    if let Some(kept) = segments.len().checked_sub(2).and_then(|i| segments.get(i)) {
        log.increment_start_offset(kept.base_offset);
        log.remove_old_segments().await.expect("remove");
    }
}

fn is_end_of(stored: &[Batch], kept: &[Batch]) -> bool {
    let pairs = stored.iter().rev().zip(kept.iter().rev());
    kept.len() <= stored.len() && pairs.into_iter().all(|(a, b)| a.to_bytes() == b.to_bytes())
}

async fn lives_in_few_files<S: SegmentStore>(store: S) {
    let guard = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    let dir = guard.path().join("t-0");
    let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    let mut stored = Vec::new();
    for i in 0..LIVES * 8 {
        stored.push(appended(&log, 1_500 + i % 700).await);
        if i % 8 == 7 {
            retain(&log).await;
            assert!(retired(&dir) <= 2);
        }
    }
    let SegmentCounts { segments_created, segments_recycled } = log.segment_counts();
    let backend = store.backend();
    assert!(segments_recycled > segments_created, "{backend}: {:?}", log.segment_counts());
    let kept = read_all(&log, 1 << 16).await;
    assert!(is_end_of(&stored, &kept) && kept.len() > 8, "{} of {}", kept.len(), stored.len());
    log.close().await.expect("close");
    assert_eq!(retired(&dir), 0);
    drop(log);
    let (log, report) = open(store, &dir, small_config(), Some(0), true).await;
    assert_eq!((report.segments_scanned, report.first_bad), (0, None));
    assert!(is_end_of(&stored, &read_all(&log, 1 << 16).await));
}

#[test]
fn retired_segments_are_written_anew_on_every_backend() {
    run(lives_in_few_files(sim(1, false)));
    run(lives_in_few_files(sim(2, true)));
    run(lives_in_few_files(PageCacheStore::new(Preallocation::Recycle)));
    run(lives_in_few_files(MmapStore::new(Preallocation::Recycle)));
    match probe_io_uring() {
        Ok(()) => run(lives_in_few_files(
            UringStore::new(Preallocation::Recycle, UringOptions::default()).expect("probed"),
        )),
        Err(reason) => println!("skipped: io_uring: {reason}"),
    }
}

/// Reads the oldest segment, lets it retire and the log go on, and looks at what was read.
async fn a_reader_keeps_its_bytes<S: SegmentStore>(store: S) {
    let backend = store.backend();
    let guard = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    let (log, _) = open(store, &guard.path().join("t-0"), small_config(), None, false).await;
    for _ in 0..20 {
        appended(&log, 2_000).await;
    }
    log.flush().await.expect("flush");
    let out = log.read(0, i64::MAX, 10_000, true).await.expect("read");
    assert!(
        matches!(out.records, Records::Bytes(_)),
        "a socket would show the file's pages after the slice is gone"
    );
    let before = out.records.to_bytes().expect("bytes").to_vec();
    for _ in 0..30 {
        for _ in 0..8 {
            appended(&log, 2_000).await;
        }
        retain(&log).await;
    }
    assert!(log.segment_counts().segments_recycled > 5, "{backend}: {:?}", log.segment_counts());
    assert!(out.records.to_bytes().expect("bytes") == before, "what a reader holds must not change");
}

#[test]
fn what_a_reader_holds_is_never_written_anew() {
    run(a_reader_keeps_its_bytes(sim(3, false)));
    run(a_reader_keeps_its_bytes(PageCacheStore::new(Preallocation::Recycle)));
    run(a_reader_keeps_its_bytes(MmapStore::new(Preallocation::Recycle)));
}

#[test]
fn a_log_that_goes_back_gives_its_retired_segments_up() {
    run(async {
        let guard = tempfile::tempdir().expect("temp dir");
        let dir = guard.path().join("t-0");
        let (log, _) = open(sim(4, false), &dir, small_config(), None, false).await;
        for _ in 0..40 {
            appended(&log, 2_000).await;
        }
        retain(&log).await;
        assert_eq!(retired(&dir), 2);
        log.truncate_fully_and_start_at(3).await.expect("restart");
        assert_eq!(retired(&dir), 0, "their offsets are about to be given again");
        for _ in 0..40 {
            appended(&log, 2_000).await;
        }
        assert_eq!(log.segment_counts().segments_recycled, 0);
        assert_eq!(read_all(&log, 1 << 16).await.len(), 40);
    });
}

#[test]
fn a_log_that_recycles_is_not_compacted() {
    run(async {
        let guard = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(sim(5, false), &guard.path().join("t-0"), small_config(), None, false).await;
        let refused =
            Cleaned::new(log).compact(&mut map_of(8)).await.expect_err("gaps would end its recovery");
        assert!(matches!(refused, CompactError::Recycling));
        assert!(refused.to_string().contains("recycle"), "{refused}");
    });
}

#[derive(Clone, Debug)]
enum Step {
    Append { value_bytes: usize },
    Retain,
    Truncate { keep: prop::sample::Index },
    Flush,
}

/// Half of the logs hold batches of one size, so that those of all lives begin at the same places.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![1 => Just(None), 1 => (1usize..1_500).prop_map(Some)];
    size.prop_flat_map(|one| {
        let step = prop_oneof![
            30 => (1usize..1_500).prop_map(move |any| Step::Append { value_bytes: one.unwrap_or(any) }),
            3 => Just(Step::Retain),
            1 => any::<prop::sample::Index>().prop_map(|keep| Step::Truncate { keep }),
            1 => Just(Step::Flush),
        ];
        proptest::collection::vec(step, 1..250)
    })
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 6 << 10, ..small_config() }
}

struct PowerCut {
    crashed: TestStore,
    stored: Vec<Batch>,
    durable: i64,
    hints: OpenHints,
    recycled: u64,
}

async fn live_and_cut(store: TestStore, dir: &Path, steps: Vec<Step>, seed: u64) -> PowerCut {
    let (log, _) = open(store.clone(), dir, config(), None, false).await;
    let mut stored = Vec::<Batch>::new();
    for step in steps {
        match step {
            Step::Append { value_bytes } => stored.push(appended(&log, value_bytes).await),
            Step::Retain => retain(&log).await,
            Step::Truncate { keep } => {
                let start = log.marks().start_offset;
                let end = start + keep.index(stored.len() + 1 - start as usize) as i64;
                log.truncate_to(end).await.expect("truncate");
                stored.truncate(end as usize);
            }
            Step::Flush => log.flush().await.expect("flush"),
        }
    }
    let hints = OpenHints {
        recovery_point: Some(log.recovery_point()),
        log_start_offset: Some(log.marks().start_offset),
        clean: false,
    };
    let recycled = log.segment_counts().segments_recycled;
    PowerCut { crashed: store.crash(seed), stored, durable: log.marks().durable, hints, recycled }
}

/// What is left is what was stored, from the start without a gap, and at least what was durable. It can go on, and
/// another crash finds nothing of the old lives either.
async fn recover_and_check(cut: PowerCut, dir: &Path, seed: u64) -> u64 {
    let PowerCut { crashed, stored, durable, hints, recycled } = cut;
    let start = hints.log_start_offset.expect("known");
    let opened = Log::open(crashed.clone(), dir, TOPIC_ID, config(), hints).await;
    let (log, report) = opened.expect("open");
    let found = read_all(&log, 10_000).await;
    let end = log.marks().accepted;
    assert!(end >= durable, "recovered up to {end}, but {durable} was durable: {report:?}");
    let expected = &stored[start as usize..end as usize];
    assert_eq!(found.len(), expected.len(), "{start}..{end}: {report:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.to_bytes() == expected.to_bytes(),
            "{:?} is not {:?}",
            found.header(),
            expected.header()
        );
    }
    let more = appended(&log, 700).await;
    // What the background began is over before the machine is.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let again = crashed.crash(seed ^ 1);
    drop(log);
    let hints = OpenHints { recovery_point: Some(end.min(durable)), ..hints };
    let (log, _) = Log::open(again, dir, TOPIC_ID, config(), hints).await.expect("open again");
    let found = read_all(&log, 10_000).await;
    assert!(
        found.len() == expected.len() || found.last().is_some_and(|last| last.to_bytes() == more.to_bytes())
    );
    recycled
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_crash_image_of_a_recycled_file_brings_an_old_batch_back(steps in steps(), seed: u64, direct: bool) {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let cut = run(live_and_cut(sim(seed, direct), &dir, steps, seed));
        run(recover_and_check(cut, &dir, seed));
    }
}
