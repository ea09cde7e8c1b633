//! What every log does, whichever backend carries it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::*;
use plimsoll_io::{
    MmapStore, PageCacheStore, Preallocation, SegmentStore, UringOptions, UringStore, probe_io_uring,
};
use plimsoll_log::{AppendError, Durability, Level, Log, LogConfig, LogError, OpenHints, ReadError};
use plimsoll_records::Batch;
use uuid::Uuid;

/// Runs one contract over a store made for each.
async fn all<S: SegmentStore>(make: impl Fn() -> S) {
    appends_roll_and_read_back(make()).await;
    clean_stop_skips_the_scan_and_leaves_no_padding(make()).await;
    restart_without_clean_stop_keeps_everything(make()).await;
    e17_mid_batch_offsets_return_the_whole_batch(make()).await;
    e18_out_of_range_and_beyond_the_end(make()).await;
    limits_of_a_read(make()).await;
    times_are_found(make()).await;
    truncation_cuts_whole_batches_and_starts_a_generation(make()).await;
    old_segments_go_and_slices_stay(make()).await;
    concurrent_appends_keep_one_order(make()).await;
}

#[test]
fn page_cache() {
    for preallocation in [Preallocation::None, Preallocation::Fallocate, Preallocation::ZeroFill] {
        run(all(|| PageCacheStore::new(preallocation)));
    }
}

#[test]
fn mmap() {
    for preallocation in [Preallocation::None, Preallocation::Fallocate] {
        run(all(|| MmapStore::new(preallocation)));
    }
}

#[test]
fn io_uring() {
    if let Err(reason) = probe_io_uring() {
        eprintln!("skipped: {reason}");
        return;
    }
    let options = UringOptions::default();
    let variants = [
        options,
        UringOptions { direct: false, ..options },
        UringOptions { depth: 1, ..options },
        UringOptions { tail_cache_bytes: 0, ..options },
    ];
    for options in variants {
        run(all(|| UringStore::new(Preallocation::Fallocate, options).expect("probed")));
    }
}

#[test]
fn sim_inline() {
    run(all(inline_store));
}

#[test]
fn sim_direct_with_reordered_completions() {
    for seed in 0..5 {
        run(all(|| direct_store(seed)));
    }
}

/// Appends batches of many sizes until several segments exist. Returns what was appended, with its offsets.
async fn fill<S: SegmentStore>(log: &Log<S>, count: usize) -> Vec<Batch> {
    let mut appended = Vec::new();
    for i in 0..count {
        let mut batch = batch_at(1_000 * i as i64, 1 + i % 7, 10 + (i * 37) % 900);
        let at = append(log, batch.clone()).await.expect("append");
        assert!(!at.duplicate);
        batch.set_base_offset(at.base_offset);
        batch.set_leader_epoch(0);
        assert_eq!(at.last_offset, batch.header().last_offset());
        appended.push(batch);
    }
    let marks = log.marks();
    log.wait(marks.generation, Level::Written, marks.accepted).await.expect("written");
    appended
}

fn bytes_of(batches: &[Batch]) -> Vec<u8> {
    batches.iter().flat_map(|b| b.to_bytes()).collect()
}

pub(crate) fn temp() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("t-0");
    (dir, path)
}

async fn appends_roll_and_read_back<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, report) = open(store, &dir, small_config(), None, false).await;
    assert_eq!(report.segments, 0);
    let appended = fill(&log, 60).await;
    assert!(log.segments().len() > 3, "{:?}", log.segments());
    for max_bytes in [1, 700, 5_000, 1 << 20] {
        assert_eq!(
            bytes_of(&read_all(&log, max_bytes).await),
            bytes_of(&appended),
            "in steps of {max_bytes}"
        );
    }
    assert_eq!(log.log_size_bytes(), bytes_of(&appended).len() as u64);
    log.flush().await.expect("flush");
    let marks = log.marks();
    assert_eq!((marks.durable, log.recovery_point()), (marks.accepted, marks.accepted));
    log.close().await.expect("close");
}

