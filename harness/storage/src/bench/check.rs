//! Accounts for every batch of a trial by reading it back.

use std::collections::BTreeSet;

use bytes::Bytes;
use plimsoll_io::SegmentStore;
use plimsoll_log::Log;
use plimsoll_log::records::Batch;
use plimsoll_results::VerifyCounts;

use super::batches::BatchPool;
use super::error::BenchError;

/// What one read asks for when a log is read back.
const READ_BYTES: usize = 4 << 20;

/// Reads every log from its start and accounts for all of the `sent` batches that retention has left.
pub(crate) async fn read_back<S: SegmentStore>(
    logs: &[Log<S>],
    pool: &BatchPool,
    sent: usize,
) -> Result<VerifyCounts, BenchError> {
    let mut all = VerifyCounts { ok: true, ..VerifyCounts::default() };
    for (number, log) in logs.iter().enumerate() {
        let expected = (sent + logs.len() - 1 - number) / logs.len();
        let mut from_offset = log.marks().start_offset;
        let mut checker = Checker::starting_at(pool, from_offset, expected as u64);
        loop {
            let out = log.read(from_offset, i64::MAX, READ_BYTES, true).await?;
            if out.records.is_empty() {
                break;
            }
            let Some(next_offset) = checker.take(out.records.to_bytes()?) else { break };
            from_offset = next_offset;
        }
        all.add(&checker.finish());
    }
    Ok(all)
}

/// Walks one partition's batches in the order they are stored.
///
/// Batch `n` of a partition must be the pool's `n mod len`, with the offset that follows the one before and an intact
/// CRC. A stamp that jumps less than half a pool forward is a gap, one that jumps back a repetition.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    pool: &'a BatchPool,
    next: u64,
    next_offset: i64,
    /// Number of the batch behind the last one expected.
    end: u64,
    missing: BTreeSet<u64>,
    counts: VerifyCounts,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(pool: &'a BatchPool, expected: u64) -> Checker<'a> {
        let counts = VerifyCounts { acked: expected, expected, ..VerifyCounts::default() };
        Checker { pool, next: 0, next_offset: 0, end: expected, missing: BTreeSet::new(), counts }
    }

    /// Batches below `start_offset` were deleted by retention: nothing is expected of them.
    pub(crate) fn starting_at(pool: &'a BatchPool, start_offset: i64, sent: u64) -> Checker<'a> {
        let next = pool.number_at(start_offset);
        let mut checker = Checker::new(pool, sent.saturating_sub(next));
        (checker.next, checker.next_offset, checker.end) = (next, start_offset, sent);
        checker
    }

    /// Takes a run of whole batches. Returns the offset to go on from; `None` if the bytes are no batches.
    pub(crate) fn take(&mut self, mut records: Bytes) -> Option<i64> {
        while !records.is_empty() {
            match Batch::split_from(&mut records) {
                Ok(Some(batch)) => self.see(&batch),
                Ok(None) | Err(_) => {
                    self.counts.corrupted += 1;
                    return None;
                }
            }
        }
        Some(self.next_offset)
    }

    fn see(&mut self, batch: &Batch) {
        let header = batch.header();
        let contiguous = header.base_offset == self.next_offset;
        self.next_offset = header.next_offset();
        if batch.verify_crc().is_err() {
            self.counts.corrupted += 1;
            self.next += 1;
            return;
        }
        let Some(place) = self.pool.place_of(batch) else {
            self.counts.phantom += 1;
            return;
        };
        self.counts.seen += 1;
        self.step(place as u64);
        if !contiguous {
            self.counts.reordered += 1;
        }
    }

    fn step(&mut self, place: u64) {
        let len = self.pool.len() as u64;
        let ahead = (place + len - self.next % len) % len;
        if ahead < len / 2 {
            self.missing.extend(self.next..self.next + ahead);
            self.next += ahead + 1;
            return;
        }
        match self.next.checked_sub(len - ahead) {
            Some(earlier) if self.missing.remove(&earlier) => self.counts.reordered += 1,
            Some(_) => self.counts.duplicated += 1,
            None => self.counts.phantom += 1,
        }
    }

    /// The counts; what lies behind the last batch seen is lost.
    pub(crate) fn finish(self) -> VerifyCounts {
        let mut counts = self.counts;
        counts.lost = self.missing.len() as u64 + self.end.saturating_sub(self.next);
        counts.phantom += self.next.saturating_sub(self.end);
        counts.ok = counts.is_clean();
        counts
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use plimsoll_log::records::Codec;

    use super::*;

    fn pool() -> BatchPool {
        BatchPool::build(1 << 20, Codec::None, 3).unwrap()
    }

    /// Batches with these places in the pool, offsets as a log would give them.
    fn counts(places: &[usize], expected: u64, mend: impl FnOnce(&mut BytesMut)) -> VerifyCounts {
        let pool = pool();
        let (mut stored, mut offset) = (BytesMut::new(), 0);
        for place in places {
            let mut batch = pool.turn(*place);
            batch.set_base_offset(offset);
            offset = batch.header().next_offset();
            stored.extend_from_slice(&batch.to_bytes());
        }
        mend(&mut stored);
        let mut checker = Checker::new(&pool, expected);
        checker.take(stored.freeze());
        checker.finish()
    }

    #[test]
    fn all_batches_in_order_are_fine_also_around_the_pool() {
        let len = pool().len();
        let places: Vec<usize> = (0..len + 3).map(|n| n % len).collect();
        let counts = counts(&places, places.len() as u64, |_| {});
        assert!(counts.ok, "{counts:?}");
        assert_eq!(counts.seen, places.len() as u64);
    }

    #[test]
    fn what_retention_deleted_is_not_expected() {
        let pool = pool();
        let sent = pool.len() + 3;
        let begins_at: i64 = (0..pool.len() + 1).map(|number| pool.turn(number).header().next_offset()).sum();
        assert_eq!(pool.number_at(begins_at), pool.len() as u64 + 1);
        let mut checker = Checker::starting_at(&pool, begins_at, sent as u64);
        let mut offset = begins_at;
        for number in pool.len() + 1..sent {
            let mut batch = pool.turn(number);
            batch.set_base_offset(offset);
            offset = batch.header().next_offset();
            checker.take(batch.to_bytes());
        }
        let counts = checker.finish();
        assert_eq!((counts.ok, counts.seen, counts.expected), (true, 2, 2), "{counts:?}");
    }

    #[test]
    fn each_fault_is_counted_as_what_it_is() {
        let lost = counts(&[0, 1, 3], 4, |_| {});
        assert_eq!((lost.lost, lost.ok), (1, false), "{lost:?}");
        let tail = counts(&[0, 1], 4, |_| {});
        assert_eq!((tail.lost, tail.ok), (2, false), "{tail:?}");
        let doubled = counts(&[0, 1, 1, 2], 3, |_| {});
        assert_eq!((doubled.duplicated, doubled.lost, doubled.ok), (1, 0, false), "{doubled:?}");
        let swapped = counts(&[0, 2, 1, 3], 4, |_| {});
        assert_eq!((swapped.reordered, swapped.lost, swapped.ok), (1, 0, false), "{swapped:?}");
        let flipped = counts(&[0, 1, 2], 3, |bytes| bytes[5_000] ^= 1);
        assert_eq!((flipped.corrupted, flipped.lost, flipped.ok), (1, 0, false), "{flipped:?}");
        let surplus = counts(&[0, 1, 2], 2, |_| {});
        assert_eq!((surplus.phantom, surplus.ok), (1, false), "{surplus:?}");
    }
}
