//! Consumers beside the producer, on its thread as in a broker.

use std::cell::{Cell as Counter, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use plimsoll_io::{SegmentStore, drop_cached};
use plimsoll_log::records::Batch;
use plimsoll_log::{Level, Log, OpenHints, layout};
use tokio::task::{JoinHandle, spawn_local};
use uuid::Uuid;

use super::batches::BatchPool;
use super::cell::{Cell, Readers};
use super::engine::{Engine, partition_dir};
use super::error::BenchError;
use crate::floor::{Laps, READ_BYTES, touch};

/// What readers have read.
#[derive(Debug, Default)]
struct Read {
    bytes: Counter<u64>,
    laps: RefCell<Laps>,
}

/// Readers under way, one per log.
#[derive(Debug)]
pub(crate) struct Reading {
    read: Rc<Read>,
    tasks: Vec<JoinHandle<Result<(), BenchError>>>,
}

impl Reading {
    /// Starts readers at the tail of `live`, or at the start of `old`. Needs a `LocalSet`.
    pub(crate) fn start<S: SegmentStore>(readers: Readers, live: &[Log<S>], old: &[Log<S>]) -> Reading {
        let read = Rc::<Read>::default();
        let tasks = match readers {
            Readers::None => Vec::new(),
            Readers::Tail => live
                .iter()
                .map(|log| spawn_local(follow(log.clone(), log.marks().written, Rc::clone(&read))))
                .collect(),
            Readers::Cold => {
                old.iter().map(|log| spawn_local(catch_up(log.clone(), Rc::clone(&read)))).collect()
            }
        };
        Reading { read, tasks }
    }

    /// Waits until they have read that many bytes; not longer than they run.
    pub(crate) async fn until(&self, bytes: u64) {
        while self.read.bytes.get() < bytes && self.tasks.iter().any(|task| !task.is_finished()) {
            tokio::task::yield_now().await;
        }
    }

    /// Stops them. Returns how many bytes they have read and how long their reads took; fails if one of them had
    /// failed.
    pub(crate) async fn end(self) -> Result<(u64, Laps), BenchError> {
        for task in self.tasks {
            if task.is_finished() {
                task.await.map_err(std::io::Error::other)??;
            } else {
                task.abort();
            }
        }
        Ok((self.read.bytes.get(), self.read.laps.take()))
    }
}

/// Follows the log as it grows, from the offset where it stood when the reader was asked for.
async fn follow<S: SegmentStore>(
    log: Log<S>,
    mut from_offset: i64,
    read: Rc<Read>,
) -> Result<(), BenchError> {
    loop {
        log.wait(log.marks().generation, Level::Written, from_offset + 1).await?;
        from_offset = fetch(&log, from_offset, &read).await?.unwrap_or(from_offset);
    }
}

/// Reads an old log from its start to its end.
async fn catch_up<S: SegmentStore>(log: Log<S>, read: Rc<Read>) -> Result<(), BenchError> {
    let mut from_offset = 0;
    while let Some(next_offset) = fetch(&log, from_offset, &read).await? {
        from_offset = next_offset;
        // A broker answers other requests between two fetches.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Reads once, as a broker that copies, and returns the offset to go on from; `None` at the end.
async fn fetch<S: SegmentStore>(
    log: &Log<S>,
    from_offset: i64,
    read: &Read,
) -> Result<Option<i64>, BenchError> {
    let begun = Instant::now();
    let out = log.read(from_offset, i64::MAX, READ_BYTES, true).await?;
    let records = out.records.to_bytes()?;
    touch(&records);
    if !records.is_empty() {
        read.laps.borrow_mut().fetched(begun);
    }
    read.bytes.set(read.bytes.get() + records.len() as u64);
    Ok(next_offset(records))
}

/// Reads a log from its start to its end. Returns its bytes.
pub(crate) async fn read_through<S: SegmentStore>(log: &Log<S>, laps: &mut Laps) -> Result<u64, BenchError> {
    let (read, mut from_offset) = (Read::default(), 0);
    while let Some(next_offset) = fetch(log, from_offset, &read).await? {
        from_offset = next_offset;
    }
    laps.read.add(&read.laps.borrow().read);
    Ok(read.bytes.get())
}

fn next_offset(mut records: Bytes) -> Option<i64> {
    let mut next_offset = None;
    while let Ok(Some(batch)) = Batch::split_from(&mut records) {
        next_offset = Some(batch.header().next_offset());
    }
    next_offset
}

/// Logs as large as a trial that were written, closed, dropped from the page cache, and opened again.
pub(crate) async fn old_logs<S: SegmentStore>(
    store: &S,
    dir: &Path,
    cell: &Cell,
    pool: &BatchPool,
    batches: usize,
) -> Result<Vec<Log<S>>, BenchError> {
    if cell.readers != Readers::Cold {
        return Ok(Vec::new());
    }
    let dir = dir.join("old");
    let mut engine = Engine::open(store, &dir, cell, &cell.log_config(), pool).await?;
    engine.append(batches, &mut Laps::default()).await?;
    engine.close().await?;
    drop(engine);
    let mut logs = Vec::new();
    for number in 0..cell.partitions {
        let dir = partition_dir(&dir, number);
        drop_cached(&layout::segment_path(&dir, 0, layout::LOG_SUFFIX)).map_err(std::io::Error::other)?;
        let hints = OpenHints { clean: true, ..OpenHints::default() };
        logs.push(Log::open(store.clone(), &dir, Uuid::nil(), cell.log_config(), hints).await?.0);
    }
    Ok(logs)
}
