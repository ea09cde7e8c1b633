//! Cleanings that are cut off: by a power cut at every change of the disk, by faults, by truncation, by closing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll_io::{IoOp, SimStore};
use plimsoll_log::{CompactError, CompactRequest, CompactionPolicy, Log, Throttle};
use plimsoll_records::marker::EndTxn;
use plimsoll_records::{Batch, CodecId};

use crate::common::*;
use crate::compaction::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What a power cut leaves: the store's files, and those beside them.
struct Image {
    sim: SimStore,
    beside: Vec<(PathBuf, Vec<u8>)>,
}

impl Image {
    fn take(sim: &SimStore, dir: &Path, seed: u64) -> Self {
        let paths = std::fs::read_dir(dir).expect("list").map(|e| e.expect("entry").path());
        let beside = paths.filter(|p| !is_segment(p)).map(|p| (p.clone(), std::fs::read(&p).expect("read")));
        Self { sim: sim.crash(seed), beside: beside.collect() }
    }

    fn restore(&self, dir: &Path) -> TestStore {
        std::fs::remove_dir_all(dir).expect("clear");
        std::fs::create_dir(dir).expect("create");
        self.beside.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).expect("write"));
        let segments = self.sim.paths().into_iter().filter(|p| p.parent() == Some(dir));
        segments.for_each(|path| std::fs::write(path, b"").expect("marker file"));
        TestStore { sim: self.sim.clone(), script: Arc::default() }
    }
}

/// `….log` and `….log.swap`, which are in the simulated store and have only a marker here.
fn is_segment(path: &Path) -> bool {
    let name = path.file_name().expect("name").to_string_lossy();
    name.contains(".log") || name.ends_with(".prepared")
}

fn bytes_of(batches: &[Batch]) -> Vec<Vec<u8>> {
    batches.iter().map(|b| b.to_bytes().to_vec()).collect()
}

/// A log that was cleaned once, with tombstones whose time has come, producers, and transactions of both kinds.
async fn lived<S: plimsoll_io::SegmentStore>(cleaned: &mut Cleaned<S>) {
    for round in 0..2u8 {
        cleaned.append(CodecId::Zstd, Some((1, false)), &[(90, Some(round)), (91, None)]).await;
        cleaned.append(CodecId::Lz4, Some((10, true)), &[(92, Some(round)), (1, Some(200))]).await;
        cleaned.append(CodecId::None, Some((11, true)), &[(93, Some(round)), (2, Some(201))]).await;
        overwrite(cleaned, 30).await;
        cleaned.end(10, EndTxn::Abort).await;
        cleaned.end(11, EndTxn::Commit).await;
        overwrite(cleaned, 30).await;
        cleaned.append(CodecId::Gzip, Some((1, false)), &[(90, None)]).await;
        overwrite(cleaned, 25).await;
        if round == 0 {
            cleaned.compact(&mut map_of(100)).await.expect("compact");
            cleaned.history.now_ms += 5_000;
        }
    }
    cleaned.log.flush().await.expect("flush");
}

/// What a cleaning of `store` went through, and what must hold at each point of it.
struct Cleaning {
    images: Vec<Image>,
    before: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
    states: Vec<ProducerState>,
    history: History,
    producers: std::collections::HashMap<i64, i64>,
    recovery_point: i64,
}

async fn watched(store: TestStore, temp: &Path, seed: u64) -> Cleaning {
    let mut cleaned = fresh(store.clone(), temp).await;
    lived(&mut cleaned).await;
    let (before, recovery_point) =
        (bytes_of(&read_all(&cleaned.log, 1 << 16).await), cleaned.log.recovery_point());
    let images: Arc<Mutex<Vec<Image>>> = Arc::default();
    let (sim, dir, taken) = (store.sim.clone(), temp.join("t-0"), Arc::clone(&images));
    let look = move || {
        let mut taken = taken.lock().expect("images");
        let nth = taken.len() as u64;
        taken.push(Image::take(&sim, &dir, seed.wrapping_mul(1_000).wrapping_add(nth)));
    };
    store.script.after_change.set(Some(Box::new(look)));
    let report = cleaned.compact(&mut map_of(100)).await.expect("compact");
    store.script.after_change.set(None);
    assert!(report.segments_before > 3 && report.records_removed > 50, "{report:?}");
    cleaned.check().await;
    let after = bytes_of(&read_all(&cleaned.log, 1 << 16).await);
    let states = cleaned.producer_states();
    let images = std::mem::take(&mut *images.lock().expect("images"));
    let Cleaned { history, producers, .. } = cleaned;
    Cleaning { images, before, after, states, history, producers, recovery_point }
}

#[test]
fn e33_a_power_cut_at_any_step_leaves_each_segment_before_or_after() {
    for seed in 0..4 {
        let temp = tempfile::tempdir().expect("temp dir");
        let store = if seed % 2 == 0 { inline_store() } else { direct_store(seed) };
        let cleaning = run(watched(store, temp.path(), seed));
        assert!(cleaning.images.len() > 20, "{} changes", cleaning.images.len());
        for (step, image) in cleaning.images.iter().enumerate() {
            let dir = temp.path().join("t-0");
            let store = image.restore(&dir);
            // With a checkpoint, and with every batch looked at.
            let recovery_point = (step % 2 == 0).then_some(cleaning.recovery_point);
            run(async {
                let (log, report) = open(store, &dir, small_config(), recovery_point, false).await;
                assert_eq!(report.segments_removed, 0, "seed {seed}, step {step}: {report:?}");
                let (history, producers) = (cleaning.history.clone(), cleaning.producers.clone());
                let recovered = Cleaned { log, history, producers };
                recovered.check().await;
                assert_eq!(recovered.producer_states(), cleaning.states, "seed {seed}, step {step}");
                for batch in bytes_of(&read_all(&recovered.log, 1 << 16).await) {
                    let known = cleaning.before.contains(&batch) || cleaning.after.contains(&batch);
                    assert!(known, "seed {seed}, step {step}");
                }
                let names = std::fs::read_dir(&dir).expect("list").map(|e| e.expect("entry").file_name());
                let left: Vec<_> = names
                    .map(|n| n.into_string().expect("name"))
                    .filter(|n| n.contains("swap") || n.contains("clean"))
                    .collect();
                assert_eq!(left, [] as [&str; 0], "seed {seed}, step {step}");
            });
        }
    }
}

