//! Truncation: cutting the log's end off, as a follower does when its leader knows better.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_io::{FaultKind, IoFault, IoOp, SegmentFile, SegmentStore};

use crate::ahead::forget_indexes;
use crate::error::{LogError, ReadError};
use crate::log::Log;
use crate::producers::Producers;
use crate::pump::block_tail;
use crate::room::{Hold, off_thread};
use crate::scan::{Scanned, continue_from, replay_producers};
use crate::segment::Active;
use crate::state::{Shared, State, now_ms};
use crate::sync_task;
use crate::transactions::{SealedTransactions, TransactionIndex, replay_start};
use crate::write_line::WriteLine;

/// How long a truncation waits for readers that still hold slices behind the cut: at most two seconds.
const BUSY_TRIES: usize = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

impl<S: SegmentStore> Log<S> {
    /// Cuts off everything at and behind `offset`, in new generations: one from the start, and one from the cut. An offset inside a batch takes the whole
    /// batch with it, because what is left of the log must continue with whole batches. Producer state and epochs
    /// follow. Returns the log end offset now. At or above the end, only the generation changes, once.
    ///
    /// The recovery point may move down: checkpoint it before acknowledging anything new.
    ///
    /// Cancel safety: waiters of the old generation fail at once; if dropped before the first file is cut, nothing
    /// else happened and the call can be repeated. Dropped or failed amid the cut it takes the log offline.
    pub async fn truncate_to(&self, offset: i64) -> Result<i64, LogError> {
        let _turn = self.shared.room.lock().await;
        let _hold = Hold::new(&self.shared);
        self.shared.lock().check_deleted(&self.shared.dir)?;
        self.new_generation();
        self.settled().await?;
        let (first_base, accepted) = {
            let state = self.shared.lock();
            (state.sealed.first().map_or(state.active.base_offset, |s| s.base_offset), state.marks.accepted)
        };
        if offset >= accepted {
            self.drop_empty_epoch(accepted).await?;
            return Ok(accepted);
        }
        if offset <= first_base {
            self.restart_at(offset).await?;
            return Ok(offset);
        }
        self.cut_at(offset).await
    }

    /// Throws everything away and goes on with an empty log at `offset`, in a new generation. For followers
    /// whose leader's log starts behind their end (rule E28), or inside a batch (rule E17).
    pub async fn truncate_fully_and_start_at(&self, offset: i64) -> Result<(), LogError> {
        let _turn = self.shared.room.lock().await;
        let _hold = Hold::new(&self.shared);
        self.shared.lock().check_deleted(&self.shared.dir)?;
        self.new_generation();
        self.settled().await?;
        self.restart_at(offset).await
    }

    /// Forgets an epoch that this log began as a leader without appending to it: another leader may have given
    /// the same offset to another epoch.
    async fn drop_empty_epoch(&self, end_offset: i64) -> Result<(), IoFault> {
        let mut epochs = self.shared.lock().epochs.clone();
        let before = epochs.entries().len();
        epochs.truncate_from_end(end_offset);
        if epochs.entries().len() < before {
            self.write_epochs(epochs.clone()).await?;
            self.shared.lock().epochs = epochs;
        }
        Ok(())
    }

    async fn restart_at(&self, offset: i64) -> Result<(), LogError> {
        let cutting = Cutting::begin(&self.shared).await?;
        let (file, reserved_bytes) = match self.restart_files(offset).await {
            Ok(restarted) => restarted,
            Err(fault) => return Err(cutting.failed(fault).into()),
        };
        let config = &self.shared.config;
        let file = Arc::new(file);
        let line = WriteLine::new(Arc::clone(&file), 0, Vec::new(), config.write_max_bytes);
        let active = Active::empty(file, offset, now_ms(), reserved_bytes, config.reserve_step_min_bytes);
        // What is replaced holds files, which are closed after the lock.
        let (epochs, _old) = self.shared.update(|state, wakes| {
            state.cutting = false;
            state.compacting.interruptions += 1;
            // Once more: who came since the first one waits for offsets that are gone.
            state.next_generation(wakes);
            let old = (std::mem::replace(&mut state.active, active), state.line.replace(line));
            state.sealed.clear();
            state.aborted = SealedTransactions::default();
            let old = (old, std::mem::take(&mut state.sealing), state.open.forget_if(|_| true));
            state.producers = Producers::default();
            state.epochs.clear();
            state.sync.wanted = offset;
            let marks = &mut state.marks;
            (marks.start_offset, marks.accepted, marks.written, marks.durable) =
                (offset, offset, offset, offset);
            (state.epochs.clone(), old)
        });
        cutting.finished();
        Ok(self.write_epochs(epochs).await?)
    }

