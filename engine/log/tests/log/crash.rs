//! Power cuts: whatever subset of unsynced sectors survives, the log recovers to a prefix that holds everything
//! that was durable.

use std::path::{Path, PathBuf};

use plimsoll_io::{SegmentFile, SegmentStore, SimConfig, WriteBufs};
use plimsoll_log::{Durability, Level, LogConfig};
use plimsoll_records::{Batch, ProducerStamp};
use proptest::prelude::*;

use crate::common::*;

fn log_path(dir: &Path, base_offset: i64) -> PathBuf {
    dir.join(format!("{base_offset:020}.log"))
}

/// What a crash may leave: a prefix of what was appended, at least up to `durable`.
fn assert_prefix(recovered: &[Batch], appended: &[Batch], durable: i64) {
    assert!(recovered.len() <= appended.len(), "{} recovered of {}", recovered.len(), appended.len());
    for (found, expected) in recovered.iter().zip(appended) {
        assert!(
            found.to_bytes() == expected.to_bytes(),
            "{:?} is not {:?}",
            found.header(),
            expected.header()
        );
    }
    let end = recovered.last().map_or(0, |b| b.header().next_offset());
    assert!(end >= durable, "recovered up to {end}, but {durable} was durable");
}

/// What is known at the moment of a power cut.
struct PowerCut {
    crashed: TestStore,
    appended: Vec<Batch>,
    durable: i64,
    recovery_point: i64,
}

fn crash_config(fsync: bool) -> LogConfig {
    LogConfig { durability: if fsync { Durability::Fsync } else { Durability::Replicated }, ..small_config() }
}

/// Appends `sizes` and cuts the power.
async fn append_and_cut(
    store: TestStore,
    dir: &Path,
    sizes: &[(usize, usize)],
    seed: u64,
    fsync: bool,
) -> PowerCut {
    let (log, _) = open(store.clone(), dir, crash_config(fsync), None, false).await;
    let mut appended = Vec::new();
    for &(records, value_bytes) in sizes {
        let mut batch = batch(records, value_bytes);
        let at = append(&log, batch.clone()).await.expect("append");
        batch.set_base_offset(at.base_offset);
        batch.set_leader_epoch(0);
        appended.push(batch);
        if fsync && seed.is_multiple_of(3) {
            log.wait(at.generation, Level::Durable, at.last_offset + 1).await.expect("durable");
        }
    }
    let (durable, recovery_point) = (log.marks().durable, log.recovery_point());
    PowerCut { crashed: store.crash(seed), appended, durable, recovery_point }
}

/// Recovers, and goes on: a log must be writable where it was cut, and a clean stop then needs no scan.
async fn recover_and_check(cut: PowerCut, dir: &Path, fsync: bool) {
    let PowerCut { crashed, appended, durable, recovery_point } = cut;
    let (log, report) = recover_at(&crashed, dir, crash_config(fsync), recovery_point).await;
    let recovered = read_all(&log, 10_000).await;
    assert_prefix(&recovered, &appended, durable);
    assert_eq!(log.marks().accepted, recovered.last().map_or(0, |b| b.header().next_offset()));
    let at = append(&log, batch(1, 50)).await.expect("append");
    log.wait(at.generation, Level::Written, at.last_offset + 1).await.expect("written");
    log.close().await.unwrap_or_else(|error| panic!("{error}, after {report:?}"));
    drop(log);
    let (log, report) = open(crashed, dir, crash_config(fsync), Some(0), true).await;
    assert_eq!(report.segments_scanned, 0);
    assert_eq!(read_all(&log, 10_000).await.len(), recovered.len() + 1);
}

fn crash_and_recover(store: TestStore, sizes: &[(usize, usize)], seed: u64, fsync: bool) {
    let temp = tempfile::tempdir().expect("temp dir");
    let dir = temp.path().join("t-0");
    // Two runtimes, so that nothing of the first log runs on while the second recovers.
    let cut = run(append_and_cut(store, &dir, sizes, seed, fsync));
    run(recover_and_check(cut, &dir, fsync));
}