#[test]
fn e33_a_fault_at_any_step_loses_nothing() {
    let ops = [
        (IoOp::Create, EIO),
        (IoOp::Create, ENOSPC),
        (IoOp::Reserve, ENOSPC),
        (IoOp::Write, ENOSPC),
        (IoOp::Write, EIO),
        (IoOp::Truncate, EIO),
        (IoOp::Sync, EIO),
        (IoOp::Rename, EIO),
        (IoOp::Remove, EIO),
    ];
    for (op, errno) in ops {
        for nth in 0..7 {
            run(async {
                let temp = tempfile::tempdir().expect("temp dir");
                let store = inline_store();
                let mut cleaned = fresh(store.clone(), temp.path()).await;
                lived(&mut cleaned).await;
                let states = cleaned.producer_states();
                store.script.next.lock().expect("script").extend((0..nth).map(|_| (op, 0)));
                store.script.fail(op, errno);
                let result = cleaned.compact(&mut map_of(100)).await;
                store.script.next.lock().expect("script").clear();
                if result.is_ok() {
                    return;
                }
                let poisoned = cleaned.log.marks().fault.is_some();
                assert!(!poisoned || errno == EIO, "{op:?} {errno} {nth}: a full disk is not a fault");
                if !poisoned {
                    // In service, and the next try finishes.
                    cleaned.check().await;
                    cleaned.compact(&mut map_of(100)).await.expect("again");
                    cleaned.check().await;
                }
                let Cleaned { log, history, producers } = cleaned;
                drop(log);
                let (log, _) = open(store, &temp.path().join("t-0"), small_config(), None, false).await;
                let recovered = Cleaned { log, history, producers };
                recovered.check().await;
                assert_eq!(recovered.producer_states(), states, "{op:?} {errno} {nth}");
            });
        }
    }
}

/// A slow cleaning in the background.
fn slowly(cleaned: &Cleaned<TestStore>) -> tokio::task::JoinHandle<Result<(), CompactError>> {
    let (log, history): (Log<TestStore>, _) = (cleaned.log.clone(), cleaned.history.clone());
    tokio::task::spawn_local(async move {
        let (mut map, throttle) = (map_of(100), Throttle::new(10_000));
        let request = CompactRequest {
            policy: CompactionPolicy::default(),
            upto_offset: i64::MAX,
            first_dirty_offset: None,
            now_ms: history.now_ms,
            aborted: history.aborted.clone(),
            map: &mut map,
            throttle: &throttle,
        };
        log.compact(request).await.map(|_| ())
    })
}

#[test]
fn e33_truncation_and_closing_go_before_a_cleaning() {
    for after_ms in (1..20_000).step_by(1_300) {
        run(async {
            let temp = tempfile::tempdir().expect("temp dir");
            let mut cleaned = fresh(inline_store(), temp.path()).await;
            overwrite(&mut cleaned, 100).await;
            cleaned.log.flush().await.expect("flush");
            let task = slowly(&cleaned);
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            cleaned.log.truncate_to(150).await.expect("truncate");
            assert!(
                matches!(task.await.expect("task"), Err(CompactError::Interrupted)),
                "after {after_ms} ms"
            );
            cleaned.history.truncate(cleaned.log.marks().accepted);
            cleaned.check().await;
            let task = slowly(&cleaned);
            tokio::time::sleep(Duration::from_millis(after_ms / 4)).await;
            cleaned.log.close().await.expect("close");
            let ended = task.await.expect("task");
            assert!(matches!(ended, Ok(()) | Err(CompactError::Closed)), "after {after_ms} ms: {ended:?}");
            cleaned.check().await;
        });
    }
}

#[test]
fn e33_readers_see_the_same_values_while_segments_are_exchanged() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(direct_store(3), temp.path()).await;
        lived(&mut cleaned).await;
        let held = cleaned.log.read(0, i64::MAX, 1 << 16, true).await.expect("read").records;
        let bytes = held.to_bytes().expect("bytes");
        let task = slowly(&cleaned);
        let mut rounds = 0;
        while !task.is_finished() {
            cleaned.check().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            rounds += 1;
        }
        task.await.expect("task").expect("compact");
        assert!(rounds > 10, "{rounds}");
        assert_eq!(held.to_bytes().expect("bytes"), bytes, "what was handed out stays");
    });
}

#[test]
fn e33_one_cleaning_at_a_time_and_a_dropped_one_leaves_nothing_in_the_way() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        lived(&mut cleaned).await;
        for after_ms in [0, 3_000, 9_000, 14_000] {
            let task = slowly(&cleaned);
            tokio::time::sleep(Duration::from_millis(after_ms + 1)).await;
            if !task.is_finished() {
                let second = cleaned.compact(&mut map_of(100)).await;
                assert!(matches!(second, Err(CompactError::Busy)), "{second:?}");
            }
            task.abort();
            assert!(task.await.is_err_and(|e| e.is_cancelled()) || after_ms > 0);
            tokio::time::sleep(Duration::from_millis(1)).await;
            cleaned.check().await;
        }
        cleaned.compact(&mut map_of(100)).await.expect("compact");
        cleaned.check().await;
    });
}
