//! What the log remembers of idempotent producers (rule E14) and of their transactions (rule E20).

use std::collections::HashMap;

use plimsoll_records::marker::EndTxn;
use plimsoll_records::{BatchHeader, NO_PRODUCER_EPOCH, NO_SEQUENCE, sequence_add};

use crate::transactions::{AbortedTxn, TxnMarker, Unstable};

/// How many of a producer's last batches a retry is compared with.
pub const WINDOW_BATCHES: usize = 5;

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer, whose batch gets new offsets and is checked.
    Client,
    /// A leader's log, whose batches come with offsets and are taken as they are.
    Replica,
}

/// One of a producer's last batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchMeta {
    /// Sequence number of the last record.
    pub last_sequence: i32,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Last minus first offset, which is also last minus first sequence.
    pub offset_delta: i32,
    /// Largest timestamp of the batch, in milliseconds.
    pub timestamp: i64,
}

impl BatchMeta {
    /// Sequence number of the first record; wraps below 0 to `i32::MAX`.
    pub fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        let unwrapped = if first >= 0 { first } else { first + i64::from(i32::MAX) + 1 };
        // Both operands were i32 and the sum lies in 0..=i32::MAX for sequences that exist; `none` stays none.
        i32::try_from(unwrapped).unwrap_or(NO_SEQUENCE)
    }

    /// Offset of the first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// The last batches of a producer, oldest first, never more than [`WINDOW_BATCHES`]. No heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    batches: [Option<BatchMeta>; WINDOW_BATCHES],
}

impl Window {
    fn push(&mut self, batch: BatchMeta) {
        let free = self.batches.iter().position(Option::is_none);
        if free.is_none() {
            self.batches.rotate_left(1);
        }
        if let Some(slot) = self.batches.get_mut(free.unwrap_or(WINDOW_BATCHES - 1)) {
            *slot = Some(batch);
        }
    }

    /// The batches, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &BatchMeta> {
        self.batches.iter().flatten()
    }

    /// The newest batch.
    pub fn last(&self) -> Option<&BatchMeta> {
        self.batches.iter().rev().flatten().next()
    }
}

/// What is known of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Current epoch.
    pub epoch: i16,
    /// Its last batches in that epoch.
    pub window: Window,
    /// Epoch of the transaction coordinator that wrote the last marker; -1 if none.
    pub coordinator_epoch: i32,
    /// Largest timestamp of the last batch or marker, in milliseconds.
    pub last_timestamp: i64,
    /// Where its open transaction began.
    pub txn_first_offset: Option<i64>,
    /// When this log last heard of it, by the broker's clock. Expiry uses this and not record timestamps: those
    /// may lie years back, and forgetting a live producer stores its next retry twice.
    pub last_seen_ms: i64,
}

impl ProducerEntry {
    fn new(epoch: i16, now_ms: i64) -> Self {
        Self {
            epoch,
            window: Window::default(),
            coordinator_epoch: -1,
            last_timestamp: -1,
            txn_first_offset: None,
            last_seen_ms: now_ms,
        }
    }

    /// The entry that a snapshot keeps: one batch at most.
    pub(crate) fn restored(epoch: i16, batch: Option<BatchMeta>, now_ms: i64) -> Self {
        let mut entry = Self::new(epoch, now_ms);
        if let Some(batch) = batch {
            entry.window.push(batch);
            entry.last_timestamp = batch.timestamp;
        }
        entry
    }

