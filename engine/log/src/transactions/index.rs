//! The transaction index of a segment, version 0: Kafka's binary format, byte for byte.

use std::path::{Path, PathBuf};

use plimsoll_io::IoFault;

use crate::layout::{self, TXN_INDEX_SUFFIX};
use crate::side_file;

const VERSION: i16 = 0;
/// Bytes per entry: version i16, then producer id, first, last and last stable offset as i64, all big-endian.
const ENTRY_BYTES: usize = 34;

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Whose it was.
    pub producer_id: i64,
    /// Offset of its first record on this partition.
    pub first_offset: i64,
    /// Offset of the abort marker.
    pub last_offset: i64,
    /// Where the oldest transaction began that was still open behind the marker, or else the offset behind it:
    /// whoever reads below it needs no later entry.
    pub last_stable_offset: i64,
}

/// The aborted transactions whose markers lie in one segment, whole and in memory.
///
/// Invariant: markers' offsets strictly rise, last stable offsets never fall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionIndex {
    entries: Vec<AbortedTxn>,
}

impl TransactionIndex {
    /// Reads the bytes of the file of the segment that begins at `base_offset`. `None` if they are no such index: half
    /// entries, an unknown version, a marker before the segment, a transaction that ends before it begins, entries out
    /// of order.
    pub fn parse(base_offset: i64, bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let entries = chunks.iter().map(parse_entry).collect::<Option<Vec<_>>>()?;
        let possible = |e: &AbortedTxn| {
            e.producer_id >= 0
                && (0..=e.last_offset).contains(&e.first_offset)
                && (0..=e.last_offset.saturating_add(1)).contains(&e.last_stable_offset)
        };
        let begins = entries.first().is_none_or(|first| first.last_offset >= base_offset);
        let rising = entries.is_sorted_by(follows);
        (rest.is_empty() && begins && rising && entries.iter().all(possible)).then_some(Self { entries })
    }

    /// The bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        for entry in &self.entries {
            bytes.extend_from_slice(&VERSION.to_be_bytes());
            let offsets = [entry.first_offset, entry.last_offset, entry.last_stable_offset];
            for field in [entry.producer_id].into_iter().chain(offsets) {
                bytes.extend_from_slice(&field.to_be_bytes());
            }
        }
        bytes
    }

    /// Adds a transaction whose marker follows all others. One that would break the order is left out.
    pub fn push(&mut self, aborted: AbortedTxn) {
        if self.entries.last().is_none_or(|last| follows(last, &aborted)) {
            self.entries.push(aborted);
        }
    }

    /// Adds to `found` the transactions that overlap `from_offset..upto_offset`. Says whether that are all: no later
    /// segment knows another.
    pub fn collect(&self, from_offset: i64, upto_offset: i64, found: &mut Vec<AbortedTxn>) -> bool {
        let first = self.entries.partition_point(|e| e.last_offset < from_offset);
        for entry in self.entries.iter().skip(first) {
            if entry.first_offset < upto_offset {
                found.push(*entry);
            }
            if entry.last_stable_offset >= upto_offset {
                return true;
            }
        }
        false
    }

    /// Forgets transactions whose marker lies at or behind `end_offset`.
    pub fn truncate(&mut self, end_offset: i64) {
        let keep = self.entries.partition_point(|e| e.last_offset < end_offset);
        self.entries.truncate(keep);
    }

    /// The entries, in the order of their markers.
    pub fn entries(&self) -> &[AbortedTxn] {
        &self.entries
    }

    /// True if nothing was aborted.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn path(dir: &Path, base_offset: i64) -> PathBuf {
        layout::segment_path(dir, base_offset, TXN_INDEX_SUFFIX)
    }
}

impl FromIterator<AbortedTxn> for TransactionIndex {
    /// Of transactions in the order of their markers.
    fn from_iter<T: IntoIterator<Item = AbortedTxn>>(aborted: T) -> Self {
        let mut index = Self::default();
        aborted.into_iter().for_each(|aborted| index.push(aborted));
        index
    }
}

fn follows(before: &AbortedTxn, next: &AbortedTxn) -> bool {
    before.last_offset < next.last_offset && before.last_stable_offset <= next.last_stable_offset
}

