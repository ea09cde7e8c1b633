//! The engine's arm: the log, driven as a pipelining producer's broker drives it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Instant;

use plimsoll_io::SegmentStore;
use plimsoll_log::{AppendRequest, Level, Log, LogConfig, OpenHints, Origin, RetentionPolicy, SegmentCounts};
use plimsoll_results::{DurabilityMode, VerifyCounts};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::batches::BatchPool;
use super::cell::{Cell, Readers};
use super::check;
use super::error::{BenchError, io_error};
use crate::floor::Laps;

/// Logs of one trial and the producer in front of them, which leaves at most a window of batches unacknowledged.
#[derive(Debug)]
pub(crate) struct Engine<'a, S: SegmentStore> {
    pool: &'a BatchPool,
    logs: Vec<Log<S>>,
    window: usize,
    durable: bool,
    /// Somebody else wants to run on this thread.
    gives_way: bool,
    sent: usize,
    unwritten: usize,
    /// Per log: when a batch was handed over, and the offset behind it.
    pending: Vec<VecDeque<(Instant, i64)>>,
    generation: u64,
    /// `retention.bytes` of each log, applied each time this much was appended; rows that recycle only.
    retention_bytes: Option<u64>,
    since_retention_bytes: u64,
}

/// Segments that a log keeps where they are to be recycled.
const KEPT_SEGMENTS: u64 = 2;

/// Where a trial's log lives.
pub(crate) fn partition_dir(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("bench-{number}"))
}

