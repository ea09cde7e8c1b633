//! The leader-epoch cache: where each leader's term began, which guides truncation (rule E27).

mod assign;

use std::path::Path;

use crate::layout;
use crate::text::{self, SideError};
use plimsoll_io::IoFault;

/// One leader's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEntry {
    /// The term.
    pub epoch: i32,
    /// The first offset written (or to be written) in it.
    pub start_offset: i64,
}

/// The answer to "where does this epoch end?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest known epoch not above the one asked for; -1 if unknown.
    pub epoch: i32,
    /// One past its last offset; -1 if unknown.
    pub end_offset: i64,
}

/// Unknown epoch or offset.
pub const UNKNOWN: EpochEnd = EpochEnd { epoch: -1, end_offset: -1 };

/// Epochs in order; both epoch and start offset strictly rise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochEntry>,
}

impl EpochCache {
    /// Reads the checkpoint of a partition's directory; a missing file is an empty cache.
    pub fn read(partition_dir: &Path) -> Result<Self, SideError> {
        let path = partition_dir.join(layout::EPOCH_CHECKPOINT);
        let mut cache = Self::default();
        for entry in text::read_entries(&path, parse_line)? {
            cache.assign(entry.epoch, entry.start_offset);
        }
        Ok(cache)
    }

    /// Replaces the checkpoint of a partition's directory atomically.
    pub fn write(&self, partition_dir: &Path) -> Result<(), IoFault> {
        let lines = self.entries.iter().map(|e| format!("{} {}", e.epoch, e.start_offset));
        text::write_entries(&partition_dir.join(layout::EPOCH_CHECKPOINT), lines)
    }

    /// Notes that `epoch` begins at `start_offset`. Entries that contradict it go. Says whether anything
    /// changed and must be checkpointed.
    pub fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if !self.would_change(epoch, start_offset) {
            return false;
        }
        self.entries.retain(|e| e.epoch < epoch && e.start_offset < start_offset);
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// Whether [`assign`](Self::assign) with the same arguments would change anything.
    pub fn would_change(&self, epoch: i32, start_offset: i64) -> bool {
        let known =
            self.entries.last().is_some_and(|last| last.epoch == epoch && start_offset >= last.start_offset);
        epoch >= 0 && !known
    }

    /// The latest epoch.
    pub fn latest(&self) -> Option<EpochEntry> {
        self.entries.last().copied()
    }

    /// All terms, oldest first.
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// Where `epoch` ends, when the log ends at `log_end_offset` (rule E27).
    pub fn end_offset_for(&self, epoch: i32, log_end_offset: i64) -> EpochEnd {
        let Some(latest) = self.latest().filter(|_| epoch >= 0) else { return UNKNOWN };
        if epoch == latest.epoch {
            return EpochEnd { epoch, end_offset: log_end_offset };
        }
        let higher = self.entries.partition_point(|e| e.epoch <= epoch);
        let Some(next) = self.entries.get(higher) else { return UNKNOWN };
        let floor = higher.checked_sub(1).and_then(|i| self.entries.get(i));
        EpochEnd { epoch: floor.map_or(epoch, |e| e.epoch), end_offset: next.start_offset }
    }

    /// The epoch in which `offset` was written.
    pub fn epoch_of(&self, offset: i64) -> Option<i32> {
        let after = self.entries.partition_point(|e| e.start_offset <= offset);
        after.checked_sub(1).and_then(|i| self.entries.get(i)).map(|e| e.epoch)
    }

    /// Forgets terms that begin at or after `end_offset`.
    pub fn truncate_from_end(&mut self, end_offset: i64) {
        self.entries.retain(|e| e.start_offset < end_offset);
    }

    /// Moves the oldest kept term's start up to `start_offset` and forgets those before it.
    pub fn truncate_from_start(&mut self, start_offset: i64) {
        let after = self.entries.partition_point(|e| e.start_offset <= start_offset);
        let Some(current) = after.checked_sub(1) else { return };
        self.entries.drain(..current);
        if let Some(first) = self.entries.first_mut() {
            first.start_offset = start_offset;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

fn parse_line(line: &str) -> Option<EpochEntry> {
    let (epoch, start) = line.trim().split_once(' ')?;
    Some(EpochEntry { epoch: epoch.parse().ok()?, start_offset: start.trim().parse().ok()? })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Terms of these epochs, each from its offset on.
    pub(crate) fn cache(entries: &[(i32, i64)]) -> EpochCache {
        let mut cache = EpochCache::default();
        for &(epoch, start) in entries {
            cache.assign(epoch, start);
        }
        cache
    }

    #[test]
    fn e27_end_offset_of_an_epoch() {
        let cache = cache(&[(2, 10), (4, 20), (7, 35)]);
        let cases = [
            (7, (7, 50), "the latest ends where the log ends"),
            (4, (4, 35), "a known epoch ends where the next begins"),
            (5, (4, 35), "an unknown one answers the largest below it"),
            (1, (1, 10), "below the first: itself, and the first start"),
            (8, (-1, -1), "above the latest is unknown"),
            (-1, (-1, -1), "no epoch"),
        ];
        for (asked, (epoch, end_offset), why) in cases {
            assert_eq!(cache.end_offset_for(asked, 50), EpochEnd { epoch, end_offset }, "{why}");
        }
        assert_eq!(EpochCache::default().end_offset_for(0, 5), UNKNOWN);
    }

    #[test]
    fn e27_a_new_leader_may_assign_its_epoch_without_data() {
        let mut cache = cache(&[(1, 0)]);
        assert!(cache.assign(2, 10));
        assert!(!cache.assign(2, 12), "known already");
        assert!(cache.assign(3, 10), "an epoch that wrote nothing disappears");
        assert_eq!(cache.entries().len(), 2);
        assert_eq!(cache.latest(), Some(EpochEntry { epoch: 3, start_offset: 10 }));
        assert!(!cache.assign(-1, 99), "no epoch is no entry");
    }

    #[test]
    fn e30_truncation_at_both_ends() {
        let mut c = cache(&[(1, 0), (2, 10), (3, 20)]);
        c.truncate_from_end(20);
        assert_eq!(c.latest(), Some(EpochEntry { epoch: 2, start_offset: 10 }));
        c.truncate_from_start(12);
        assert_eq!(c.entries(), [EpochEntry { epoch: 2, start_offset: 12 }]);
        assert_eq!((c.epoch_of(11), c.epoch_of(12)), (None, Some(2)));
        c.truncate_from_start(5);
        assert_eq!(c.entries(), [EpochEntry { epoch: 2, start_offset: 12 }], "nothing below");
    }

    #[test]
    fn the_checkpoint_reads_back() {
        let dir = tempfile::tempdir().expect("temp dir");
        let cache = cache(&[(0, 0), (3, 12)]);
        cache.write(dir.path()).expect("write");
        let text = std::fs::read_to_string(dir.path().join(layout::EPOCH_CHECKPOINT)).expect("text");
        assert_eq!(text, "0\n2\n0 0\n3 12\n");
        assert_eq!(EpochCache::read(dir.path()).expect("read"), cache);
    }
}
