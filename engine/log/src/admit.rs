//! Admission of a batch, under the lock and in the order of rule E15.

use plimsoll_io::SegmentFile;
use plimsoll_records::{Batch, BatchHeader, TimestampType};

use crate::config::LogConfig;
use crate::error::AppendError;
use crate::offset_index::relative;
use crate::producers::{Applied, BatchMeta, Origin, Verdict};
use crate::state::{State, Unwritten};
use crate::transactions::{self, TxnMarker};

/// Accepted and not yet written, per log; beyond it appends wait. Bounds memory when the disk is slower than
/// the network.
const BACKLOG_MAX_BYTES: u64 = 64 << 20;

/// Segments rolled and not yet synced, per log; beyond it rolls wait. Bounds open files and memory when segments fill
/// faster than the disk syncs them.
const SEALING_MAX_SEGMENTS: usize = 8;

/// Where an appended batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record; it is written once the mark passes it.
    pub last_offset: i64,
    /// The log's own timestamp, in milliseconds: of batches stamped at append, and of the original of a
    /// duplicate. -1 otherwise.
    pub log_append_time_ms: i64,
    /// It was in the log already (rule E14); the offsets are the original's, which may itself be in flight.
    pub duplicate: bool,
    /// What to wait with.
    pub generation: u64,
    /// First offset that may be read.
    pub log_start_offset: i64,
}

/// What must happen outside the lock before a batch can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The segment with this base is to be replaced; a replica's batch says where the next begins.
    Roll { active_base: i64, next_base: Option<i64> },
    /// A roll, before which one of the segments rolled earlier must be synced.
    Sealed,
    /// Space up to here, in the segment with this base.
    Reserve { active_base: i64, upto_bytes: u64 },
    /// The checkpoint must know this epoch first.
    Epoch { epoch: i32, start_offset: i64 },
    /// A roll or truncation is under way.
    Turn,
    /// The backlog is full or a full disk is being cut back.
    Progress,
}

/// The answer to a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admission {
    Accepted(Appended),
    Duplicate(Appended),
    Needs(Need),
}

impl<F: SegmentFile> State<F> {
    /// Accepts `batch` or says what is missing. The batch's prefix is patched with its offset.
    pub(crate) fn admit(
        &mut self,
        batch: &mut Batch,
        origin: Origin,
        now_ms: i64,
        config: &LogConfig,
    ) -> Result<Admission, AppendError> {
        if let Some(blocked) = self.blocked()? {
            return Ok(Admission::Needs(blocked));
        }
        self.assign_offsets(batch, origin)?;
        self.check_epoch(batch, origin)?;
        let header = *batch.header();
        let marker = transactions::marker_of(batch);
        match self.producers.check(&header, origin)? {
            Verdict::Duplicate(original) => return Ok(Admission::Duplicate(self.duplicate(&original))),
            Verdict::New => {}
        }
        if let Some(marker) = marker.filter(|_| origin == Origin::Client) {
            self.producers.check_marker(&header, marker)?;
        }
        if let Some(need) = self.room_for(&header, origin, now_ms, config) {
            return Ok(Admission::Needs(need));
        }
        Ok(Admission::Accepted(self.accept(batch, &header, marker, now_ms, config)))
    }

    fn blocked(&self) -> Result<Option<Need>, AppendError> {
        if let Some(fault) = &self.marks.fault {
            return Err(AppendError::Poisoned(std::sync::Arc::clone(fault)));
        }
        if self.closed {
            return Err(AppendError::Closed);
        }
        if self.repairing || self.backlog_bytes() > BACKLOG_MAX_BYTES {
            return Ok(Some(Need::Progress));
        }
        Ok(self.held.then_some(Need::Turn))
    }

    /// A client's batch goes to the end of the log; a replica's comes with its offset.
    fn assign_offsets(&self, batch: &mut Batch, origin: Origin) -> Result<(), AppendError> {
        let log_end_offset = self.marks.accepted;
        if origin == Origin::Client {
            batch.set_base_offset(log_end_offset);
        }
        let BatchHeader { base_offset: first_offset, last_offset_delta, .. } = *batch.header();
        let last_offset = first_offset.checked_add(i64::from(last_offset_delta));
        let last_offset = last_offset.filter(|o| *o < i64::MAX).ok_or(AppendError::OffsetsExhausted)?;
        if first_offset < log_end_offset {
            return Err(AppendError::UnexpectedOffset { first_offset, last_offset, log_end_offset });
        }
        Ok(())
    }

