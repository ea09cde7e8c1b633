//! Room made before it is needed: what appends wait for, what a crash leaves, and how little idle partitions hold.

use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use plimsoll_io::{FaultKind, IoOp, MmapStore, PageCacheStore, Preallocation, SegmentStore, SimConfig};
use plimsoll_log::{AppendError, Log, LogConfig, layout};

use crate::common::*;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn waiting(dir: &Path) -> bool {
    dir.join(layout::NEXT_SEGMENT).exists()
}

async fn opened(store: &TestStore, dir: &Path) -> Log<TestStore> {
    open(store.clone(), dir, small_config(), None, false).await.0
}

/// Whatever was begun in the background comes to its end.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(10)).await;
}

/// Whether an append is over without waiting for anything at all.
fn appends_at_once(log: &Log<TestStore>, value_bytes: usize) -> bool {
    let mut appending = Box::pin(append(log, batch(1, value_bytes)));
    match appending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done.map(|_| true).expect("append"),
        Poll::Pending => false,
    }
}

#[test]
fn no_append_of_a_rolling_log_waits_for_creation_reservation_or_sync() {
    run(async {
        let store = inline_store();
        let dir = tempfile::tempdir().expect("temp dir");
        let log = opened(&store, &dir.path().join("t-0")).await;
        // The epoch's checkpoint is written before its first batch is accepted.
        append(&log, batch(1, 10)).await.expect("append");
        settle().await;
        store.script.slow_ms.store(200, Ordering::SeqCst);
        for i in 0..200 {
            assert!(appends_at_once(&log, 500), "append {i} waited");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(log.segments().len() > 5, "{:?}", log.segments());
        settle().await;
        assert_eq!(log.marks().durable, log.segments().last().expect("active").base_offset);
        assert_eq!(read_all(&log, 1 << 16).await.len(), 201);
    });
}

#[test]
fn an_append_that_outruns_the_background_waits_for_it_and_goes_on() {
    run(async {
        let store = inline_store();
        let dir = tempfile::tempdir().expect("temp dir");
        let log = opened(&store, &dir.path().join("t-0")).await;
        // The epoch's checkpoint is written before its first batch is accepted.
        append(&log, batch(1, 10)).await.expect("append");
        settle().await;
        store.script.slow_ms.store(200, Ordering::SeqCst);
        let waited = (0..100).filter(|_| !appends_at_once(&log, 500)).count();
        assert!(waited > 0, "the control: without time to prepare, appends do wait");
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let log = log.clone();
                tokio::task::spawn_local(async move { append(&log, batch(1, 500)).await.map(drop) })
            })
            .collect();
        for task in tasks {
            task.await.expect("task").expect("no waiting append is lost");
        }
        assert!(log.segments().len() > 3);
    });
}

#[test]
fn a_full_disk_in_the_background_is_nobodys_error_until_the_room_is_needed() {
    run(async {
        let store = inline_store();
        let dir = tempfile::tempdir().expect("temp dir");
        let log = opened(&store, &dir.path().join("t-0")).await;
        store.script.fail(IoOp::Reserve, ENOSPC);
        append(&log, batch(1, 2_500)).await.expect("append");
        settle().await;
        assert!(log.marks().fault.is_none());
        append(&log, batch(1, 2_500)).await.expect("asks for its room itself");
        settle().await;
        store.script.fail(IoOp::Create, ENOSPC);
        for _ in 0..20 {
            append(&log, batch(1, 2_500)).await.expect("append");
            settle().await;
        }
        assert!(log.segments().len() > 2 && log.marks().fault.is_none());
    });
}

#[test]
fn a_device_fault_in_the_background_takes_the_log_offline() {
    for op in [IoOp::Reserve, IoOp::Create] {
        run(async {
            let store = inline_store();
            let dir = tempfile::tempdir().expect("temp dir");
            let log = opened(&store, &dir.path().join("t-0")).await;
            store.script.fail(op, EIO);
            for _ in 0..6 {
                append(&log, batch(1, 2_500)).await.map(drop).unwrap_or_default();
                settle().await;
            }
            let refused = append(&log, batch(1, 10)).await;
            assert!(matches!(&refused, Err(AppendError::Poisoned(f)) if f.op == op), "{refused:?}");
        });
    }
}

