//! The sparse time index: 12-byte entries of the largest timestamp so far and its batch's last offset.

use std::path::Path;

use crate::offset_index::{is_relative, relative};

/// Bytes per entry on disk.
pub(crate) const ENTRY_BYTES: usize = 12;

/// A timestamp and the offset that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    /// Largest timestamp of the segment up to and including the batch, in milliseconds.
    pub timestamp: i64,
    /// Last offset of the batch that carries it.
    pub offset: i64,
}

/// One segment's time index, whole and in memory. Timestamps strictly rise, offsets too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeIndex {
    base_offset: i64,
    // Two vectors instead of padded pairs: 12 bytes an entry, as on disk.
    timestamps: Vec<i64>,
    relatives: Vec<u32>,
}

impl TimeIndex {
    /// An empty index for the segment that begins at `base_offset`.
    pub fn new(base_offset: i64) -> Self {
        Self { base_offset, timestamps: Vec::new(), relatives: Vec::new() }
    }

    /// Reads the file's bytes; `None` if they are not a time index of a segment at `base_offset`.
    pub fn parse(base_offset: i64, bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let mut index = Self::new(base_offset);
        for chunk in chunks {
            let (timestamp, relative) = chunk.split_first_chunk::<8>()?;
            index.timestamps.push(i64::from_be_bytes(*timestamp));
            index.relatives.push(u32::from_be_bytes(relative.try_into().ok()?));
        }
        let rising =
            index.timestamps.is_sorted_by(|a, b| a < b) && index.relatives.is_sorted_by(|a, b| a < b);
        let fits = index.relatives.last().is_none_or(|&r| is_relative(base_offset, r));
        (rest.is_empty() && rising && fits).then_some(index)
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * ENTRY_BYTES);
        for (timestamp, relative) in self.timestamps.iter().zip(&self.relatives) {
            bytes.extend_from_slice(&timestamp.to_be_bytes());
            bytes.extend_from_slice(&relative.to_be_bytes());
        }
        bytes
    }

    /// Adds the largest timestamp so far, unless it is not above the last entry's.
    pub fn push(&mut self, entry: TimeEntry) {
        let Some(relative) = relative(self.base_offset, entry.offset) else { return };
        let above = self.timestamps.last().is_none_or(|&t| t < entry.timestamp);
        if entry.timestamp >= 0 && above && self.relatives.last().is_none_or(|&r| r < relative) {
            self.timestamps.push(entry.timestamp);
            self.relatives.push(relative);
        }
    }

    /// The entry with the largest timestamp not above `timestamp`.
    pub fn floor(&self, timestamp: i64) -> Option<TimeEntry> {
        let after = self.timestamps.partition_point(|&t| t <= timestamp);
        self.entry(after.checked_sub(1)?)
    }

    /// The last entry.
    pub fn last(&self) -> Option<TimeEntry> {
        self.entry(self.len().checked_sub(1)?)
    }

    fn entry(&self, i: usize) -> Option<TimeEntry> {
        let (timestamp, relative) = (*self.timestamps.get(i)?, *self.relatives.get(i)?);
        Some(TimeEntry { timestamp, offset: self.base_offset + i64::from(relative) })
    }

    /// Forgets batches at or after `offset`.
    pub fn truncate(&mut self, offset: i64) {
        let keep = self.relatives.partition_point(|&r| self.base_offset + i64::from(r) < offset);
        self.timestamps.truncate(keep);
        self.relatives.truncate(keep);
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    pub(crate) fn path(dir: &Path, base_offset: i64) -> std::path::PathBuf {
        crate::layout::segment_path(dir, base_offset, crate::layout::TIME_INDEX_SUFFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_timestamp_and_relative_offset_big_endian() {
        let mut index = TimeIndex::new(100);
        index.push(TimeEntry { timestamp: 258, offset: 103 });
        assert_eq!(index.to_bytes(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]);
        index.push(TimeEntry { timestamp: 258, offset: 110 });
        assert_eq!(index.len(), 1, "a timestamp that is not above the last adds nothing");
        index.push(TimeEntry { timestamp: -1, offset: 111 });
        assert_eq!(index.len(), 1, "no timestamp is no entry");
    }

    #[test]
    fn damaged_files_are_refused() {
        assert_eq!(TimeIndex::parse(0, &[0; 13]), None);
        assert_eq!(TimeIndex::parse(0, &[0; 24]), None, "a zeroed tail does not rise");
        assert_eq!(TimeIndex::parse(0, &[]), Some(TimeIndex::new(0)));
    }

    #[test]
    fn an_index_that_reaches_beyond_the_last_possible_offset_is_refused() {
        let mut index = TimeIndex::new(i64::MAX - 1);
        let entry = TimeEntry { timestamp: 1, offset: i64::MAX };
        index.push(entry);
        let bytes = index.to_bytes();
        assert_eq!(TimeIndex::parse(i64::MAX, &bytes), None);
        let mut parsed = TimeIndex::parse(i64::MAX - 1, &bytes).expect("ends at the last offset");
        assert_eq!(parsed.last(), Some(entry));
        parsed.truncate(i64::MAX);
        assert!(parsed.is_empty());
    }

    proptest! {
        #[test]
        fn floor_agrees_with_a_linear_scan(
            batches in proptest::collection::vec((1i64..20, 0i64..500), 0..60),
            probes in proptest::collection::vec(0i64..600, 1..40),
        ) {
            let (mut index, mut model) = (TimeIndex::new(3), Vec::<TimeEntry>::new());
            let (mut offset, mut max) = (3i64, -1);
            for (records, timestamp) in batches {
                offset += records;
                if timestamp > max {
                    max = timestamp;
                    model.push(TimeEntry { timestamp, offset });
                }
                index.push(TimeEntry { timestamp, offset });
            }
            let parsed = TimeIndex::parse(3, &index.to_bytes());
            prop_assert_eq!(parsed.as_ref(), Some(&index));
            for probe in probes {
                let expected = model.iter().rev().find(|e| e.timestamp <= probe).copied();
                prop_assert_eq!(index.floor(probe), expected);
            }
        }
    }
}
