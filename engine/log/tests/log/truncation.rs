//! Truncations that fail, are dropped, or meet a sync.

use std::sync::atomic::Ordering;

use plimsoll_io::{FaultKind, IoOp};
use plimsoll_log::{AppendError, EpochEnd, EpochEntry, Level, Log, OpenHints, Truncation, WaitError};

use crate::common::*;

const EIO: i32 = 5;

/// A log with producers in several segments.
async fn filled(store: &TestStore, batches: i32) -> (tempfile::TempDir, Log<TestStore>) {
    let dir = tempfile::tempdir().expect("temp dir");
    let (log, _) = open(store.clone(), &dir.path().join("t-0"), small_config(), None, false).await;
    for i in 0..batches {
        append(&log, produced(7, 0, 10 * i, 10)).await.expect("append");
    }
    (dir, log)
}

#[test]
fn a_truncation_that_cannot_read_the_producers_leaves_the_log_whole() {
    run(async {
        let store = inline_store();
        let (_dir, log) = filled(&store, 120).await;
        log.flush().await.expect("sealed");
        let before = (log.marks().accepted, read_all(&log, 1 << 16).await.len());
        // Of the segment that is cut itself only headers are read; then the producers are replayed.
        let mut failed = 0;
        for nth in 0..200 {
            let at_reads = store.script.reads.load(Ordering::SeqCst) + nth;
            store.script.fail_read_at.store(at_reads, Ordering::SeqCst);
            let cut = log.truncate_to(15).await;
            store.script.fail_read_at.store(u32::MAX, Ordering::SeqCst);
            if cut.is_ok() {
                break;
            }
            failed += 1;
            assert_eq!((log.marks().accepted, read_all(&log, 1 << 16).await.len()), before, "read {nth}");
        }
        assert!(failed >= 2, "one read of each kind");
        assert_eq!(log.marks().accepted, 10);
        assert_eq!(append(&log, produced(7, 0, 10, 10)).await.expect("append").base_offset, 10);
        assert_eq!(read_all(&log, 1 << 16).await.len(), 2);
    });
}

#[test]
fn a_truncation_that_is_dropped_amid_the_cut_takes_the_log_offline() {
    for restart in [false, true] {
        run(async move {
            let store = inline_store();
            let (_dir, log) = filled(&store, 120).await;
            log.flush().await.expect("sealed");
            store.script.hold_truncates.store(1, Ordering::SeqCst);
            let to = if restart { 0 } else { 15 };
            store.script.hold_creates.store(u32::from(restart), Ordering::SeqCst);
            let cut = tokio::time::timeout(std::time::Duration::from_secs(1), log.truncate_to(to)).await;
            assert!(cut.is_err(), "it hangs in the cut");
            let fault = log.marks().fault.expect("offline");
            assert_eq!((fault.op, fault.kind), (IoOp::Truncate, FaultKind::Poisoned));
            let refused = append(&log, produced(7, 0, 1200, 1)).await;
            assert!(matches!(refused, Err(AppendError::Poisoned(_))), "{refused:?}");
        });
    }
}

#[test]
fn a_truncation_whose_cut_fails_takes_the_log_offline_with_that_fault() {
    run(async {
        let store = inline_store();
        let (_dir, log) = filled(&store, 120).await;
        log.flush().await.expect("sealed");
        store.script.fail(IoOp::Truncate, EIO);
        log.truncate_to(15).await.expect_err("refused");
        let fault = log.marks().fault.expect("offline");
        assert_eq!((fault.op, fault.errno()), (IoOp::Truncate, Some(EIO)));
    });
}

