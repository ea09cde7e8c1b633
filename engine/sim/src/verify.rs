//! What was acknowledged against what is stored.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Result, ensure};
use plimsoll_io::SegmentStore;
use plimsoll_log::{AppendError, AppendRequest, Log, Origin, ReadError};
use plimsoll_records::{Batch, Compressor};

use crate::child;
use crate::tally::Tally;
use crate::workload::{BatchId, Workload};

/// One read of the whole log.
const READ_BYTES: usize = 1 << 20;

/// Acknowledged batches and the offset each was acknowledged at, -1 where that was not said.
#[derive(Clone, Debug, Default)]
pub struct Book {
    acked: BTreeMap<BatchId, i64>,
    /// Acknowledged twice at different offsets.
    contradictions: u64,
}

impl Book {
    /// Notes an acknowledgement. A retry's must name the same offset again.
    pub fn ack(&mut self, id: BatchId, base_offset: i64) {
        let before = self.acked.insert(id, base_offset);
        self.contradictions += u64::from(before.is_some_and(|before| before != base_offset));
    }

    /// Whether the batch was acknowledged.
    pub fn holds(&self, id: BatchId) -> bool {
        self.acked.contains_key(&id)
    }

    /// How many batches were acknowledged.
    pub fn len(&self) -> u64 {
        self.acked.len() as u64
    }

    /// Nothing was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.acked.is_empty()
    }

    /// From where each producer must send again.
    pub fn next(&self, workload: &Workload) -> Vec<Vec<u64>> {
        let first_open = |partition, producer| {
            let open =
                |number: &u64| !self.acked.contains_key(&BatchId { partition, producer, number: *number });
            (0..).find(open).unwrap_or(0)
        };
        let producers =
            |partition| (0..workload.producers()).map(move |producer| first_open(partition, producer));
        (0..workload.partitions()).map(|partition| producers(partition).collect()).collect()
    }
}

/// Recovers every partition below `root` as a restarted broker does, reads all of it and compares. Then sends again
/// what was stored and not acknowledged, as its producer would; that is in the book afterwards. With `close` the logs
/// are closed at the end, else dropped as by another crash.
pub async fn directory(
    root: &Path,
    backend: &str,
    workload: &Workload,
    clean: bool,
    book: &mut Book,
    close: bool,
) -> Result<Tally> {
    let store = child::store(backend, workload)?;
    let mut tally = Tally { acked: book.len(), corrupt: book.contradictions, ..Tally::default() };
    let mut logs = Vec::new();
    for partition in 0..workload.partitions() {
        let log = child::open(&store, root, partition, workload, clean).await?;
        let (found, open) = Check::new(workload, partition, book).run(&log).await?;
        tally += found;
        tally += retry(&log, workload, open, book).await?;
        logs.push(log);
    }
    if close {
        for log in &logs {
            log.close().await?;
        }
        child::checkpoint(root, &logs)?;
    }
    Ok(tally)
}

/// The comparison of one partition.
struct Check<'a> {
    workload: &'a Workload,
    partition: usize,
    book: &'a Book,
    compressor: Compressor,
    /// Base offset of each batch found.
    seen: HashMap<BatchId, i64>,
    /// The last number of each producer.
    last: HashMap<usize, u64>,
    tally: Tally,
}

impl<'a> Check<'a> {
    fn new(workload: &'a Workload, partition: usize, book: &'a Book) -> Self {
        let (compressor, seen, last, tally) =
            (Compressor::new(), HashMap::new(), HashMap::new(), Tally::default());
        Self { workload, partition, book, compressor, seen, last, tally }
    }