#[test]
fn what_was_taken_ahead_is_given_back_before_a_batch_is_refused() {
    run(async {
        let config = SimConfig { limits: INLINE, capacity_bytes: 24 << 10, ..SimConfig::default() };
        let (store, dir) = (TestStore::new(config), tempfile::tempdir().expect("temp dir"));
        let path = dir.path().join("t-0");
        // A segment whose end is reserved makes the next one ready, and 8 KiB are all that is left for both.
        let config = LogConfig { segment_bytes: 16 << 10, reserve_step_max_bytes: 8192, ..small_config() };
        let (log, _) = open(store.clone(), &path, config, None, false).await;
        let mut accepted = 0;
        let refused = loop {
            match append(&log, batch(1, 1_900)).await {
                Ok(_) => accepted += 1,
                Err(error) => break error,
            }
            settle().await;
        };
        assert!(matches!(&refused, AppendError::NoSpace(f) if f.kind == FaultKind::NoSpace), "{refused:?}");
        assert!(accepted >= 11, "of the 24 KiB nothing stays behind: {accepted} batches of 2 KB");
        assert_eq!(read_all(&log, 1 << 16).await.len(), accepted);
    });
}

#[test]
fn the_waiting_file_is_no_segment_and_goes_at_close_truncation_and_restart() {
    run(async {
        let store = inline_store();
        let guard = tempfile::tempdir().expect("temp dir");
        let dir = guard.path().join("t-0");
        let log = opened(&store, &dir).await;
        let fill = async |log: &Log<TestStore>| {
            append(log, batch(1, 12_000)).await.expect("append");
            settle().await;
            assert!(waiting(&dir), "made ready near the segment's end");
        };
        fill(&log).await;
        assert_eq!(layout::parse_segment_name(layout::NEXT_SEGMENT), None);
        log.truncate_to(0).await.expect("truncate");
        assert!(!waiting(&dir));
        fill(&log).await;
        log.close().await.expect("close");
        assert!(!waiting(&dir));

        let (log, report) = open(store.clone(), &dir, small_config(), Some(1), true).await;
        assert_eq!((report.segments, report.segments_scanned), (1, 0));
        append(&log, batch(1, 10)).await.expect("append");
        settle().await;
        assert!(waiting(&dir));
        // The process dies.
        let (log, report) = open(store.clone(), &dir, small_config(), None, false).await;
        assert_eq!(report.segments, 1);
        assert!(!waiting(&dir));
        assert_eq!(read_all(&log, 1 << 16).await.len(), 2);
    });
}

/// Blocks that the files below `dir` hold, in bytes.
fn allocated_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("list").map(|entry| entry.expect("entry").path());
    entries
        .map(|path| match path.is_dir() {
            true => allocated_bytes(&path),
            false => std::fs::metadata(&path).expect("metadata").blocks() * 512,
        })
        .sum()
}

async fn open_partitions<S: SegmentStore>(store: &S, dir: &Path, count: usize) -> Vec<Log<S>> {
    let config = LogConfig { segment_bytes: 100 << 20, ..LogConfig::default() };
    let mut logs = Vec::new();
    for partition in 0..count {
        let dir = dir.join(format!("t-{partition}"));
        let (log, _) = open(store.clone(), &dir, config.clone(), None, false).await;
        append(&log, batch(1, 100)).await.expect("append");
        logs.push(log);
    }
    settle().await;
    logs
}

#[test]
fn fifty_partitions_of_large_segments_hold_little_until_they_are_filled() {
    // On a real disk: in memory, blocks are not what they seem.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temp dir");
    for manner in [Preallocation::None, Preallocation::Fallocate, Preallocation::ZeroFill] {
        let dir = directory.path().join(manner.to_string());
        let held_bytes = |dir: &Path| allocated_bytes(dir);
        let logs = run(open_partitions(&PageCacheStore::new(manner), &dir, 50));
        assert!(held_bytes(&dir) < 50 * (128 << 10), "{manner}: {} bytes", held_bytes(&dir));
        drop(logs);
    }
    let dir = directory.path().join("mmap");
    let logs = run(open_partitions(&MmapStore::new(Preallocation::Fallocate), &dir, 50));
    assert!(allocated_bytes(&dir) < 100 << 20, "{} bytes", allocated_bytes(&dir));
    drop(logs);
}

#[test]
fn ten_thousand_idle_partitions_stay_under_a_gigabyte() {
    const PARTITIONS: usize = 10_000;
    let directory = tempfile::tempdir().expect("temp dir");
    let store = inline_store();
    let held_bytes = run(async {
        let logs = open_partitions(&store, directory.path(), PARTITIONS / 100).await;
        let paths = store.sim.paths();
        drop(logs);
        paths.iter().filter_map(|path| store.sim.live_bytes(path)).map(|bytes| bytes.len()).sum::<usize>()
    });
    // Each holds the same, however many there are, so a hundredth of them tells.
    assert!(held_bytes * 100 < 1 << 30, "{held_bytes} bytes in a hundredth");
}