impl<'a, S: SegmentStore> Engine<'a, S> {
    /// Opens a new log per partition.
    pub(crate) async fn open(
        store: &S,
        dir: &Path,
        cell: &Cell,
        config: &LogConfig,
        pool: &'a BatchPool,
    ) -> Result<Engine<'a, S>, BenchError> {
        let mut logs = Vec::new();
        for number in 0..cell.partitions {
            let config = config.clone();
            let dir = partition_dir(dir, number);
            let (log, _) = Log::open(store.clone(), &dir, Uuid::nil(), config, OpenHints::default()).await?;
            logs.push(log);
        }
        let pending = logs.iter().map(|_| VecDeque::new()).collect();
        let durable = cell.durability == DurabilityMode::Fsync;
        let (window, gives_way) = (cell.window(), cell.readers != Readers::None);
        let recycles = logs.iter().any(Log::recycles);
        Ok(Engine {
            pool,
            logs,
            window,
            durable,
            gives_way,
            sent: 0,
            unwritten: 0,
            pending,
            generation: 0,
            retention_bytes: recycles.then(|| u64::from(config.segment_bytes) * KEPT_SEGMENTS),
            since_retention_bytes: 0,
        })
    }

    /// Appends the next `batches`, in turn to each log. On return they are written, and durable under `fsync`.
    pub(crate) async fn append(&mut self, batches: usize, laps: &mut Laps) -> Result<(), BenchError> {
        let end = self.sent + batches;
        while self.sent < end {
            self.send(laps).await?;
            let group_over = self.sent.is_multiple_of(self.window) || self.sent == end;
            if self.durable && group_over {
                self.group_commit(laps).await?;
            }
            if self.gives_way && group_over {
                tokio::task::yield_now().await;
            }
            while self.unwritten >= self.window {
                self.wait_for_oldest(laps).await?;
            }
            self.retain().await?;
        }
        self.drain(laps).await
    }

    /// Deletes old segments as a broker's retention does, about four times per segment.
    async fn retain(&mut self) -> Result<(), BenchError> {
        let Some(retention_bytes) = self.retention_bytes else { return Ok(()) };
        if self.since_retention_bytes * 4 * KEPT_SEGMENTS < retention_bytes {
            return Ok(());
        }
        self.apply_retention(retention_bytes).await
    }

    /// Syncs what was appended, so that old segments can go, and deletes them: rows that recycle then have some to
    /// begin with.
    pub(crate) async fn retire(&mut self) -> Result<(), BenchError> {
        let Some(retention_bytes) = self.retention_bytes else { return Ok(()) };
        for log in &self.logs {
            log.flush().await?;
        }
        self.apply_retention(retention_bytes).await
    }

    async fn apply_retention(&mut self, retention_bytes: u64) -> Result<(), BenchError> {
        self.since_retention_bytes = 0;
        let policy = RetentionPolicy { retention_bytes: Some(retention_bytes), ..RetentionPolicy::default() };
        for log in &self.logs {
            log.apply_retention(&policy, log.marks().written, 0).await?;
        }
        Ok(())
    }

    /// How the segments of all logs came to be.
    pub(crate) fn segment_counts(&self) -> SegmentCounts {
        self.logs.iter().map(Log::segment_counts).fold(SegmentCounts::default(), |all, one| SegmentCounts {
            segments_created: all.segments_created + one.segments_created,
            segments_recycled: all.segments_recycled + one.segments_recycled,
        })
    }

    /// The logs, for readers beside the producer.
    pub(crate) fn logs(&self) -> &[Log<S>] {
        &self.logs
    }

    async fn send(&mut self, laps: &mut Laps) -> Result<(), BenchError> {
        let to = self.sent % self.logs.len();
        let Some(log) = self.logs.get(to) else { return Ok(()) };
        let batch = self.pool.turn(self.sent / self.logs.len());
        self.since_retention_bytes += batch.size_bytes() as u64 / self.logs.len() as u64;
        let begun = Instant::now();
        let request = AppendRequest { batch, leader_epoch: 0, origin: Origin::Client };
        let appended = log.append(request).await?;
        self.generation = appended.generation;
        if let Some(pending) = self.pending.get_mut(to) {
            pending.push_back((begun, appended.last_offset + 1));
        }
        self.sent += 1;
        self.unwritten += 1;
        self.collect(to, laps);
        Ok(())
    }

    /// Notes which batches of a log are written by now.
    fn collect(&mut self, of: usize, laps: &mut Laps) {
        let (Some(log), Some(pending)) = (self.logs.get(of), self.pending.get_mut(of)) else { return };
        let written = log.marks().written;
        while let Some((begun, _)) = pending.pop_front_if(|(_, end_offset)| *end_offset <= written) {
            laps.appended(begun);
            self.unwritten -= 1;
        }
    }

    async fn wait_for_oldest(&mut self, laps: &mut Laps) -> Result<(), BenchError> {
        let fronts =
            self.pending.iter().enumerate().filter_map(|(of, pending)| Some((of, *pending.front()?)));
        let Some((of, (_, end_offset))) = fronts.min_by_key(|(_, (begun, _))| *begun) else { return Ok(()) };
        if let Some(log) = self.logs.get(of) {
            log.wait(self.generation, Level::Written, end_offset).await?;
        }
        self.collect(of, laps);
        Ok(())
    }

    async fn drain(&mut self, laps: &mut Laps) -> Result<(), BenchError> {
        while self.unwritten > 0 {
            self.wait_for_oldest(laps).await?;
        }
        Ok(())
    }

    async fn group_commit(&mut self, laps: &mut Laps) -> Result<(), BenchError> {
        let (handed_over, mut durable) = (Instant::now(), JoinSet::new());
        for log in &self.logs {
            let (log, generation) = (log.clone(), self.generation);
            let wait = async move { log.wait(generation, Level::Durable, log.marks().accepted).await };
            durable.spawn_local(wait);
        }
        self.drain(laps).await?;
        while let Some(waited) = durable.join_next().await {
            waited.map_err(|error| io_error("a wait for a sync ended early")(error.into()))??;
        }
        laps.synced(handed_over);
        Ok(())
    }

    /// Counts a batch as sent that is not: what the check must then find missing.
    pub(crate) fn skip(&mut self) {
        self.sent += 1;
    }

    /// Reads every log from its start and accounts for every batch that retention has left.
    pub(crate) async fn read_back(&self) -> Result<VerifyCounts, BenchError> {
        check::read_back(&self.logs, self.pool, self.sent).await
    }

    /// Closes all logs cleanly.
    pub(crate) async fn close(&self) -> Result<(), BenchError> {
        for log in &self.logs {
            log.close().await?;
        }
        Ok(())
    }
}
