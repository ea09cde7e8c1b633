//! Directories that are not what a log left: stray segments, and offsets that the checksum does not cover.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{Level, Log, LogConfig, OpenHints, RecoveryReport};
use plimsoll_records::Batch;

use crate::common::{TOPIC_ID, append, batch, inline_store, open, read_all, run, small_config};

type FileLog = Log<PageCacheStore>;

/// One segment for every five batches of ten records: they begin at offsets 0, 50, 100 and 150.
const BATCHES: usize = 20;
const END_OFFSET: i64 = 200;

async fn open_in(dir: &Path, recovery_point: Option<i64>, clean: bool) -> (FileLog, RecoveryReport) {
    let batch_bytes = batch(10, 20).size_bytes() as u32;
    let config =
        LogConfig { segment_bytes: 5 * batch_bytes, index_interval_bytes: 64, ..LogConfig::default() };
    open(PageCacheStore::new(Preallocation::None), dir, config, recovery_point, clean).await
}

fn file(dir: &Path, base_offset: i64, suffix: &str) -> PathBuf {
    dir.join(format!("{base_offset:020}.{suffix}"))
}

/// A directory that a log of several segments left at a clean stop.
async fn stopped() -> (tempfile::TempDir, PathBuf, Vec<Batch>) {
    let temp = tempfile::tempdir().expect("temp dir");
    let dir = temp.path().join("t-0");
    let (log, _) = open_in(&dir, None, false).await;
    for _ in 0..BATCHES {
        append(&log, batch(10, 20)).await.expect("append");
    }
    log.wait(0, Level::Written, END_OFFSET).await.expect("written");
    let bases: Vec<i64> = log.segments().iter().map(|s| s.base_offset).collect();
    assert_eq!(bases, [0, 50, 100, 150]);
    let batches = read_all(&log, 1 << 20).await;
    log.close().await.expect("close");
    (temp, dir, batches)
}

/// The log holds all that it held, and goes on where it ended.
async fn assert_whole(log: &FileLog, batches: &[Batch]) {
    assert_eq!(log.marks().accepted, END_OFFSET);
    let bytes = |batches: &[Batch]| batches.iter().map(Batch::to_bytes).collect::<Vec<_>>();
    assert_eq!(bytes(&read_all(log, 1 << 20).await), bytes(batches));
    assert_eq!(append(log, batch(1, 20)).await.expect("append").base_offset, END_OFFSET);
}

#[test]
fn e32_a_stray_segment_inside_a_sealed_one_goes_and_those_behind_it_stay() {
    run(async {
        for recovery_point in [None, Some(0), Some(75), Some(100), Some(END_OFFSET)] {
            for stray in [Vec::new(), bytes_at(53, batch(7, 20)), vec![0; 300]] {
                let (_temp, dir, batches) = stopped().await;
                std::fs::write(file(&dir, 53, "log"), &stray).expect("stray");
                let (log, report) = open_in(&dir, recovery_point, false).await;
                assert_whole(&log, &batches).await;
                assert_eq!((report.segments_removed, report.truncated_bytes), (1, stray.len() as u64));
                assert!(report.first_bad.is_some_and(|bad| bad.ends_with("the next segment begins at 53")));
                assert!(!file(&dir, 53, "log").exists());
            }
        }
    });
}

fn bytes_at(base_offset: i64, mut batch: Batch) -> Vec<u8> {
    batch.set_base_offset(base_offset);
    batch.to_bytes().to_vec()
}

#[test]
fn e32_a_stray_segment_goes_also_where_the_one_before_lost_its_indexes() {
    run(async {
        for recovery_point in [None, Some(END_OFFSET)] {
            let (_temp, dir, batches) = stopped().await;
            std::fs::write(file(&dir, 53, "log"), b"").expect("stray");
            std::fs::write(file(&dir, 50, "index"), b"odd").expect("damage");
            let (log, report) = open_in(&dir, recovery_point, false).await;
            assert_whole(&log, &batches).await;
            assert_eq!(report.segments_removed, 1);
        }
    });
}

#[test]
fn e32_several_strays_inside_one_segment_go_together() {
    run(async {
        let (_temp, dir, batches) = stopped().await;
        for base_offset in [51, 53, 99, 120, 199] {
            std::fs::write(file(&dir, base_offset, "log"), b"").expect("stray");
        }
        let (log, report) = open_in(&dir, None, false).await;
        assert_whole(&log, &batches).await;
        assert_eq!(report.segments_removed, 5);
    });
}

