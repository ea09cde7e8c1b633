//! The sparse offset index: 8-byte entries of relative last offset and start position (rule E31).

use std::path::Path;

use plimsoll_records::BatchHeader;

/// Bytes per entry on disk.
pub(crate) const ENTRY_BYTES: usize = 8;

/// A batch that the index knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The batch's last offset.
    pub last_offset: i64,
    /// Where the batch starts in the file.
    pub at_bytes: u32,
}

impl OffsetEntry {
    /// Whether the entry is of this batch, found at `at_bytes`. The file has no checksum: an entry that changed on the
    /// device may still rise, and is seen only where it is used.
    pub(crate) fn names(&self, header: &BatchHeader, at_bytes: u64) -> bool {
        u64::from(self.at_bytes) == at_bytes && self.last_offset == header.last_offset()
    }
}

/// One segment's offset index, whole and in memory: a lookup touches no file.
///
/// Invariant: offsets and positions strictly rise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetIndex {
    base_offset: i64,
    entries: Vec<(u32, u32)>,
}

impl OffsetIndex {
    /// An empty index for the segment that begins at `base_offset`.
    pub fn new(base_offset: i64) -> Self {
        Self { base_offset, entries: Vec::new() }
    }

    /// Reads the file's bytes. `None` if they are not an index of a segment of `size_bytes`: half entries,
    /// entries out of order, positions beyond the segment, or offsets beyond the last there can be.
    pub fn parse(base_offset: i64, bytes: &[u8], size_bytes: u64) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let entries: Vec<(u32, u32)> = chunks.iter().map(parse_entry).collect();
        let rising = entries.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1);
        let fits = entries
            .last()
            .is_none_or(|last| u64::from(last.1) < size_bytes && is_relative(base_offset, last.0));
        (rest.is_empty() && rising && fits).then_some(Self { base_offset, entries })
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for (relative, at_bytes) in &self.entries {
            bytes.extend_from_slice(&relative.to_be_bytes());
            bytes.extend_from_slice(&at_bytes.to_be_bytes());
        }
        bytes
    }

    /// Adds a batch by its last offset and start. One that would break the order is left out.
    pub fn push(&mut self, last_offset: i64, at_bytes: u64) {
        let (Some(relative), Ok(at_bytes)) =
            (relative(self.base_offset, last_offset), u32::try_from(at_bytes))
        else {
            return;
        };
        if self.entries.last().is_none_or(|last| last.0 < relative && last.1 < at_bytes) {
            self.entries.push((relative, at_bytes));
        }
    }

    /// The entry with the largest last offset that is not above `offset`.
    pub fn floor(&self, offset: i64) -> Option<OffsetEntry> {
        let after = self.entries.partition_point(|e| self.base_offset + i64::from(e.0) <= offset);
        self.entry(after.checked_sub(1)?)
    }

    /// The entry with the largest start that is not above `at_bytes`.
    pub fn floor_position(&self, at_bytes: u64) -> Option<OffsetEntry> {
        let after = self.entries.partition_point(|e| u64::from(e.1) <= at_bytes);
        self.entry(after.checked_sub(1)?)
    }

    /// The first entry that does not start below `at_bytes`.
    pub fn ceil_position(&self, at_bytes: u64) -> Option<OffsetEntry> {
        self.entry(self.entries.partition_point(|e| u64::from(e.1) < at_bytes))
    }

    /// The last entry.
    pub fn last(&self) -> Option<OffsetEntry> {
        self.entry(self.entries.len().checked_sub(1)?)
    }

    fn entry(&self, i: usize) -> Option<OffsetEntry> {
        let &(relative, at_bytes) = self.entries.get(i)?;
        Some(OffsetEntry { last_offset: self.base_offset + i64::from(relative), at_bytes })
    }

    /// Forgets batches that start at or after `size_bytes`.
    pub fn truncate(&mut self, size_bytes: u64) {
        let keep = self.entries.partition_point(|e| u64::from(e.1) < size_bytes);
        self.entries.truncate(keep);
    }

    /// Forgets the entry of the batch that should start at `at_bytes`.
    pub(crate) fn forget(&mut self, at_bytes: u64) {
        self.entries.retain(|e| u64::from(e.1) != at_bytes);
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn path(dir: &Path, base_offset: i64) -> std::path::PathBuf {
        crate::layout::segment_path(dir, base_offset, crate::layout::INDEX_SUFFIX)
    }
}