async fn recover_at(
    crashed: &TestStore,
    dir: &Path,
    config: LogConfig,
    recovery_point: i64,
) -> (plimsoll_log::Log<TestStore>, plimsoll_log::RecoveryReport) {
    open(crashed.clone(), dir, config, Some(recovery_point), false).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_crash_image_recovers_to_a_prefix_that_holds_what_was_durable(
        sizes in proptest::collection::vec((1usize..6, 1usize..1500), 1..40),
        cut in any::<prop::sample::Index>(),
        seed: u64,
        fsync: bool,
        direct: bool,
    ) {
        let sizes = &sizes[..cut.index(sizes.len() + 1)];
        let store = if direct { direct_store(seed) } else { inline_store() };
        crash_and_recover(store, sizes, seed, fsync);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append { value_bytes: usize },
    Truncate { keep: prop::sample::Index },
    Flush,
    Checkpoint,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (1usize..2500).prop_map(|value_bytes| Step::Append { value_bytes }),
        2 => any::<prop::sample::Index>().prop_map(|keep| Step::Truncate { keep }),
        2 => Just(Step::Flush),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ]
}

/// A leader's life with truncations, restarts and checkpoints that may be older than the last truncation.
async fn live_and_cut(store: TestStore, dir: &Path, steps: Vec<Step>, seed: u64) -> PowerCut {
    let (mut log, _) = open(store.clone(), dir, small_config(), None, false).await;
    let (mut appended, mut recovery_point) = (Vec::<Batch>::new(), 0);
    for step in steps {
        match step {
            Step::Append { value_bytes } => {
                let sequence = i32::try_from(appended.len()).expect("few");
                let stamp = ProducerStamp { id: 9, epoch: 0, base_sequence: sequence };
                let mut batch = stamped(stamp, 1_000, 1, value_bytes);
                let at = append(&log, batch.clone()).await.expect("append");
                batch.set_base_offset(at.base_offset);
                batch.set_leader_epoch(0);
                appended.push(batch);
            }
            Step::Truncate { keep } => {
                appended.truncate(keep.index(appended.len() + 1));
                log.truncate_to(appended.len() as i64).await.expect("truncate");
            }
            Step::Flush => log.flush().await.expect("flush"),
            Step::Checkpoint => recovery_point = log.recovery_point(),
            Step::Restart => {
                log.close().await.expect("close");
                (log, _) = open(store.clone(), dir, small_config(), Some(recovery_point), true).await;
            }
        }
    }
    PowerCut { crashed: store.crash(seed), appended, durable: log.marks().durable, recovery_point }
}

async fn recover_and_check_producer(cut: PowerCut, dir: &Path) {
    let PowerCut { crashed, appended, durable, recovery_point } = cut;
    let (log, _) = recover_at(&crashed, dir, small_config(), recovery_point).await;
    let recovered = read_all(&log, 10_000).await;
    assert_prefix(&recovered, &appended, durable);
    let known = log.producer(9).and_then(|entry| entry.window.last().map(|b| b.last_offset));
    assert_eq!(known, recovered.last().map(|b| b.header().last_offset()), "producer state is the log's");
    if let Some(last) = recovered.last() {
        assert!(append(&log, last.clone()).await.expect("retry").duplicate, "stored once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn e14_e32_recovery_holds_after_truncations_restarts_and_stale_checkpoints(
        steps in proptest::collection::vec(step(), 1..60),
        seed: u64,
        direct: bool,
    ) {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let store = if direct { direct_store(seed) } else { inline_store() };
        let cut = run(live_and_cut(store, &dir, steps, seed));
        run(recover_and_check_producer(cut, &dir));
    }
}

/// One segment of batches in a fresh store, and the bytes of its file.
async fn one_segment() -> (tempfile::TempDir, Vec<Batch>, Vec<u8>) {
    let temp = tempfile::tempdir().expect("temp dir");
    let dir = temp.path().join("t-0");
    let store = inline_store();
    let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    for i in 0..6 {
        append(&log, batch(1 + i % 3, 30 + 40 * i)).await.expect("append");
    }
    let batches = read_all(&log, 1 << 20).await;
    let bytes = batches.iter().flat_map(|b| b.to_bytes()).collect();
    (temp, batches, bytes)
}

/// A store whose only segment holds `bytes`.
async fn store_with(dir: &Path, bytes: &[u8]) -> TestStore {
    let store = TestStore::new(SimConfig { limits: INLINE, ..SimConfig::default() });
    let path = log_path(dir, 0);
    std::fs::remove_file(&path).expect("marker");
    let file = store.create(&path, 0).await.expect("create");
    let chunk = plimsoll_io::Chunk::Shared(bytes.to_vec().into());
    file.write_at(0, WriteBufs::Gather(vec![chunk])).await.result.expect("write");
    store
}

#[test]
fn e32_every_prefix_of_a_segment_recovers_to_its_whole_batches() {
    run(async {
        let (temp, batches, bytes) = one_segment().await;
        let dir = temp.path().join("t-0");
        let ends: Vec<usize> = batches
            .iter()
            .scan(0, |at, b| {
                *at += b.size_bytes();
                Some(*at)
            })
            .collect();
        for len in 0..=bytes.len() {
            let store = store_with(&dir, &bytes[..len]).await;
            let (log, report) = open(store, &dir, small_config(), None, false).await;
            let whole = ends.iter().filter(|end| **end <= len).count();
            assert_eq!(read_all(&log, 1 << 20).await.len(), whole, "{len} bytes left");
            let kept = whole.checked_sub(1).map_or(0, |i| ends[i]);
            assert_eq!(report.truncated_bytes + report.padding_bytes, (len - kept) as u64);
        }
    });
}

#[test]
fn e32_any_flipped_byte_cuts_at_its_batch_or_is_outside_the_checksum() {
    run(async {
        let (temp, batches, bytes) = one_segment().await;
        let dir = temp.path().join("t-0");
        let mut start = 0;
        for (i, batch) in batches.iter().enumerate() {
            for at in start..start + batch.size_bytes() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x40;
                let store = store_with(&dir, &damaged).await;
                let (log, report) = open(store, &dir, small_config(), None, false).await;
                let kept = read_all(&log, 1 << 20).await.len();
                let in_prefix = at - start;
                // Leader epoch and the high bytes of the offset are not covered by the CRC.
                let covered = !(0..8).contains(&in_prefix) && !(12..16).contains(&in_prefix);
                if covered {
                    assert_eq!(kept, i, "byte {in_prefix} of batch {i}: {report:?}");
                    assert!(report.first_bad.is_some());
                }
            }
            start += batch.size_bytes();
        }
    });
}

