//! Log compaction (rule E33, KIP-58, KIP-354, KIP-534): of each key the newest record stays, offsets never change.
//!
//! A cleaning selects whole segments ([`policy`]), notes the newest offset of each key of the dirty ones in an
//! [`OffsetMap`] ([`dirty`]), then goes over the log from its beginning, group by group: what stays of each batch
//! ([`retain`], [`transactions`]) is written to a new segment ([`cleaned`]), which takes the place of its sources
//! ([`replace`]). It is background work: it takes no lock of the log but to look and to exchange, and pays a
//! [`Throttle`] for every byte.

mod cleaned;
mod dirty;
mod error;
mod offset_map;
mod policy;
mod replace;
mod retain;
mod rewrite;
mod throttle;
mod transactions;

use std::sync::Arc;

use plimsoll_io::SegmentStore;

pub use error::{CompactError, Problem};
pub use offset_map::OffsetMap;
use policy::{Bounds, SegmentFacts};
pub use policy::{CompactionCandidate, CompactionPolicy};
pub(crate) use replace::{Compacting, finish_names};
pub use throttle::Throttle;

use crate::error::ReadError;
use crate::log::Log;
use crate::segment::Sealed;
use crate::state::{Shared, State};
use crate::transactions::AbortedTxn;

/// What a cleaning is to do.
#[derive(Debug)]
pub struct CompactRequest<'a> {
    /// The topic's settings.
    pub policy: CompactionPolicy,
    /// Nothing at or above is touched: the lower of high watermark and last stable offset.
    pub upto_offset: i64,
    /// What `cleaner-offset-checkpoint` says of this log, if anything.
    pub first_dirty_offset: Option<i64>,
    /// The broker's clock, in milliseconds: lags and delete horizons count by it.
    pub now_ms: i64,
    /// Every transaction that was aborted below `upto_offset`, in any order.
    pub aborted: Vec<AbortedTxn>,
    /// Working memory; whatever is in it is thrown away.
    pub map: &'a mut OffsetMap,
    /// Paid for every byte read and written.
    pub throttle: &'a Throttle,
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionReport {
    /// For `cleaner-offset-checkpoint`: below it the log is clean now.
    pub first_dirty_offset: i64,
    /// Bytes read, those of the dirty part twice.
    pub bytes_read: u64,
    /// Bytes of batches written.
    pub bytes_written: u64,
    /// Records that stayed, of those gone over.
    pub records_kept: u64,
    /// Records that went.
    pub records_removed: u64,
    /// Segments gone over.
    pub segments_before: usize,
    /// What they became.
    pub segments_after: usize,
    /// The map took no more keys: clean again, from the new checkpoint on.
    pub map_full: bool,
}

impl<S: SegmentStore> Log<S> {
    /// What of this log could be cleaned now, and how urgent that is: see [`CompactionCandidate::is_due`]. Reads time
    /// indexes and first batches only where the policy's lags ask for them. The arguments are those of
    /// [`CompactRequest`].
    pub async fn compaction_candidate(
        &self,
        policy: &CompactionPolicy,
        upto_offset: i64,
        first_dirty_offset: Option<i64>,
        now_ms: i64,
    ) -> Result<CompactionCandidate, CompactError> {
        let (sealed, bounds) = self.shared.lock().cleanable(upto_offset, first_dirty_offset);
        let mut facts: Vec<SegmentFacts> = sealed.iter().map(SegmentFacts::from).collect();
        let first_dirty_offset = bounds.first_dirty().0;
        for segment in facts.iter_mut().filter(|s| s.next_offset > first_dirty_offset) {
            if policy.min_compaction_lag_ms > 0 {
                segment.largest_timestamp = self.largest_timestamp(segment.base_offset).await?;
            }
            if policy.max_compaction_lag_ms < i64::MAX {
                segment.first_timestamp = self.first_timestamp(segment.base_offset).await?;
            }
        }
        Ok(policy::select(&facts, &bounds, policy, now_ms))
    }

    /// Largest timestamp of a sealed segment's first batch.
    async fn first_timestamp(&self, base_offset: i64) -> Result<Option<i64>, ReadError> {
        let Some(opened) = self.open_sealed(base_offset).await? else { return Ok(None) };
        let header_bytes = opened.size_bytes.min(plimsoll_records::BATCH_HEADER_BYTES as u64) as usize;
        let mut walker = crate::walk::Walker::new(&*opened.file, opened.size_bytes, header_bytes);
        Ok(walker.expect_header(0).await?.map(|header| header.max_timestamp))
    }