#[test]
fn a_stray_segment_inside_the_last_one_does_not_move_the_end_of_a_cleanly_stopped_log_back() {
    run(async {
        let (_temp, dir, batches) = stopped().await;
        std::fs::write(file(&dir, 153, "log"), b"").expect("stray");
        let (log, report) = open_in(&dir, None, true).await;
        assert_whole(&log, &batches).await;
        assert_eq!((report.segments_scanned, report.segments_removed), (1, 1));
    });
}

#[test]
fn a_gap_between_sealed_segments_stays_where_no_segment_overlaps() {
    run(async {
        let (_temp, dir, batches) = stopped().await;
        for suffix in ["log", "index", "timeindex"] {
            std::fs::remove_file(file(&dir, 50, suffix)).expect("remove");
        }
        let (log, report) = open_in(&dir, None, false).await;
        assert_eq!((report.segments_removed, report.first_bad), (0, None));
        assert_eq!(
            (log.marks().accepted, read_all(&log, 1 << 20).await.len()),
            (END_OFFSET, batches.len() - 5)
        );
    });
}

/// Cleanly stopped, then the base offset of the last segment's batch `i` is changed.
async fn resumed_with(i: usize, change: impl Fn(i64) -> i64) -> (FileLog, RecoveryReport, tempfile::TempDir) {
    let (temp, dir, batches) = stopped().await;
    let path = file(&dir, 150, "log");
    let at = i * batches[0].size_bytes();
    let mut bytes = std::fs::read(&path).expect("read");
    let base_offset = i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    bytes[at..at + 8].copy_from_slice(&change(base_offset).to_be_bytes());
    std::fs::write(&path, bytes).expect("write");
    let (log, report) = open_in(&dir, None, true).await;
    (log, report, temp)
}

#[test]
fn a_clean_stop_is_not_believed_where_an_offset_of_the_tail_is_negative_falls_back_or_is_too_far() {
    run(async {
        let changes: [fn(i64) -> i64; 4] =
            [|o| o | i64::MIN, |o| o | 1 << 62, |_| 149, |o| o + i64::from(i32::MAX)];
        for change in changes {
            let (log, report, _temp) = resumed_with(4, change).await;
            assert_eq!(log.marks().accepted, 190, "changed to {}", change(190));
            assert_eq!(report.segments_scanned, 1);
            assert!(report.first_bad.is_some());
            assert_eq!(append(&log, batch(1, 20)).await.expect("append").base_offset, 190);
            log.close().await.expect("close");
        }
    });
}

#[test]
fn a_gap_in_the_tail_of_a_cleanly_stopped_log_is_believed_only_once_it_is_scanned() {
    run(async {
        let (log, report, _temp) = resumed_with(4, |o| o + 1_000).await;
        assert_eq!((log.marks().accepted, report.segments_scanned), (END_OFFSET + 1_000, 1));
    });
}

#[test]
fn a_segment_at_the_last_possible_offset_opens_without_an_overflow() {
    run(async {
        for clean in [false, true] {
            let (_temp, dir, batches) = stopped().await;
            let last = bytes_at(i64::MAX, batches[0].clone());
            std::fs::write(file(&dir, i64::MAX, "log"), last).expect("segment");
            std::fs::write(file(&dir, i64::MAX, "index"), [0, 0, 0, 1, 0, 0, 0, 1]).expect("index");
            std::fs::write(file(&dir, i64::MAX, "timeindex"), b"").expect("time index");
            let (log, _) = open_in(&dir, None, clean).await;
            assert_eq!(log.read(0, END_OFFSET, 1 << 20, true).await.expect("read").first_offset, Some(0));
        }
    });
}

