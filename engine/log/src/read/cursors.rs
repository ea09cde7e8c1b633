//! Where readers stopped: most go on from there, and need not look for their beginning again.

use std::collections::VecDeque;

/// Readers of one log that are remembered.
const CURSORS_MAX: usize = 8;

/// What must not have changed for a place in a file to mean the same: truncations start a generation, compaction swaps
/// segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) generation: u64,
    pub(crate) swaps: u64,
}

/// A batch behind the end of a read, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Base offset of the segment.
    pub(crate) segment: i64,
    pub(crate) at_bytes: u64,
    /// Base offset of the batch.
    pub(crate) offset: i64,
    pub(crate) version: Version,
}

/// The newest cursors, newest first.
#[derive(Debug, Default)]
pub(crate) struct Cursors(VecDeque<Cursor>);

impl Cursors {
    pub(crate) fn note(&mut self, cursor: Cursor) {
        if self.0.contains(&cursor) {
            return;
        }
        self.0.truncate(CURSORS_MAX - 1);
        self.0.push_front(cursor);
    }

    /// Where the batch that begins with `offset` stands in the segment, if a reader stopped there. Whoever asks moves on.
    pub(crate) fn take(&mut self, segment: i64, offset: i64, version: Version) -> Option<(u64, i64)> {
        let fits = |c: &Cursor| c.segment == segment && c.offset == offset && c.version == version;
        let cursor = self.0.remove(self.0.iter().position(fits)?)?;
        Some((cursor.at_bytes, cursor.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_found_once_by_whoever_goes_on_from_there_in_the_same_version() {
        let version = Version { generation: 1, swaps: 0 };
        let cursor = |offset| Cursor { segment: 5, at_bytes: 10 * offset as u64, offset, version };
        let mut cursors = Cursors::default();
        [7, 8, 7].map(cursor).into_iter().for_each(|cursor| cursors.note(cursor));
        assert_eq!(cursors.take(5, 9, version), None, "nobody stopped there");
        assert_eq!(cursors.take(0, 8, version), None, "another segment");
        assert_eq!(cursors.take(5, 8, Version { swaps: 1, ..version }), None, "compacted since");
        assert_eq!(cursors.take(5, 8, Version { generation: 2, ..version }), None, "truncated since");
        assert_eq!(cursors.take(5, 8, version), Some((80, 8)));
        assert_eq!(cursors.take(5, 8, version), None, "moved on");
        (100..200).map(cursor).for_each(|cursor| cursors.note(cursor));
        assert_eq!(cursors.0.len(), CURSORS_MAX);
        assert_eq!(cursors.take(5, 7, version), None, "forgotten");
        assert_eq!(cursors.take(5, 199, version), Some((1990, 199)));
    }
}
