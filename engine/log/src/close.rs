//! Flushing, closing, and deleting the whole log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_io::{IoFault, IoOp, SegmentFile, SegmentStore};

use crate::error::LogError;
use crate::layout::{self, LOG_SUFFIX};
use crate::log::Log;
use crate::marks::{Level, WaitError};
use crate::room::{Hold, off_thread};
use crate::side_file;
use crate::snapshot;
use crate::state::{Shared, State};
use crate::sync_task;
use crate::transactions;

impl<S: SegmentStore> Log<S> {
    /// Makes durable what was accepted before the call, which also moves the recovery point.
    pub async fn flush(&self) -> Result<(), LogError> {
        loop {
            let marks = self.marks();
            match self.wait(marks.generation, Level::Durable, marks.accepted).await {
                Ok(()) => return Ok(()),
                Err(WaitError::Fault(fault)) => return Err(LogError::Poisoned(fault)),
                Err(WaitError::Closed) => return Err(LogError::Closed),
                // What was asked for is gone; what remains is to be flushed.
                Err(WaitError::GenerationChanged { .. } | WaitError::NoSpace) => {}
            }
        }
    }

    /// Ends the log cleanly: refuses appends, writes out the rest, cuts reserved space off, writes indexes,
    /// producer snapshot and epochs, and syncs. Afterwards the next [`Log::open`] may be told `clean`, and
    /// [`Log::recovery_point`] is the log's end. Reads still work. Closing twice is fine.
    pub async fn close(&self) -> Result<(), LogError> {
        let _turn = self.shared.room.lock().await;
        if self.shared.lock().closed {
            return Ok(());
        }
        let _hold = Hold::new(&self.shared);
        self.settled().await?;
        self.cut_reserve().await?;
        self.write_side_files().await?;
        self.shared.update(|state, wakes| {
            state.closed = true;
            state.marks.durable = state.marks.accepted;
            state.waiters.fail_all(&WaitError::Closed, wakes);
        });
        self.shared.progress.notify_waiters();
        Ok(())
    }

    /// Waits until no write, roll, sync or reservation is under way and gives back what was made ready for the next
    /// segment. The caller keeps new ones from beginning.
    pub(crate) async fn settled(&self) -> Result<(), LogError> {
        self.shared.drained().await.map_err(LogError::Poisoned)?;
        self.discard_prepared().await?;
        self.shared.at_rest(|_| {}).await
    }

    async fn cut_reserve(&self) -> Result<(), LogError> {
        let (file, size_bytes) = {
            let mut state = self.shared.lock();
            state.active.reserved_bytes = state.active.tail.size_bytes;
            (Arc::clone(&state.active.file), state.active.tail.size_bytes)
        };
        let cut = match file.truncate(size_bytes).await {
            Ok(()) => file.sync().await,
            refused => refused,
        };
        cut.map_err(|fault| {
            self.shared.poison(fault.clone());
            LogError::Fault(fault)
        })
    }

    async fn write_side_files(&self) -> Result<(), LogError> {
        let (base_offset, aborted, index, times, end_offset, producers, epochs) = {
            let mut state = self.shared.lock();
            state.active.finish_times();
            let State { active, marks, producers, epochs, .. } = &*state;
            let (index, times) = (active.index.to_bytes(), active.times.to_bytes());
            let (end_offset, producers) = (marks.accepted, snapshot::encode(producers));
            (active.base_offset, active.aborted.clone(), index, times, end_offset, producers, epochs.clone())
        };
        let (dir, snapshots) = (self.shared.dir.clone(), self.shared.snapshots.clone());
        off_thread(&self.shared.dir, move || {
            transactions::write(&dir, base_offset, &aborted)?;
            sync_task::write_indexes(&dir, base_offset, &index, &times)?;
            snapshots.write(end_offset, &producers)
        })
        .await?;
        Ok(self.write_epochs(epochs).await?)
    }

    /// Deletes the log. Its directory is first renamed to `<topic>-<partition>.<unique>-delete`, so that a crash leaves
    /// nothing that looks like a partition, then removed. Slices already read stay valid; handles that are left find
    /// the log gone, also when another takes its name.
    pub async fn delete(&self) -> Result<(), LogError> {
        let _turn = self.shared.room.lock().await;
        let _hold = Hold::new(&self.shared);
        // A log that failed is deleted all the same.
        if let Err(error) = self.settled().await {
            tracing::warn!(dir = %self.shared.dir.display(), %error, "deleting a log that could not settle");
            // A seal that was under way writes index files by name, which must not become another log's.
            self.shared.until(|state| (!state.sync.running).then_some(())).await;
        }
        self.shared.update(|state, wakes| {
            (state.closed, state.deleted) = (true, true);
            state.waiters.fail_all(&WaitError::Closed, wakes);
        });
        let bases: Vec<i64> = self.segments().iter().map(|s| s.base_offset).collect();
        let dir = self.shared.dir.clone();
        let marked = off_thread(&self.shared.dir, move || mark_deleted(&dir)).await?;
        for base_offset in bases {
            self.shared.store.remove(&layout::segment_path(&marked, base_offset, LOG_SUFFIX)).await?;
        }
        let to_remove = marked.clone();
        off_thread(&marked, move || {
            std::fs::remove_dir_all(&to_remove).map_err(|e| IoFault::new(IoOp::Remove, &*to_remove, 0, e))
        })
        .await?;
        Ok(())
    }
}

impl<S: SegmentStore> Shared<S> {
    /// Waits until nothing is left to sync, and calls `then` before another sync can begin.
    pub(crate) async fn at_rest(
        self: &Arc<Self>,
        then: impl FnOnce(&mut State<S::File>),
    ) -> Result<(), LogError> {
        sync_task::kick(self);
        let mut then = Some(then);
        self.until(|state| match &state.marks.fault {
            Some(fault) => Some(Err(LogError::Poisoned(Arc::clone(fault)))),
            None if state.sync.running => None,
            None => {
                then.take().into_iter().for_each(|then| then(state));
                Some(Ok(()))
            }
        })
        .await
    }
}

/// Renames the directory durably to its deletion name. Blocks.
fn mark_deleted(dir: &Path) -> Result<PathBuf, IoFault> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let marked = dir.with_file_name(layout::deleted_dir_name(&name, uuid::Uuid::new_v4()));
    std::fs::rename(dir, &marked).map_err(|e| IoFault::new(IoOp::Remove, dir, 0, e))?;
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        side_file::fsync_directory(parent)?;
    }
    Ok(marked)
}
