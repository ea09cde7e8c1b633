//! How long opening takes: one log of many segments, and many logs of two, after a clean stop and after a crash with
//! a recovery point; and how long it takes to create many logs. Page cache, warm.
//!
//! `cargo run --release -p plimsoll-log --example startup -- [directory] [segments] [partitions] [at once]`

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::records::{Batch, BatchBuilder, Codec, Compressor};
use plimsoll_log::{
    Log, LogConfig, LogError, OffsetIndex, OpenHints, Producers, TimeEntry, TimeIndex, encode_id, layout,
    snapshot,
};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};
use uuid::Uuid;

type AnyError = Box<dyn std::error::Error>;

const TOPIC_ID: Uuid = Uuid::from_u128(7);
/// Offsets per segment.
const RECORDS: i64 = 10;

fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).map_or(Ok(default), |text| text.parse());
    let (segments, partitions, at_once) = (number(1, 20_000)?, number(2, 10_000)?, number(3, 64)?);
    let parent = PathBuf::from(args.first().map_or(".", String::as_str));
    let scratch = tempfile::tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wide = [scratch.path().join("wide-0")];
    leave_log(&wide[0], segments)?;
    let last = (segments as i64 - 1) * RECORDS;
    let timed = |label: String, dirs: &[PathBuf], hints| -> Result<(), AnyError> {
        let started = Instant::now();
        let logs = LocalSet::new().block_on(&runtime, open_all(dirs.to_vec(), hints, at_once))?;
        println!("{label}: {} ms, {} descriptors", started.elapsed().as_millis(), descriptors()?);
        drop(logs);
        Ok(())
    };
    let clean = OpenHints { clean: true, ..OpenHints::default() };
    let unclean = |recovery_point| OpenHints { recovery_point: Some(recovery_point), ..OpenHints::default() };
    timed(format!("1 log of {segments} segments, clean"), &wide, clean)?;
    timed(format!("1 log of {segments} segments, unclean"), &wide, unclean(last))?;
    let many: Vec<PathBuf> = (0..partitions).map(|i| scratch.path().join(format!("many-{i}"))).collect();
    many.iter().try_for_each(|dir| leave_log(dir, 2))?;
    timed(format!("{partitions} logs of 2 segments, clean"), &many, clean)?;
    timed(format!("{partitions} logs of 2 segments, unclean"), &many, unclean(RECORDS))?;
    let new: Vec<PathBuf> = (0..partitions).map(|i| scratch.path().join(format!("new-{i}"))).collect();
    timed(format!("{partitions} new logs"), &new, OpenHints::default())
}

/// Opens all logs, `at_once` at a time, on one thread.
async fn open_all(
    dirs: Vec<PathBuf>,
    hints: OpenHints,
    at_once: usize,
) -> Result<Vec<Log<PageCacheStore>>, AnyError> {
    let (turns, mut opening) = (Rc::new(Semaphore::new(at_once)), JoinSet::new());
    for dir in dirs {
        let turns = Rc::clone(&turns);
        opening.spawn_local(async move {
            let _turn = turns.acquire().await;
            open(&dir, hints).await
        });
    }
    let mut logs = Vec::new();
    while let Some(opened) = opening.join_next().await {
        logs.push(opened??);
    }
    Ok(logs)
}

fn open(dir: &Path, hints: OpenHints) -> impl Future<Output = Result<Log<PageCacheStore>, LogError>> {
    let (store, config) = (PageCacheStore::new(Preallocation::None), LogConfig::default());
    async move { Ok(Log::open(store, dir, TOPIC_ID, config, hints).await?.0) }
}

/// Writes what a log of `segments` segments leaves at a clean stop, without syncing any of it.
fn leave_log(dir: &Path, segments: usize) -> Result<(), AnyError> {
    fs::create_dir_all(dir)?;
    let id = format!("version: 0\ntopic_id: {}", encode_id(TOPIC_ID));
    fs::write(dir.join(layout::PARTITION_METADATA), id)?;
    let mut batch = batch()?;
    let producers = snapshot::encode(&Producers::default());
    for end_offset in [segments as i64 - 1, segments as i64].map(|i| i * RECORDS) {
        fs::write(layout::segment_path(dir, end_offset, layout::SNAPSHOT_SUFFIX), &producers)?;
    }
    for base_offset in (0..segments as i64).map(|i| i * RECORDS) {
        batch.set_base_offset(base_offset);
        let mut times = TimeIndex::new(base_offset);
        times.push(TimeEntry { timestamp: 1_000, offset: base_offset + RECORDS - 1 });
        let files: [(&str, Vec<u8>); 3] = [
            (layout::LOG_SUFFIX, batch.to_bytes().to_vec()),
            (layout::INDEX_SUFFIX, OffsetIndex::new(base_offset).to_bytes()),
            (layout::TIME_INDEX_SUFFIX, times.to_bytes()),
        ];
        for (suffix, bytes) in files {
            fs::write(layout::segment_path(dir, base_offset, suffix), bytes)?;
        }
    }
    Ok(())
}

fn batch() -> Result<Batch, AnyError> {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..RECORDS {
        builder.push(1_000, None, Some(&[7; 20]), &[])?;
    }
    Ok(builder.finish(&mut Compressor::new())?)
}

fn descriptors() -> std::io::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}
