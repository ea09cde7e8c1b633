//! Finding offsets by time.

use plimsoll_io::SegmentStore;
use plimsoll_records::{Batch, Decompressor, RecordLimits};

use crate::error::ReadError;
use crate::log::Log;
use crate::newest::carrier_of;
use crate::offset_index::OffsetIndex;
use crate::read::batch_at;
use crate::state::State;
use crate::time_index::TimeEntry;
use crate::walk::Walker;

const LOOKUP_CHUNK_BYTES: usize = 64 << 10;

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The record's timestamp, in milliseconds.
    pub timestamp: i64,
    /// The record's offset.
    pub offset: i64,
    /// The leader epoch in which it was written; -1 if unknown.
    pub leader_epoch: i32,
}

/// Where in a segment to begin looking.
struct Start<F> {
    file: std::sync::Arc<F>,
    limit_bytes: u64,
    at_bytes: u64,
}

impl<S: SegmentStore> Log<S> {
    /// The first record below `upto_offset` (and below `written`) whose timestamp is at least `timestamp`.
    pub async fn offset_for_timestamp(
        &self,
        timestamp: i64,
        upto_offset: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        loop {
            let swaps = self.shared.lock().compacting.swaps;
            let found = self.first_at_or_after(timestamp, upto_offset).await?;
            // Segments that compaction merged meanwhile may have been passed over.
            if self.shared.lock().compacting.swaps == swaps {
                return Ok(found);
            }
        }
    }

    async fn first_at_or_after(
        &self,
        timestamp: i64,
        upto_offset: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let (upto_offset, start_offset) = {
            let marks = &self.shared.lock().marks;
            (upto_offset.min(marks.written), marks.start_offset)
        };
        let mut next = Some(i64::MIN);
        while let Some(from_base) = next {
            let (start, following) = self.segment_for_time(from_base, timestamp).await?;
            next = following;
            let Some(start) = start else { continue };
            let matches = |t: i64, offset: i64| t >= timestamp && offset >= start_offset;
            if let Some(found) = self.first_record(&start, timestamp, start_offset, matches).await? {
                return Ok(Some(found).filter(|f| f.offset < upto_offset));
            }
        }
        Ok(None)
    }

    /// The record below `upto_offset` with the largest timestamp; the first of them if several have it
    /// (KIP-734). `None` if there is no record.
    pub async fn max_timestamp(&self, upto_offset: i64) -> Result<Option<TimestampOffset>, ReadError> {
        loop {
            let swaps = self.shared.lock().compacting.swaps;
            let found = self.newest_record(upto_offset).await?;
            if self.shared.lock().compacting.swaps == swaps {
                return Ok(found);
            }
        }
    }

    async fn newest_record(&self, upto_offset: i64) -> Result<Option<TimestampOffset>, ReadError> {
        let upto_offset = upto_offset.min(self.marks().written);
        let mut best: Option<TimestampOffset> = None;
        for segment in self.segments().into_iter().filter(|s| s.base_offset < upto_offset) {
            let newest = self.newest_below(segment.base_offset, upto_offset).await?;
            let Some(newest) = newest.filter(|n| best.is_none_or(|b| n.timestamp > b.timestamp)) else {
                continue;
            };
            let Some(start) = self.start_at(segment.base_offset, |index| index.floor(newest.offset)).await?
            else {
                continue;
            };
            let matches = |t: i64, _: i64| t == newest.timestamp;
            let found = self.first_record(&start, newest.timestamp, i64::MIN, matches).await?;
            best = found.filter(|f| f.offset < upto_offset).or(best);
        }
        Ok(best)
    }

    /// The batch with the largest timestamp below `upto_offset`: from the time index where that suffices.
    async fn newest_below(&self, base_offset: i64, upto_offset: i64) -> Result<Option<TimeEntry>, ReadError> {
        let newest = self.newest_of(base_offset).await?;
        if newest.is_none_or(|n| n.offset < upto_offset) {
            return Ok(newest);
        }
        let Some(start) = self.start_at(base_offset, |_| None).await? else { return Ok(None) };
        let mut walker = Walker::new(&*start.file, start.limit_bytes, LOOKUP_CHUNK_BYTES);
        let (mut at_bytes, mut best) = (0, None::<TimeEntry>);
        while let Some(header) = walker.expect_header(at_bytes).await? {
            if header.last_offset() >= upto_offset {
                break;
            }
            let entry = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
            best = best.filter(|b| b.timestamp >= entry.timestamp).or(Some(entry));
            at_bytes += header.size_bytes() as u64;
        }
        Ok(best)
    }

