//! The first pass: the newest offset of each key in the dirty part.

use plimsoll_io::{IoFault, SegmentFile, SegmentStore};
use plimsoll_records::{Batch, Decompressor, RecordLimits};

use super::error::{CompactError, Problem};
use super::offset_map::OffsetMap;
use super::retain::control_of;
use super::transactions::Transactions;
use super::{CompactionReport, Pass};
use crate::segment::{Opened, Sealed};
use crate::transactions::AbortedTxn;
use crate::walk::{Found, Walker};

/// One read.
const READ_BYTES: usize = 1 << 20;

/// How far the map reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dirty {
    /// Every key below it is in the map.
    pub(crate) end_offset: i64,
    pub(crate) map_full: bool,
}

/// Puts keys into the map.
struct KeyNoter<'a> {
    map: &'a mut OffsetMap,
    transactions: Transactions,
    decompressor: Decompressor,
    limits: RecordLimits,
    from_offset: i64,
}

impl<S: SegmentStore> Pass<'_, S> {
    /// Fills the map from the records at or above `from_offset`, as far as it takes them.
    pub(super) async fn note_keys(
        &mut self,
        sources: &[Sealed],
        from_offset: i64,
        map: &mut OffsetMap,
        aborted: Vec<AbortedTxn>,
    ) -> Result<Dirty, CompactError> {
        map.clear();
        let (decompressor, limits) = (Decompressor::new(), self.log.record_limits());
        let mut noter =
            KeyNoter { map, transactions: Transactions::new(aborted), decompressor, limits, from_offset };
        let mut end_offset = from_offset;
        for source in sources.iter().filter(|s| s.next_offset > from_offset) {
            let opened = self.open(source).await?;
            let from_bytes = opened.index.floor(from_offset).map_or(0, |e| u64::from(e.at_bytes));
            let mut batches = Batches::new(&opened, from_bytes);
            while let Some((at_bytes, batch)) = batches.next(self).await? {
                let noted = noter.note(&batch);
                if let Some(end_offset) = noted.map_err(|problem| batches.uncleanable(at_bytes, problem))? {
                    return Ok(Dirty { end_offset, map_full: true });
                }
            }
            end_offset = source.next_offset;
        }
        Ok(Dirty { end_offset, map_full: false })
    }

    /// Opens a source as it was when the cleaning began.
    pub(super) async fn open(
        &self,
        source: &Sealed,
    ) -> Result<std::sync::Arc<Opened<S::File>>, CompactError> {
        self.cleaning.check()?;
        let opened = self.log.open_sealed(source.base_offset).await?;
        opened.filter(|opened| opened.size_bytes == source.size_bytes).ok_or(CompactError::Interrupted)
    }
}

impl KeyNoter<'_> {
    /// Notes a batch's keys. If the map takes no more, the offset of the first record that is missing in it.
    fn note(&mut self, batch: &Batch) -> Result<Option<i64>, Problem> {
        let header = batch.header();
        if header.attributes.is_control() {
            let control = control_of(batch, &mut self.decompressor, self.limits)?;
            self.transactions.marker_is_spent(header, control);
            return Ok(None);
        }
        if self.transactions.is_aborted(header) || header.last_offset() < self.from_offset {
            return Ok(None);
        }
        for record in batch.records(&mut self.decompressor, self.limits) {
            let record = record?;
            if record.offset < self.from_offset {
                continue;
            }
            let key = record.key.ok_or(Problem::NoKey { offset: record.offset })?;
            if !self.map.put(key, record.offset) {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }
}

/// The batches of one segment, checked and paid for.
pub(super) struct Batches<'a, F> {
    walker: Walker<'a, F>,
    opened: &'a Opened<F>,
    at_bytes: u64,
    paid_bytes: u64,
}

impl<'a, F: SegmentFile> Batches<'a, F> {
    pub(super) fn new(opened: &'a Opened<F>, from_bytes: u64) -> Self {
        let walker = Walker::new(&*opened.file, opened.size_bytes, READ_BYTES);
        Self { walker, opened, at_bytes: from_bytes, paid_bytes: from_bytes }
    }

    /// The next batch, whose CRC is right, and where it starts.
    pub(super) async fn next<S: SegmentStore<File = F>>(
        &mut self,
        pass: &mut Pass<'_, S>,
    ) -> Result<Option<(u64, Batch)>, CompactError> {
        self.pay(pass).await?;
        let at_bytes = self.at_bytes;
        let batch = match self.walker.batch(at_bytes).await {
            Ok(Found::Some(batch)) => batch,
            Ok(Found::End) => return Ok(None),
            Ok(Found::Bad(problem)) => return Err(self.uncleanable(at_bytes, Problem::NotABatch(problem))),
            Err(fault) => return Err(unreadable(fault, pass)),
        };
        batch.verify_crc().map_err(|error| self.uncleanable(at_bytes, error.into()))?;
        self.at_bytes += batch.size_bytes() as u64;
        Ok(Some((at_bytes, batch)))
    }

    /// Whether the batch handed out last is the segment's last.
    pub(super) fn at_end(&self) -> bool {
        self.at_bytes == self.opened.size_bytes
    }

    /// Pays for what was read since, once that is worth a wait or the segment is over.
    async fn pay<S: SegmentStore<File = F>>(&mut self, pass: &mut Pass<'_, S>) -> Result<(), CompactError> {
        let bytes = self.at_bytes - self.paid_bytes;
        if bytes < READ_BYTES as u64 && !self.at_end() {
            return Ok(());
        }
        self.paid_bytes = self.at_bytes;
        let CompactionReport { bytes_read, .. } = pass.report;
        *bytes_read += bytes;
        pass.throttle.take(bytes).await;
        pass.cleaning.check()
    }

    pub(super) fn uncleanable(&self, at_bytes: u64, problem: Problem) -> CompactError {
        CompactError::Uncleanable { path: self.opened.file.path().to_owned(), at_bytes, problem }
    }
}

/// A segment that was cut off meanwhile cannot be read, and that is no fault.
fn unreadable<S: SegmentStore>(fault: IoFault, pass: &Pass<'_, S>) -> CompactError {
    match pass.cleaning.check() {
        Ok(()) => CompactError::Fault(fault),
        Err(interrupted) => interrupted,
    }
}