async fn clean_stop_skips_the_scan_and_leaves_no_padding<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    let mut appended = fill(&log, 50).await;
    log.close().await.expect("close");
    log.close().await.expect("closing twice is fine");
    assert!(matches!(append(&log, batch(1, 1)).await, Err(AppendError::Closed)));
    let segments = log.segments();
    drop(log);
    for segment in &segments {
        let path = dir.join(format!("{:020}.log", segment.base_offset));
        let (_, len_bytes) = store.open(&path).await.expect("open");
        assert_eq!(len_bytes, segment.size_bytes, "no padding stays");
        assert!(path.with_extension("index").exists() && path.with_extension("timeindex").exists());
    }
    let (log, report) = open(store, &dir, small_config(), None, true).await;
    assert_eq!((report.segments_scanned, report.bytes_scanned), (0, 0));
    assert_eq!(log.segments().iter().map(|s| s.size_bytes).sum::<u64>(), bytes_of(&appended).len() as u64);
    let at = append(&log, batch(3, 50)).await.expect("append");
    assert_eq!(at.base_offset, appended.last().expect("batch").header().next_offset());
    log.wait(at.generation, Level::Written, at.last_offset + 1).await.expect("written");
    let read = read_all(&log, 3_000).await;
    appended.push(read.last().expect("batch").clone());
    assert_eq!(bytes_of(&read), bytes_of(&appended));
    log.close().await.expect("close");
}

async fn restart_without_clean_stop_keeps_everything<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    let mut appended = fill(&log, 40).await;
    log.flush().await.expect("settle");
    let recovery_point = log.recovery_point();
    appended.extend(fill_more(&log, 5).await);
    log.flush().await.expect("settle");
    drop(log);
    for point in [None, Some(recovery_point)] {
        let (log, report) = open(store.clone(), &dir, small_config(), point, false).await;
        assert_eq!((report.truncated_bytes, report.first_bad), (0, None));
        assert!(report.segments_scanned > 0);
        if point.is_some() {
            assert!(report.segments_scanned < report.segments, "trusts what lies below the recovery point");
        }
        assert_eq!(bytes_of(&read_all(&log, 4_000).await), bytes_of(&appended));
        log.flush().await.expect("settle");
    }
}

async fn fill_more<S: SegmentStore>(log: &Log<S>, count: usize) -> Vec<Batch> {
    fill(log, count).await
}

async fn e17_mid_batch_offsets_return_the_whole_batch<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store, &dir, small_config(), None, false).await;
    let appended = fill(&log, 60).await;
    for batch in &appended {
        for offset in batch.header().base_offset..batch.header().next_offset() {
            let out = log.read(offset, i64::MAX, 1, true).await.expect("read");
            assert_eq!(out.first_offset, Some(batch.header().base_offset));
            assert_eq!(out.records.to_bytes().expect("bytes"), batch.to_bytes(), "offset {offset}");
        }
    }
    log.close().await.expect("close");
}

async fn e18_out_of_range_and_beyond_the_end<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store, &dir, small_config(), None, false).await;
    let appended = fill(&log, 5).await;
    let end = appended.last().expect("batch").header().next_offset();
    assert!(log.read(end, i64::MAX, 100, true).await.expect("the end is no error").records.is_empty());
    assert!(matches!(log.read(end + 1, i64::MAX, 100, true).await, Err(ReadError::OutOfRange { .. })));
    assert!(matches!(log.read(-1, i64::MAX, 100, true).await, Err(ReadError::OutOfRange { .. })));
    let high_watermark = appended[2].header().base_offset;
    let out = log.read(high_watermark, high_watermark, 100, true).await.expect("between HW and LEO");
    assert!(out.records.is_empty());
    log.increment_start_offset(2);
    assert!(matches!(
        log.read(1, i64::MAX, 100, true).await,
        Err(ReadError::OutOfRange { start_offset: 2, .. })
    ));
    log.close().await.expect("close");
}

async fn limits_of_a_read<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store, &dir, small_config(), None, false).await;
    let appended = fill(&log, 60).await;
    for (i, first) in appended.iter().enumerate() {
        let from = first.header().base_offset;
        assert!(
            log.read(from, i64::MAX, first.size_bytes() - 1, false).await.expect("read").records.is_empty()
        );
        let exact = log.read(from, i64::MAX, first.size_bytes(), false).await.expect("read");
        assert_eq!(exact.records.len(), first.size_bytes());
        // A bound inside or before a later batch excludes it.
        for later in appended.iter().skip(i + 1).take(4) {
            let upto = later.header().last_offset();
            let out = log.read(from, upto, 1 << 20, true).await.expect("read");
            let mut bytes = out.records.to_bytes().expect("bytes");
            let mut last = None;
            while let Some(batch) = Batch::split_from(&mut bytes).expect("batch") {
                last = Some(batch.header().next_offset());
            }
            assert!(last.is_some_and(|next| next <= later.header().base_offset), "{from}..{upto}: {last:?}");
        }
    }
    log.close().await.expect("close");
}