fn parse_entry(entry: &[u8; ENTRY_BYTES]) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = *entry;
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// The 31-bit relative offset that indexes keep, or `None` where it does not fit and the log must roll.
pub(crate) fn relative(base_offset: i64, offset: i64) -> Option<u32> {
    let relative = offset.checked_sub(base_offset)?;
    i32::try_from(relative).ok().and_then(|r| u32::try_from(r).ok())
}

/// Whether an index of a segment at `base_offset` may hold `relative`: it has 31 bits, and names an offset.
pub(crate) fn is_relative(base_offset: i64, relative: u32) -> bool {
    i32::try_from(relative).is_ok_and(|relative| base_offset.checked_add(relative.into()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn e31_entries_are_last_offset_and_start_position_big_endian() {
        let mut index = OffsetIndex::new(100);
        index.push(109, 4096);
        assert_eq!(index.to_bytes(), [0, 0, 0, 9, 0, 0, 16, 0]);
        assert_eq!(index.floor(108), None);
        assert_eq!(index.floor(109), Some(OffsetEntry { last_offset: 109, at_bytes: 4096 }));
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut index = OffsetIndex::new(0);
        index.push(5, 100);
        index.push(9, 200);
        let bytes = index.to_bytes();
        assert_eq!(OffsetIndex::parse(0, &bytes, 201), Some(index));
        assert_eq!(OffsetIndex::parse(0, &bytes, 200), None, "beyond the segment");
        assert_eq!(OffsetIndex::parse(0, &bytes[..12], 201), None, "half an entry");
        assert_eq!(OffsetIndex::parse(0, &[0; 16], 201), None, "a zeroed tail");
    }

    #[test]
    fn an_index_that_reaches_beyond_the_last_possible_offset_is_refused() {
        let bytes = [0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(OffsetIndex::parse(i64::MAX, &bytes, 100), None);
        let index = OffsetIndex::parse(i64::MAX - 1, &bytes, 100).expect("ends at the last offset");
        assert_eq!(index.floor(i64::MAX), Some(OffsetEntry { last_offset: i64::MAX, at_bytes: 0 }));
        assert_eq!(index.floor(i64::MAX - 1), None);
    }

    #[test]
    fn e31_relative_offsets_have_31_bits() {
        assert_eq!(relative(10, 10 + i64::from(i32::MAX)), Some(i32::MAX as u32));
        assert_eq!(relative(10, 11 + i64::from(i32::MAX)), None);
        assert_eq!(relative(10, 9), None);
    }

    proptest! {
        #[test]
        fn floor_agrees_with_a_linear_scan(
            steps in proptest::collection::vec((1u32..50, 1u32..5000), 0..60),
            probes in proptest::collection::vec(0i64..2000, 1..40),
        ) {
            let (mut index, mut model) = (OffsetIndex::new(7), Vec::new());
            let (mut offset, mut at) = (7i64, 0u64);
            for (records, bytes) in steps {
                offset += i64::from(records);
                at += u64::from(bytes);
                index.push(offset, at);
                model.push((offset, at));
            }
            let parsed = OffsetIndex::parse(7, &index.to_bytes(), at + 1);
            prop_assert_eq!(parsed.as_ref(), Some(&index));
            for probe in probes {
                let expected = model.iter().rev().find(|e| e.0 <= probe).copied();
                prop_assert_eq!(index.floor(probe).map(|e| (e.last_offset, u64::from(e.at_bytes))), expected);
            }
        }
    }
}
