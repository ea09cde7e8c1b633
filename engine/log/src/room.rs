//! Making room before a batch is accepted: reservations and rolls, one at a time and outside the lock.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use plimsoll_io::{FaultKind, IoFault, IoOp, SegmentFile, SegmentStore};

use crate::ahead::{self, Prepared};
use crate::error::AppendError;
use crate::layout::{self, LOG_SUFFIX};
use crate::log::Log;
use crate::open_files::PutOut;
use crate::segment::{Active, Opened, Sealed};
use crate::snapshot;
use crate::state::{Sealing, Shared, State, now_ms};
use crate::sync_task;
use crate::write_line::WriteLine;

/// Reservations end at a multiple of this, so that direct writes may pad their last block.
pub(crate) const RESERVE_ALIGN_BYTES: u64 = 4096;

impl<S: SegmentStore> Log<S> {
    /// Reserves space for `upto_bytes` and a step ahead; on a nearly full disk, for `upto_bytes` alone. Only for
    /// appends that outran what is reserved in the background.
    pub(crate) async fn reserve(&self, active_base: i64, upto_bytes: u64) -> Result<(), AppendError> {
        let _turn = self.shared.room.lock().await;
        let (config, share) = (&self.shared.config, &self.shared.share);
        let (file, generation, step_bytes) = {
            let state = self.shared.lock();
            let active = &state.active;
            if active.base_offset != active_base || active.reserved_bytes >= upto_bytes {
                return Ok(());
            }
            (Arc::clone(&active.file), state.marks.generation, active.step_bytes)
        };
        let step_bytes = step_bytes.min(share.step_max_bytes(config.reserve_step_max_bytes));
        let needed_bytes = upto_bytes.next_multiple_of(RESERVE_ALIGN_BYTES);
        let segment_bytes = u64::from(config.segment_bytes).next_multiple_of(RESERVE_ALIGN_BYTES);
        let ahead_bytes = (needed_bytes + step_bytes).min(segment_bytes).max(needed_bytes);
        let reserved_bytes = match file.reserve(ahead_bytes).await {
            Ok(()) => ahead_bytes,
            Err(fault) if is_full(&fault) => {
                self.reserve_last_room(&*file, needed_bytes).await.map_err(|f| self.refused(f))?;
                needed_bytes
            }
            Err(fault) => return Err(self.refused(fault)),
        };
        // A full disk may have cut the file meanwhile; then the reservation is void.
        self.shared.lock().room_made(config, share, (active_base, generation), reserved_bytes);
        Ok(())
    }

    /// Reserves no more than what is needed, and for that gives up what was taken ahead.
    async fn reserve_last_room(&self, file: &S::File, needed_bytes: u64) -> Result<(), IoFault> {
        match file.reserve(needed_bytes).await {
            Err(fault) if is_full(&fault) && self.discard_prepared().await? => {
                file.reserve(needed_bytes).await
            }
            other => other,
        }
    }

    /// A device fault takes the log offline; anything else only refuses this batch.
    fn refused(&self, fault: IoFault) -> AppendError {
        if !fault.is_poison() {
            return AppendError::of_room(fault);
        }
        self.shared.poison(fault.clone());
        AppendError::Poisoned(Arc::new(fault))
    }

    /// Replaces the active segment by a new one, after everything accepted is written. A roll that finds no
    /// space leaves the log as it was.
    ///
    /// Runs to its end also if this is dropped: a file that is being created or renamed cannot be called back, and in the
    /// turn of the next roll it would take the name of that one's segment.
    pub(crate) async fn roll(&self, active_base: i64, next_base: Option<i64>) -> Result<(), AppendError> {
        let log = self.clone();
        let rolled = to_its_end(async move { log.roll_in_turn(active_base, next_base).await }).await;
        rolled.unwrap_or(Err(AppendError::Closed))
    }

    async fn roll_in_turn(&self, active_base: i64, next_base: Option<i64>) -> Result<(), AppendError> {
        let _turn = self.shared.room.lock().await;
        {
            let state = self.shared.lock();
            // Admission answers a log that was closed meanwhile.
            if state.active.base_offset != active_base || state.closed {
                return Ok(());
            }
        }
        let _hold = Hold::new(&self.shared);
        self.shared.drained().await.map_err(AppendError::Poisoned)?;
        let base_offset = {
            let state = self.shared.lock();
            if state.active.tail.size_bytes == 0 && state.active.base_offset == state.marks.accepted {
                // Everything in it was cut off again; there is nothing to seal.
                return Ok(());
            }
            next_base.unwrap_or(state.marks.accepted).max(state.marks.accepted)
        };
        let next = self.next_segment(active_base, base_offset).await.map_err(|f| self.refused(f))?;
        let config = &self.shared.config;
        let line = WriteLine::new(Arc::clone(&next.file), 0, Vec::new(), config.write_max_bytes);
        let put_out = self.shared.lock().replace_active(next, line);
        drop(put_out);
        sync_task::kick(&self.shared);
        Ok(())
    }