    /// The first segment from `from_base` on, where to begin in it if it reaches `timestamp`, and the base of the
    /// segment after it.
    async fn segment_for_time(
        &self,
        from_base: i64,
        timestamp: i64,
    ) -> Result<(Option<Start<S::File>>, Option<i64>), ReadError> {
        let (first, following) = self.shared.lock().bases_from(from_base);
        let Some(base_offset) = first else { return Ok((None, None)) };
        if self.newest_of(base_offset).await?.is_none_or(|n| n.timestamp < timestamp) {
            return Ok((None, following));
        }
        let entry = self.time_floor(base_offset, timestamp).await?;
        Ok((self.start_before(base_offset, entry).await?, following))
    }

    async fn time_floor(&self, base_offset: i64, timestamp: i64) -> Result<Option<TimeEntry>, ReadError> {
        {
            let state = self.shared.lock();
            if state.active.base_offset == base_offset {
                return Ok(state.active.times.floor(timestamp));
            }
        }
        Ok(self.open_sealed(base_offset).await?.and_then(|opened| opened.times.floor(timestamp)))
    }

    /// Where the batch that carries `entry` begins, if it is there and carries it; otherwise the segment's beginning. Of
    /// the entry nothing but that batch can tell whether it changed on the device.
    async fn start_before(
        &self,
        base_offset: i64,
        entry: Option<TimeEntry>,
    ) -> Result<Option<Start<S::File>>, ReadError> {
        if let Some(entry) = entry {
            let start = self.start_at(base_offset, |index| index.floor(entry.offset)).await?;
            let Some(mut start) = start else { return Ok(None) };
            let mut walker = Walker::new(&*start.file, start.limit_bytes, LOOKUP_CHUNK_BYTES);
            if let Some(at_bytes) = carrier_of(&mut walker, start.at_bytes, entry).await? {
                start.at_bytes = at_bytes;
                return Ok(Some(start));
            }
            let dir = self.shared.dir.display();
            tracing::warn!(%dir, base_offset, ?entry, "a time index names a batch that is not there");
        }
        self.start_at(base_offset, |_| None).await
    }

    async fn start_at(
        &self,
        base_offset: i64,
        pick: impl Fn(&OffsetIndex) -> Option<crate::offset_index::OffsetEntry>,
    ) -> Result<Option<Start<S::File>>, ReadError> {
        let position = |index: &OffsetIndex| pick(index).map_or(0, |e| u64::from(e.at_bytes));
        {
            let State { active, .. } = &*self.shared.lock();
            if active.base_offset == base_offset {
                let file = std::sync::Arc::clone(&active.file);
                let at_bytes = position(&active.index);
                return Ok(Some(Start { file, limit_bytes: active.written_bytes, at_bytes }));
            }
        }
        let opened = self.open_sealed(base_offset).await?;
        Ok(opened.map(|opened| Start {
            file: std::sync::Arc::clone(&opened.file),
            limit_bytes: opened.size_bytes,
            at_bytes: position(&opened.index),
        }))
    }

    /// The first record that `matches`, in batches that reach `timestamp` and `start_offset`.
    async fn first_record(
        &self,
        start: &Start<S::File>,
        timestamp: i64,
        start_offset: i64,
        matches: impl Fn(i64, i64) -> bool,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let mut walker = Walker::new(&*start.file, start.limit_bytes, LOOKUP_CHUNK_BYTES);
        let limits = RecordLimits { decompressed_max_bytes: self.shared.config.decompressed_max_bytes };
        let mut at_bytes = start.at_bytes;
        let wanted = |h: &plimsoll_records::BatchHeader| {
            h.max_timestamp >= timestamp && h.last_offset() >= start_offset
        };
        while let Some((found_bytes, batch)) = batch_at(&mut walker, at_bytes, wanted).await? {
            let problem = match first_match(&batch, limits, &matches) {
                Ok(Some((timestamp, offset))) => {
                    let leader_epoch = batch.header().leader_epoch;
                    return Ok(Some(TimestampOffset { timestamp, offset, leader_epoch }));
                }
                Ok(None) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                return Err(walker.corrupt(found_bytes, problem));
            }
            at_bytes = found_bytes + batch.size_bytes() as u64;
        }
        Ok(None)
    }
}

impl<F> State<F> {
    /// Bases of the first segment from `from_base` on and of the one behind it.
    fn bases_from(&self, from_base: i64) -> (Option<i64>, Option<i64>) {
        let from = self.sealed.partition_point(|s| s.base_offset < from_base);
        let sealed = self.sealed.iter().skip(from).take(2).map(|s| s.base_offset);
        let active = Some(self.active.base_offset).filter(|base| *base >= from_base);
        let mut bases = sealed.chain(active);
        (bases.next(), bases.next())
    }
}

fn first_match(
    batch: &Batch,
    limits: RecordLimits,
    matches: &impl Fn(i64, i64) -> bool,
) -> Result<Option<(i64, i64)>, plimsoll_records::RecordError> {
    let mut decompressor = Decompressor::new();
    for record in batch.records(&mut decompressor, limits) {
        let record = record?;
        if matches(record.timestamp, record.offset) {
            return Ok(Some((record.timestamp, record.offset)));
        }
    }
    Ok(None)
}
