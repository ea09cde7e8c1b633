//! Retention and DeleteRecords from outside: what goes, what stays, and what a restart makes of it.

use std::path::Path;

use plimsoll_io::{FaultKind, IoOp, PageCacheStore, Preallocation, SegmentStore};
use plimsoll_log::{
    DeleteRecordsError, HIGH_WATERMARK, Level, Log, LogConfig, LogError, OpenHints, ReadError,
    RetentionPolicy,
};

use crate::common::*;

const AGELESS: RetentionPolicy = RetentionPolicy { retention_ms: None, retention_bytes: None };

const CLEAN: OpenHints = OpenHints { recovery_point: None, log_start_offset: None, clean: true };
/// Bytes of an entry of a time index.
const ENTRY_BYTES: usize = 12;

fn by_time(retention_ms: i64) -> RetentionPolicy {
    RetentionPolicy { retention_ms: Some(retention_ms), ..AGELESS }
}

fn by_size(retention_bytes: u64) -> RetentionPolicy {
    RetentionPolicy { retention_bytes: Some(retention_bytes), ..AGELESS }
}

/// Two batches of five records a segment.
fn config() -> LogConfig {
    LogConfig { segment_bytes: 2 * batch(5, 100).size_bytes() as u32, ..small_config() }
}

async fn reopen<S: SegmentStore>(store: S, dir: &Path, hints: OpenHints) -> Log<S> {
    Log::open(store, dir, TOPIC_ID, config(), hints).await.expect("open").0
}

/// Segments at 0, 10, 20 and 30 with timestamps from 1,000, 2,000 and so on; all flushed, and the last is active.
async fn filled<S: SegmentStore>(store: S, dir: &Path) -> Log<S> {
    let log = reopen(store, dir, OpenHints::default()).await;
    for timestamp in [1_000, 1_100, 2_000, 2_100, 3_000, 3_100, 4_000, 4_100] {
        append(&log, batch_at(timestamp, 5, 100)).await.expect("append");
    }
    log.flush().await.expect("flush");
    assert_eq!(bases(&log), [0, 10, 20, 30]);
    log
}

fn bases<S: SegmentStore>(log: &Log<S>) -> Vec<i64> {
    log.segments().iter().map(|s| s.base_offset).collect()
}

/// Base offsets of the files with this suffix.
fn on_disk(dir: &Path, suffix: &str) -> Vec<i64> {
    let names = std::fs::read_dir(dir).expect("list").map(|e| e.expect("entry").file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let mut bases: Vec<i64> =
        names.filter_map(|name| name.strip_suffix(suffix)?.strip_suffix('.')?.parse().ok()).collect();
    bases.sort_unstable();
    bases
}

#[test]
fn e30_expired_segments_go_with_their_files_and_the_log_start_follows() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let log = filled(PageCacheStore::new(Preallocation::Fallocate), &dir).await;
        let segment_bytes = log.log_size_bytes() / 4;
        let slice = log.read(0, 10, 1 << 20, true).await.expect("read").records;
        let before = slice.to_bytes().expect("bytes");
        std::fs::write(dir.join("00000000000000000000.txnindex"), b"").expect("transactions");
        let retained = log.apply_retention(&by_time(1_000), 40, 3_500).await.expect("retention");
        assert_eq!((retained.removed_segments, retained.log_start_offset), (2, 20));
        assert_eq!((retained.removed_bytes, log.log_size_bytes()), (2 * segment_bytes, 2 * segment_bytes));
        assert_eq!((bases(&log), log.marks().start_offset), (vec![20, 30], 20));
        for (suffix, left) in
            [("log", vec![20, 30]), ("index", vec![20]), ("timeindex", vec![20]), ("txnindex", vec![])]
        {
            assert_eq!(on_disk(&dir, suffix), left, "{suffix}");
        }
        assert_eq!(on_disk(&dir, "snapshot"), [20, 30], "those of segments that are gone went with them");
        assert!(matches!(
            log.read(19, 40, 100, true).await,
            Err(ReadError::OutOfRange { start_offset: 20, .. })
        ));
        assert_eq!(slice.to_bytes().expect("a slice outlives its segment"), before);
        let again = log.apply_retention(&by_time(1_000), 40, 3_500).await.expect("retention");
        assert_eq!((again.removed_segments, again.log_start_offset), (0, 20));
    });
}

#[test]
fn e30_nothing_at_or_above_the_high_watermark_goes() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let log = filled(inline_store(), &temp.path().join("t-0")).await;
        for (high_watermark, start_offset) in [(9, 0), (19, 10), (35, 30)] {
            let retained = log.apply_retention(&by_time(0), high_watermark, 10_000).await.expect("retention");
            assert_eq!(retained.log_start_offset, start_offset, "{high_watermark}");
        }
    });
}

