//! Handles that outlive their log, while another log has its name.

use std::sync::atomic::Ordering;

use plimsoll_io::{FaultKind, IoOp, PageCacheStore, Preallocation, SegmentStore};
use plimsoll_log::{Log, LogConfig, OpenFiles, OpenHints, ReadError};
use uuid::Uuid;

use crate::common::*;

fn config() -> LogConfig {
    LogConfig { open_files: Some(OpenFiles::new(1)), ..small_config() }
}

async fn fill<S: SegmentStore>(log: &Log<S>) {
    while log.segments().len() < 4 {
        append(log, batch(10, 100)).await.expect("append");
    }
    log.flush().await.expect("flush");
}

fn assert_gone<T: std::fmt::Debug>(read: Result<T, ReadError>) {
    assert!(matches!(&read, Err(ReadError::Fault(f)) if f.kind == FaultKind::NotFound), "{read:?}");
}

#[test]
fn a_deleted_log_neither_reads_nor_changes_the_files_of_one_of_the_same_name() {
    run(async {
        let parent = tempfile::tempdir().expect("temp dir");
        let dir = parent.path().join("t-0");
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let (old, _) = open(store.clone(), &dir, config(), None, false).await;
        fill(&old).await;
        old.increment_start_offset(i64::MAX);
        old.delete().await.expect("delete");
        let (new, _) =
            Log::open(store, &dir, Uuid::from_u128(9), config(), OpenHints::default()).await.expect("open");
        fill(&new).await;
        let before = read_all(&new, 1 << 16).await.len();
        assert_eq!(old.remove_old_segments().await.expect("nothing"), 0);
        old.assign_leader_epoch(77).await.expect_err("deleted");
        old.truncate_to(0).await.expect_err("deleted");
        old.truncate_fully_and_start_at(5).await.expect_err("deleted");
        assert_eq!(read_all(&new, 1 << 16).await.len(), before);
        new.close().await.expect("close");
    });
}

#[test]
fn a_fetch_from_a_deleted_log_never_opens_its_successors_files() {
    run(async {
        let parent = tempfile::tempdir().expect("temp dir");
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let dir = parent.path().join("t-0");
        let (old, _) = open(store.clone(), &dir, config(), None, false).await;
        fill(&old).await;
        old.delete().await.expect("delete");
        let (new, _) =
            Log::open(store, &dir, Uuid::from_u128(9), config(), OpenHints::default()).await.expect("open");
        fill(&new).await;
        assert_gone(old.read(0, i64::MAX, 1 << 10, true).await);
        new.close().await.expect("close");
    });
}

#[test]
fn a_segment_opened_while_its_log_is_deleted_is_not_used() {
    run(async {
        let store = inline_store();
        let parent = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(store.clone(), &parent.path().join("t-0"), config(), None, false).await;
        fill(&log).await;
        store.script.hold_opens.store(1, Ordering::SeqCst);
        let reader = tokio::task::spawn_local({
            let log = log.clone();
            async move { log.read(0, i64::MAX, 1 << 10, true).await }
        });
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        // The simulated disk knows no renamed directories: its files stay, as a successor's would.
        log.delete().await.expect_err("no such file");
        store.script.hold_opens.store(0, Ordering::SeqCst);
        store.script.release_syncs();
        assert_gone(reader.await.expect("task"));
    });
}

#[test]
fn a_failed_log_is_deleted_only_when_its_seal_writes_no_more() {
    run(async {
        let parent = tempfile::tempdir().expect("temp dir");
        let (store, dir) = (inline_store(), parent.path().join("t-0"));
        let (log, _) = open(store.clone(), &dir, config(), None, false).await;
        store.script.hold_syncs.store(1, Ordering::SeqCst);
        while log.segments().len() < 2 {
            append(&log, batch(10, 100)).await.expect("append");
        }
        // The seal begins.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        store.script.fail(IoOp::Write, 5);
        append(&log, batch(1, 1)).await.expect_err("the device fails while the seal waits for its sync");
        let deleting = tokio::task::spawn_local({
            let log = log.clone();
            async move { log.delete().await }
        });
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(dir.exists(), "what the seal writes must find the directory of its own log");
        store.script.release_syncs();
        // The simulated disk knows no renamed directories.
        deleting.await.expect("task").expect_err("no such file");
        std::fs::create_dir(&dir).expect("a successor");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(std::fs::read_dir(&dir).expect("list").count(), 0);
    });
}