    /// Removes every file of the log and creates its new first segment.
    async fn restart_files(&self, offset: i64) -> Result<(S::File, u64), IoFault> {
        let bases: Vec<i64> = self.segments().iter().map(|s| s.base_offset).collect();
        // Newest first: a crash in between leaves a shorter log, never one with a hole.
        for base_offset in bases.into_iter().rev() {
            self.remove_segment(base_offset).await?;
        }
        let snapshots = self.shared.snapshots.clone();
        off_thread(&self.shared.dir, move || snapshots.cut(i64::MIN)).await?;
        self.create_segment(offset).await
    }

    /// Cuts inside the log: the segment that `offset` lies in becomes the active one.
    async fn cut_at(&self, offset: i64) -> Result<i64, LogError> {
        let base_offset = self.segment_of(offset);
        let Scanned { mut active, end_offset, .. } = self.rewound(base_offset, offset).await?;
        active.reserved_bytes = active.tail.size_bytes;
        // Reads only what stays, so it comes first: behind the cut nothing may fail and leave the log in service.
        let producers = self.producers_upto(&active, end_offset).await?;
        let cutting = Cutting::begin(&self.shared).await?;
        let tail = match self.cut_files(&active, base_offset, end_offset).await {
            Ok(tail) => tail,
            Err(fault) => return Err(cutting.failed(fault).into()),
        };
        let max_bytes = self.shared.config.write_max_bytes;
        let line = WriteLine::new(Arc::clone(&active.file), active.tail.size_bytes, tail, max_bytes);
        let (epochs, _old) = self.shared.update(|state, wakes| {
            state.cutting = false;
            state.compacting.interruptions += 1;
            // Once more: who came since the first one waits for offsets that are gone.
            state.next_generation(wakes);
            let old = (std::mem::replace(&mut state.active, active), state.line.replace(line));
            state.sealed.retain(|s| s.base_offset < base_offset);
            let old = (old, state.open.forget_if(|base| base >= base_offset));
            state.aborted.forget_if(|base| base >= base_offset);
            state.producers = producers;
            state.epochs.truncate_from_end(end_offset);
            state.sync.wanted = state.sync.wanted.min(end_offset);
            let marks = &mut state.marks;
            (marks.accepted, marks.written) = (end_offset, end_offset);
            marks.durable = marks.durable.min(end_offset);
            marks.start_offset = marks.start_offset.min(end_offset);
            (state.epochs.clone(), old)
        });
        cutting.finished();
        self.write_epochs(epochs).await?;
        Ok(end_offset)
    }

    /// The base of the segment that `offset` lies in.
    pub(crate) fn segment_of(&self, offset: i64) -> i64 {
        let state = self.shared.lock();
        if state.active.base_offset <= offset {
            return state.active.base_offset;
        }
        let after = state.sealed.partition_point(|s| s.base_offset <= offset);
        after.checked_sub(1).and_then(|i| state.sealed.get(i)).map_or(offset, |s| s.base_offset)
    }

    /// The segment as it was when it ended before the batch that reaches `offset`. Changes nothing yet.
    async fn rewound(&self, base_offset: i64, offset: i64) -> Result<Scanned<S::File>, LogError> {
        let config = &self.shared.config;
        let (seed, limit_bytes) = match self.active_parts(base_offset) {
            Some(parts) => parts,
            None => {
                let opened = self.open_sealed(base_offset).await.map_err(unreadable)?;
                let opened = opened.ok_or(LogError::Closed)?;
                let aborted = self.aborted_in(base_offset).await.map_err(unreadable)?;
                let (index, times) = (opened.index.clone(), opened.times.clone());
                let file = Arc::clone(&opened.file);
                (Active { index, times, aborted, ..self.seed(file, base_offset) }, opened.size_bytes)
            }
        };
        let path = seed.file.path().to_owned();
        let rewound = continue_from(seed, limit_bytes, offset, config).await?;
        rewound.ok_or_else(|| {
            let message = "indexes and batches do not fit; restart the broker to have the segment recovered";
            LogError::Fault(IoFault::with_kind(IoOp::Read, path, 0, FaultKind::Other, message))
        })
    }

    fn active_parts(&self, base_offset: i64) -> Option<(Active<S::File>, u64)> {
        let State { active, .. } = &*self.shared.lock();
        let seed = || {
            let (index, times) = (active.index.clone(), active.times.clone());
            let (file, aborted) = (Arc::clone(&active.file), active.aborted.clone());
            (Active { index, times, aborted, ..self.seed(file, base_offset) }, active.written_bytes)
        };
        (active.base_offset == base_offset).then(seed)
    }

