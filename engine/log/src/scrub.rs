//! Looking for bytes that changed on the device: by reading all of it now and then, or on every read.
//!
//! The CRC covers neither a batch's base offset nor its leader epoch, so those are held against the batch before and
//! against the epochs that the log knows.

use std::time::Duration;

use bytes::Bytes;
use plimsoll_io::SegmentStore;
use plimsoll_records::Batch;
use tokio::time::Instant;

use crate::epochs::EpochCache;
use crate::error::ReadError;
use crate::log::{Log, SegmentInfo};
use crate::segment::{Damage, Opened};
use crate::walk::{Found, Walker};

/// One read of a scrub.
const CHUNK_BYTES: usize = 256 << 10;

/// What a scrub found.
#[derive(Clone, Debug, Default)]
pub struct ScrubReport {
    /// Sealed segments read to their end or to their first bad batch.
    pub segments: usize,
    /// Bytes of batches that are as they were written.
    pub bytes: u64,
    /// The first bad batch of each damaged segment: [`ReadError::Corrupt`].
    pub damaged: Vec<ReadError>,
}

impl<S: SegmentStore> Log<S> {
    /// Reads every sealed segment, oldest first, at most `bytes_per_s` in the mean, and checks every batch. From its
    /// first bad batch on a segment is not served any more: reads there answer [`ReadError::Corrupt`] until the log
    /// is truncated below it or opened anew. Segments that go meanwhile are left out.
    ///
    /// Cancel safety: dropping it ends the scrub; what was found stays known.
    pub async fn scrub(&self, bytes_per_s: u64) -> Result<ScrubReport, ReadError> {
        let mut report = ScrubReport::default();
        let pace = Pace { began: Instant::now(), bytes_per_s: bytes_per_s.max(1) };
        for segment in self.segments().into_iter().filter(|segment| !segment.active) {
            match self.scrub_segment(segment.base_offset, &pace, &mut report).await {
                Ok(()) => {}
                // Cut or replaced while it was read: what was found says nothing of what is there now.
                Err(_) if !self.is_still_sealed(&segment) => continue,
                Err(ReadError::Corrupt { path, at_bytes, problem }) => {
                    let damage = Damage { at_bytes, problem: problem.clone() };
                    tracing::error!(path = %path.display(), at_bytes, problem, "a sealed segment is damaged and not served from there on");
                    self.shared.lock().sealed.remember_damage(segment.base_offset, damage);
                    report.damaged.push(ReadError::Corrupt { path, at_bytes, problem });
                }
                Err(error) => return Err(error),
            }
            report.segments += 1;
        }
        Ok(report)
    }

    fn is_still_sealed(&self, segment: &SegmentInfo) -> bool {
        let state = self.shared.lock();
        let found = state.sealed.find(segment.base_offset);
        found.is_some_and(|s| (s.next_offset, s.size_bytes) == (segment.next_offset, segment.size_bytes))
    }

    async fn scrub_segment(
        &self,
        base_offset: i64,
        pace: &Pace,
        report: &mut ScrubReport,
    ) -> Result<(), ReadError> {
        let Some(opened) = self.open_sealed(base_offset).await? else { return Ok(()) };
        let Opened { file, size_bytes, .. } = &*opened;
        let mut walker = Walker::new(&**file, *size_bytes, CHUNK_BYTES);
        let mut chain = self.chain(base_offset);
        let (mut at_bytes, mut paused_at_bytes) = (0, 0);
        loop {
            let batch = match walker.batch(at_bytes).await? {
                Found::Some(batch) => batch,
                Found::End => return Ok(()),
                Found::Bad(problem) => return Err(walker.corrupt(at_bytes, problem)),
            };
            chain
                .link(&batch, at_bytes)
                .map_err(|(bad_bytes, problem)| walker.corrupt(bad_bytes, problem))?;
            at_bytes += batch.size_bytes() as u64;
            report.bytes += batch.size_bytes() as u64;
            if at_bytes - paused_at_bytes >= CHUNK_BYTES as u64 {
                paused_at_bytes = at_bytes;
                pace.keep(report.bytes).await;
            }
        }
    }