async fn times_are_found<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store, &dir, small_config(), None, false).await;
    let appended = fill(&log, 60).await;
    for (i, batch) in appended.iter().enumerate() {
        let (base, records) = (batch.header().base_offset, batch.header().record_count);
        for record in 0..i64::from(records) {
            let found = log.offset_for_timestamp(1_000 * i as i64 + record, i64::MAX).await.expect("lookup");
            let found = found.expect("found");
            assert_eq!((found.offset, found.leader_epoch), (base + record, 0), "batch {i} record {record}");
        }
        let bounded = log.offset_for_timestamp(1_000 * i as i64, base).await.expect("lookup");
        assert_eq!(bounded, None, "nothing at or above the bound");
    }
    assert_eq!(log.offset_for_timestamp(1 << 40, i64::MAX).await.expect("lookup"), None);
    let last = appended.last().expect("batch");
    let max = log.max_timestamp(i64::MAX).await.expect("lookup").expect("found");
    assert_eq!((max.offset, max.timestamp), (last.header().last_offset(), last.header().max_timestamp));
    let below = log.max_timestamp(last.header().base_offset).await.expect("lookup").expect("found");
    assert_eq!(below.offset, last.header().base_offset - 1);
    log.close().await.expect("close");
}

async fn truncation_cuts_whole_batches_and_starts_a_generation<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    let mut appended = fill(&log, 60).await;
    for keep in [45, 44, 20, 1] {
        // Inside the batch after the last one kept.
        let cut_inside = appended[keep].header().last_offset();
        let before = log.marks().generation;
        let end = log.truncate_to(cut_inside).await.expect("truncate");
        assert_eq!(end, appended[keep].header().base_offset);
        assert_eq!(log.marks().accepted, end);
        assert!(log.marks().generation > before);
        appended.truncate(keep);
        assert_eq!(bytes_of(&read_all(&log, 2_000).await), bytes_of(&appended));
        appended.extend(fill_more(&log, 3).await);
        assert_eq!(bytes_of(&read_all(&log, 2_000).await), bytes_of(&appended));
    }
    log.flush().await.expect("flush");
    drop(log);
    let (log, report) = open(store, &dir, small_config(), None, false).await;
    assert_eq!(report.first_bad, None);
    assert_eq!(bytes_of(&read_all(&log, 2_000).await), bytes_of(&appended));
    log.truncate_fully_and_start_at(1_000).await.expect("restart");
    assert_eq!((log.marks().start_offset, log.marks().accepted), (1_000, 1_000));
    assert_eq!(append(&log, batch(2, 10)).await.expect("append").base_offset, 1_000);
    log.close().await.expect("close");
}

async fn old_segments_go_and_slices_stay<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) = open(store, &dir, small_config(), None, false).await;
    let appended = fill(&log, 60).await;
    log.flush().await.expect("all segments sealed");
    let slice = log.read(0, i64::MAX, 1 << 20, true).await.expect("read").records;
    let segments = log.segments();
    let start = segments[2].base_offset + 1;
    assert_eq!(log.increment_start_offset(start), start);
    let freed = log.remove_old_segments().await.expect("remove");
    assert_eq!(freed, segments[0].size_bytes + segments[1].size_bytes);
    assert!(!dir.join(format!("{:020}.index", segments[0].base_offset)).exists());
    assert_eq!(slice.to_bytes().expect("still readable").len() as u64, segments[0].size_bytes);
    let first = read_all(&log, 1 << 20).await.first().expect("batch").header().base_offset;
    assert!(appended.iter().any(|b| b.header().base_offset == first && b.header().last_offset() >= start));
    log.close().await.expect("close");
}