#[test]
fn e30_when_all_is_expired_the_active_segment_is_rolled_first_and_goes_too() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let log = filled(PageCacheStore::new(Preallocation::None), &dir).await;
        let retained = log.apply_retention(&by_time(0), 40, 10_000).await.expect("retention");
        assert_eq!((retained.removed_segments, retained.log_start_offset), (4, 40));
        assert_eq!((bases(&log), on_disk(&dir, "log"), log.log_size_bytes()), (vec![40], vec![40], 0));
        let again = log.apply_retention(&by_size(0), 40, 10_000).await.expect("an empty log stays");
        assert_eq!((again.removed_segments, bases(&log)), (0, vec![40]));
        assert_eq!(append(&log, batch(1, 20)).await.expect("append").base_offset, 40);
    });
}

#[test]
fn e30_a_full_disk_only_puts_the_roll_off() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let store = inline_store();
        let log = filled(store.clone(), &temp.path().join("t-0")).await;
        store.script.fail(IoOp::Create, 28);
        store.script.fail(IoOp::Create, 28);
        let retained = log.apply_retention(&by_time(0), 40, 10_000).await.expect("retention");
        assert_eq!((retained.removed_segments, bases(&log)), (3, vec![30]));
        let retained = log.apply_retention(&by_time(0), 40, 10_000).await.expect("retention");
        assert_eq!((retained.removed_segments, bases(&log)), (1, vec![40]));
    });
}

#[test]
fn e31_ages_are_looked_at_once_and_only_up_to_the_first_segment_that_stays() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), inline_store());
        filled(store.clone(), &dir).await.close().await.expect("close");
        let log = reopen(store.clone(), &dir, CLEAN).await;
        assert_eq!(log.segments()[0].largest_timestamp, None, "nobody has looked");
        log.apply_retention(&by_time(100_000), 40, 10_000).await.expect("retention");
        let known: Vec<_> = log.segments().iter().map(|s| s.largest_timestamp).collect();
        assert_eq!(known, [Some(1_104), None, None, Some(4_104)]);
        let opens = || store.script.opens.load(std::sync::atomic::Ordering::SeqCst);
        let before = opens();
        for _ in 0..2 {
            log.apply_retention(&by_time(1_000), 25, 3_500).await.expect("retention");
            assert_eq!(
                (bases(&log), opens()),
                (vec![20, 30], before + 2),
                "the one that goes, the one that stays"
            );
        }
    });
}

#[test]
fn e31_no_changed_bit_of_a_time_index_has_retention_delete_too_early_or_too_late() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), inline_store());
        filled(store.clone(), &dir).await.close().await.expect("close");
        let times = dir.join("00000000000000000000.timeindex");
        let right = std::fs::read(&times).expect("a time index");
        for bit in 0..right.len() * 8 {
            flip_bit(&dir, "timeindex", bit);
            let log = reopen(store.clone(), &dir, CLEAN).await;
            // Exactly as old as allowed.
            let kept = log.apply_retention(&by_time(1_000), 40, 2_104).await.expect("retention");
            assert_eq!(kept.removed_segments, 0, "bit {bit}");
            assert_eq!(log.largest_timestamp(0).await.expect("a look"), Some(1_104), "bit {bit}");
            assert_eq!(std::fs::read(&times).expect("read"), right, "bit {bit}: made anew");
        }
        // One bit makes the last timestamp that of a record from the future.
        flip_bit(&dir, "timeindex", (right.len() - ENTRY_BYTES) * 8 + 6);
        let log = reopen(store, &dir, CLEAN).await;
        let gone = log.apply_retention(&by_time(1_000), 40, 2_105).await.expect("retention");
        assert_eq!((gone.removed_segments, bases(&log)), (1, vec![10, 20, 30]));
    });
}

#[test]
fn e31_a_changed_time_index_of_the_active_segment_does_not_have_it_rolled_and_deleted() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), inline_store());
        let log = reopen(store.clone(), &dir, OpenHints::default()).await;
        append(&log, batch_at(1_000, 5, 100)).await.expect("append");
        log.close().await.expect("close");
        for bit in (0..ENTRY_BYTES * 8).step_by(5) {
            flip_bit(&dir, "timeindex", bit);
            let log = reopen(store.clone(), &dir, CLEAN).await;
            assert_eq!(log.largest_timestamp(0).await.expect("a look"), Some(1_004), "bit {bit}");
            assert_eq!(
                log.apply_retention(&by_time(1_000), 5, 2_004).await.expect("retention").removed_segments,
                0
            );
            log.close().await.expect("close");
        }
    });
}

#[test]
fn e31_of_a_changed_batch_and_its_index_the_later_timestamp_counts() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), inline_store());
        filled(store.clone(), &dir).await.close().await.expect("close");
        // The largest timestamp in the header of the second batch, which the CRC covers.
        let at_bytes = batch(5, 100).size_bytes() as u64 + 35;
        assert!(store.sim.corrupt(&dir.join("00000000000000000000.log"), at_bytes, &0_i64.to_be_bytes()));
        let log = reopen(store, &dir, CLEAN).await;
        let kept = log.apply_retention(&by_time(1_000), 40, 2_104).await.expect("retention");
        assert_eq!(kept.removed_segments, 0);
        let gone = log.apply_retention(&by_time(1_000), 40, 2_105).await.expect("retention");
        assert_eq!((gone.removed_segments, bases(&log)), (1, vec![10, 20, 30]));
    });
}