    /// A leader of the past must not append: it would undo what is known of later epochs.
    fn check_epoch(&self, batch: &Batch, origin: Origin) -> Result<(), AppendError> {
        let (epoch, latest) = (batch.header().leader_epoch, self.epochs.latest());
        match latest.filter(|latest| origin == Origin::Client && epoch >= 0 && epoch < latest.epoch) {
            Some(latest) => Err(AppendError::StaleEpoch { epoch, current: latest.epoch }),
            None => Ok(()),
        }
    }

    fn duplicate(&self, original: &BatchMeta) -> Appended {
        Appended {
            base_offset: original.first_offset(),
            last_offset: original.last_offset,
            log_append_time_ms: original.timestamp,
            duplicate: true,
            generation: self.marks.generation,
            log_start_offset: self.marks.start_offset,
        }
    }

    /// What the batch lacks: an epoch in the checkpoint, another segment, or space.
    fn room_for(
        &self,
        header: &BatchHeader,
        origin: Origin,
        now_ms: i64,
        config: &LogConfig,
    ) -> Option<Need> {
        let (epoch, start_offset) = (header.leader_epoch, header.base_offset);
        if self.epochs.would_change(epoch, start_offset) {
            return Some(Need::Epoch { epoch, start_offset });
        }
        let active_base = self.active.base_offset;
        if self.must_roll(header, now_ms, config) {
            if !self.may_roll() {
                return Some(Need::Sealed);
            }
            let next_base = (origin == Origin::Replica).then_some(start_offset);
            return Some(Need::Roll { active_base, next_base });
        }
        let upto_bytes = self.active.tail.size_bytes + header.size_bytes() as u64;
        (upto_bytes > self.active.reserved_bytes).then_some(Need::Reserve { active_base, upto_bytes })
    }

    /// Few enough rolled segments still wait to be synced.
    pub(crate) fn may_roll(&self) -> bool {
        self.sealing.len() < SEALING_MAX_SEGMENTS
    }

    /// By size, time, full indexes, or relative offsets that would not fit (rule E31).
    fn must_roll(&self, header: &BatchHeader, now_ms: i64, config: &LogConfig) -> bool {
        let active = &self.active;
        if relative(active.base_offset, header.last_offset()).is_none() {
            return true;
        }
        if active.tail.size_bytes == 0 {
            return false;
        }
        let age_ms = match active.tail.first_timestamp.filter(|t| *t >= 0) {
            Some(first) => header.max_timestamp.saturating_sub(first),
            None => now_ms.saturating_sub(active.created_ms),
        };
        active.tail.size_bytes + header.size_bytes() as u64 > u64::from(config.segment_bytes)
            || age_ms > config.segment_ms
            || active.index.len() >= config.offset_entries_max()
            || active.times.len() >= config.time_entries_max()
    }

    fn accept(
        &mut self,
        batch: &Batch,
        header: &BatchHeader,
        marker: Option<TxnMarker>,
        now_ms: i64,
        config: &LogConfig,
    ) -> Appended {
        let tail_before = self.active.tail;
        self.active.note(header, u64::from(config.index_interval_bytes));
        self.enqueue(batch);
        self.marks.accepted = header.next_offset();
        let Applied { undo: producer, aborted } = self.producers.apply(header, marker, now_ms);
        aborted.into_iter().for_each(|aborted| self.active.aborted.push(aborted));
        let (end_bytes, next_offset) = (self.active.tail.size_bytes, header.next_offset());
        self.unwritten.push_back(Unwritten { end_bytes, next_offset, tail_before, producer });
        let stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
        Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time_ms: if stamped { header.max_timestamp } else { -1 },
            duplicate: false,
            generation: self.marks.generation,
            log_start_offset: self.marks.start_offset,
        }
    }
}