async fn concurrent_appends_keep_one_order<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let (log, _) =
        open(store, &dir, LogConfig { segment_bytes: 64 << 10, ..small_config() }, None, false).await;
    let tasks: Vec<_> = (0..40)
        .map(|i| {
            let log = log.clone();
            tokio::task::spawn_local(async move {
                let at = append(&log, batch(1 + i % 3, 100 * (1 + i % 50))).await.expect("append");
                log.wait(at.generation, Level::Written, at.last_offset + 1).await.expect("written");
                at
            })
        })
        .collect();
    let mut spans = Vec::new();
    for task in tasks {
        let at = task.await.expect("task");
        spans.push((at.base_offset, at.last_offset + 1));
    }
    spans.sort_unstable();
    assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "offsets are dense");
    assert_eq!(read_all(&log, 1 << 16).await.len(), 40);
    log.close().await.expect("close");
}

#[test]
fn deleting_leaves_nothing_behind() {
    run(async {
        let (guard, dir) = temp();
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let (log, _) = open(store, &dir, small_config(), None, false).await;
        fill(&log, 30).await;
        let slice = log.read(0, i64::MAX, 1 << 20, true).await.expect("read").records;
        log.delete().await.expect("delete");
        assert_eq!(std::fs::read_dir(guard.path()).expect("list").count(), 0);
        assert!(!slice.to_bytes().expect("still readable").is_empty());
        assert!(matches!(append(&log, batch(1, 1)).await, Err(AppendError::Closed)));
    });
}

#[test]
fn e8_a_directory_of_another_topic_is_refused() {
    run(async {
        let (_guard, dir) = temp();
        let store = PageCacheStore::new(Preallocation::None);
        let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
        log.close().await.expect("close");
        let other = Log::open(
            store,
            &dir,
            Uuid::from_u128(7),
            small_config(),
            OpenHints { clean: true, ..OpenHints::default() },
        )
        .await;
        let error = other.expect_err("another topic id");
        assert!(matches!(error, LogError::TopicId { .. }) && error.to_string().contains("t-0"), "{error}");
    });
}

#[test]
fn files_are_named_as_kafka_names_them() {
    run(async {
        let (_guard, dir) = temp();
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let (log, _) = open(store, &dir, small_config(), None, false).await;
        fill(&log, 3).await;
        log.close().await.expect("close");
        let end = log.marks().accepted;
        let mut names: Vec<String> = list(&dir);
        names.sort();
        let stem = "0".repeat(20);
        let expected = [
            format!("{stem}.index"),
            format!("{stem}.log"),
            format!("{stem}.timeindex"),
            format!("{end:020}.snapshot"),
            "leader-epoch-checkpoint".into(),
            "partition.metadata".into(),
        ];
        assert_eq!(names, expected);
    });
}

#[test]
fn e31_indexes_on_disk_are_what_kafkas_dump_tool_checks() {
    run(async {
        let (_guard, dir) = temp();
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let (log, _) = open(store, &dir, small_config(), None, false).await;
        fill(&log, 60).await;
        log.close().await.expect("close");
        for segment in log.segments() {
            let path = dir.join(format!("{:020}.log", segment.base_offset));
            let log_bytes = bytes::Bytes::from(std::fs::read(&path).expect("log"));
            let index_bytes = std::fs::read(path.with_extension("index")).expect("index");
            assert!(index_bytes.len() >= 8 || segment.active);
            for entry in index_bytes.chunks(8) {
                let last_offset =
                    segment.base_offset + i64::from(i32::from_be_bytes(entry[..4].try_into().expect("4")));
                let at = i32::from_be_bytes(entry[4..].try_into().expect("4")) as usize;
                let header =
                    plimsoll_records::BatchHeader::parse(&log_bytes[at..]).expect("a batch starts there");
                assert_eq!(header.last_offset(), last_offset);
            }
            let mut batches = Vec::new();
            let mut rest = log_bytes.clone();
            while let Some(batch) = Batch::split_from(&mut rest).expect("batch") {
                batches.push(*batch.header());
            }
            assert!(rest.is_empty(), "no padding");
            let times = std::fs::read(path.with_extension("timeindex")).expect("timeindex");
            for entry in times.chunks(12) {
                let timestamp = i64::from_be_bytes(entry[..8].try_into().expect("8"));
                let offset =
                    segment.base_offset + i64::from(i32::from_be_bytes(entry[8..].try_into().expect("4")));
                let batch =
                    batches.iter().find(|h| h.last_offset() == offset).expect("the last offset of a batch");
                assert_eq!(batch.max_timestamp, timestamp);
            }
            let largest = batches.iter().map(|h| h.max_timestamp).max();
            let last =
                times.chunks(12).next_back().map(|e| i64::from_be_bytes(e[..8].try_into().expect("8")));
            assert_eq!(last, largest, "the last entry is the segment's largest timestamp");
        }
    });
}

