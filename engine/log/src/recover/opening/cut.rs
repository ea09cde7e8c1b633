//! Cutting a log that is opened where it stops being whole.

use plimsoll_io::SegmentStore;

use super::Opening;
use crate::error::LogError;
use crate::layout::{self, LOG_SUFFIX};
use crate::offset_index::OffsetIndex;
use crate::producers::Producers;
use crate::recover::survey::Found;
use crate::scan::Cut;
use crate::segment::Active;
use crate::side_file;
use crate::time_index::TimeIndex;
use crate::transactions::{SealedTransactions, TransactionIndex};

impl<S: SegmentStore> Opening<'_, S> {
    /// Notes a cut, and removes the segments that no longer continue the log: all behind one that lost data, and
    /// those that begin inside it. Zeroes at a segment's end lose nothing if the next segment continues where it
    /// stopped, or if it was sealed so.
    pub(super) async fn drop_if_broken(
        &mut self,
        cut: &Cut,
        base_offset: i64,
        was_sealed: bool,
    ) -> Result<(), LogError> {
        match cut {
            Cut::Nothing => {}
            Cut::Padding { len_bytes } => self.report.padding_bytes += len_bytes,
            Cut::Lost { len_bytes, problem } => {
                self.report.truncated_bytes += len_bytes;
                return self.drop_next(self.segments.len(), base_offset, problem).await;
            }
        }
        let overlapping = self.segments.iter().take_while(|s| s.base_offset < self.end_offset).count();
        if overlapping > 0 {
            self.drop_next(overlapping, base_offset, &self.discontinuity()).await?;
        }
        let hole = self.segments.front().is_some_and(|next| next.base_offset > self.end_offset);
        if hole && !was_sealed {
            self.drop_next(self.segments.len(), base_offset, &self.discontinuity()).await?;
        }
        Ok(())
    }

    fn discontinuity(&self) -> String {
        let next_base = self.segments.front().map_or(self.end_offset, |next| next.base_offset);
        format!("ends at offset {}, the next segment begins at {next_base}", self.end_offset)
    }

    /// Removes the next `count` segments because of a `problem` in the one at `base_offset`.
    async fn drop_next(&mut self, count: usize, base_offset: i64, problem: &str) -> Result<(), LogError> {
        let path = layout::segment_path(self.dir, base_offset, LOG_SUFFIX);
        let bad = format!("{}: {problem}", path.display());
        tracing::warn!(bad, segments_removed = count, "cutting the log where it stops being whole");
        self.report.first_bad.get_or_insert(bad);
        self.next = None;
        for Found { base_offset, len_bytes, .. } in self.segments.drain(..count) {
            self.report.segments_removed += 1;
            self.report.truncated_bytes += len_bytes;
            self.store.remove(&layout::segment_path(self.dir, base_offset, LOG_SUFFIX)).await?;
            side_file::remove_if_present(&OffsetIndex::path(self.dir, base_offset))?;
            side_file::remove_if_present(&TimeIndex::path(self.dir, base_offset))?;
            side_file::remove_if_present(&TransactionIndex::path(self.dir, base_offset))?;
        }
        // One that came back after a power cut could begin where the log ends by then.
        Ok(self.store.sync_directory(self.dir).await?)
    }

    /// Notes that the checkpoint's log start cannot be right.
    pub(in crate::recover) fn disbelieve_start(&mut self, start_offset: i64) {
        let (dir, end_offset) = (self.dir.display(), self.end_offset);
        let problem =
            format!("{dir}: ends at {end_offset}, before the start {start_offset} of the checkpoint");
        tracing::warn!(problem, "the log was closed cleanly, so its start is not believed");
        self.report.first_bad.get_or_insert(problem);
    }

    /// Throws away the segments at `bases`, all there are, because the log's start lies behind its end.
    pub(in crate::recover) async fn restart_at(
        &mut self,
        start_offset: i64,
        bases: &[i64],
    ) -> Result<Active<S::File>, LogError> {
        let problem = format!("the log ends at {}, before its start {start_offset}", self.end_offset);
        tracing::warn!(dir = %self.dir.display(), problem, "going on with an empty log");
        self.report.first_bad.get_or_insert(format!("{}: {problem}", self.dir.display()));
        // Newest first: a crash in between leaves a shorter log, never one with a hole.
        for base_offset in bases.iter().rev() {
            self.store.remove(&layout::segment_path(self.dir, *base_offset, LOG_SUFFIX)).await?;
            self.forget_indexes(*base_offset)?;
            side_file::remove_if_present(&TransactionIndex::path(self.dir, *base_offset))?;
            self.report.segments_removed += 1;
        }
        self.snapshots.cut(i64::MIN)?;
        self.rebuilt.producers = Producers::default();
        self.aborted = SealedTransactions::default();
        self.rebuilt.epochs.clear();
        self.end_offset = start_offset;
        self.first_segment().await
    }
}