#[test]
fn e32_zeroes_behind_the_last_batch_are_padding_and_not_a_loss() {
    run(async {
        let (temp, batches, mut bytes) = one_segment().await;
        let dir = temp.path().join("t-0");
        bytes.resize(bytes.len() + 5_000, 0);
        let store = store_with(&dir, &bytes).await;
        let (log, report) = open(store, &dir, small_config(), None, false).await;
        assert_eq!((report.padding_bytes, report.truncated_bytes, report.first_bad), (5_000, 0, None));
        assert_eq!(read_all(&log, 1 << 20).await.len(), batches.len());
    });
}

#[test]
fn e32_a_cut_in_an_earlier_segment_removes_the_later_ones() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let store = inline_store();
        let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
        for _ in 0..40 {
            append(&log, batch(2, 500)).await.expect("append");
        }
        log.close().await.expect("close");
        let segments = log.segments();
        assert!(segments.len() > 2);
        assert!(store.sim.corrupt(&log_path(&dir, segments[1].base_offset), 100, &[0xff; 8]));
        let (log, report) = open(store, &dir, small_config(), None, false).await;
        assert_eq!(report.segments_removed, segments.len() - 2);
        assert!(report.first_bad.is_some_and(|bad| bad.contains(".log")));
        assert_eq!(log.marks().accepted, segments[1].base_offset);
        assert!(!dir.join(format!("{:020}.index", segments[2].base_offset)).exists());
        assert_eq!(append(&log, batch(1, 1)).await.expect("append").base_offset, segments[1].base_offset);
    });
}

#[test]
fn missing_or_damaged_indexes_are_rebuilt() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let store = inline_store();
        let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
        for i in 0..40 {
            append(&log, batch_at(i * 100, 2, 500)).await.expect("append");
        }
        log.close().await.expect("close");
        let originals: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(&dir)
            .expect("list")
            .map(|e| e.expect("entry").path())
            .filter(|p| p.extension().is_some_and(|x| x == "index" || x == "timeindex"))
            .map(|p| (p.clone(), std::fs::read(&p).expect("read")))
            .collect();
        for (i, (path, bytes)) in originals.iter().enumerate() {
            match i % 3 {
                0 => std::fs::remove_file(path).expect("remove"),
                1 => std::fs::write(path, vec![0; bytes.len() + 24]).expect("damage"),
                _ => std::fs::write(path, b"odd").expect("damage"),
            }
        }
        let (log, _) = open(store, &dir, small_config(), None, true).await;
        assert_eq!(read_all(&log, 1).await.len(), 40);
        let found = log.offset_for_timestamp(1_501, i64::MAX).await.expect("lookup").expect("found");
        assert_eq!(found.offset, 31);
        log.close().await.expect("close");
        for (path, bytes) in originals {
            assert_eq!(std::fs::read(&path).expect("rebuilt"), bytes, "{}", path.display());
        }
    });
}
