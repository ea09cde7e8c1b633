//! Syncing: sealed segments first, then the active one, one sync at a time and never under a lock.
//!
//! Group commit needs no more than this: while one sync runs acceptances pile up, and the next covers them all.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use plimsoll_io::{FaultKind, IoFault, IoOp, SegmentFile, SegmentStore};

use crate::config::Durability;
use crate::offset_index::OffsetIndex;
use crate::side_file;
use crate::state::{Sealing, Shared, State};
use crate::time_index::TimeIndex;
use crate::transactions;

enum Step<F> {
    Rest,
    Seal(Arc<Sealing<F>>),
    Sync { file: Arc<F>, upto_offset: i64, generation: u64 },
}

impl<F> State<F> {
    /// Asks for syncs as the configuration demands, after a batch was accepted. Says how long a `flush.ms`
    /// timer must run, if one must start.
    pub(crate) fn want_sync(&mut self, config: &crate::config::LogConfig) -> Option<Duration> {
        let unsynced = self.marks.accepted.abs_diff(self.marks.durable);
        let many = config.flush.messages.is_some_and(|messages| unsynced >= messages);
        if many || config.durability == Durability::Fsync {
            self.sync.wanted = self.marks.accepted;
            return None;
        }
        let interval_ms = config.flush.interval_ms.filter(|_| !self.sync.timer)?;
        self.sync.timer = true;
        Some(Duration::from_millis(interval_ms))
    }

    fn has_sync_work(&self) -> bool {
        let active = self.sync.wanted > self.marks.durable && self.marks.written > self.marks.durable;
        self.marks.fault.is_none() && !self.cutting && (active || !self.sealing.is_empty())
    }

    fn next_step(&mut self) -> Step<F> {
        if !self.has_sync_work() {
            self.sync.running = false;
            return Step::Rest;
        }
        match self.sealing.front() {
            Some(sealing) => Step::Seal(Arc::clone(sealing)),
            None => {
                let (upto_offset, generation) = (self.marks.written, self.marks.generation);
                Step::Sync { file: Arc::clone(&self.active.file), upto_offset, generation }
            }
        }
    }
}

/// Starts the sync task if there is work and none runs. Needs a tokio `LocalSet` then.
pub(crate) fn kick<S: SegmentStore>(shared: &Arc<Shared<S>>) {
    let mut state = shared.lock();
    if state.sync.running || !state.has_sync_work() {
        return;
    }
    state.sync.running = true;
    drop(state);
    let mut task = Box::pin(run(Arc::clone(shared)));
    if task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        tokio::task::spawn_local(task);
    }
}

/// Lets the `flush.ms` timer run once, without keeping the log alive.
pub(crate) fn start_timer<S: SegmentStore>(shared: &Arc<Shared<S>>, after: Duration) {
    let weak: Weak<Shared<S>> = Arc::downgrade(shared);
    tokio::task::spawn_local(async move {
        tokio::time::sleep(after).await;
        let Some(shared) = weak.upgrade() else { return };
        {
            let mut state = shared.lock();
            state.sync.timer = false;
            state.sync.wanted = state.marks.accepted;
        }
        kick(&shared);
    });
}

async fn run<S: SegmentStore>(shared: Arc<Shared<S>>) {
    let guard = Interrupted(Some(Arc::clone(&shared)));
    // Give way once, so that appends which are ready now share the first sync.
    tokio::task::yield_now().await;
    loop {
        let step = shared.lock().next_step();
        let result = match step {
            Step::Rest => break,
            Step::Seal(sealing) => seal(&shared, &sealing).await,
            Step::Sync { file, upto_offset, generation } => {
                sync_active(&shared, &file, upto_offset, generation).await
            }
        };
        if let Err(fault) = result {
            shared.lock().sync.running = false;
            shared.poison(fault);
            break;
        }
        shared.progress.notify_waiters();
    }
    guard.finished();
    shared.progress.notify_waiters();
}

/// Poisons the log if the task's runtime ends inside a sync: whether it succeeded will never be known.
struct Interrupted<S: SegmentStore>(Option<Arc<Shared<S>>>);

impl<S: SegmentStore> Interrupted<S> {
    fn finished(mut self) {
        self.0 = None;
    }
}

impl<S: SegmentStore> Drop for Interrupted<S> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            let message = "the runtime that synced this log ended before the sync did";
            shared.lock().sync.running = false;
            shared.poison(IoFault::with_kind(IoOp::Sync, &*shared.dir, 0, FaultKind::Poisoned, message));
        }
    }
}

async fn sync_active<S: SegmentStore>(
    shared: &Shared<S>,
    file: &S::File,
    upto_offset: i64,
    generation: u64,
) -> Result<(), IoFault> {
    file.sync().await?;
    shared.update(|state, _| {
        // After a truncation the offset may name other batches; the next round covers those.
        if state.marks.generation == generation {
            state.marks.durable = state.marks.durable.max(upto_offset);
        }
    });
    Ok(())
}

/// Cuts a rolled segment to its size and syncs it, then writes its indexes and snapshot. In this order, because
/// recovery takes index files for a sign that the segment is whole.
async fn seal<S: SegmentStore>(shared: &Shared<S>, sealing: &Arc<Sealing<S::File>>) -> Result<(), IoFault> {
    let opened = &sealing.opened;
    // Zeroes left behind the last batch would be taken for batches once the recovery point has passed them.
    opened.file.truncate(opened.size_bytes).await?;
    opened.file.sync().await?;
    // Before anything in the segment behind it may count as durable: its name may be one that a roll gave it.
    shared.store.sync_directory(&shared.dir).await?;
    let (dir, snapshots, for_files) = (shared.dir.clone(), shared.snapshots.clone(), Arc::clone(sealing));
    let base_offset = opened.base_offset;
    let (index, times) = (opened.index.to_bytes(), opened.times.to_bytes());
    let written = tokio::task::spawn_blocking(move || {
        snapshots.write(for_files.snapshot.0, &for_files.snapshot.1)?;
        transactions::write(&dir, base_offset, &for_files.aborted)?;
        write_indexes(&dir, base_offset, &index, &times)
    });
    // Indexes can be rebuilt and an older snapshot replayed, so their failure must not stop the log.
    match written.await {
        Ok(Ok(())) => shared.lock().aborted.written(base_offset),
        Ok(Err(fault)) => tracing::warn!(%fault, "could not write a rolled segment's indexes or snapshot"),
        Err(error) => tracing::warn!(%error, "writing a rolled segment's indexes was cut short"),
    }
    shared.update(|state, _| sealed(state, sealing));
    Ok(())
}

fn sealed<F>(state: &mut State<F>, sealing: &Arc<Sealing<F>>) {
    // A truncation may have taken it off the list meanwhile; then the offsets mean nothing any more.
    if state.sealing.pop_front_if(|front| Arc::ptr_eq(front, sealing)).is_some() {
        state.marks.durable = state.marks.durable.max(sealing.next_offset);
    }
}

/// Writes both index files of a segment. Blocks.
pub(crate) fn write_indexes(
    dir: &std::path::Path,
    base_offset: i64,
    index: &[u8],
    times: &[u8],
) -> Result<(), IoFault> {
    side_file::write_atomically(&OffsetIndex::path(dir, base_offset), index)?;
    side_file::write_atomically(&TimeIndex::path(dir, base_offset), times)
}
