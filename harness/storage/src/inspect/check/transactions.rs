//! Transactions as the log tells them, against its transaction indexes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use bytes::Bytes;
use plimsoll_io::IoFault;
use plimsoll_log::layout::{TXN_INDEX_SUFFIX, segment_path};
use plimsoll_records::marker::{Control, EndTxn};
use plimsoll_records::{Batch, Decompressor, RecordLimits};

use super::{Finding, Remedy, Severity};
use crate::inspect::batches::{Batches, Found, Stored};
use crate::inspect::entries::{AbortedTxn, Entries};

/// Which transactions are open, and which ended how.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// First offset by producer.
    open: HashMap<i64, i64>,
    /// Aborted in the segment being read, whose beginning was seen.
    pub(crate) aborted: Vec<AbortedTxn>,
    /// All abort markers of the segment being read: producer and offset.
    markers: BTreeSet<(i64, i64)>,
}

impl Transactions {
    /// A batch went by.
    pub(crate) fn pass(&mut self, stored: &Stored<'_>) {
        let header = &stored.header;
        if !header.attributes.is_transactional() {
            return;
        }
        if !header.attributes.is_control() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
            return;
        }
        let Some(end) = end_of(stored) else { return };
        let (producer_id, last_offset) = (header.producer_id, header.last_offset());
        let first_offset = self.open.remove(&producer_id);
        if end == EndTxn::Commit {
            return;
        }
        self.markers.insert((producer_id, last_offset));
        let Some(first_offset) = first_offset else { return };
        let unstable = self.open.values().min().copied();
        let last_stable_offset = unstable.unwrap_or(last_offset.saturating_add(1));
        self.aborted.push(AbortedTxn {
            version: 0,
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset,
        });
    }

    /// The segment ended: compares its index, and forgets its markers.
    pub(crate) fn finish(&mut self, dir: &Path, base_offset: i64) -> Result<Option<Finding>, IoFault> {
        let path = segment_path(dir, base_offset, TXN_INDEX_SUFFIX);
        let (aborted, markers) = (std::mem::take(&mut self.aborted), std::mem::take(&mut self.markers));
        let listed = match path.exists() {
            true => listed(&path)?,
            false => Ok(BTreeMap::new()),
        };
        let problem = listed.and_then(|listed| compare(&listed, &aborted, &markers));
        Ok(problem.err().map(|problem| {
            Finding::new(Severity::Error, "txnindex-mismatch", &path, problem)
                .mend(Remedy::RebuildTxnIndex, "repair writes it anew from the log")
        }))
    }
}

type Listed = BTreeMap<(i64, i64), AbortedTxn>;

fn listed(path: &Path) -> Result<Result<Listed, String>, IoFault> {
    let mut entries = Entries::<{ AbortedTxn::BYTES }>::open(path)?;
    let mut listed = Listed::new();
    while let Some(bytes) = entries.next()? {
        let entry = AbortedTxn::parse(&bytes);
        if entry.version != 0 || entry.first_offset > entry.last_offset {
            return Ok(Err(format!("entry {} is malformed: {entry:?}", entries.count())));
        }
        listed.insert((entry.producer_id, entry.last_offset), entry);
    }
    Ok(match entries.surplus_bytes {
        0 => Ok(listed),
        surplus => Err(format!("{surplus} bytes are left behind its last whole entry")),
    })
}

fn compare(listed: &Listed, aborted: &[AbortedTxn], markers: &BTreeSet<(i64, i64)>) -> Result<(), String> {
    if let Some((producer, offset)) = listed.keys().find(|key| !markers.contains(key)) {
        return Err(format!(
            "it lists an abort of producer {producer} at offset {offset}; the log has none there"
        ));
    }
    let missing = aborted.iter().find(|txn| !listed.contains_key(&(txn.producer_id, txn.last_offset)));
    match missing {
        Some(txn) => Err(format!(
            "the abort of producer {} at offset {} is missing: its records would be delivered as committed",
            txn.producer_id, txn.last_offset
        )),
        None => Ok(()),
    }
}

fn end_of(stored: &Stored<'_>) -> Option<EndTxn> {
    let batch = Batch::from_bytes(Bytes::copy_from_slice(stored.bytes)).ok()?;
    let mut decompressor = Decompressor::new();
    let record = batch.records(&mut decompressor, RecordLimits::default()).next()?.ok()?;
    match Control::parse(&record).ok()? {
        Control::EndTxn { end, .. } => Some(end),
        Control::Other { .. } => None,
    }
}

/// The transactions that were aborted in the segment at `upto`, going by it and those before, in order.
pub(crate) fn aborted_in(segments: &[std::path::PathBuf], upto: &Path) -> Result<Vec<AbortedTxn>, IoFault> {
    let mut transactions = Transactions::default();
    for path in segments {
        transactions.aborted.clear();
        let mut batches = Batches::open(path, u64::MAX)?;
        while let Found::Batch(stored) = batches.next()? {
            transactions.pass(&stored);
        }
        if path == upto {
            break;
        }
    }
    Ok(transactions.aborted)
}