    fn last_sequence(&self) -> i32 {
        self.window.last().map_or(NO_SEQUENCE, |b| b.last_sequence)
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<&BatchMeta> {
        let (first, last) = (header.base_sequence, header.last_sequence());
        let same_epoch = header.producer_epoch == self.epoch;
        self.window.iter().find(|b| same_epoch && b.first_sequence() == first && b.last_sequence == last)
    }
}

/// Why a producer's batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A newer instance of the producer exists (INVALID_PRODUCER_EPOCH).
    #[error("producer {producer_id} sent epoch {epoch}, but epoch {current} exists; it was replaced")]
    InvalidEpoch {
        /// The producer.
        producer_id: i64,
        /// What it sent.
        epoch: i16,
        /// What the log knows.
        current: i16,
    },
    /// A gap, or a duplicate too old to recognise (OUT_OF_ORDER_SEQUENCE_NUMBER).
    #[error(
        "producer {producer_id} epoch {epoch} sent sequence {sequence} after {last_sequence}; batches are missing, or \
         it is a retry older than the last {WINDOW_BATCHES}"
    )]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
        /// First sequence of the refused batch.
        sequence: i32,
        /// Last sequence in the log; -1 if none in this epoch.
        last_sequence: i32,
    },
    /// A batch outside of transactions, amid one (INVALID_TXN_STATE).
    #[error(
        "producer {producer_id} sent a batch outside of its transaction, which began at offset {first_offset}"
    )]
    InvalidTxnState {
        /// The producer.
        producer_id: i64,
        /// Where its ongoing transaction began.
        first_offset: i64,
    },
    /// A marker of a coordinator that was replaced (TRANSACTION_COORDINATOR_FENCED).
    #[error(
        "marker of coordinator epoch {coordinator_epoch} for producer {producer_id}, but epoch {current} wrote one"
    )]
    CoordinatorFenced {
        /// The producer.
        producer_id: i64,
        /// What the marker says.
        coordinator_epoch: i32,
        /// What the log knows.
        current: i32,
    },
}

/// What to do with a producer's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Append it.
    New,
    /// It is in the log already, here.
    Duplicate(BatchMeta),
}

/// What an accepted batch changed, to be put back if the batch is cut off again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProducerUndo {
    producer_id: i64,
    before: Option<ProducerEntry>,
    base_offset: i64,
}

/// What a batch did to its producer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied {
    /// How to take it back; `None` if nothing changed.
    pub(crate) undo: Option<ProducerUndo>,
    /// The transaction that the batch aborted.
    pub(crate) aborted: Option<AbortedTxn>,
}

/// All producers that the log knows, and what their transactions hold back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    entries: HashMap<i64, ProducerEntry>,
    unstable: Unstable,
}

impl Producers {
    /// Compares a batch with what is known. Changes nothing.
    pub fn check(&self, header: &BatchHeader, origin: Origin) -> Result<Verdict, ProducerError> {
        // Followers take what the leader has, also what looks like a duplicate.
        if !header.has_producer_id() || origin == Origin::Replica {
            return Ok(Verdict::New);
        }
        let Some(entry) = self.entries.get(&header.producer_id) else { return Ok(Verdict::New) };
        if let Some(original) = entry.duplicate_of(header) {
            return Ok(Verdict::Duplicate(*original));
        }
        check_epoch(entry, header)?;
        if !header.attributes.is_control() {
            check_sequence(entry, header)?;
            check_transaction(entry, header)?;
        }
        Ok(Verdict::New)
    }

    /// Compares a marker with what is known of its producer: a coordinator of the past must not end a transaction.
    pub(crate) fn check_marker(&self, header: &BatchHeader, marker: TxnMarker) -> Result<(), ProducerError> {
        let (producer_id, coordinator_epoch) = (header.producer_id, marker.coordinator_epoch);
        let current = self.entries.get(&producer_id).map_or(-1, |e| e.coordinator_epoch);
        if coordinator_epoch >= current {
            return Ok(());
        }
        Err(ProducerError::CoordinatorFenced { producer_id, coordinator_epoch, current })
    }

    /// Notes an accepted batch, whose header carries its final offsets. `marker` is what a control batch says; one that
    /// says nothing, because compaction emptied it, changes nothing.
    pub(crate) fn apply(&mut self, header: &BatchHeader, marker: Option<TxnMarker>, now_ms: i64) -> Applied {
        let BatchHeader { producer_id, producer_epoch: epoch, base_offset, .. } = *header;
        if !header.has_producer_id() || (header.attributes.is_control() && marker.is_none()) {
            return Applied::default();
        }
        let before = self.entries.get(&producer_id).copied();
        let mut entry = before.unwrap_or_else(|| ProducerEntry::new(epoch, now_ms));
        if entry.epoch != epoch {
            entry.epoch = epoch;
            entry.window = Window::default();
        }
        entry.last_seen_ms = now_ms;
        entry.last_timestamp = header.max_timestamp;
        match marker {
            Some(marker) => {
                entry.txn_first_offset = None;
                entry.coordinator_epoch = marker.coordinator_epoch;
            }
            None => add_batch(&mut entry, header),
        }
        self.insert(producer_id, entry);
        let ended = marker.zip(before.and_then(|b| b.txn_first_offset));
        let aborted = ended.and_then(|(marker, first_offset)| self.end(header, marker, first_offset));
        Applied { undo: Some(ProducerUndo { producer_id, before, base_offset }), aborted }
    }

