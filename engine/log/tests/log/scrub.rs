//! Bytes that change on the device: found by a scrub, or by a read that checks.

use std::path::Path;

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{Log, LogConfig, ReadError};

use crate::common::*;

type FileLog = Log<PageCacheStore>;

async fn filled(dir: &Path, verify_on_read: bool) -> (FileLog, i64) {
    let config = LogConfig { verify_on_read, ..small_config() };
    let (log, _) = open(PageCacheStore::new(Preallocation::None), dir, config, None, false).await;
    for _ in 0..60 {
        append(&log, batch(3, 400)).await.expect("append");
    }
    log.flush().await.expect("flush");
    let second = log.segments().get(1).expect("several segments").base_offset;
    (log, second)
}

fn flip(dir: &Path, base_offset: i64, at: usize) {
    let path = dir.join(format!("{base_offset:020}.log"));
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[at] ^= 0x10;
    std::fs::write(&path, bytes).expect("write");
}

fn run_in<T>(test: impl AsyncFnOnce(&Path) -> T) -> T {
    let temp = tempfile::tempdir().expect("temp dir");
    run(test(&temp.path().join("t-0")))
}

#[test]
fn a_scrub_of_a_whole_log_reads_all_of_it_and_finds_nothing() {
    run_in(async |dir| {
        let (log, _) = filled(dir, false).await;
        let report = log.scrub(u64::MAX).await.expect("scrub");
        let sealed = log.segments().into_iter().filter(|s| !s.active);
        assert_eq!(report.bytes, sealed.map(|s| s.size_bytes).sum::<u64>());
        assert!(report.damaged.is_empty() && report.segments > 2);
    });
}

#[test]
fn what_a_scrub_found_damaged_is_not_served_and_what_lies_before_and_in_other_segments_is() {
    run_in(async |dir| {
        let (log, second) = filled(dir, false).await;
        // Inside the values of the segment's second batch.
        let size_bytes = batch(3, 400).size_bytes();
        flip(dir, second, size_bytes + 300);
        let report = log.scrub(u64::MAX).await.expect("scrub");
        let [ReadError::Corrupt { at_bytes, .. }] = report.damaged[..] else { panic!("{report:?}") };
        assert_eq!(at_bytes, size_bytes as u64);
        let read = async |offset| log.read(offset, i64::MAX, 1 << 20, true).await;
        assert_eq!(
            read(second).await.expect("the batch before").records.to_bytes().expect("bytes").len(),
            size_bytes
        );
        for offset in [second + 3, second + 5, second + 6] {
            assert!(matches!(read(offset).await, Err(ReadError::Corrupt { .. })), "offset {offset}");
        }
        assert_eq!(read(0).await.expect("the segment before").first_offset, Some(0));
        let third = log.segments()[2].base_offset;
        assert_eq!(read(third).await.expect("the segment behind").first_offset, Some(third));
    });
}

#[test]
fn a_log_that_checks_reads_serves_no_bit_of_a_batch_that_changed() {
    run_in(async |dir| {
        let (log, second) = filled(dir, true).await;
        assert_eq!(read_all(&log, 10_000).await.len(), 60);
        // Leader epoch and values; a flip in the base offset shows when it meets its neighbours.
        for at in [13, 21, 100, 500] {
            flip(dir, second, at);
            let read = log.read(second, i64::MAX, 1 << 20, true).await;
            assert!(matches!(read, Err(ReadError::Corrupt { .. })), "byte {at}: {read:?}");
            flip(dir, second, at);
        }
        assert_eq!(read_all(&log, 10_000).await.len(), 60);
    });
}

#[test]
fn no_changed_bit_of_an_index_leads_a_reader_or_a_lookup_astray() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (dir, store) = (temp.path().join("t-0"), inline_store());
        let size_bytes = batch(5, 100).size_bytes() as u32;
        let config = || LogConfig {
            segment_bytes: 6 * size_bytes,
            index_interval_bytes: size_bytes,
            ..small_config()
        };
        let (log, _) = open(store.clone(), &dir, config(), None, false).await;
        for i in 0..9 {
            append(&log, batch_at(1_000 + 10 * i, 5, 100)).await.expect("append");
        }
        log.close().await.expect("close");
        for suffix in ["index", "timeindex"] {
            let path = dir.join(format!("{:020}.{suffix}", 0));
            let right = std::fs::read(&path).expect("an index");
            assert!(right.len() >= 16, "several entries");
            for bit in (0..right.len() * 8).step_by(5) {
                flip_bit(&dir, suffix, bit);
                let (log, _) = open(store.clone(), &dir, config(), None, true).await;
                for i in (0..9).rev() {
                    let found = log.offset_for_timestamp(1_000 + 10 * i, i64::MAX).await.expect("a lookup");
                    assert_eq!(found.map(|f| f.offset), Some(5 * i), "{suffix} bit {bit}");
                    let out = log.read(5 * i + 4, 5 * i + 5, 1 << 20, true).await.expect("a read");
                    assert_eq!(out.first_offset, Some(5 * i), "{suffix} bit {bit}");
                }
                std::fs::write(&path, &right).expect("put back");
            }
        }
    });
}

#[test]
fn a_batch_whose_offset_moved_up_is_not_served_to_a_checking_reader_that_begins_inside_it() {
    run_in(async |dir| {
        let (log, _) = filled(dir, true).await;
        // The third batch, of offsets 6 to 8, now claims 7 to 9; the fourth begins at 9.
        let at = 2 * batch(3, 400).size_bytes() + 7;
        let path = dir.join(format!("{:020}.log", 0));
        let mut bytes = std::fs::read(&path).expect("read");
        assert_eq!(bytes[at], 6);
        bytes[at] = 7;
        std::fs::write(&path, bytes).expect("write");
        for offset in [6, 7, 9] {
            let read = log.read(offset, i64::MAX, 1 << 20, true).await;
            assert!(matches!(read, Err(ReadError::Corrupt { .. })), "from {offset}: {read:?}");
        }
        log.read(12, i64::MAX, 1 << 20, true).await.expect("what follows is served");
    });
}