    /// Cleans whatever [`compaction_candidate`](Self::compaction_candidate) selects, due or not; nothing if nothing is
    /// dirty. One cleaning per log at a time. Runs on the caller's runtime, which should not be one of the data path.
    ///
    /// Truncation, retention and closing go before: the cleaning ends then with an error and changes nothing more.
    /// Readers notice nothing, but that those who open an old segment may wait for the exchange of its files.
    ///
    /// Cancel safety: dropped, it leaves at most a `.cleaned` file, which the next cleaning or start removes; an exchange
    /// under way runs to its end, on the same `LocalSet`.
    pub async fn compact(&self, request: CompactRequest<'_>) -> Result<CompactionReport, CompactError> {
        if self.recycles() {
            return Err(CompactError::Recycling);
        }
        let cleaning = Arc::new(Cleaning::begin(Arc::clone(&self.shared))?);
        let CompactRequest { policy, upto_offset, first_dirty_offset, now_ms, .. } = request;
        let candidate = self.compaction_candidate(&policy, upto_offset, first_dirty_offset, now_ms).await?;
        let first_dirty_offset = candidate.first_dirty_offset;
        let mut report = CompactionReport { first_dirty_offset, ..CompactionReport::default() };
        if candidate.cleanable_bytes == 0 {
            return Ok(report);
        }
        let CompactRequest { aborted, map, throttle, .. } = request;
        let sealed = self.shared.lock().cleanable(candidate.upto_offset, Some(first_dirty_offset)).0;
        let sources: Vec<Sealed> =
            sealed.into_iter().take_while(|s| s.next_offset <= candidate.upto_offset).collect();
        let mut pass = Pass { log: self, throttle, cleaning, report: &mut report };
        let dirty = pass.note_keys(&sources, first_dirty_offset, map, aborted.clone()).await?;
        pass.report.map_full = dirty.map_full;
        let rules = self.rules(map, dirty.end_offset, &policy, now_ms);
        pass.rewrite(&sources, rules, aborted).await?;
        report.first_dirty_offset = dirty.end_offset;
        Ok(report)
    }
}

/// A cleaning's way over segments: what it looks at, pays and counts.
struct Pass<'a, S: SegmentStore> {
    log: &'a Log<S>,
    throttle: &'a Throttle,
    cleaning: Arc<Cleaning<S>>,
    report: &'a mut CompactionReport,
}

/// Keeps a second cleaning out, also while an exchange of files outlives the first.
pub(crate) struct Cleaning<S: SegmentStore> {
    shared: Arc<Shared<S>>,
    /// As they were when it began.
    interruptions: u64,
}

impl<S: SegmentStore> Cleaning<S> {
    fn begin(shared: Arc<Shared<S>>) -> Result<Self, CompactError> {
        let interruptions = {
            let compacting = &mut shared.lock().compacting;
            if std::mem::replace(&mut compacting.running, true) {
                return Err(CompactError::Busy);
            }
            compacting.interruptions
        };
        let cleaning = Self { shared, interruptions };
        cleaning.check().map(|()| cleaning)
    }

    /// Refuses to go on if the log changed under the cleaning.
    fn check(&self) -> Result<(), CompactError> {
        let state = self.shared.lock();
        match &state.marks.fault {
            Some(fault) => Err(CompactError::Poisoned(Arc::clone(fault))),
            None if state.closed => Err(CompactError::Closed),
            None if state.compacting.interruptions != self.interruptions => Err(CompactError::Interrupted),
            None => Ok(()),
        }
    }
}

impl<S: SegmentStore> Drop for Cleaning<S> {
    fn drop(&mut self) {
        self.shared.lock().compacting.running = false;
    }
}

impl From<&Sealed> for SegmentFacts {
    fn from(sealed: &Sealed) -> Self {
        let Sealed { base_offset, next_offset, size_bytes, .. } = *sealed;
        Self { base_offset, next_offset, size_bytes, ..Self::default() }
    }
}

impl<F> State<F> {
    /// The segments that are complete and synced, and the log around them.
    fn cleanable(&self, stable_offset: i64, checkpoint: Option<i64>) -> (Vec<Sealed>, Bounds) {
        let unsealed = self.sealing.front().map_or(i64::MAX, |s| s.opened.base_offset);
        let sealed: Vec<Sealed> =
            self.sealed.iter().take_while(|s| s.base_offset < unsealed).cloned().collect();
        let (start_offset, log_end_offset) = (self.marks.start_offset, self.marks.accepted);
        (sealed, Bounds { checkpoint, start_offset, log_end_offset, stable_offset })
    }
}
