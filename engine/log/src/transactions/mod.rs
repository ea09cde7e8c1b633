//! Transactions as the log sees them: which are ongoing, how far a `read_committed` consumer may read (rule E20),
//! and which were aborted (rule E19).
//!
//! Data batches with the transactional bit open a producer's transaction and a marker ends it (`producers`). `unstable`
//! keeps what holds the last stable offset back. An abort marker leaves an [`AbortedTxn`] in the [`TransactionIndex`]
//! of the segment that holds the marker: with the active segment in memory, with a sealed one in its `.txnindex`, which
//! exists only where a transaction was aborted. `sealed` knows which segments have one and loads it when a fetch asks
//! (`aborted`). The file counts only beside both of the segment's other index files, and is made durable before them:
//! where those are and it is not, nothing was aborted; where they are missing too, the batches are asked (`rebuild`).

mod aborted;
mod index;
mod rebuild;
mod sealed;
mod unstable;

pub use index::{AbortedTxn, TransactionIndex};
pub(crate) use index::{read_beside_indexes, write};
pub(crate) use rebuild::replay_start;
pub(crate) use sealed::SealedTransactions;
pub(crate) use unstable::Unstable;

use plimsoll_records::marker::{Control, EndTxn};
use plimsoll_records::{Batch, Decompressor, RecordLimits};

/// More than a control record ever has.
const CONTROL_MAX_BYTES: usize = 4096;

/// What a transaction marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnMarker {
    /// How the transaction ended.
    pub end: EndTxn,
    /// Epoch of the coordinator that wrote it.
    pub coordinator_epoch: i32,
}

/// What `batch` says if it is a transaction marker; `None` for every other batch, and for a marker whose record
/// compaction has removed.
pub(crate) fn marker_of(batch: &Batch) -> Option<TxnMarker> {
    if !batch.header().attributes.is_control() {
        return None;
    }
    let mut decompressor = Decompressor::new();
    let limits = RecordLimits { decompressed_max_bytes: CONTROL_MAX_BYTES };
    let record = batch.records(&mut decompressor, limits).next()?.ok()?;
    match Control::parse(&record) {
        Ok(Control::EndTxn { end, coordinator_epoch }) => Some(TxnMarker { end, coordinator_epoch }),
        Ok(Control::Other { .. }) | Err(_) => None,
    }
}
