//! Between a roll and its sync: the segment is sealed only afterwards, and only then it has index files.

use std::path::Path;
use std::sync::atomic::Ordering;

use plimsoll_io::{SegmentStore, SimConfig};
use plimsoll_log::{Log, LogConfig, OpenFiles};

use crate::common::*;

fn index_files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("list").map(|e| e.expect("entry").file_name());
    let mut names: Vec<_> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.retain(|n| n.ends_with("index"));
    names.sort();
    names
}

async fn read_base<S: SegmentStore>(log: &Log<S>, segment: usize) {
    let base_offset = log.segments()[segment].base_offset;
    let out = log.read(base_offset, i64::MAX, 1 << 10, true).await.expect("read");
    assert_eq!(out.first_offset, Some(base_offset));
}

#[test]
fn rebuilt_indexes_are_written_only_for_segments_that_are_sealed() {
    run(async {
        let store = TestStore::new(SimConfig { limits: INLINE, ..SimConfig::default() });
        let parent = tempfile::tempdir().expect("temp dir");
        let dir = parent.path().join("t-0");
        let config = LogConfig { open_files: Some(OpenFiles::new(1)), ..small_config() };
        let (log, _) = open(store.clone(), &dir, config, None, false).await;
        store.script.hold_syncs.store(1, Ordering::SeqCst);
        while log.segments().len() < 4 {
            append(&log, batch(10, 100)).await.expect("append");
        }
        // The last roll's segment is the one kept open, so this reads from files.
        read_base(&log, 0).await;
        assert_eq!(index_files(&dir), [] as [&str; 0], "none of them is synced");
        store.script.release_syncs();
        log.flush().await.expect("flush");
        let all = index_files(&dir);
        assert_eq!(all.len(), 6, "{all:?}");
        for name in all.iter().take(2) {
            std::fs::remove_file(dir.join(name)).expect("remove");
        }
        read_base(&log, 1).await;
        read_base(&log, 0).await;
        assert_eq!(index_files(&dir), all, "sealed, so they are kept");
    });
}
