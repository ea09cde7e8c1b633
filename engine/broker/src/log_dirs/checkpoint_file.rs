//! A file of one offset per partition: recovery points, log starts, what is clean.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_log::{OffsetCheckpoint, SideError};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::warn;

use crate::error::BrokerError;

/// One of the checkpoints of a log directory.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    /// Held from gathering to writing: what was gathered first must not be written last, or a deleted
    /// topic's points come back for the next one of its name. Travels with the write, so that one whose caller is gone
    /// still keeps the next waiting.
    turn: Arc<Mutex<()>>,
}

/// The right to gather and write.
type Turn = OwnedMutexGuard<()>;

impl CheckpointFile {
    pub(crate) fn new(log_dir: &Path, name: &str) -> Self {
        Self { path: log_dir.join(name), turn: Arc::default() }
    }

    /// What was written last. A damaged file counts as none: more is checked, cleaned or shown then, and nothing lost.
    pub(crate) async fn read(&self) -> Result<OffsetCheckpoint, BrokerError> {
        let turn = self.take_turn().await;
        Ok(self.off_thread(turn, read_blocking).await?.1)
    }

    /// The same before anything runs that could be held up. Blocks.
    pub(crate) fn read_at_start(&self) -> Result<OffsetCheckpoint, BrokerError> {
        read_blocking(&self.path)
    }

    /// Writes what `gather` returns. One writer at a time gathers, here, and writes, on a thread where that may take for
    /// ever.
    pub(crate) async fn write(&self, gather: impl FnOnce() -> OffsetCheckpoint) -> Result<(), BrokerError> {
        let turn = self.take_turn().await;
        let checkpoint = gather();
        self.off_thread(turn, move |path| Ok(checkpoint.write(path)?)).await?;
        Ok(())
    }

    /// Reads, changes and writes in one turn.
    pub(crate) async fn update(&self, change: impl FnOnce(&mut OffsetCheckpoint)) -> Result<(), BrokerError> {
        let turn = self.take_turn().await;
        let (turn, mut checkpoint) = self.off_thread(turn, read_blocking).await?;
        change(&mut checkpoint);
        self.off_thread(turn, move |path| Ok(checkpoint.write(path)?)).await?;
        Ok(())
    }

    async fn take_turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&Path) -> Result<T, BrokerError> + Send + 'static,
    ) -> Result<(Turn, T), BrokerError> {
        let path = self.path.clone();
        let joined = tokio::task::spawn_blocking(move || work(&path).map(|done| (turn, done))).await;
        let what = "work on a checkpoint was cut short";
        joined.unwrap_or_else(|error| Err(BrokerError::Runtime { what, source: io::Error::other(error) }))
    }
}

fn read_blocking(path: &Path) -> Result<OffsetCheckpoint, BrokerError> {
    if !path.exists() {
        return Ok(OffsetCheckpoint::default());
    }
    match OffsetCheckpoint::read(path) {
        Err(SideError::Malformed { path, line, problem }) => {
            let path = path.display();
            warn!("{path}:{line}: {problem}; it counts as missing, which costs time, and it is rewritten");
            Ok(OffsetCheckpoint::default())
        }
        read => Ok(read?),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::task::{Context, Waker};

    use plimsoll_log::{TopicPartition, layout};

    use super::*;

    fn points(offset: i64) -> OffsetCheckpoint {
        OffsetCheckpoint { offsets: [(TopicPartition::new("t", 0), offset)].into() }
    }

    #[tokio::test]
    async fn what_was_gathered_last_is_written_last_also_after_a_caller_who_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = CheckpointFile::new(dir.path(), layout::RECOVERY_POINT_CHECKPOINT);
        // A pipe holds whoever writes to it until somebody reads.
        let temporary = dir.path().join(format!("{}.tmp", layout::RECOVERY_POINT_CHECKPOINT));
        assert!(Command::new("mkfifo").arg(&temporary).status().expect("mkfifo").success());
        let mut context = Context::from_waker(Waker::noop());
        {
            let left = std::pin::pin!(file.write(|| points(1)));
            assert!(left.poll(&mut context).is_pending(), "the write waits elsewhere");
        }
        let mut next = std::pin::pin!(file.write(|| points(2)));
        assert!(next.as_mut().poll(&mut context).is_pending());
        let pipe = std::fs::File::open(&temporary).expect("the first writer");
        std::fs::remove_file(&temporary).expect("removed");
        next.await.expect("written");
        drop(pipe);
        assert_eq!(file.read().await.expect("read"), points(2));
        file.update(|checkpoint| checkpoint.offsets.values_mut().for_each(|offset| *offset += 1))
            .await
            .expect("updated");
        assert_eq!(file.read_at_start().expect("read"), points(3));
    }

    #[tokio::test]
    async fn a_damaged_file_counts_as_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = CheckpointFile::new(dir.path(), layout::RECOVERY_POINT_CHECKPOINT);
        std::fs::write(dir.path().join(layout::RECOVERY_POINT_CHECKPOINT), b"0\nnonsense\n")
            .expect("written");
        assert_eq!(file.read().await.expect("read"), OffsetCheckpoint::default());
    }
}