fn parse_entry(entry: &[u8; ENTRY_BYTES]) -> Option<AbortedTxn> {
    let (version, fields) = entry.split_first_chunk()?;
    let (fields, _) = fields.as_chunks::<8>();
    let &[producer_id, first_offset, last_offset, last_stable_offset] = fields else { return None };
    (i16::from_be_bytes(*version) == VERSION).then(|| AbortedTxn {
        producer_id: i64::from_be_bytes(producer_id),
        first_offset: i64::from_be_bytes(first_offset),
        last_offset: i64::from_be_bytes(last_offset),
        last_stable_offset: i64::from_be_bytes(last_stable_offset),
    })
}

/// Writes a segment's file, or makes sure durably that there is none if nothing was aborted. To be called before the
/// other index files are written: those vouch for it. Blocks.
pub(crate) fn write(dir: &Path, base_offset: i64, index: &TransactionIndex) -> Result<(), IoFault> {
    let path = TransactionIndex::path(dir, base_offset);
    if !index.is_empty() {
        return side_file::write_atomically(&path, &index.to_bytes());
    }
    if !path.exists() {
        return Ok(());
    }
    side_file::remove_if_present(&path)?;
    side_file::fsync_directory(dir)
}

/// The index of a segment whose other index files are there: empty without a file, `None` if it is damaged.
pub(crate) fn read_beside_indexes(dir: &Path, base_offset: i64) -> Result<Option<TransactionIndex>, IoFault> {
    let bytes = side_file::read_if_present(&TransactionIndex::path(dir, base_offset))?;
    Ok(bytes.map_or(Some(TransactionIndex::default()), |bytes| TransactionIndex::parse(base_offset, &bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aborted(producer_id: i64, first: i64, last: i64, stable: i64) -> AbortedTxn {
        AbortedTxn { producer_id, first_offset: first, last_offset: last, last_stable_offset: stable }
    }

    fn index(entries: &[AbortedTxn]) -> TransactionIndex {
        entries.iter().copied().collect()
    }

    #[test]
    fn e19_bytes_are_kafkas() {
        let bytes = index(&[aborted(1, 2, 3, 0x0102_0304_0506_0708)]).to_bytes();
        let expected = [
            &[0, 0][..],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 3],
            &[1, 2, 3, 4, 5, 6, 7, 8],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = index(&[aborted(1, 10, 13, 5), aborted(2, 5, 20, 21)]);
        let bytes = good.to_bytes();
        assert_eq!(
            TransactionIndex::parse(12, &bytes),
            Some(good),
            "a transaction may begin in an earlier segment"
        );
        assert_eq!(TransactionIndex::parse(14, &bytes), None, "a marker before the segment");
        assert_eq!(TransactionIndex::parse(0, &bytes[..40]), None, "half an entry");
        assert_eq!(TransactionIndex::parse(0, &[0; 68]), None, "zeroes: two markers at one offset");
        let [mut version, mut backwards] = [bytes.clone(), bytes.clone()];
        version[1] = 1;
        assert_eq!(TransactionIndex::parse(0, &version), None, "another version");
        backwards[17] = 14;
        assert_eq!(TransactionIndex::parse(0, &backwards), None, "ends before it begins");
    }

    #[test]
    fn e19_a_search_ends_where_nothing_later_can_overlap() {
        let index = index(&[aborted(1, 0, 9, 5), aborted(2, 5, 19, 20), aborted(3, 25, 29, 30)]);
        let search = |from, upto| {
            let mut found = Vec::new();
            let complete = index.collect(from, upto, &mut found);
            (found.iter().map(|e| e.producer_id).collect::<Vec<_>>(), complete)
        };
        assert_eq!(search(0, 5), (vec![1], true), "the second begins at the end of the range");
        assert_eq!(search(9, 10), (vec![1, 2], true));
        assert_eq!(search(10, 20), (vec![2], true));
        assert_eq!(search(20, 25), (vec![], true));
        assert_eq!(search(20, 31), (vec![3], false), "a later segment may know more");
    }

    proptest! {
        #[test]
        fn bytes_read_back(steps in proptest::collection::vec((0i64..9, 0i64..30, 1i64..30), 0..40)) {
            let (mut made, mut last_offset, mut stable) = (TransactionIndex::default(), 100, 0);
            for (producer_id, begun_before, step) in steps {
                last_offset += step;
                let first_offset = last_offset - begun_before;
                stable = stable.max(first_offset);
                made.push(aborted(producer_id, first_offset, last_offset, stable));
            }
            prop_assert_eq!(TransactionIndex::parse(100, &made.to_bytes()), Some(made));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..140)) {
            if let Some(index) = TransactionIndex::parse(0, &bytes) {
                prop_assert_eq!(index.to_bytes(), bytes);
            }
        }
    }
}
