//! What a log gives up at its beginning: by time, by size, below its start (rule E30), and on request.

mod delete_records;
mod policy;
mod removal;

use std::sync::Arc;

use plimsoll_io::{IoFault, SegmentStore};

use crate::error::{AppendError, LogError};
use crate::layout::{self, LOG_SUFFIX};
use crate::log::{Log, SegmentInfo};
use crate::room::off_thread;
use crate::side_file;
use crate::time_index::{TimeEntry, TimeIndex};

pub use delete_records::{DeleteRecordsError, HIGH_WATERMARK};
pub use policy::{RetentionBounds, RetentionPolicy};

/// How many time indexes are looked into at once. Looked into only once, so this bounds what is read in vain.
const LOOK_SEGMENTS: usize = 256;

/// What retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments that are gone.
    pub removed_segments: usize,
    /// Their bytes of batches.
    pub removed_bytes: u64,
    /// The log start offset now.
    pub log_start_offset: i64,
}

impl<S: SegmentStore> Log<S> {
    /// Removes the oldest segments that breach `policy` and lie wholly below `high_watermark` (rule E30), with their
    /// indexes and snapshots. If all of the log does, the active segment is rolled first, as in Kafka; a full disk
    /// only puts that off.
    ///
    /// The log start moves first, which the observer is told, then the files go, oldest first, and durably. So a crash
    /// leaves a log with more at its beginning, never one with a hole; checkpoint the start to have the rest removed.
    /// Slices already read stay valid.
    ///
    /// Cancel safety: dropped, files of segments that the log no longer knows may remain; they are segments again after
    /// a restart, and go with the next call.
    pub async fn apply_retention(
        &self,
        policy: &RetentionPolicy,
        high_watermark: i64,
        now_ms: i64,
    ) -> Result<Retained, LogError> {
        self.check_in_service()?;
        let (segments, count) = self.breaches(policy, high_watermark, now_ms).await?;
        if let Some(active) = segments.last().filter(|_| count == segments.len()) {
            self.roll_expired(active.base_offset).await?;
        }
        let _turn = self.shared.room.lock().await;
        // Once more: batches or a truncation may have come before the turn.
        let (_, count) = self.breaches(policy, high_watermark, now_ms).await?;
        self.remove_oldest(count).await
    }

    /// Refuses to change a log that is closed, deleted or offline.
    fn check_in_service(&self) -> Result<(), LogError> {
        let state = self.shared.lock();
        match &state.marks.fault {
            Some(fault) => Err(LogError::Poisoned(Arc::clone(fault))),
            None if state.closed => Err(LogError::Closed),
            None => Ok(()),
        }
    }

    /// The segments, those with their ages that matter, and how many of them are to go.
    async fn breaches(
        &self,
        policy: &RetentionPolicy,
        high_watermark: i64,
        now_ms: i64,
    ) -> Result<(Vec<SegmentInfo>, usize), LogError> {
        let log_start_offset = self.marks().start_offset;
        let bounds = RetentionBounds { log_start_offset, high_watermark, now_ms };
        let ageless = RetentionPolicy { retention_ms: None, ..*policy };
        let mut segments = self.segments();
        let mut from = ageless.breaches(&segments, bounds);
        while policy.retention_ms.is_some() {
            let unlooked = segments.iter_mut().skip(from).take(LOOK_SEGMENTS);
            let looked = self.look_at_ages(unlooked.collect()).await?;
            let expired = |s: &&SegmentInfo| policy.is_expired(s, now_ms);
            if looked == 0 || segments.iter().skip(from).take(looked).take_while(expired).count() < looked {
                break;
            }
            from += looked;
        }
        if let Some(ahead) = segments.get(from).and_then(|s| s.largest_timestamp).filter(|t| *t > now_ms) {
            let dir = self.shared.dir.display();
            tracing::debug!(%dir, timestamp = ahead, "a record from the future keeps its segment from expiring");
        }
        let count = policy.breaches(&segments, bounds);
        Ok((segments, count))
    }

    /// Fills in the largest timestamps that are not known yet, and remembers them. For a segment without timestamps
    /// its file's time of change stands in, as in Kafka. Returns how many segments there were.
    async fn look_at_ages(&self, mut segments: Vec<&mut SegmentInfo>) -> Result<usize, LogError> {
        let (unknown, swaps): (Vec<(i64, bool)>, u64) = {
            let state = self.shared.lock();
            let ageless = segments.iter().filter(|s| s.largest_timestamp.is_none());
            let unknown = ageless.map(|s| (s.base_offset, state.newest_known(s.base_offset).is_some()));
            (unknown.collect(), state.compacting.swaps)
        };
        if unknown.is_empty() {
            return Ok(segments.len());
        }
        let dir = self.shared.dir.clone();
        let look = move || unknown.into_iter().map(|(base, known)| Look::at(&dir, base, known)).collect();
        let looks: Vec<Look> = off_thread(&self.shared.dir, look).await?;
        let mut state = self.shared.lock();
        for look in looks {
            // What compaction put in its place meanwhile may be younger.
            if let Some(newest) = look.newest.filter(|_| state.compacting.swaps == swaps) {
                state.sealed.remember_newest(look.base_offset, newest);
            }
            let info = segments.iter_mut().find(|s| s.base_offset == look.base_offset);
            info.into_iter().for_each(|info| info.largest_timestamp = look.timestamp());
        }
        Ok(segments.len())
    }

    /// Rolls the active segment, all of which is to go, and waits until it is sealed.
    async fn roll_expired(&self, active_base: i64) -> Result<(), LogError> {
        self.sealed().await;
        match self.roll(active_base, None).await {
            Ok(()) => self.shared.at_rest(|_| {}).await,
            // The segments before it go all the same, which makes room.
            Err(AppendError::NoSpace(fault)) => {
                tracing::warn!(%fault, "no room to roll an expired segment; it stays until there is");
                Ok(())
            }
            Err(AppendError::Poisoned(fault)) => Err(LogError::Poisoned(fault)),
            Err(AppendError::Fault(fault)) => Err(LogError::Fault((*fault).clone())),
            Err(_) => Err(LogError::Closed),
        }
    }
}

/// What the files of a segment tell of its age.
struct Look {
    base_offset: i64,
    /// The time index's last entry; `None` if the index is missing or damaged.
    newest: Option<Option<TimeEntry>>,
    modified_ms: Option<i64>,
}

impl Look {
    /// Blocks. A segment that is known to have no timestamps is only asked when it was changed.
    fn at(dir: &std::path::Path, base_offset: i64, known: bool) -> Result<Self, IoFault> {
        let newest = if known { Some(None) } else { TimeIndex::read_last(dir, base_offset)? };
        let modified_ms = match newest {
            Some(Some(_)) => None,
            _ => side_file::modified_ms(&layout::segment_path(dir, base_offset, LOG_SUFFIX))?,
        };
        Ok(Self { base_offset, newest, modified_ms })
    }

    /// A missing index is no reason to keep a segment for ever: it was changed when its last batch came, or later.
    fn timestamp(&self) -> Option<i64> {
        self.newest.flatten().map(|entry| entry.timestamp).or(self.modified_ms)
    }
}