#[test]
fn e32_opening_opens_what_it_scans_and_the_ends_of_what_it_trusts_however_many_segments_there_are() {
    run(async {
        let (temp, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let dir = temp.path().join("t-0");
        let config = LogConfig { segment_bytes: 1 << 10, ..small_config() };
        let (log, _) = open(store.clone(), &dir, config.clone(), None, false).await;
        while log.segments().len() < 100 {
            append(&log, batch(5, 100)).await.expect("append");
        }
        let bases: Vec<i64> = log.segments().iter().map(|s| s.base_offset).collect();
        log.close().await.expect("close");
        drop(log);
        // The last sealed segment, to see whether it overlaps the active one, and the active one.
        for (clean, unflushed, opens) in
            [(true, 0, 2), (false, 1, 2), (false, 5, 6), (false, 60, 61), (false, 100, 100)]
        {
            let recovery_point = bases.get(100 - unflushed).copied();
            store.script.opens.store(0, Ordering::SeqCst);
            let (log, report) = open(store.clone(), &dir, config.clone(), recovery_point, clean).await;
            assert_eq!(store.script.opens.load(Ordering::SeqCst), opens, "{unflushed} segments unflushed");
            assert_eq!((report.segments, report.segments_scanned), (100, unflushed));
            assert_eq!(store.script.open_files.load(Ordering::SeqCst), 1, "the active one");
            log.close().await.expect("close");
        }
    });
}

async fn open_from(dir: &Path, log_start_offset: i64, clean: bool) -> (FileLog, RecoveryReport) {
    let store = PageCacheStore::new(Preallocation::None);
    let hints = OpenHints { log_start_offset: Some(log_start_offset), clean, ..OpenHints::default() };
    Log::open(store, dir, TOPIC_ID, LogConfig::default(), hints).await.expect("open")
}

#[test]
fn e30_a_log_start_behind_the_end_that_a_crash_left_is_where_the_log_goes_on() {
    run(async {
        let (_temp, dir, _) = stopped().await;
        let (log, report) = open_from(&dir, END_OFFSET + 50, false).await;
        let marks = log.marks();
        assert_eq!((marks.start_offset, marks.accepted), (END_OFFSET + 50, END_OFFSET + 50));
        assert_eq!(log.segments().len(), 1);
        assert!(report.first_bad.is_some_and(|bad| bad.contains("ends at 200, before its start 250")));
        assert_eq!(append(&log, batch(1, 20)).await.expect("append").base_offset, END_OFFSET + 50);
        assert!(!file(&dir, 0, "log").exists() && !file(&dir, 0, "index").exists());
    });
}

#[test]
fn a_log_start_behind_the_end_of_a_clean_stop_is_damage_and_deletes_nothing() {
    run(async {
        let (_temp, dir, batches) = stopped().await;
        let (log, report) = open_from(&dir, END_OFFSET + 50, true).await;
        assert!(report.first_bad.is_some_and(|bad| bad.contains("before the start 250 of the checkpoint")));
        assert_eq!(log.marks().start_offset, 0);
        assert_whole(&log, &batches).await;
    });
}

#[test]
fn e27_a_segments_last_batch_whose_epoch_moved_up_is_cut_with_what_follows_and_not_served() {
    run(async {
        let (_temp, dir, batches) = stopped().await;
        let (path, at) = (file(&dir, 50, "log"), 4 * batch(10, 20).size_bytes() + 14);
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).expect("write");
        let (log, report) = open_in(&dir, None, false).await;
        assert_eq!((log.marks().accepted, report.segments_removed), (90, 2));
        assert!(report.first_bad.is_some_and(|bad| bad.contains("epoch 256 is followed by one of epoch 0")));
        let left = read_all(&log, 1 << 20).await;
        assert!(left.iter().zip(&batches).all(|(left, sent)| left.to_bytes() == sent.to_bytes()));
    });
}

#[test]
fn e30_an_empty_directory_begins_at_the_checkpointed_log_start() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (log, _) = open_from(&temp.path().join("t-0"), 70, false).await;
        assert_eq!((log.marks().start_offset, log.segments()[0].base_offset), (70, 70));
    });
}

#[test]
fn e32_indexes_without_a_segment_are_removed() {
    run(async {
        let (_temp, dir, batches) = stopped().await;
        for (base_offset, suffix) in [(20, "index"), (20, "timeindex"), (END_OFFSET, "txnindex")] {
            std::fs::write(file(&dir, base_offset, suffix), b"left").expect("orphan");
        }
        let (log, _) = open_in(&dir, None, true).await;
        assert_whole(&log, &batches).await;
        for (base_offset, suffix) in [(20, "index"), (20, "timeindex"), (END_OFFSET, "txnindex")] {
            assert!(!file(&dir, base_offset, suffix).exists(), "{base_offset}.{suffix}");
        }
    });
}
