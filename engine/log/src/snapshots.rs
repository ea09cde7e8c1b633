//! Which producer snapshots a log has on disk. Known from memory once the log is open: a roll must not cost more the
//! more segments there are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_io::IoFault;

use crate::layout::{self, SNAPSHOT_SUFFIX};
use crate::producers::Producers;
use crate::side_file;
use crate::snapshot;

/// The snapshots of one log. Clones are handles to the same. Methods block on files, and a lock is held meanwhile
/// for which nobody waits: sealing, closing and truncating take turns already.
#[derive(Clone, Debug)]
pub(crate) struct Snapshots {
    dir: Arc<Path>,
    /// Offsets at which one was taken, or at which a failed write may have left one.
    offsets: Arc<Mutex<BTreeSet<i64>>>,
}

impl Snapshots {
    /// Those among the `names` of the entries of `dir`.
    pub(crate) fn among(names: &[String], dir: &Path) -> Self {
        let parsed = names.iter().filter_map(|name| layout::parse_segment_name(name));
        let snapshots = parsed.filter(|(_, suffix)| *suffix == SNAPSHOT_SUFFIX);
        let offsets = snapshots.map(|(offset, _)| offset).collect();
        Self { dir: dir.into(), offsets: Arc::new(Mutex::new(offsets)) }
    }

    /// Writes the snapshot taken at `offset`. It stays as long as its segment, as in Kafka: a recovery that begins
    /// many segments back, or a truncation that reaches there, replays no more than one segment.
    pub(crate) fn write(&self, offset: i64, bytes: &[u8]) -> Result<(), IoFault> {
        let mut offsets = self.lock();
        // Noted first: also a write that failed may have left a file, which a truncation must not overlook.
        offsets.insert(offset);
        side_file::write_atomically(&self.path(offset), bytes)
    }

    /// Removes those taken beyond `end_offset`; `i64::MIN` removes all.
    pub(crate) fn cut(&self, end_offset: i64) -> Result<(), IoFault> {
        let mut offsets = self.lock();
        while let Some(last) = offsets.last().copied().filter(|offset| *offset > end_offset) {
            self.remove(&mut offsets, last)?;
        }
        Ok(())
    }

    /// Removes those taken before `first_offset`, where the log now begins; but keeps the newest there is, from which
    /// the end of the log is replayed.
    pub(crate) fn cut_before(&self, first_offset: i64) -> Result<(), IoFault> {
        let mut offsets = self.lock();
        while let Some(oldest) = offsets.first().copied().filter(|oldest| *oldest < first_offset) {
            if offsets.len() == 1 {
                break;
            }
            self.remove(&mut offsets, oldest)?;
        }
        Ok(())
    }

    /// Loads the newest readable one not beyond `upto_offset` and says where it was taken. Unreadable ones are
    /// removed, as Kafka does: an older one and a longer replay give the same state.
    pub(crate) fn load_newest(
        &self,
        upto_offset: i64,
        now_ms: i64,
    ) -> Result<Option<(i64, Producers)>, IoFault> {
        let mut offsets = self.lock();
        let candidates: Vec<i64> = offsets.range(..=upto_offset).rev().copied().collect();
        for offset in candidates {
            let path = self.path(offset);
            let Some(bytes) = side_file::read_if_present(&path)? else { continue };
            match snapshot::decode(&bytes, now_ms) {
                Ok(producers) => return Ok(Some((offset, producers))),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "removing an unreadable producer snapshot");
                    self.remove(&mut offsets, offset)?;
                }
            }
        }
        Ok(None)
    }

    fn remove(&self, offsets: &mut BTreeSet<i64>, offset: i64) -> Result<(), IoFault> {
        side_file::remove_if_present(&self.path(offset))?;
        offsets.remove(&offset);
        Ok(())
    }

    fn path(&self, offset: i64) -> PathBuf {
        layout::segment_path(&self.dir, offset, SNAPSHOT_SUFFIX)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        // A panic under the lock leaves an offset too many at worst, and a missing file is nobody's problem.
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_disk(dir: &Path) -> Vec<i64> {
        let names = side_file::list_names(dir).expect("list");
        names.iter().filter_map(|n| layout::parse_segment_name(n)).map(|(offset, _)| offset).collect()
    }

    fn found(dir: &Path) -> Snapshots {
        Snapshots::among(&side_file::list_names(dir).expect("list"), dir)
    }

    #[test]
    fn the_newest_readable_snapshot_is_loaded_and_all_are_kept_until_they_are_cut() {
        let dir = tempfile::tempdir().expect("temp dir");
        let dir = dir.path();
        let snapshots = found(dir);
        let bytes = snapshot::encode(&Producers::default());
        for offset in [0, 10, 20, 30, 40] {
            snapshots.write(offset, &bytes).expect("write");
        }
        snapshots.cut_before(10).expect("cut");
        assert_eq!(on_disk(dir), [10, 20, 30, 40]);
        std::fs::write(snapshots.path(20), b"damaged").expect("write");
        let snapshots = found(dir);
        assert_eq!(snapshots.load_newest(29, 9).expect("load"), Some((10, Producers::default())));
        assert_eq!(on_disk(dir), [10, 30, 40], "the damaged one is gone");
        snapshots.cut(30).expect("cut");
        assert_eq!(on_disk(dir), [10, 30], "one at the end stays");
        snapshots.write(30, &bytes).expect("write again");
        snapshots.cut(i64::MIN).expect("cut");
        assert_eq!(on_disk(dir), [0_i64; 0]);
        assert_eq!(snapshots.load_newest(i64::MAX, 9).expect("load"), None);
    }

    #[test]
    fn what_a_failed_write_may_have_left_is_cut_too() {
        let dir = tempfile::tempdir().expect("temp dir");
        let snapshots = found(dir.path());
        let path = snapshots.path(7);
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        std::fs::create_dir(&temporary).expect("something in the way");
        snapshots.write(7, b"any").expect_err("no place for the temporary file");
        // The rename may have happened before the failure.
        std::fs::write(&path, b"any").expect("write");
        snapshots.cut(6).expect("cut");
        assert!(!path.exists());
    }
}