    /// The segment that begins at `base_offset`: the file prepared for it, which only takes its name, or else a new
    /// one. Whoever syncs the directory next makes the name durable: see [`sync_task`].
    async fn next_segment(&self, active_base: i64, base_offset: i64) -> Result<Active<S::File>, IoFault> {
        let dir = &self.shared.dir;
        let Some(Prepared { file, reserved_bytes, recycled }) = self.take_prepared().await else {
            let of = dir.clone();
            off_thread(dir, move || ahead::forget_indexes(&of, active_base)).await?;
            let (file, reserved_bytes) = self.create_segment(base_offset).await?;
            let step_bytes = self.shared.config.reserve_step_min_bytes;
            self.shared.lock().ahead.counts.segments_created += 1;
            return Ok(Active::empty(Arc::new(file), base_offset, now_ms(), reserved_bytes, step_bytes));
        };
        file.rename(&layout::segment_path(dir, base_offset, LOG_SUFFIX)).await?;
        // Whoever filled one segment is about to fill the next: steps go on as large as they were.
        let step_bytes = {
            let mut state = self.shared.lock();
            state.ahead.counts.segments_recycled += u64::from(recycled);
            state.ahead.counts.segments_created += u64::from(!recycled);
            state.active.step_bytes
        };
        Ok(Active::empty(Arc::new(file), base_offset, now_ms(), reserved_bytes, step_bytes))
    }

    /// Creates the file of a segment with its first reservation. A file of that name can only be left from a
    /// roll that was cut short, since no segment of the log has it.
    pub(crate) async fn create_segment(&self, base_offset: i64) -> Result<(S::File, u64), IoFault> {
        create_segment(&self.shared.store, &self.shared.dir, base_offset, &self.shared.config).await
    }
}

pub(crate) async fn create_segment<S: SegmentStore>(
    store: &S,
    dir: &Path,
    base_offset: i64,
    config: &crate::config::LogConfig,
) -> Result<(S::File, u64), IoFault> {
    let path = layout::segment_path(dir, base_offset, LOG_SUFFIX);
    let first_bytes = config.reserve_step_min_bytes.min(u64::from(config.segment_bytes));
    let reserve_bytes = first_bytes.next_multiple_of(RESERVE_ALIGN_BYTES);
    let created = match store.create(&path, reserve_bytes).await {
        Err(fault) if fault.kind == FaultKind::AlreadyExists => {
            store.remove(&path).await?;
            store.create(&path, reserve_bytes).await
        }
        other => other,
    };
    match created {
        // Nearly full: begin without room and let each batch ask for its own.
        Err(fault) if is_full(&fault) => Ok((store.create(&path, 0).await?, 0)),
        other => Ok((other?, reserve_bytes)),
    }
}

/// No space, and nothing worse: a sync that found none is never tried again.
fn is_full(fault: &IoFault) -> bool {
    fault.kind == FaultKind::NoSpace && !fault.is_poison()
}

impl<F: SegmentFile> State<F> {
    /// Seals the active segment, which is wholly written, and puts `next` in its place.
    fn replace_active(&mut self, next: Active<F>, line: WriteLine<F>) -> PutOut {
        let next_base = next.base_offset;
        let mut old = std::mem::replace(&mut self.active, next);
        old.finish_times();
        let Active { file, base_offset, tail, index, times, aborted, .. } = old;
        let next_offset = self.marks.accepted;
        self.sealed.push(Sealed {
            base_offset,
            next_offset,
            size_bytes: tail.size_bytes,
            newest: Some(tail.newest),
            damage: None,
        });
        let opened = Arc::new(Opened { file, base_offset, size_bytes: tail.size_bytes, index, times });
        let put_out = self.open.put(Arc::clone(&opened));
        let snapshot = (next_base, snapshot::encode(&self.producers));
        let aborted = Arc::new(aborted);
        self.aborted.hold(base_offset, &aborted);
        self.sealing.push_back(Arc::new(Sealing { opened, next_offset, snapshot, aborted }));
        // The old line is parked and empty, because everything was written.
        self.line = Some(line);
        put_out
    }
}

/// Keeps appends out while the active segment is being replaced, also if the future that does it is dropped.
pub(crate) struct Hold<'a, S: SegmentStore>(&'a Shared<S>);

impl<'a, S: SegmentStore> Hold<'a, S> {
    pub(crate) fn new(shared: &'a Shared<S>) -> Self {
        shared.lock().held = true;
        Self(shared)
    }
}

impl<S: SegmentStore> Drop for Hold<'_, S> {
    fn drop(&mut self) {
        self.0.lock().held = false;
    }
}

/// Runs `work` to its end on the caller's `LocalSet`, also if this is dropped. `None` if the runtime ended before it.
async fn to_its_end<T: 'static>(work: impl Future<Output = T> + 'static) -> Option<T> {
    let mut work = Box::pin(work);
    // In place first: where nothing has to be waited for that is all.
    let polled = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    match polled {
        Poll::Ready(done) => Some(done),
        Poll::Pending => tokio::task::spawn_local(work).await.ok(),
    }
}

/// Runs blocking file work on one of tokio's blocking threads.
pub(crate) async fn off_thread<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, IoFault> + Send + 'static,
) -> Result<T, IoFault> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|error| Err(IoFault::new(IoOp::Write, path, 0, std::io::Error::other(error))))
}