#[test]
fn e31_segments_without_timestamps_are_as_old_as_their_files() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), PageCacheStore::new(Preallocation::None));
        let log = reopen(store, &dir, OpenHints::default()).await;
        for _ in 0..4 {
            append(&log, batch_at(-1, 1, 600)).await.expect("append");
        }
        log.flush().await.expect("flush");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("clock");
        let now_ms = now.as_millis() as i64;
        let kept = log.apply_retention(&by_time(3_600_000), 4, now_ms).await.expect("retention");
        assert_eq!(kept.removed_segments, 0);
        let gone = log.apply_retention(&by_time(3_600_000), 4, now_ms + 7_200_000).await.expect("retention");
        assert_eq!(gone.log_start_offset, 4);
    });
}

#[test]
fn e30_the_log_start_has_moved_before_a_file_goes() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let log = filled(PageCacheStore::new(Preallocation::None), &dir).await;
        let (seen, of) = (std::sync::Arc::new(std::sync::Mutex::new(Vec::new())), dir.clone());
        let told = seen.clone();
        log.set_observer(std::sync::Arc::new(move |marks| {
            told.lock().expect("seen").push((marks.start_offset, on_disk(&of, "log")));
        }));
        log.apply_retention(&by_size(log.log_size_bytes() / 2), 40, 0).await.expect("retention");
        assert_eq!(*seen.lock().expect("seen"), [(20, vec![0, 10, 20, 30])]);
        assert_eq!(on_disk(&dir, "log"), [20, 30]);
    });
}

#[test]
fn e30_a_removal_that_fails_is_said_and_leaves_no_hole() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), inline_store());
        let log = filled(store.clone(), &dir).await;
        store.script.fail(IoOp::Remove, 0);
        store.script.fail(IoOp::Remove, 5);
        let failed = log.apply_retention(&by_size(0), 30, 0).await;
        assert!(matches!(failed, Err(LogError::Fault(f)) if f.kind == FaultKind::DeviceError));
        assert_eq!((log.marks().start_offset, on_disk(&dir, "log")), (30, vec![10, 20, 30]));
        drop(log);
        let hints = OpenHints { log_start_offset: Some(30), ..OpenHints::default() };
        let log = reopen(store, &dir, hints).await;
        assert_eq!((log.marks().start_offset, bases(&log)), (30, vec![10, 20, 30]));
        assert_eq!(log.apply_retention(&AGELESS, 40, 0).await.expect("retention").removed_segments, 2);
    });
}

#[test]
fn e17_deleted_records_may_end_inside_a_batch_and_stay_deleted_over_a_restart() {
    run(async {
        for clean in [false, true] {
            let temp = tempfile::tempdir().expect("temp dir");
            let (dir, store) = (temp.path().join("t-0"), inline_store());
            let log = filled(store.clone(), &dir).await;
            assert_eq!(log.delete_records(23, 40).await.expect("delete"), 23);
            assert_eq!((bases(&log), on_disk(&dir, "log")), (vec![20, 30], vec![20, 30]));
            let (end, recovery_point) = (log.marks().accepted, Some(log.recovery_point()));
            log.close().await.expect("close");
            let log_start_offset = Some(23);
            let log = reopen(store, &dir, OpenHints { recovery_point, log_start_offset, clean }).await;
            assert_eq!((log.marks().start_offset, log.marks().accepted), (23, end));
            assert!(matches!(log.read(22, 40, 100, true).await, Err(ReadError::OutOfRange { .. })));
            let out = log.read(23, 40, 100, true).await.expect("read");
            assert_eq!(
                out.first_offset,
                Some(20),
                "the whole batch, of which the client drops the beginning"
            );
            assert_eq!(log.delete_records(7, 40).await.expect("already deleted"), 23);
        }
    });
}

#[test]
fn e30_records_are_deleted_up_to_the_high_watermark_and_no_further() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let log = filled(inline_store(), &temp.path().join("t-0")).await;
        for offset in [36, i64::MAX, -2, i64::MIN] {
            let refused = log.delete_records(offset, 35).await;
            let expected = matches!(
                refused,
                Err(DeleteRecordsError::OutOfRange { offset: o, high_watermark: 35 }) if o == offset
            );
            assert!(expected, "{offset}: {refused:?}");
        }
        assert_eq!(log.marks().start_offset, 0);
        assert_eq!(log.delete_records(HIGH_WATERMARK, 35).await.expect("delete"), 35);
        assert_eq!((bases(&log), log.marks().start_offset), (vec![30], 35));
        log.wait(0, Level::Written, 40).await.expect("written");
        assert_eq!(log.delete_records(HIGH_WATERMARK, 40).await.expect("delete"), 40);
        log.close().await.expect("close");
        assert!(matches!(log.delete_records(0, 40).await, Err(DeleteRecordsError::Log(LogError::Closed))));
        assert!(matches!(log.apply_retention(&AGELESS, 40, 0).await, Err(LogError::Closed)));
    });
}
