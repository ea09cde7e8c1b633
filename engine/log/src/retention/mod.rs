//! What a log gives up at its beginning: by time, by size, below its start (rule E30), and on request.

mod delete_records;
mod policy;
mod removal;

use std::sync::Arc;

use plimsoll_io::SegmentStore;

use crate::error::{AppendError, LogError, ReadError};
use crate::layout::{self, LOG_SUFFIX};
use crate::log::{Log, SegmentInfo};
use crate::room::off_thread;
use crate::side_file;

pub use delete_records::{DeleteRecordsError, HIGH_WATERMARK};
pub use policy::{RetentionBounds, RetentionPolicy};

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
        let from =
            if policy.retention_ms.is_some() { ageless.breaches(&segments, bounds) } else { usize::MAX };
        for segment in segments.iter_mut().skip(from) {
            segment.largest_timestamp = self.age_of(segment.base_offset).await?;
            if !policy.is_expired(segment, now_ms) {
                if let Some(ahead) = segment.largest_timestamp.filter(|t| *t > now_ms) {
                    let dir = self.shared.dir.display();
                    tracing::debug!(%dir, timestamp = ahead, "a record from the future keeps its segment from expiring");
                }
                break;
            }
        }
        let count = policy.breaches(&segments, bounds);
        Ok((segments, count))
    }

    /// The largest timestamp of a segment, never on the word of its time index alone. For one without timestamps its
    /// file's time of change stands in, as in Kafka; also for one that can be asked neither by index nor by batches,
    /// which were all written by then.
    async fn age_of(&self, base_offset: i64) -> Result<Option<i64>, LogError> {
        match self.newest_of(base_offset).await {
            Ok(Some(newest)) => return Ok(Some(newest.timestamp)),
            Ok(None) | Err(ReadError::Corrupt { .. } | ReadError::OutOfRange { .. }) => {}
            Err(ReadError::Fault(fault)) => return Err(fault.into()),
        }
        let path = layout::segment_path(&self.shared.dir, base_offset, LOG_SUFFIX);
        Ok(off_thread(&self.shared.dir, move || side_file::modified_ms(&path)).await?)
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
