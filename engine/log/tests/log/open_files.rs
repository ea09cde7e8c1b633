//! Descriptors: however many logs and segments there are, only so many files are open.

use std::path::Path;
use std::sync::atomic::Ordering;

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{Log, LogConfig, OpenFiles, OpenHints};

use crate::common::*;

/// Descriptors of this process that lead into `dir`: other tests run beside this one.
fn descriptors_into(dir: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").expect("descriptors");
    let leads = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    all.filter_map(leads).filter(|to| to.starts_with(dir)).count()
}

#[test]
fn logs_that_share_their_open_files_hold_few_however_many_are_read() {
    run(async {
        const LOGS: usize = 40;
        const SHARED: usize = 6;
        let temp = tempfile::tempdir().expect("temp dir");
        let open_files = Some(OpenFiles::new(SHARED));
        let config = LogConfig { open_files: open_files.clone(), ..small_config() };
        let mut logs = Vec::new();
        for i in 0..LOGS {
            let (store, dir) = (PageCacheStore::new(Preallocation::None), temp.path().join(format!("t-{i}")));
            let log =
                Log::open(store, &dir, TOPIC_ID, config.clone(), OpenHints::default()).await.expect("open").0;
            while log.segments().len() < 10 {
                append(&log, batch(4, 2_000)).await.expect("append");
            }
            log.flush().await.expect("flush");
            logs.push(log);
        }
        for log in &logs {
            assert_eq!(read_all(log, 1 << 20).await.len() as i64 * 4, log.marks().written);
            // One active segment each, and what is shared.
            let open = descriptors_into(temp.path());
            assert!(open <= LOGS + SHARED, "{open} descriptors");
        }
        assert_eq!(open_files.as_ref().map(OpenFiles::len), Some(SHARED));
        drop(logs);
        assert_eq!(open_files.as_ref().map(OpenFiles::len), Some(0));
        assert_eq!(descriptors_into(temp.path()), 0);
    });
}

#[test]
fn what_a_read_looks_at_in_a_slice_of_a_cold_segment_is_fetched_before() {
    run(async {
        let store = inline_store();
        let dir = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(store.clone(), &dir.path().join("t-0"), small_config(), None, false).await;
        for _ in 0..3 {
            append(&log, batch(1, 9_000)).await.expect("append");
        }
        log.flush().await.expect("sealed");
        let before = store.script.prefetches.load(Ordering::SeqCst);
        let reads = store.script.reads.load(Ordering::SeqCst);
        log.read(0, i64::MAX, 1 << 20, true).await.expect("read");
        assert_eq!(store.script.reads.load(Ordering::SeqCst), reads, "slices serve it");
        assert!(store.script.prefetches.load(Ordering::SeqCst) > before);
    });
}
