//! Room before it is needed: the active segment's next reservation and the next segment's file, off the append path.
//!
//! An append that finds little room left starts a local task, at most one per log. What the task cannot do, for want
//! of space or time, the append that needs it does itself, and only that one may fail.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_io::{FaultKind, IoFault, SegmentFile, SegmentStore};

use crate::config::LogConfig;
use crate::disk_share::DiskShare;
use crate::layout;
use crate::log::Log;
use crate::offset_index::OffsetIndex;
use crate::retired::{self, Pool, SegmentCounts};
use crate::room::{RESERVE_ALIGN_BYTES, off_thread};
use crate::side_file;
use crate::state::{Shared, State};
use crate::time_index::TimeIndex;

/// What is being made or kept ready.
#[derive(Debug)]
pub(crate) struct Ahead<F> {
    /// A task is at it. Whoever cuts or replaces files waits until it is over.
    running: bool,
    next_segment: Option<Prepared<F>>,
    /// Files for segments to come that were segments before.
    pub(crate) retired: Pool,
    pub(crate) counts: SegmentCounts,
    /// The segment and the end of its room when something was refused; not tried again until either changes.
    refused: Option<(i64, u64)>,
}

impl<F> Default for Ahead<F> {
    fn default() -> Self {
        let (retired, counts) = (Pool::default(), SegmentCounts::default());
        Self { running: false, next_segment: None, retired, counts, refused: None }
    }
}

/// The next segment's file under its waiting name: reserved and known to nobody else.
#[derive(Debug)]
pub(crate) struct Prepared<F> {
    pub(crate) file: F,
    pub(crate) reserved_bytes: u64,
    /// It holds batches of an earlier life.
    pub(crate) recycled: bool,
}

/// One piece of work.
enum Piece<F> {
    /// More room in the segment with this base.
    Extend { file: Arc<F>, active_base: i64, generation: u64, upto_bytes: u64 },
    /// A file with room for the segment after the one with this base.
    Prepare { active_base: i64, reserve_bytes: u64 },
}

impl<F> State<F> {
    /// Whether a task should start. It must then be started: the state counts it as running from now on.
    pub(crate) fn begin_ahead(&mut self, config: &LogConfig, share: &DiskShare) -> bool {
        let begin = !self.ahead.running && self.next_piece(config, share).is_some();
        self.ahead.running |= begin;
        begin
    }

    /// The next piece of work. `None` if there is enough room, or nothing may be begun.
    fn next_piece(&self, config: &LogConfig, share: &DiskShare) -> Option<Piece<F>> {
        let State { active, marks, .. } = self;
        let (active_base, reserved_bytes) = (active.base_offset, active.reserved_bytes);
        let stopped = marks.fault.is_some() || self.closed || self.held || self.repairing;
        if stopped || self.ahead.refused == Some((active_base, reserved_bytes)) {
            return None;
        }
        let end_bytes = u64::from(config.segment_bytes).next_multiple_of(RESERVE_ALIGN_BYTES);
        let left_bytes = reserved_bytes.saturating_sub(active.tail.size_bytes);
        let step_bytes = active.step_bytes.min(share.step_max_bytes(config.reserve_step_max_bytes));
        if reserved_bytes < end_bytes {
            let due = step_bytes > 0 && left_bytes < step_bytes / 2;
            return due.then(|| Piece::Extend {
                file: Arc::clone(&active.file),
                active_base,
                generation: marks.generation,
                upto_bytes: (reserved_bytes + step_bytes).min(end_bytes),
            });
        }
        let due = self.ahead.next_segment.is_none() && left_bytes < active.step_bytes.min(end_bytes / 2);
        due.then_some(Piece::Prepare { active_base, reserve_bytes: step_bytes.min(end_bytes) })
    }
}

/// Starts the task that [`State::begin_ahead`] asked for. Needs a tokio `LocalSet`.
pub(crate) fn start<S: SegmentStore>(shared: &Arc<Shared<S>>) {
    tokio::task::spawn_local(run(Running(Arc::clone(shared))));
}

/// Counts as running until dropped, also by a runtime that ends, and not before: a second task that began between the
/// end and the drop would be forgotten by it.
struct Running<S: SegmentStore>(Arc<Shared<S>>);

impl<S: SegmentStore> Drop for Running<S> {
    fn drop(&mut self) {
        self.0.lock().ahead.running = false;
        self.0.progress.notify_waiters();
    }
}

async fn run<S: SegmentStore>(running: Running<S>) {
    let shared = &running.0;
    loop {
        if let Err(fault) = shared.share.ask_if_old().await {
            tracing::warn!(%fault, "could not ask how much space is left");
        }
        let piece = shared.lock().next_piece(&shared.config, &shared.share);
        let done = match piece {
            None => return,
            Some(Piece::Extend { file, active_base, generation, upto_bytes }) => {
                extend(shared, &*file, (active_base, generation), upto_bytes).await
            }
            Some(Piece::Prepare { active_base, reserve_bytes }) => {
                prepare(shared, active_base, reserve_bytes).await
            }
        };
        if let Err(fault) = done {
            refused(shared, fault);
        }
    }
}