#[test]
fn a_sync_asked_for_amid_a_truncation_neither_runs_then_nor_covers_what_was_cut() {
    for to in [0, 15, 1195] {
        run(async move {
            let store = inline_store();
            let (_dir, log) = filled(&store, 120).await;
            let script = &store.script;
            let hold = if to == 0 { &script.hold_creates } else { &script.hold_truncates };
            log.flush().await.expect("sealed");
            // Written and not yet durable.
            append(&log, produced(7, 0, 1200, 10)).await.expect("append");
            hold.store(1, Ordering::SeqCst);
            let syncs = script.syncs.load(Ordering::SeqCst);
            let cutter = tokio::task::spawn_local({
                let log = log.clone();
                async move { log.truncate_to(to).await }
            });
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let marks = log.marks();
            let waiter = tokio::task::spawn_local({
                let log = log.clone();
                async move { log.wait(marks.generation, Level::Durable, 1210).await }
            });
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            assert_eq!(script.syncs.load(Ordering::SeqCst), syncs, "nothing is synced amid the cut");
            hold.store(0, Ordering::SeqCst);
            script.release_syncs();
            let end = cutter.await.expect("task").expect("truncate");
            let waited = waiter.await.expect("task");
            assert!(matches!(waited, Err(WaitError::GenerationChanged { .. })), "{waited:?}");
            let marks = log.marks();
            assert!(marks.durable <= end && marks.written == end && end <= to, "{marks:?}");
            // Syncs go on, and cover what is appended now.
            let at = append(&log, batch(1, 10)).await.expect("append");
            log.wait(at.generation, Level::Durable, at.last_offset + 1).await.expect("durable");
            assert_eq!(log.marks().durable, end + 1);
        });
    }
}

#[test]
fn e27_a_new_leaders_epoch_is_on_disk_before_it_appends_and_goes_with_a_truncation() {
    run(async {
        let store = inline_store();
        let (parent, log) = filled(&store, 3).await;
        assert_eq!(log.assign_leader_epoch(4).await.expect("assign"), 30);
        let on_disk = || plimsoll_log::EpochCache::read(&parent.path().join("t-0")).expect("checkpoint");
        assert_eq!(on_disk().latest(), log.latest_epoch());
        assert_eq!(log.epoch_end_offset(0), EpochEnd { epoch: 0, end_offset: 30 });
        assert_eq!(log.epoch_end_offset(4), EpochEnd { epoch: 4, end_offset: 30 });
        let answer = EpochEnd { epoch: 0, end_offset: 20 };
        let Truncation { offset, complete } = log.truncation_offset(answer);
        assert_eq!((offset, complete), (20, true));
        log.truncate_to(offset).await.expect("truncate");
        assert_eq!(log.latest_epoch().map(|e| e.epoch), Some(0));
        assert_eq!(on_disk().latest(), log.latest_epoch());
    });
}

#[test]
fn e28_a_log_that_starts_anew_stays_so_after_a_power_cut() {
    for seed in 0..8 {
        run(async move {
            let store = inline_store();
            let (parent, log) = filled(&store, 120).await;
            let generation = log.marks().generation;
            log.truncate_fully_and_start_at(5_000).await.expect("restart");
            let marks = log.marks();
            assert_eq!((marks.start_offset, marks.accepted), (5_000, 5_000));
            assert!(marks.generation > generation);
            assert_eq!((log.latest_epoch(), log.producer_count()), (None, 0));
            let hints = (log.recovery_point(), marks.start_offset);
            drop(log);
            let store = store.crash(seed);
            let dir = parent.path().join("t-0");
            let hints =
                OpenHints { recovery_point: Some(hints.0), log_start_offset: Some(hints.1), clean: false };
            let (log, _) = Log::open(store, &dir, TOPIC_ID, small_config(), hints).await.expect("open");
            let marks = log.marks();
            assert_eq!((marks.start_offset, marks.accepted, log.producer_count()), (5_000, 5_000, 0));
            assert_eq!(append(&log, produced(7, 0, 0, 1)).await.expect("append").base_offset, 5_000);
        });
    }
}

#[test]
fn e30_epochs_move_up_with_the_log_start() {
    run(async {
        let store = inline_store();
        let (_parent, log) = filled(&store, 3).await;
        log.assign_leader_epoch(4).await.expect("assign");
        log.increment_start_offset(15);
        assert_eq!(log.epoch_end_offset(-1), plimsoll_log::UNKNOWN_EPOCH_END);
        assert_eq!(log.epoch_end_offset(0), EpochEnd { epoch: 0, end_offset: 30 });
        log.increment_start_offset(30);
        assert_eq!(log.epoch_end_offset(0), EpochEnd { epoch: 0, end_offset: 30 }, "below the first now");
        assert_eq!(log.latest_epoch(), Some(EpochEntry { epoch: 4, start_offset: 30 }));
    });
}
