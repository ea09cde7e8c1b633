//! The line of a producer in a snapshot.

use std::fmt;

use serde::Serialize;

use super::OptionalLong;

/// A producer's entry of a snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProducerLine {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) current_txn_first_offset: Option<i64>,
    pub(crate) last_timestamp: i64,
    #[serde(flatten)]
    pub(crate) last_batch: Option<LastBatch>,
}

/// The last batch that a snapshot remembers of a producer.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastBatch {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: i64,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl fmt::Display for ProducerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {} ",
            self.producer_id,
            self.producer_epoch,
            self.coordinator_epoch,
            OptionalLong(self.current_txn_first_offset),
            self.last_timestamp
        )?;
        let Some(batch) = self.last_batch else { return Ok(()) };
        let LastBatch { first_sequence, last_sequence, last_offset, offset_delta, timestamp } = batch;
        write!(
            f,
            "firstSequence: {first_sequence} lastSequence: {last_sequence} lastOffset: {last_offset} "
        )?;
        write!(f, "offsetDelta: {offset_delta} timestamp: {timestamp}")
    }
}