/// Two runtimes on two threads append to one log, as two cores do.
fn two_threads<S: SegmentStore>(store: S) {
    let (_guard, dir) = temp();
    let config = LogConfig { durability: Durability::Fsync, segment_bytes: 256 << 10, ..small_config() };
    // The pump may end up on either thread, so both runtimes stay alive until the log is closed.
    let (appended, closed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (log_to, log_from) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            real(async {
                let (log, _) = open(store, &dir, config, None, false).await;
                log_to.send(log.clone()).expect("other thread");
                append_many(&log).await;
                until(&appended).await;
                assert_eq!(read_all(&log, 1 << 20).await.len(), 400);
                log.close().await.expect("close");
                closed.store(true, Ordering::SeqCst);
            });
        });
        let log = log_from.recv().expect("log");
        real(async {
            append_many(&log).await;
            appended.store(true, Ordering::SeqCst);
            until(&closed).await;
        });
    });
}

async fn until(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

async fn append_many<S: SegmentStore>(log: &Log<S>) {
    for i in 0..200 {
        let at = append(log, batch(1, 100 + 10 * (i % 40))).await.expect("append");
        log.wait(at.generation, Level::Durable, at.last_offset + 1).await.expect("durable");
    }
}

fn real<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

#[test]
fn two_runtimes_append_to_one_log_page_cache() {
    two_threads(PageCacheStore::new(Preallocation::Fallocate));
}

#[test]
fn two_runtimes_append_to_one_log_mmap() {
    two_threads(MmapStore::new(Preallocation::Fallocate));
}

#[test]
fn two_runtimes_append_to_one_log_io_uring() {
    if let Err(reason) = probe_io_uring() {
        eprintln!("skipped: {reason}");
        return;
    }
    two_threads(UringStore::new(Preallocation::Fallocate, UringOptions::default()).expect("probed"));
}

#[test]
fn e32_half_done_swaps_are_finished_or_undone() {
    run(async {
        let (_guard, dir) = temp();
        let store = PageCacheStore::new(Preallocation::None);
        let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
        let appended = fill(&log, 60).await;
        log.close().await.expect("close");
        let bases: Vec<i64> = log.segments().iter().map(|s| s.base_offset).collect();
        let read = |base: i64| std::fs::read(dir.join(format!("{base:020}.log"))).expect("segment");
        // One file made from the first two segments, complete, whose originals are still there.
        let merged = [read(bases[0]), read(bases[1])].concat();
        std::fs::write(dir.join(format!("{:020}.log.swap", bases[0])), merged).expect("swap");
        // Another cleaning that was not finished, with a swap that belongs to it.
        std::fs::write(dir.join(format!("{:020}.log.cleaned", bases[2])), b"half").expect("cleaned");
        std::fs::write(dir.join(format!("{:020}.log.swap", bases[2])), b"half").expect("swap");
        std::fs::write(dir.join(format!("{:020}.index.deleted", bases[0])), b"").expect("deleted");
        let (log, _) =
            open(store, &dir, LogConfig { segment_bytes: 1 << 20, ..small_config() }, None, false).await;
        assert_eq!(bytes_of(&read_all(&log, 4_000).await), bytes_of(&appended));
        let now: Vec<i64> = log.segments().iter().map(|s| s.base_offset).collect();
        assert_eq!((now[0], now[1]), (bases[0], bases[2]));
        assert!(list(&dir).iter().all(|n| !n.ends_with(".swap") && !n.ends_with("ed")), "{:?}", list(&dir));
    });
}

#[test]
fn handles_cross_threads() {
    fn assert_send_sync<T: Send + Sync + Clone>() {}
    assert_send_sync::<plimsoll_log::AnyLog>();
}

fn list(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("list");
    entries.map(|e| e.expect("entry").file_name().into_string().expect("utf-8")).collect()
}