    /// Checks of batches of one segment that begin at or behind `from_offset`.
    pub(crate) fn chain(&self, from_offset: i64) -> Chain {
        let state = self.shared.lock();
        let after = state.sealed.partition_point(|s| s.base_offset <= from_offset);
        let sealed = after.checked_sub(1).filter(|_| from_offset < state.active.base_offset);
        let next_base = state.sealed.get(after).map_or(state.active.base_offset, |next| next.base_offset);
        let upto_offset = sealed.map_or(i64::MAX, |_| next_base);
        let epochs = state.epochs.clone();
        Chain { end_offset: from_offset, upto_offset, behind_gap_bytes: None, in_the_middle: false, epochs }
    }
}

/// Bytes per second, counted from the beginning.
struct Pace {
    began: Instant,
    bytes_per_s: u64,
}

impl Pace {
    async fn keep(&self, bytes: u64) {
        let due = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        tokio::time::sleep_until(self.began + due).await;
    }
}

/// What the next batch must continue.
pub(crate) struct Chain {
    end_offset: i64,
    /// No batch reaches beyond.
    upto_offset: i64,
    /// Where the last batch begins, if it left a gap.
    behind_gap_bytes: Option<u64>,
    /// What lies before the next batch is not known, so it may have left a gap.
    in_the_middle: bool,
    epochs: EpochCache,
}

impl Chain {
    /// The first batch is not the segment's first: if the second overlaps it, either may be the one that moved.
    pub(crate) fn in_the_middle(self, in_the_middle: bool) -> Self {
        Self { in_the_middle, ..self }
    }

    /// Checks the batch at `at_bytes`, or says where the bad one begins and what is wrong with it. Where two overlap it
    /// is the earlier one if that left a gap: its offset moved up.
    pub(crate) fn link(&mut self, batch: &Batch, at_bytes: u64) -> Result<(), (u64, String)> {
        batch.verify_crc().map_err(|error| (at_bytes, error.to_string()))?;
        let header = batch.header();
        if header.base_offset < self.end_offset {
            let problem =
                format!("batch at offset {} follows offset {}", header.base_offset, self.end_offset);
            return Err((self.behind_gap_bytes.unwrap_or(at_bytes), problem));
        }
        if header.next_offset() > self.upto_offset {
            let problem =
                format!("batch up to offset {} reaches beyond {}", header.last_offset(), self.upto_offset);
            return Err((at_bytes, problem));
        }
        let epoch = self.epochs.epoch_of(header.base_offset);
        // Epochs below the log start are forgotten, and a batch may reach there.
        if let Some(expected) = epoch.filter(|expected| *expected != header.leader_epoch) {
            return Err((
                at_bytes,
                format!("leader epoch {} where epoch {expected} wrote", header.leader_epoch),
            ));
        }
        let gap = header.base_offset > self.end_offset || std::mem::take(&mut self.in_the_middle);
        self.behind_gap_bytes = gap.then_some(at_bytes);
        self.end_offset = header.next_offset();
        Ok(())
    }

    /// Checks batches one behind the other, as [`link`](Self::link).
    pub(crate) fn link_all(&mut self, bytes: &Bytes) -> Result<(), (u64, String)> {
        let mut rest = bytes.clone();
        loop {
            let at_bytes = (bytes.len() - rest.len()) as u64;
            match Batch::split_from(&mut rest) {
                Ok(Some(batch)) => self.link(&batch, at_bytes)?,
                Ok(None) if rest.is_empty() => return Ok(()),
                Ok(None) => return Err((at_bytes, "half a batch".to_owned())),
                Err(error) => return Err((at_bytes, error.to_string())),
            }
        }
    }
}
