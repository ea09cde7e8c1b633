//! What the log remembers of idempotent producers (rule E14) and of their transactions (rule E20).

mod check;
mod entry;

use std::collections::HashMap;

use plimsoll_records::BatchHeader;
use plimsoll_records::marker::EndTxn;

use crate::transactions::{AbortedTxn, TxnMarker, Unstable};
pub use check::ProducerError;
use check::{check_epoch, check_sequence, check_transaction};
pub use entry::{BatchMeta, ProducerEntry, WINDOW_BATCHES, Window};

/// Who appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer, whose batch gets new offsets and is checked.
    Client,
    /// A leader's log, whose batches come with offsets and are taken as they are.
    Replica,
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
            None => entry.add_batch(header),
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

#[cfg(test)]
mod tests;
