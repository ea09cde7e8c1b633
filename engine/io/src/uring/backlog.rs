//! Which part of which request goes to the kernel next.
//!
//! A device serves what it was given first and shares its bandwidth: the more is being read, the longer a write takes, by
//! the median (docs/backends.md has the figures). So writes and syncs go first, and while there are writes few bytes are
//! being read at a time.
//! Reads take turns part by part: a short one does not wait for the whole of a long one.

use std::collections::VecDeque;

/// Bytes being read at a time while there are writes.
const READING_BESIDE_WRITES_BYTES: usize = 256 << 10;

/// Bytes being read at a time otherwise.
const READING_ALONE_BYTES: usize = 1 << 20;

/// So many bytes read without any write among them mean that there are no writes.
const QUIET_BYTES: u64 = 64 << 20;

/// A request, by its key, and a part of it.
pub(super) type Place = (u32, u32);

/// Parts that wait to be submitted, and how much is being read.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Parts of writes, and syncs.
    writes: VecDeque<Place>,
    reads: VecDeque<Turn>,
    reading_bytes: usize,
    read_since_write_bytes: u64,
}

/// A read whose next part waits for its turn.
#[derive(Clone, Copy, Debug)]
struct Turn {
    key: u32,
    part: u32,
    end_part: u32,
}

impl Default for Backlog {
    fn default() -> Backlog {
        let (writes, reads) = (VecDeque::new(), VecDeque::new());
        Backlog { writes, reads, reading_bytes: 0, read_since_write_bytes: QUIET_BYTES }
    }
}

impl Backlog {
    /// Adds all parts of a write or sync.
    pub(super) fn add_write(&mut self, key: u32, parts: u32) {
        self.writes.extend((0..parts).map(|part| (key, part)));
    }

    /// Adds all parts of a read.
    pub(super) fn add_read(&mut self, key: u32, parts: u32) {
        if parts > 0 {
            self.reads.push_back(Turn { key, part: 0, end_part: parts });
        }
    }

    /// Adds what is left of a part of a write, or all of one that there was no room for.
    pub(super) fn rest_of_write(&mut self, place: Place) {
        self.writes.push_back(place);
    }

    /// The same of a read.
    pub(super) fn rest_of_read(&mut self, (key, part): Place) {
        self.reads.push_front(Turn { key, part, end_part: part + 1 });
    }

    /// Takes the part to submit next, if one may be. `read_bytes` says how much is to be read of a read's part.
    pub(super) fn take(&mut self, read_bytes: impl FnOnce(Place) -> usize) -> Option<Place> {
        if let Some(place) = self.writes.pop_front() {
            self.read_since_write_bytes = 0;
            return Some(place);
        }
        let turn = *self.reads.front()?;
        let place = (turn.key, turn.part);
        let bytes = read_bytes(place);
        if self.reading_bytes > 0 && self.reading_bytes + bytes > self.reading_max_bytes() {
            return None;
        }
        self.reads.pop_front();
        if turn.part + 1 < turn.end_part {
            self.reads.push_back(Turn { part: turn.part + 1, ..turn });
        }
        self.reading_bytes += bytes;
        self.read_since_write_bytes = self.read_since_write_bytes.saturating_add(bytes as u64);
        Some(place)
    }

    /// Notes that the kernel is done with so many of the bytes to be read, or will never get them.
    pub(super) fn end_read(&mut self, bytes: usize) {
        self.reading_bytes = self.reading_bytes.saturating_sub(bytes);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.reads.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.writes.len() + self.reads.len()
    }

    pub(super) fn clear(&mut self) {
        self.writes.clear();
        self.reads.clear();
    }

    fn reading_max_bytes(&self) -> usize {
        if self.read_since_write_bytes < QUIET_BYTES {
            READING_BESIDE_WRITES_BYTES
        } else {
            READING_ALONE_BYTES
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART_BYTES: usize = 256 << 10;

    /// Everything that may be submitted now, each part of a read being so large.
    fn taken(backlog: &mut Backlog, part_bytes: usize) -> Vec<Place> {
        std::iter::from_fn(|| backlog.take(|_| part_bytes)).collect()
    }

    #[test]
    fn writes_go_before_reads_that_came_earlier() {
        let mut backlog = Backlog::default();
        backlog.add_read(1, 2);
        backlog.add_write(2, 2);
        backlog.rest_of_read((3, 7));
        backlog.rest_of_write((4, 0));
        assert_eq!(taken(&mut backlog, 1), [(2, 0), (2, 1), (4, 0), (3, 7), (1, 0), (1, 1)]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn beside_writes_one_part_is_read_at_a_time_and_alone_several() {
        let mut backlog = Backlog::default();
        backlog.add_read(1, 1000);
        assert_eq!(taken(&mut backlog, PART_BYTES), [(1, 0), (1, 1), (1, 2), (1, 3)]);
        backlog.add_write(2, 1);
        assert_eq!(taken(&mut backlog, PART_BYTES), [(2, 0)], "the write waits for no read");
        for _ in 0..3 {
            backlog.end_read(PART_BYTES);
            assert_eq!(taken(&mut backlog, PART_BYTES), [], "as much as may be is being read still");
        }
        for part in 4..260 {
            backlog.end_read(PART_BYTES);
            assert_eq!(taken(&mut backlog, PART_BYTES).first(), Some(&(1, part)));
            assert!(part == 259 || backlog.reading_bytes == PART_BYTES, "{part}");
        }
        assert_eq!(backlog.reading_bytes, READING_ALONE_BYTES, "64 MiB without a write");
    }

    #[test]
    fn reads_take_turns_and_short_ones_run_side_by_side() {
        let mut backlog = Backlog::default();
        backlog.add_write(9, 1);
        backlog.add_read(1, 100);
        backlog.add_read(2, 1);
        assert_eq!(taken(&mut backlog, PART_BYTES), [(9, 0), (1, 0)]);
        backlog.end_read(PART_BYTES);
        assert_eq!(taken(&mut backlog, PART_BYTES), [(2, 0)]);
        backlog.end_read(PART_BYTES);
        for key in 3..8 {
            backlog.add_read(key, 1);
        }
        assert_eq!(taken(&mut backlog, 4096).len(), READING_BESIDE_WRITES_BYTES / 4096);
    }

    #[test]
    fn a_part_larger_than_what_may_be_read_is_read_alone() {
        let mut backlog = Backlog::default();
        backlog.add_read(1, 2);
        assert_eq!(taken(&mut backlog, 8 << 20), [(1, 0)]);
        backlog.end_read(8 << 20);
        assert_eq!(taken(&mut backlog, 8 << 20), [(1, 1)]);
    }
}
