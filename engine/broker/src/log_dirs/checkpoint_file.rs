//! A file of one offset per partition: recovery points, log starts, what is clean.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use plimsoll_log::{OffsetCheckpoint, SideError};
use tracing::warn;

use crate::error::BrokerError;

/// One of the checkpoints of a log directory.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    /// Held from gathering to writing: what was gathered first must not be written last, or a deleted
    /// topic's points come back for the next one of its name.
    writing: Mutex<()>,
}

impl CheckpointFile {
    pub(crate) fn new(log_dir: &Path, name: &str) -> Self {
        Self { path: log_dir.join(name), writing: Mutex::default() }
    }

    /// What was written last. A damaged file counts as none: more is checked, cleaned or shown then, and nothing lost.
    pub(crate) fn read(&self) -> Result<OffsetCheckpoint, BrokerError> {
        if !self.path.exists() {
            return Ok(OffsetCheckpoint::default());
        }
        match OffsetCheckpoint::read(&self.path) {
            Err(SideError::Malformed { path, line, problem }) => {
                let path = path.display();
                warn!(
                    "{path}:{line}: {problem}; it counts as missing, which costs time, and it is rewritten"
                );
                Ok(OffsetCheckpoint::default())
            }
            read => Ok(read?),
        }
    }

    /// Writes what `gather` returns. One writer at a time gathers and writes.
    pub(crate) fn write(&self, gather: impl FnOnce() -> OffsetCheckpoint) -> Result<(), BrokerError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(gather().write(&self.path)?)
    }

    /// Reads, changes and writes in one turn.
    pub(crate) fn update(&self, change: impl FnOnce(&mut OffsetCheckpoint)) -> Result<(), BrokerError> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut checkpoint = self.read()?;
        change(&mut checkpoint);
        Ok(checkpoint.write(&self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_log::{TopicPartition, layout};
    use std::sync::mpsc;
    use std::time::Duration;

    fn points(offset: i64) -> OffsetCheckpoint {
        OffsetCheckpoint { offsets: [(TopicPartition::new("t", 0), offset)].into() }
    }

    #[test]
    fn what_was_gathered_last_is_written_last() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = CheckpointFile::new(dir.path(), layout::RECOVERY_POINT_CHECKPOINT);
        std::thread::scope(|scope| {
            let (done, is_done) = mpsc::channel();
            let file = &file;
            let older = || {
                scope.spawn(move || {
                    file.write(|| points(2)).expect("written");
                    // Nobody listens any more if this one had to wait, as it should.
                    let _heard = done.send(());
                });
                // Gives the other writer the time to overtake; that it never can is what counts below.
                let _overtaken = is_done.recv_timeout(Duration::from_millis(200));
                points(1)
            };
            file.write(older).expect("written");
        });
        assert_eq!(file.read().expect("read"), points(2));
    }

    #[test]
    fn a_damaged_file_counts_as_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = CheckpointFile::new(dir.path(), layout::RECOVERY_POINT_CHECKPOINT);
        std::fs::write(dir.path().join(layout::RECOVERY_POINT_CHECKPOINT), b"0\nnonsense\n")
            .expect("written");
        assert_eq!(file.read().expect("read"), OffsetCheckpoint::default());
    }
}
