//! A log's leader epochs: asked, and assigned with the checkpoint on disk.

use std::sync::Arc;

use plimsoll_io::{IoFault, SegmentStore};

use super::{EpochCache, EpochEnd, EpochEntry};
use crate::error::LogError;
use crate::follower::Truncation;
use crate::log::Log;
use crate::room::off_thread;

impl<S: SegmentStore> Log<S> {
    /// Where `epoch` ends (rule E27).
    pub fn epoch_end_offset(&self, epoch: i32) -> EpochEnd {
        let state = self.shared.lock();
        state.epochs.end_offset_for(epoch, state.marks.accepted)
    }

    /// Where to cut this log after its leader's answer, and whether to ask again: see
    /// [`EpochCache::truncation_offset`](crate::EpochCache::truncation_offset) (rule E27).
    pub fn truncation_offset(&self, leader: EpochEnd) -> Truncation {
        let state = self.shared.lock();
        state.epochs.truncation_offset(leader, state.marks.accepted)
    }

    /// The latest leader epoch and where it began.
    pub fn latest_epoch(&self) -> Option<EpochEntry> {
        self.shared.lock().epochs.latest()
    }

    /// Notes that a new leader's epoch begins at the log's end, also without data (rule E27). The checkpoint is
    /// on disk on return. Returns the epoch's start offset.
    pub async fn assign_leader_epoch(&self, epoch: i32) -> Result<i64, LogError> {
        let start_offset = self.shared.lock().marks.accepted;
        Ok(self.assign_epoch(epoch, start_offset).await.map(|()| start_offset)?)
    }

    pub(crate) async fn assign_epoch(&self, epoch: i32, start_offset: i64) -> Result<(), IoFault> {
        let _turn = self.shared.room.lock().await;
        let mut epochs = {
            let state = self.shared.lock();
            state.check_deleted(&self.shared.dir)?;
            state.epochs.clone()
        };
        if !epochs.assign(epoch, start_offset) {
            return Ok(());
        }
        self.write_epochs(epochs.clone()).await?;
        self.shared.lock().epochs = epochs;
        Ok(())
    }

    /// Writes the epoch checkpoint off the runtime's thread. Waits for a write whose caller was dropped: it would get into
    /// this one's way, and could come after it.
    pub(crate) async fn write_epochs(&self, epochs: EpochCache) -> Result<(), IoFault> {
        let turn = Arc::clone(&self.shared.epoch_file).lock_owned().await;
        let dir = self.shared.dir.clone();
        off_thread(&self.shared.dir, move || {
            let _turn = turn;
            epochs.write(&dir)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::process::Command;
    use std::task::{Context, Waker};

    use plimsoll_io::{PageCacheStore, Preallocation};
    use uuid::Uuid;

    use super::*;
    use crate::config::LogConfig;
    use crate::layout;
    use crate::recover::OpenHints;

    #[tokio::test]
    async fn an_epoch_is_written_only_after_the_write_of_a_caller_who_left() {
        let parent = tempfile::tempdir().expect("temp dir");
        let dir = parent.path().join("t-0");
        let (store, id) = (PageCacheStore::new(Preallocation::None), Uuid::from_u128(7));
        let opened = Log::open(store, &dir, id, LogConfig::default(), OpenHints::default()).await;
        let (log, _) = opened.expect("open");
        // A pipe holds whoever writes to it until somebody reads.
        let temporary = dir.join(format!("{}.tmp", layout::EPOCH_CHECKPOINT));
        assert!(Command::new("mkfifo").arg(&temporary).status().expect("mkfifo").success());
        {
            let left = pin!(log.assign_leader_epoch(1));
            assert!(left.poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert!(log.shared.room.try_lock().is_ok(), "the caller's turn is over");
        assert!(log.shared.epoch_file.try_lock().is_err(), "the write is not");
        let pipe = std::fs::File::open(&temporary).expect("reader");
        std::fs::remove_file(&temporary).expect("remove");
        log.assign_leader_epoch(2).await.expect("assign");
        drop(pipe);
        let on_disk = EpochCache::read(&dir).expect("checkpoint");
        assert_eq!(on_disk.latest(), Some(EpochEntry { epoch: 2, start_offset: 0 }));
    }
}
