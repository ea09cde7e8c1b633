//! Rolling faster than the disk syncs, and what rolls leave in the directory.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plimsoll_io::{IoOp, PageCacheStore, Preallocation};
use plimsoll_log::{AppendError, Log, layout};
use tokio::task::JoinHandle;

use crate::common::*;

const EIO: i32 = 5;
/// Of these every segment holds one.
const LARGE_BYTES: usize = 9_000;
/// Unsynced segments, the active one, and sealed ones kept open for reads.
const OPEN_FILES_MAX: u32 = 8 + 1 + 4;

async fn opened(store: &TestStore, dir: &Path) -> Log<TestStore> {
    open(store.clone(), dir, small_config(), None, false).await.0
}

/// Appends until an append waits for longer than anything but a sync could take.
async fn roll_until_stuck(log: &Log<TestStore>) -> JoinHandle<Result<(), AppendError>> {
    for _ in 0..100 {
        let log = log.clone();
        let one = async move { append(&log, batch(1, LARGE_BYTES)).await.map(drop) };
        let task = tokio::task::spawn_local(one);
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !task.is_finished() {
            return task;
        }
        task.await.expect("task").expect("append");
    }
    panic!("a hundred rolls while no sync ends: {:?}", log.marks());
}

#[test]
fn a_roll_whose_append_was_dropped_ends_before_another_begins() {
    run(async {
        let store = inline_store();
        let dir = tempfile::tempdir().expect("temp dir");
        let log = opened(&store, &dir.path().join("t-0")).await;
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        store.script.hold_creates.store(1, Ordering::SeqCst);
        let dropped = append(&log, batch(1, LARGE_BYTES));
        tokio::time::timeout(Duration::from_secs(1), dropped).await.expect_err("it waits for the new file");
        store.script.hold_creates.store(0, Ordering::SeqCst);
        store.script.released.notify_waiters();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(log.segments().len(), 2, "the file under way is the log's, and nobody else makes it");
        assert_eq!(log.marks().accepted, 1, "nothing remains of the batch");
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        assert_eq!((log.segments().len(), log.marks().accepted), (2, 2));
    });
}

#[test]
fn rolls_wait_for_syncs_instead_of_piling_up_open_files() {
    for store in [inline_store(), direct_store(6)] {
        run(async {
            let dir = tempfile::tempdir().expect("temp dir");
            let log = opened(&store, &dir.path().join("t-0")).await;
            store.script.hold_syncs.store(1, Ordering::SeqCst);
            let stuck = roll_until_stuck(&log).await;
            let open_files = store.script.open_files.load(Ordering::SeqCst);
            assert!((4..=OPEN_FILES_MAX).contains(&open_files), "{open_files}");
            append(&log, batch(1, 10)).await.expect("what needs no roll does not wait");
            let rolled = log.segments().len();

            store.script.release_syncs();
            stuck.await.expect("task").expect("goes on once a segment is synced");
            for _ in 0..50 {
                append(&log, batch(1, LARGE_BYTES)).await.expect("append");
                let open_files = store.script.open_files.load(Ordering::SeqCst);
                assert!(open_files <= OPEN_FILES_MAX, "{open_files}");
            }
            assert_eq!(log.segments().len(), rolled + 51);
            log.close().await.expect("close");
            assert_eq!(read_all(&log, 1 << 16).await.len(), rolled + 52);
        });
    }
}

#[test]
fn a_log_that_waits_for_syncs_does_not_block_another() {
    run(async {
        let (slow, fast) = (inline_store(), inline_store());
        let dir = tempfile::tempdir().expect("temp dir");
        let (stuck, free) =
            (opened(&slow, &dir.path().join("t-0")).await, opened(&fast, &dir.path().join("t-1")).await);
        slow.script.hold_syncs.store(1, Ordering::SeqCst);
        let waiting = roll_until_stuck(&stuck).await;
        for _ in 0..30 {
            append(&free, batch(1, LARGE_BYTES)).await.expect("append");
        }
        assert_eq!(free.segments().len(), 30);
        assert!(!waiting.is_finished());
        slow.script.release_syncs();
        waiting.await.expect("task").expect("append");
    });
}

