//! A log directory that was closed cleanly, with a file of every kind, and what a log opened on it must answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use bytes::Bytes;
use plimsoll_log::records::Batch;
use plimsoll_log::records::marker::{EndTxn, end_txn};
use plimsoll_log::{
    AbortedTxn, AnyLog, AppendRequest, EpochEnd, HIGH_WATERMARK, Log, LogConfig, OffsetCheckpoint, OpenHints,
    Origin, ReadError, TopicPartition, layout,
};
use plimsoll_records::Compressor;
use tempfile::TempDir;

use super::Place;
use crate::child::{self, TOPIC, TOPIC_ID};
use crate::verify;
use crate::workload::{BatchId, Workload};

/// A segment holds a few batches.
const SEGMENT_BYTES: u32 = 16 << 10;
/// Batches of each producer.
const ROUNDS: u64 = 20;
/// One without transactions and two with.
const PRODUCERS: usize = 3;
/// Rounds of one leader epoch.
const EPOCH_ROUNDS: u64 = 8;
/// Rounds after which the records so far are deleted.
const DELETED_ROUNDS: u64 = 2;

/// A log directory with one partition, and what is in it.
pub(super) struct Pristine {
    pub(super) backend: String,
    pub(super) workload: Workload,
    home: TempDir,
    /// Path below the directory and content of each file that is not empty, by kind.
    pub(super) files: BTreeMap<String, Vec<(PathBuf, Vec<u8>)>>,
    /// Each batch as it was served, by its base offset.
    pub(super) batches: BTreeMap<i64, Bytes>,
    pub(super) answers: Answers,
}

/// What a log says of itself beside its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) start_offset: i64,
    pub(super) end_offset: i64,
    pub(super) stable_offset: i64,
    epochs: Vec<EpochEnd>,
    producers: Vec<Producer>,
    pub(super) aborted: Vec<AbortedTxn>,
}

/// Id, epoch, last sequence, coordinator epoch and begin of the open transaction.
type Producer = (i64, i16, Option<i32>, i32, Option<i64>);

impl Answers {
    /// Asks a log.
    pub(super) async fn of(log: &AnyLog) -> Result<Self, ReadError> {
        let marks = log.marks();
        let (start_offset, end_offset) = (marks.start_offset, marks.accepted);
        let stable_offset = log.last_stable_offset(end_offset);
        let epochs = (0..=ROUNDS.div_ceil(EPOCH_ROUNDS) as i32).map(|epoch| log.epoch_end_offset(epoch));
        let mut producers: Vec<_> = log.producers().into_iter().collect();
        producers.sort_by_key(|(id, _)| *id);
        let producers = producers.into_iter().map(|(id, entry)| {
            let last_sequence = entry.window.last().map(|batch| batch.last_sequence);
            (id, entry.epoch, last_sequence, entry.coordinator_epoch, entry.txn_first_offset)
        });
        let (epochs, producers) = (epochs.collect(), producers.collect());
        let aborted = log.aborted_transactions(start_offset, stable_offset).await?;
        Ok(Self { start_offset, end_offset, stable_offset, epochs, producers, aborted })
    }
}

/// Settings of a log in this trial.
pub(super) fn config(workload: &Workload, verify_on_read: bool) -> LogConfig {
    let (segment_bytes, index_interval_bytes) = (SEGMENT_BYTES, 1024);
    LogConfig { segment_bytes, index_interval_bytes, verify_on_read, ..workload.config() }
}

/// What a file is: its suffix, or its name if it has none.
pub(super) fn kind_of(file: &Path) -> &str {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    layout::parse_segment_name(name).map_or(name, |(_, suffix)| suffix)
}

impl Pristine {
    pub(super) async fn make(backend: &str, workload: Workload) -> Result<Self> {
        let home = crate::scratch::directory()?;
        let root = home.path().join("logs");
        let dir = root.join(format!("{TOPIC}-0"));
        let store = child::store(backend, &workload)?;
        let (log, _) =
            Log::open(store, &dir, TOPIC_ID, config(&workload, false), OpenHints::default()).await?;
        fill(&log, &workload).await?;
        // Readers stop at what is written, and a direct write takes its time.
        log.flush().await?;
        let answers = Answers::of(&log).await?;
        let all = verify::read_all(&log).await?;
        let batches = all.iter().map(|batch| (batch.header().base_offset, batch.to_bytes())).collect();
        log.close().await?;
        child::checkpoint(&root, std::slice::from_ref(&log))?;
        let starts = [(TopicPartition::new(TOPIC, 0), answers.start_offset)];
        OffsetCheckpoint { offsets: starts.into() }.write(&root.join(layout::LOG_START_CHECKPOINT))?;
        let mut files = BTreeMap::<String, Vec<(PathBuf, Vec<u8>)>>::new();
        for of in [&root, &dir] {
            for path in files_in(of)? {
                let (bytes, below) = (std::fs::read(&path)?, path.strip_prefix(&root)?.to_owned());
                if !bytes.is_empty() {
                    files.entry(kind_of(&below).to_owned()).or_default().push((below, bytes));
                }
            }
        }
        Ok(Self { backend: backend.to_owned(), workload, home, files, batches, answers })
    }

    pub(super) fn last_batch_bytes(&self) -> usize {
        self.batches.last_key_value().map_or(0, |(_, bytes)| bytes.len())
    }

    /// Writes a copy in which one bit is another.
    pub(super) fn lay_out(&self, flipped: &Place) -> Result<PathBuf> {
        let root = self.home.path().join("logs");
        std::fs::remove_dir_all(&root)?;
        std::fs::create_dir_all(root.join(format!("{TOPIC}-0")))?;
        for (file, bytes) in self.files.values().flatten() {
            let mut bytes = bytes.clone();
            if let Some(byte) = bytes.get_mut(flipped.at).filter(|_| *file == flipped.file) {
                *byte ^= 1 << flipped.bit;
            }
            std::fs::write(root.join(file), bytes)?;
        }
        Ok(root)
    }
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

/// Several epochs, transactions of either end and one that stays open, and a beginning that was deleted.
async fn fill(log: &AnyLog, workload: &Workload) -> Result<()> {
    let mut compressor = Compressor::new();
    for number in 0..ROUNDS {
        let leader_epoch = (number / EPOCH_ROUNDS) as i32;
        let append = async |batch: Batch| {
            log.append(AppendRequest { batch, leader_epoch, origin: Origin::Client }).await
        };
        let id = |producer| BatchId { partition: 0, producer, number };
        for producer in 0..PRODUCERS {
            append(workload.batch(id(producer), &mut compressor)?).await?;
        }
        // Both end in the second round, so that none reaches from what is deleted into what stays.
        let ends = |producer: &usize| number % (2 + *producer as u64) == 1;
        for producer in (1..PRODUCERS).filter(ends) {
            let end = if number % 3 == 2 { EndTxn::Commit } else { EndTxn::Abort };
            // Behind the round's batches, so that times rise.
            let timestamp = workload.timestamp(id(PRODUCERS + producer));
            append(end_txn(end, 0, workload.producer_id(producer), 0, timestamp)?).await?;
        }
        if number + 1 == DELETED_ROUNDS {
            log.flush().await?;
            log.delete_records(HIGH_WATERMARK, log.marks().durable).await?;
        }
    }
    Ok(())
}
