//! Segments that need no scan, and the producer state behind them.

use plimsoll_io::SegmentStore;

use super::Opening;
use crate::error::LogError;
use crate::producers::Producers;
use crate::recover::survey::Found;
use crate::scan::{self, OnDisk, Scanned};
use crate::segment::Sealed;

impl<S: SegmentStore> Opening<'_, S> {
    /// How many segments need no scan. Never the last. A segment below the recovery point must also have its
    /// index files: a truncation removes them, and the checkpoint may be older than that.
    pub(super) fn trusted_count(&self, recovery_point: i64) -> usize {
        let next_bases = self.segments.iter().skip(1).map(|s| s.base_offset);
        let pairs = self.segments.iter().zip(next_bases);
        let trusted = |segment: &Found, next: i64| {
            recovery_point == i64::MAX || (next <= recovery_point && segment.indexed)
        };
        pairs.take_while(|(segment, next)| trusted(segment, *next)).count()
    }

    /// How many of the first `count` segments end before the next one begins, going by the end of the last of
    /// them. A stray segment may begin inside it, and trust would take that for the log's end.
    pub(super) async fn without_overlap(&self, mut count: usize, clean: bool) -> Result<usize, LogError> {
        while let Some((last, next)) =
            count.checked_sub(1).and_then(|i| self.segments.get(i).zip(self.segments.get(count)))
        {
            let last = self.open(last).await?;
            let resumed = scan::resume(&last, self.dir, &self.config, self.rebuilt.now_ms).await?;
            // Indexes that do not fit are rebuilt when they are read; only after a crash are they a reason to scan.
            if resumed.map_or(clean, |found| found.end_offset <= next.base_offset) {
                break;
            }
            count -= 1;
        }
        Ok(count)
    }

    /// Takes the first `count` segments as they are.
    pub(super) fn trust(&mut self, count: usize) -> Vec<Sealed> {
        let mut sealed = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(found) = self.segments.pop_front() else { break };
            let Found { base_offset, len_bytes, indexed, aborted } = found;
            self.aborted.found(base_offset, indexed, aborted);
            let next_offset = self.segments.front().map_or(base_offset, |next| next.base_offset);
            sealed.push(Sealed {
                base_offset,
                next_offset,
                size_bytes: len_bytes,
                newest: None,
                damage: None,
            });
            self.end_offset = next_offset;
        }
        sealed
    }

    /// Producer state up to `upto_offset`: the nearest snapshot, and the batches behind it.
    pub(super) async fn replay(&mut self, upto_offset: i64) -> Result<(), LogError> {
        let now_ms = self.rebuilt.now_ms;
        let loaded = self.snapshots.load_newest(upto_offset, now_ms)?;
        let (from_offset, mut producers) = loaded.unwrap_or((self.end_offset, Producers::default()));
        for (i, segment) in self.segments.iter().enumerate() {
            let end_offset = self.segments.get(i + 1).map_or(upto_offset, |s| s.base_offset.min(upto_offset));
            if segment.base_offset < upto_offset && end_offset > from_offset {
                let OnDisk { file, len_bytes, .. } = self.open(segment).await?;
                let range = (from_offset, upto_offset);
                scan::replay_producers(&*file, (0, len_bytes), range, &mut producers, now_ms, drop).await?;
            }
        }
        self.rebuilt.producers = producers;
        Ok(())
    }

    /// Continues the last segment from its indexes, after a clean stop. `None` if they do not fit it.
    pub(super) async fn resume_last(&self) -> Result<Option<Scanned<S::File>>, LogError> {
        let Some(last) = self.segments.back() else { return Ok(None) };
        scan::resume(&self.open(last).await?, self.dir, &self.config, self.rebuilt.now_ms).await
    }
}