#[test]
fn an_append_that_waits_for_syncs_ends_with_the_log() {
    run(async {
        let store = inline_store();
        let dir = tempfile::tempdir().expect("temp dir");
        let log = opened(&store, &dir.path().join("t-0")).await;
        store.script.hold_syncs.store(1, Ordering::SeqCst);
        let stuck = roll_until_stuck(&log).await;
        store.script.fail(IoOp::Sync, EIO);
        store.script.release_syncs();
        let outcome = stuck.await.expect("task");
        assert!(matches!(outcome, Err(AppendError::Poisoned(_))), "{outcome:?}");

        let store = inline_store();
        let log = opened(&store, &dir.path().join("t-1")).await;
        store.script.hold_syncs.store(1, Ordering::SeqCst);
        let stuck = roll_until_stuck(&log).await;
        let closing = tokio::task::spawn_local(async move { log.close().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.script.release_syncs();
        closing.await.expect("task").expect("close");
        let outcome = stuck.await.expect("task");
        assert!(matches!(outcome, Err(AppendError::Closed)), "{outcome:?}");
    });
}

fn snapshots(dir: &Path) -> Vec<i64> {
    let names = std::fs::read_dir(dir).expect("list").map(|e| e.expect("entry").file_name());
    let names: Vec<String> = names.map(|n| n.into_string().expect("name")).collect();
    let parsed = names.iter().filter_map(|n| layout::parse_segment_name(n));
    let mut offsets: Vec<i64> =
        parsed.filter(|(_, suffix)| *suffix == layout::SNAPSHOT_SUFFIX).map(|(offset, _)| offset).collect();
    offsets.sort_unstable();
    offsets
}

#[test]
fn rolls_know_the_snapshots_without_listing_the_directory() {
    run(async {
        let guard = tempfile::tempdir().expect("temp dir");
        let dir = guard.path().join("t-0");
        let store = inline_store();
        let log = opened(&store, &dir).await;
        for _ in 0..10 {
            append(&log, batch(1, LARGE_BYTES)).await.expect("append");
            log.flush().await.expect("flush");
        }
        assert_eq!(snapshots(&dir), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        // Whoever lists the directory finds these.
        for foreign in 1_000..1_004 {
            let path = layout::segment_path(&dir, foreign, layout::SNAPSHOT_SUFFIX);
            std::fs::write(path, b"not the log's").expect("write");
        }
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        log.flush().await.expect("flush");
        let known = 1..=10;
        assert_eq!(snapshots(&dir), known.chain(1_000..1_004).collect::<Vec<_>>());

        log.close().await.expect("close");
        let (log, _) = open(store, &dir, small_config(), None, true).await;
        assert_eq!(
            snapshots(&dir),
            (1..=11).collect::<Vec<_>>(),
            "opening looks once, and drops what lies beyond the end"
        );
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        log.flush().await.expect("flush");
        assert_eq!(snapshots(&dir), (1..=12).collect::<Vec<_>>(), "those found at opening are known");
        log.truncate_to(10).await.expect("truncate");
        assert_eq!(snapshots(&dir), (1..=10).collect::<Vec<_>>());
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        append(&log, batch(1, LARGE_BYTES)).await.expect("append");
        log.flush().await.expect("flush");
        assert_eq!(snapshots(&dir), (1..=11).collect::<Vec<_>>());
        log.truncate_fully_and_start_at(50).await.expect("restart");
        assert_eq!(snapshots(&dir), [0_i64; 0]);
    });
}

#[test]
fn the_longest_topic_name_can_be_deleted() {
    run(async {
        let guard = tempfile::tempdir().expect("temp dir");
        let dir = guard.path().join(format!("{}-0", "t".repeat(249)));
        let store = PageCacheStore::new(Preallocation::None);
        let (log, _) = open(store, &dir, small_config(), None, false).await;
        append(&log, batch(1, 10)).await.expect("append");
        log.delete().await.expect("delete");
        assert_eq!(std::fs::read_dir(guard.path()).expect("list").count(), 0);
    });
}
