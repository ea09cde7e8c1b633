//! The second pass: segment by segment what stays, into fewer segments.

use std::sync::Arc;

use plimsoll_io::{IoFault, SegmentStore};
use plimsoll_records::{Compressor, Decompressor, RecordLimits};

use super::Pass;
use super::cleaned::{self, CleanedWriter};
use super::dirty::Batches;
use super::error::CompactError;
use super::offset_map::OffsetMap;
use super::policy::{CompactionPolicy, GroupLimits, SegmentFacts, group};
use super::replace::Group;
use super::retain::{Outcome, Retainer, Rules};
use super::transactions::Transactions;
use crate::log::Log;
use crate::segment::Sealed;
use crate::transactions::AbortedTxn;

impl<S: SegmentStore> Log<S> {
    pub(super) fn record_limits(&self) -> RecordLimits {
        RecordLimits { decompressed_max_bytes: self.shared.config.decompressed_max_bytes }
    }

    /// What decides over records, with the producers as they are now: one that appends meanwhile has its last batch
    /// beyond what is cleaned, and a shell too many does no harm.
    pub(super) fn rules<'a>(
        &self,
        map: &'a OffsetMap,
        map_end_offset: i64,
        policy: &CompactionPolicy,
        now_ms: i64,
    ) -> Rules<'a> {
        let producers = self.shared.lock().producers.iter().map(|(id, entry)| (id, entry.into())).collect();
        let (delete_retention_ms, limits) = (policy.delete_retention_ms, self.record_limits());
        Rules { map, map_end_offset, producers, now_ms, delete_retention_ms, limits }
    }

    fn group_limits(&self) -> GroupLimits {
        let config = &self.shared.config;
        GroupLimits {
            segment_bytes: config.segment_bytes.into(),
            index_max_bytes: config.index_size_max_bytes.into(),
            index_interval_bytes: config.index_interval_bytes.into(),
        }
    }
}

impl<S: SegmentStore> Pass<'_, S> {
    /// Rewrites the sources up to the one in which the map ends. Each group is in its place before the next is begun:
    /// older values go before the tombstones that hide them.
    pub(super) async fn rewrite(
        &mut self,
        sources: &[Sealed],
        rules: Rules<'_>,
        aborted: Vec<AbortedTxn>,
    ) -> Result<(), CompactError> {
        let reached = sources.partition_point(|s| s.base_offset < rules.map_end_offset);
        let mut left = sources.get(..reached).unwrap_or(sources);
        let facts: Vec<SegmentFacts> = left.iter().map(SegmentFacts::from).collect();
        let (decompressor, compressor) = (Decompressor::new(), Compressor::new());
        let transactions = Transactions::new(aborted);
        let mut retainer = Retainer { rules, transactions, decompressor, compressor };
        for count in group(&facts, &self.log.group_limits()) {
            let Some((sources, behind)) = left.split_at_checked(count) else { break };
            left = behind;
            let group = Group { sources: sources.to_vec() };
            self.report.segments_before += count;
            self.report.segments_after += 1;
            let cleaned = self.clean(&group, &mut retainer).await;
            if let Err(error) = cleaned {
                self.give_up(&group, &error).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes what was written, unless the directory may be another log's by now; a start removes it too.
    async fn give_up(&self, group: &Group, error: &CompactError) {
        let (store, dir) = (&self.log.shared.store, &self.log.shared.dir);
        if matches!(error, CompactError::Closed) {
            return;
        }
        if let Err(fault) = cleaned::discard(store, dir, group.base_offset()).await {
            tracing::warn!(%fault, "could not remove what a cleaning left");
        }
    }

    /// Writes what stays of a group and puts it in its place; leaves a single segment alone that stays as it is.
    async fn clean(&mut self, group: &Group, retainer: &mut Retainer<'_>) -> Result<(), CompactError> {
        self.cleaning.check()?;
        let shared = &self.log.shared;
        let created = CleanedWriter::create(
            &shared.store,
            &shared.dir,
            group.base_offset(),
            &shared.config,
            self.throttle,
        );
        let mut writer = created.await.map_err(|fault| self.refused(fault))?;
        let mut changed = group.sources.len() > 1;
        for (i, source) in group.sources.iter().enumerate() {
            let opened = self.open(source).await?;
            let mut batches = Batches::new(&opened, 0);
            while let Some((at_bytes, batch)) = batches.next(self).await? {
                let closes_segment = batches.at_end() && i + 1 == group.sources.len();
                let outcome = retainer.retain(batch, closes_segment);
                let outcome = outcome.map_err(|problem| batches.uncleanable(at_bytes, problem))?;
                changed |= outcome.changed;
                self.count(&outcome);
                if let Some(batch) = outcome.batch {
                    writer.push(&batch).await.map_err(|fault| self.refused(fault))?;
                }
            }
        }
        let cleaned =
            writer.finish(retainer.transactions.take_kept()).await.map_err(|fault| self.refused(fault))?;
        match changed {
            true => self.log.replace(Arc::clone(&self.cleaning), group.clone(), cleaned).await,
            false => Ok(cleaned::discard(&shared.store, &shared.dir, group.base_offset()).await?),
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        self.report.records_kept += outcome.records_kept;
        self.report.records_removed += outcome.records_removed;
        self.report.bytes_written += outcome.batch.as_ref().map_or(0, |batch| batch.size_bytes() as u64);
    }

    /// A device that fails the new files fails the log's too.
    fn refused(&self, fault: IoFault) -> CompactError {
        if fault.is_poison() {
            self.log.shared.poison(fault.clone());
            return CompactError::Poisoned(Arc::new(fault));
        }
        CompactError::Fault(fault)
    }
}
