//! Which transactions still have data, as a pass over the log from its beginning sees them (Kafka's
//! `CleanedTransactionMetadata`).

use std::collections::{HashMap, HashSet, VecDeque};

use plimsoll_records::BatchHeader;
use plimsoll_records::marker::{Control, EndTxn};

use crate::transactions::AbortedTxn;

/// Told of every batch in order, says which belong to aborted transactions and which markers have outlived theirs.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// Those that no batch has reached yet, by first offset.
    coming: VecDeque<AbortedTxn>,
    /// By producer: the transaction, and whether a batch of it was seen.
    aborted: HashMap<i64, (AbortedTxn, bool)>,
    /// Producers with batches of a transaction that was not aborted.
    committed: HashSet<i64>,
    /// Aborted ones whose marker stays.
    kept: Vec<AbortedTxn>,
}

impl Transactions {
    /// All transactions that were aborted in the part of the log to be passed.
    pub(crate) fn new(mut aborted: Vec<AbortedTxn>) -> Self {
        aborted.sort_by_key(|txn| txn.first_offset);
        Self { coming: aborted.into(), ..Self::default() }
    }

    /// Notes a batch of data; true if it belongs to an aborted transaction.
    pub(crate) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.advance(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self
            .aborted
            .get_mut(&header.producer_id)
            .filter(|(txn, _)| header.base_offset <= txn.last_offset)
        {
            Some((_, seen)) => {
                *seen = true;
                true
            }
            None => {
                self.committed.insert(header.producer_id);
                false
            }
        }
    }

    /// Notes a control batch; true if it marks the end of a transaction without any batch left. An empty one, of which
    /// only the shell is left, says nothing any more.
    pub(crate) fn marker_is_spent(&mut self, header: &BatchHeader, control: Option<Control>) -> bool {
        self.advance(header.last_offset());
        match control {
            None => true,
            Some(Control::Other { .. }) => false,
            Some(Control::EndTxn { end: EndTxn::Commit, .. }) => !self.committed.remove(&header.producer_id),
            Some(Control::EndTxn { end: EndTxn::Abort, .. }) => {
                match self.aborted.remove(&header.producer_id) {
                    Some((txn, true)) if header.base_offset <= txn.last_offset => {
                        self.kept.push(txn);
                        false
                    }
                    Some(_) | None => true,
                }
            }
        }
    }

    /// Takes the aborted transactions whose markers were passed and stay, in the order of their markers.
    pub(crate) fn take_kept(&mut self) -> Vec<AbortedTxn> {
        std::mem::take(&mut self.kept)
    }

    fn advance(&mut self, upto_offset: i64) {
        while let Some(txn) = self.coming.pop_front_if(|txn| txn.first_offset <= upto_offset) {
            // One that is over has no batch left in this pass, or the pass began behind it.
            if txn.last_offset >= upto_offset {
                self.aborted.insert(txn.producer_id, (txn, false));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_records::{BatchBuilder, Codec, Compressor, ProducerStamp};

    use super::*;

    const ABORT: Option<Control> = Some(Control::EndTxn { end: EndTxn::Abort, coordinator_epoch: 0 });
    const COMMIT: Option<Control> = Some(Control::EndTxn { end: EndTxn::Commit, coordinator_epoch: 0 });

    fn at(offset: i64, id: i64, transactional: bool) -> BatchHeader {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.set_producer(ProducerStamp { id, epoch: 0, base_sequence: 0 });
        builder.set_transactional(transactional).set_base_offset(offset);
        builder.push(0, Some(b"k"), None, &[]).expect("push");
        *builder.finish(&mut Compressor::new()).expect("finish").header()
    }

    fn aborted(producer_id: i64, first_offset: i64, last_offset: i64) -> AbortedTxn {
        AbortedTxn { producer_id, first_offset, last_offset, last_stable_offset: last_offset }
    }

    #[test]
    fn e33_interleaved_transactions_are_told_apart() {
        let mut txns = Transactions::new(vec![aborted(1, 8, 9), aborted(1, 0, 4)]);
        assert!(txns.is_aborted(&at(0, 1, true)));
        assert!(!txns.is_aborted(&at(1, 2, true)), "another producer");
        assert!(!txns.is_aborted(&at(2, 1, false)), "outside any transaction");
        assert!(txns.is_aborted(&at(3, 1, true)));
        assert!(!txns.marker_is_spent(&at(4, 1, true), ABORT), "its data was passed");
        assert!(!txns.is_aborted(&at(5, 1, true)), "its next one commits");
        assert!(!txns.marker_is_spent(&at(6, 1, true), COMMIT));
        assert!(!txns.marker_is_spent(&at(7, 2, true), COMMIT));
        assert!(txns.is_aborted(&at(8, 1, true)), "and the one after aborts again");
        assert!(!txns.marker_is_spent(&at(9, 1, true), ABORT));
        assert_eq!(txns.take_kept(), [aborted(1, 0, 4), aborted(1, 8, 9)]);
    }

    #[test]
    fn e33_a_pass_that_begins_behind_a_transaction_is_not_misled_by_it() {
        let mut txns = Transactions::new(vec![aborted(1, 0, 4), aborted(2, 3, 9)]);
        assert!(!txns.is_aborted(&at(5, 1, true)), "the next one of the same producer");
        assert!(txns.is_aborted(&at(6, 2, true)));
        let mut txns = Transactions::new(vec![aborted(1, 0, 4)]);
        assert!(txns.is_aborted(&at(2, 1, true)));
        assert!(!txns.is_aborted(&at(5, 1, true)), "its marker is gone from the log");
    }

    #[test]
    fn e33_a_marker_without_data_is_spent() {
        let mut txns = Transactions::new(vec![aborted(1, 0, 4)]);
        assert!(txns.marker_is_spent(&at(4, 1, true), ABORT));
        assert!(txns.marker_is_spent(&at(5, 1, true), ABORT), "not even the index knows it");
        assert!(txns.marker_is_spent(&at(6, 2, true), COMMIT));
        assert!(txns.marker_is_spent(&at(7, 2, true), None));
        assert!(
            !txns.marker_is_spent(&at(8, 2, true), Some(Control::Other { kind: 5 })),
            "not a transaction's"
        );
        assert_eq!(txns.take_kept(), []);
    }
}
