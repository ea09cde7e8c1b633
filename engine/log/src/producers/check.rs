//! Whether a batch continues what its producer sent before (rule E14).

use plimsoll_records::{BatchHeader, NO_PRODUCER_EPOCH, NO_SEQUENCE, sequence_add};

use super::{ProducerEntry, WINDOW_BATCHES};

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

pub(super) fn check_epoch(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), ProducerError> {
    if header.producer_epoch >= entry.epoch {
        return Ok(());
    }
    let BatchHeader { producer_id, producer_epoch: epoch, .. } = *header;
    Err(ProducerError::InvalidEpoch { producer_id, epoch, current: entry.epoch })
}

pub(super) fn check_sequence(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), ProducerError> {
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
pub(super) fn check_transaction(entry: &ProducerEntry, header: &BatchHeader) -> Result<(), ProducerError> {
    match entry.txn_first_offset.filter(|_| !header.attributes.is_transactional()) {
        Some(first_offset) => {
            Err(ProducerError::InvalidTxnState { producer_id: header.producer_id, first_offset })
        }
        None => Ok(()),
    }
}