    fn seed(&self, file: Arc<S::File>, base_offset: i64) -> Active<S::File> {
        Active::empty(file, base_offset, now_ms(), 0, self.shared.config.reserve_step_min_bytes)
    }

    /// The aborted transactions of a sealed segment.
    async fn aborted_in(&self, base_offset: i64) -> Result<TransactionIndex, ReadError> {
        if self.shared.lock().aborted.next_from(base_offset) != Some(base_offset) {
            return Ok(TransactionIndex::default());
        }
        let index = self.sealed_index(base_offset).await?;
        Ok(index.map_or_else(TransactionIndex::default, |index| (*index).clone()))
    }

    /// Removes later segments, newest first, and cuts the file. Returns the data of its last block.
    async fn cut_files(
        &self,
        active: &Active<S::File>,
        base_offset: i64,
        end_offset: i64,
    ) -> Result<Vec<u8>, IoFault> {
        for gone in self.segments().into_iter().rev().filter(|s| s.base_offset > base_offset) {
            self.remove_segment(gone.base_offset).await?;
        }
        // Stale indexes must not be believed after a crash; they are written again at the next roll or close.
        let (dir, snapshots) = (self.shared.dir.clone(), self.shared.snapshots.clone());
        off_thread(&self.shared.dir, move || {
            forget_indexes(&dir, base_offset)?;
            snapshots.cut(end_offset)
        })
        .await?;
        self.shared.store.sync_directory(&self.shared.dir).await?;
        cut_patiently(&*active.file, active.tail.size_bytes).await?;
        // What was cut off must not come back behind newer batches after a power cut.
        active.file.sync().await?;
        block_tail(&*active.file, active.tail.size_bytes).await
    }

    /// Producer state as it was at `end_offset`: the nearest snapshot, and the batches behind it.
    async fn producers_upto(&self, active: &Active<S::File>, end_offset: i64) -> Result<Producers, LogError> {
        let sealed = self.sealed_producers(active.base_offset, end_offset).await;
        let (from_offset, mut producers) = sealed.map_err(unreadable)?;
        let bytes = (replay_start(&active.index, from_offset), active.tail.size_bytes);
        let range = (from_offset, end_offset);
        replay_producers(&*active.file, bytes, range, &mut producers, now_ms(), drop).await?;
        Ok(producers)
    }
}

/// The time in which files are cut and the state does not know it yet: no sync runs, since it would call durable
/// what is being cut off. A log that went on from there would write behind its old end, so unless the cut is
/// finished this takes it out of service.
struct Cutting<'a, S: SegmentStore>(Option<&'a Arc<Shared<S>>>);

impl<'a, S: SegmentStore> Cutting<'a, S> {
    /// Waits for the sync under way, if any, and lets no other begin. The update that finishes the cut does.
    async fn begin(shared: &'a Arc<Shared<S>>) -> Result<Self, LogError> {
        shared.at_rest(|state| state.cutting = true).await?;
        Ok(Self(Some(shared)))
    }

    /// The state says what the files do; syncs go on.
    fn finished(mut self) {
        self.0.take().into_iter().for_each(sync_task::kick);
    }

    /// Poisons with the fault that stopped the cut, and returns it.
    fn failed(mut self, fault: IoFault) -> IoFault {
        if let Some(shared) = self.0.take() {
            shared.poison(fault.clone());
        }
        fault
    }
}

impl<S: SegmentStore> Drop for Cutting<'_, S> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            let message =
                "a truncation was dropped amid the cut; restart the broker to have the log recovered";
            shared.poison(IoFault::with_kind(IoOp::Truncate, &*shared.dir, 0, FaultKind::Poisoned, message));
        }
    }
}

fn unreadable(error: ReadError) -> LogError {
    match error {
        ReadError::Fault(fault) => LogError::Fault(fault),
        ReadError::Corrupt { ref path, at_bytes, .. } => {
            let message = error.to_string();
            LogError::Fault(IoFault::with_kind(IoOp::Read, &**path, at_bytes, FaultKind::Other, message))
        }
        ReadError::OutOfRange { .. } => LogError::Closed,
    }
}

/// Cuts the file, waiting for readers that still hold slices behind the cut where the backend minds them.
async fn cut_patiently<F: SegmentFile>(file: &F, size_bytes: u64) -> Result<(), IoFault> {
    for _ in 0..BUSY_TRIES {
        match file.truncate(size_bytes).await {
            Err(fault) if fault.kind == FaultKind::Busy => tokio::time::sleep(BUSY_PAUSE).await,
            other => return other,
        }
    }
    file.truncate(size_bytes).await
}