/// Notes that the work cannot be done now. Only a device fault concerns anyone but the append that needs the room.
fn refused<S: SegmentStore>(shared: &Shared<S>, fault: IoFault) {
    let mut state = shared.lock();
    state.ahead.refused = Some((state.active.base_offset, state.active.reserved_bytes));
    drop(state);
    if fault.is_poison() {
        shared.poison(fault);
    } else if fault.kind != FaultKind::NoSpace {
        tracing::warn!(%fault, "could not make room ahead");
    }
}

async fn extend<S: SegmentStore>(
    shared: &Shared<S>,
    file: &S::File,
    (active_base, generation): (i64, u64),
    upto_bytes: u64,
) -> Result<(), IoFault> {
    file.reserve(upto_bytes).await?;
    shared.lock().room_made(&shared.config, &shared.share, (active_base, generation), upto_bytes);
    Ok(())
}

impl<F> State<F> {
    /// Takes note of a reservation, unless the file was cut or replaced meanwhile: then it is void.
    pub(crate) fn room_made(
        &mut self,
        config: &LogConfig,
        share: &DiskShare,
        (active_base, generation): (i64, u64),
        upto_bytes: u64,
    ) {
        let active = &mut self.active;
        if active.base_offset != active_base || self.marks.generation != generation {
            return;
        }
        share.note_taken(upto_bytes.saturating_sub(active.reserved_bytes));
        active.reserved_bytes = active.reserved_bytes.max(upto_bytes);
        active.step_bytes = active.step_bytes.saturating_mul(2).min(config.reserve_step_max_bytes);
    }
}

/// Creates the next segment's file. The active segment's index files, left from an earlier clean stop, go now, so that
/// the same sync of the directory covers both: a roll then finds nothing to remove.
async fn prepare<S: SegmentStore>(
    shared: &Shared<S>,
    active_base: i64,
    reserve_bytes: u64,
) -> Result<(), IoFault> {
    let dir = shared.dir.clone();
    off_thread(&shared.dir, move || forget_indexes(&dir, active_base)).await?;
    let prepared = match retired::revive(shared).await? {
        Some(revived) => revived,
        None => create(shared, reserve_bytes).await?,
    };
    shared.lock().ahead.next_segment = Some(prepared);
    Ok(())
}

async fn create<S: SegmentStore>(
    shared: &Shared<S>,
    reserve_bytes: u64,
) -> Result<Prepared<S::File>, IoFault> {
    let path = waiting_path(&shared.dir);
    let file = match shared.store.create(&path, reserve_bytes).await {
        Err(fault) if fault.kind == FaultKind::AlreadyExists => {
            shared.store.remove(&path).await?;
            shared.store.create(&path, reserve_bytes).await?
        }
        other => other?,
    };
    shared.share.note_taken(reserve_bytes);
    Ok(Prepared { file, reserved_bytes: reserve_bytes, recycled: false })
}

/// Removes index files left from an earlier clean stop, when the segment was shorter: recovery would take them for a
/// sign that the segment is whole. Blocks.
pub(crate) fn forget_indexes(dir: &Path, base_offset: i64) -> Result<(), IoFault> {
    side_file::remove_if_present(&OffsetIndex::path(dir, base_offset))?;
    side_file::remove_if_present(&TimeIndex::path(dir, base_offset))
}

fn waiting_path(dir: &Path) -> PathBuf {
    dir.join(layout::NEXT_SEGMENT)
}

impl<S: SegmentStore> Log<S> {
    /// The next segment's file, if it is ready or about to be. The caller keeps new work from beginning.
    pub(crate) async fn take_prepared(&self) -> Option<Prepared<S::File>> {
        self.shared.until(|state| (!state.ahead.running).then(|| state.ahead.next_segment.take())).await
    }

    /// Gives back what is kept for segments to come. Says whether there was anything.
    pub(crate) async fn discard_prepared(&self) -> Result<bool, IoFault> {
        let Some(prepared) = self.take_prepared().await else { return self.empty_pool().await };
        let path = prepared.file.path().to_owned();
        drop(prepared);
        self.shared.store.remove(&path).await?;
        self.empty_pool().await.map(|_| true)
    }
}

/// Removes what a crash left ready or retired among the `names` in `dir`. These are no segments' names, so nothing else
/// looks at them.
pub(crate) async fn remove_leftovers<S: SegmentStore>(
    store: &S,
    dir: &Path,
    names: &[String],
) -> Result<(), IoFault> {
    for name in names.iter().filter(|name| *name == layout::NEXT_SEGMENT || retired::is_retired(name)) {
        store.remove(&dir.join(name)).await?;
    }
    Ok(())
}
