//! One producer: its last batches and its open transaction.

use plimsoll_records::{BatchHeader, NO_SEQUENCE};

/// How many of a producer's last batches a retry is compared with.
pub const WINDOW_BATCHES: usize = 5;

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
    pub(super) fn new(epoch: i16, now_ms: i64) -> Self {
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

    pub(super) fn last_sequence(&self) -> i32 {
        self.window.last().map_or(NO_SEQUENCE, |b| b.last_sequence)
    }

    pub(super) fn duplicate_of(&self, header: &BatchHeader) -> Option<&BatchMeta> {
        let (first, last) = (header.base_sequence, header.last_sequence());
        let same_epoch = header.producer_epoch == self.epoch;
        self.window.iter().find(|b| same_epoch && b.first_sequence() == first && b.last_sequence == last)
    }

    /// Notes an accepted batch of data.
    pub(super) fn add_batch(&mut self, header: &BatchHeader) {
        self.window.push(BatchMeta {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if header.attributes.is_transactional() && self.txn_first_offset.is_none() {
            self.txn_first_offset = Some(header.base_offset);
        }
    }
}