    /// Notes the end of a transaction that began at `first_offset`, which is ongoing no longer.
    fn end(&mut self, header: &BatchHeader, marker: TxnMarker, first_offset: i64) -> Option<AbortedTxn> {
        let (producer_id, last_offset) = (header.producer_id, header.last_offset());
        self.unstable.finish(first_offset, last_offset);
        let last_stable_offset = self.unstable.first_ongoing().unwrap_or_else(|| header.next_offset());
        (marker.end == EndTxn::Abort).then_some(AbortedTxn {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset,
        })
    }

    /// Takes back an [`apply`](Self::apply). Undos must come newest first.
    pub(crate) fn undo(&mut self, undo: &ProducerUndo) {
        match undo.before {
            Some(entry) => self.insert(undo.producer_id, entry),
            None => {
                let gone = self.entries.remove(&undo.producer_id);
                self.unstable.change(undo.producer_id, gone.and_then(|e| e.txn_first_offset), None);
            }
        }
        self.unstable.truncate(undo.base_offset);
    }

    /// The first offset below `high_watermark` that is not stable (rule E20). Forgets what a high watermark so high
    /// has decided.
    pub(crate) fn first_unstable(&mut self, high_watermark: i64) -> Option<i64> {
        self.unstable.first_unstable(high_watermark)
    }

    /// Forgets producers without an open transaction that were not seen for `expiration_ms`.
    /// Returns how many.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, e| e.txn_first_offset.is_some() || now_ms - e.last_seen_ms < expiration_ms);
        before - self.entries.len()
    }

    /// One producer's entry.
    pub fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.entries.get(&producer_id)
    }

    /// All producers, in no order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (i64, &ProducerEntry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn insert(&mut self, producer_id: i64, entry: ProducerEntry) {
        let before = self.entries.insert(producer_id, entry);
        let before = before.and_then(|b| b.txn_first_offset);
        self.unstable.change(producer_id, before, entry.txn_first_offset);
    }

    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn check_epoch(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), ProducerError> {
    if header.producer_epoch >= entry.epoch {
        return Ok(());
    }
    let BatchHeader { producer_id, producer_epoch: epoch, .. } = *header;
    Err(ProducerError::InvalidEpoch { producer_id, epoch, current: entry.epoch })
}

fn check_sequence(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), ProducerError> {
    let last_sequence =
        if header.producer_epoch == entry.epoch { entry.last_sequence() } else { NO_SEQUENCE };
    let expected = if last_sequence == NO_SEQUENCE { 0 } else { sequence_add(last_sequence, 1) };
    if entry.epoch == NO_PRODUCER_EPOCH || header.base_sequence == expected {
        return Ok(());
    }
    let BatchHeader { producer_id, producer_epoch: epoch, base_sequence: sequence, .. } = *header;
    Err(ProducerError::OutOfOrderSequence { producer_id, epoch, sequence, last_sequence })
}

/// Between two markers a producer's batches are all transactional, or none is.
fn check_transaction(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), ProducerError> {
    match entry.txn_first_offset.filter(|_| !header.attributes.is_transactional()) {
        Some(first_offset) => {
            Err(ProducerError::InvalidTxnState { producer_id: header.producer_id, first_offset })
        }
        None => Ok(()),
    }
}

fn add_batch(entry: &mut ProducerEntry, header: &BatchHeader) {
    entry.window.push(BatchMeta {
        last_sequence: header.last_sequence(),
        last_offset: header.last_offset(),
        offset_delta: header.last_offset_delta,
        timestamp: header.max_timestamp,
    });
    if header.attributes.is_transactional() && entry.txn_first_offset.is_none() {
        entry.txn_first_offset = Some(header.base_offset);
    }
}

#[cfg(test)]
#[path = "producers_tests.rs"]
mod tests;
