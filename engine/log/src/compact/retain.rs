//! What stays of a batch (rule E33).

use std::collections::HashMap;

use plimsoll_records::marker::Control;
use plimsoll_records::{Batch, BatchHeader, Compressor, Decompressor, Record, RecordLimits, rebuild, shell};

use super::error::Problem;
use super::offset_map::OffsetMap;
use super::transactions::Transactions;
use crate::producers::ProducerEntry;

/// The batch that a producer's state rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastOfProducer {
    /// Last offset of its last data batch; `None` if only a marker is known.
    last_offset: Option<i64>,
    epoch: i16,
}

impl From<&ProducerEntry> for LastOfProducer {
    fn from(entry: &ProducerEntry) -> Self {
        Self { last_offset: entry.window.last().map(|batch| batch.last_offset), epoch: entry.epoch }
    }
}

/// What decides over every record of one cleaning.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) map: &'a OffsetMap,
    /// The map knows every key below this offset, from the first dirty one on.
    pub(crate) map_end_offset: i64,
    pub(crate) producers: HashMap<i64, LastOfProducer>,
    pub(crate) now_ms: i64,
    pub(crate) delete_retention_ms: i64,
    pub(crate) limits: RecordLimits,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// `None` if nothing stays.
    pub(crate) batch: Option<Batch>,
    /// It is not byte for byte what it was.
    pub(crate) changed: bool,
    pub(crate) records_kept: u64,
    pub(crate) records_removed: u64,
}

/// Goes over batches in order.
#[derive(Debug)]
pub(crate) struct Retainer<'a> {
    pub(crate) rules: Rules<'a>,
    pub(crate) transactions: Transactions,
    pub(crate) decompressor: Decompressor,
    pub(crate) compressor: Compressor,
}

impl Retainer<'_> {
    /// Decides over the next batch. `closes_segment`: it is the last of a cleaned segment, which must end where the
    /// next begins, so at least its shell stays. Without that a lost index would make the gap look like lost data.
    pub(crate) fn retain(&mut self, batch: Batch, closes_segment: bool) -> Result<Outcome, Problem> {
        let header = *batch.header();
        let spent = match header.attributes.is_control() {
            true => {
                let control = control_of(&batch, &mut self.decompressor, self.rules.limits)?;
                self.transactions.marker_is_spent(&header, control)
            }
            false => self.transactions.is_aborted(&header),
        };
        let stays_empty = closes_segment || self.rules.is_last_of_producer(&header);
        if spent && self.rules.may_go(&header) {
            return Ok(emptied(&header, stays_empty));
        }
        self.filter(batch, spent, stays_empty)
    }

    fn filter(&mut self, batch: Batch, spent_marker: bool, stays_empty: bool) -> Result<Outcome, Problem> {
        let header = *batch.header();
        let records = batch.records(&mut self.decompressor, self.rules.limits);
        let (mut kept, mut count, mut tombstones) = (Vec::new(), 0, false);
        for record in records.clone() {
            let record = record?;
            let keep = self.rules.keeps(&header, &record)?;
            kept.push(keep);
            count += u64::from(keep);
            tombstones |= keep && record.value.is_none();
        }
        if count == 0 {
            return Ok(emptied(&header, stays_empty));
        }
        let removed = kept.len() as u64 - count;
        let waits = (tombstones || spent_marker) && header.delete_horizon_ms().is_none();
        if removed == 0 && !waits {
            return Ok(Outcome {
                batch: Some(batch),
                changed: false,
                records_kept: count,
                records_removed: 0,
            });
        }
        let horizon = || self.rules.now_ms.saturating_add(self.rules.delete_retention_ms);
        let horizon_ms = if waits { Some(horizon()) } else { header.delete_horizon_ms() };
        let kept = records.zip(kept).filter_map(|(record, keep)| record.ok().filter(|_| keep));
        let rebuilt = rebuild(&header, kept, horizon_ms, &mut self.compressor)?;
        Ok(Outcome { batch: Some(rebuilt), changed: true, records_kept: count, records_removed: removed })
    }
}

impl Rules<'_> {
    /// Data of an aborted transaction goes at once, a spent marker when its time has come.
    fn may_go(&self, header: &BatchHeader) -> bool {
        !header.attributes.is_control()
            || header.delete_horizon_ms().is_some_and(|at_ms| at_ms <= self.now_ms)
    }

    /// Without this batch a restart would not know the producer's last sequence, or its epoch.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let Some(last) = self.producers.get(&header.producer_id).filter(|_| header.has_producer_id()) else {
            return false;
        };
        match last.last_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.attributes.is_control() && header.producer_epoch == last.epoch,
        }
    }

    fn keeps(&self, header: &BatchHeader, record: &Record<'_>) -> Result<bool, Problem> {
        let offset = record.offset;
        if !(header.base_offset..=header.last_offset()).contains(&offset) {
            return Err(Problem::Offset { offset, first: header.base_offset, last: header.last_offset() });
        }
        if header.attributes.is_control() || offset >= self.map_end_offset {
            return Ok(true);
        }
        let key = record.key.ok_or(Problem::NoKey { offset })?;
        let newest = self.map.get(key).is_none_or(|newest| offset >= newest);
        let waits = || header.delete_horizon_ms().is_none_or(|at_ms| self.now_ms < at_ms);
        Ok(newest && (record.value.is_some() || waits()))
    }
}

fn emptied(header: &BatchHeader, stays: bool) -> Outcome {
    let records_removed = u64::try_from(header.record_count).unwrap_or(0);
    let batch = stays.then(|| shell(header));
    let changed = batch.as_ref().is_none_or(|shell| shell.header() != header);
    Outcome { batch, changed, records_kept: 0, records_removed }
}

/// What a control batch says; `None` if its record is gone.
pub(crate) fn control_of(
    batch: &Batch,
    decompressor: &mut Decompressor,
    limits: RecordLimits,
) -> Result<Option<Control>, Problem> {
    let Some(record) = batch.records(decompressor, limits).next() else { return Ok(None) };
    Ok(Some(Control::parse(&record?)?))
}