    /// Also returns what is stored and not acknowledged.
    async fn run<S: SegmentStore>(mut self, log: &Log<S>) -> Result<(Tally, BTreeMap<BatchId, i64>)> {
        for batch in read_all(log).await? {
            self.batch(&batch)?;
        }
        self.compare_with_book();
        self.compare_producers(log);
        let open = self.seen.into_iter().filter(|(id, _)| !self.book.acked.contains_key(id));
        Ok((self.tally, open.collect()))
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        let header = batch.header();
        let id = self.workload.id_of(self.partition, header.base_timestamp);
        let known = id.producer < self.workload.producers() && id.number < 1 << 40;
        if !known || self.workload.batch(id, &mut self.compressor)?.rest() != batch.rest() {
            self.tally.corrupt += 1;
            return Ok(());
        }
        if self.seen.insert(id, header.base_offset).is_some() {
            self.tally.dup += 1;
        } else if self.last.get(&id.producer).is_some_and(|last| id.number < *last) {
            self.tally.reorder += 1;
        }
        self.last.entry(id.producer).and_modify(|last| *last = id.number.max(*last)).or_insert(id.number);
        Ok(())
    }

    fn compare_with_book(&mut self) {
        for (id, acked_at) in self.book.acked.iter().filter(|(id, _)| id.partition == self.partition) {
            match self.seen.get(id) {
                None => self.tally.lost += 1,
                Some(at) if *acked_at >= 0 && at != acked_at => self.tally.corrupt += 1,
                Some(_) => {}
            }
        }
    }

    /// The recovered producer state must know the last batch stored, or a retry would be stored twice.
    fn compare_producers<S: SegmentStore>(&mut self, log: &Log<S>) {
        if !self.workload.idempotent {
            return;
        }
        for (producer, last) in &self.last {
            let records = self.workload.records_of(*producer) as u64;
            let last_sequence = (last * records + records - 1) as i32;
            let entry = log.producer(self.workload.producer_id(*producer));
            let known = entry.and_then(|e| e.window.last().map(|b| b.last_sequence));
            self.tally.dup += u64::from(known != Some(last_sequence));
        }
    }
}

/// Sends batches again that are stored: each must be recognised, or refused.
async fn retry<S: SegmentStore>(
    log: &Log<S>,
    workload: &Workload,
    stored: BTreeMap<BatchId, i64>,
    book: &mut Book,
) -> Result<Tally> {
    let (mut compressor, mut tally) = (Compressor::new(), Tally::default());
    for (id, base_offset) in stored {
        let batch = workload.batch(id, &mut compressor)?;
        match log.append(AppendRequest { batch, leader_epoch: 0, origin: Origin::Client }).await {
            Ok(at) if at.duplicate && at.base_offset == base_offset => {}
            Ok(_) => tally.dup += 1,
            // A snapshot keeps one batch per producer, as Kafka's does: an older retry is an error, no duplicate.
            Err(AppendError::Producer(_)) => tally.detected += 1,
            Err(error) => return Err(error.into()),
        }
        book.ack(id, base_offset);
    }
    Ok(tally)
}

/// Every batch of a log, its checksum checked and its offsets without a gap.
pub async fn read_all<S: SegmentStore>(log: &Log<S>) -> Result<Vec<Batch>> {
    let marks = log.marks();
    let (mut offset, mut batches) = (marks.start_offset, Vec::new());
    while offset < marks.accepted {
        let found = read_some(log, offset).await?;
        ensure!(!found.is_empty(), "a read at offset {offset} of {marks:?} finds nothing");
        for batch in found {
            ensure!(batch.header().base_offset == offset, "batch {:?} is not at {offset}", batch.header());
            offset = batch.header().next_offset();
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// The batches of one read from `offset` on.
async fn read_some<S: SegmentStore>(log: &Log<S>, offset: i64) -> Result<Vec<Batch>> {
    let out =
        log.read(offset, i64::MAX, READ_BYTES, true).await.map_err(|e: ReadError| anyhow::anyhow!(e))?;
    let mut bytes = out.records.to_bytes()?;
    let mut batches = Vec::new();
    while let Some(batch) = Batch::split_from(&mut bytes)? {
        batch.verify_crc()?;
        batches.push(batch);
    }
    Ok(batches)
}
