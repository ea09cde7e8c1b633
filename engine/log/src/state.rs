//! Everything that changes, behind one short lock: no I/O and no await happen under it.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use plimsoll_io::{Chunk, FaultKind, IoFault, IoOp, SegmentStore};
use plimsoll_records::Batch;
use tokio::sync::Notify;

use crate::ahead::Ahead;
use crate::compact::Compacting;
use crate::config::LogConfig;
use crate::disk_share::DiskShare;
use crate::epochs::EpochCache;
use crate::marks::{Marks, WaitError, Waiters, Wakes};
use crate::open_files::OpenSegments;
use crate::producers::{ProducerUndo, Producers};
use crate::read::{Cursors, Version};
use crate::segment::{Active, Opened, SealedSegments, Tail};
use crate::snapshots::Snapshots;
use crate::transactions::{SealedTransactions, TransactionIndex};
use crate::write_line::{BLOCK_BYTES, WriteLine};

/// Told of every change of `written`, `durable`, `start_offset`, generation or fault.
pub type Observer = Arc<dyn Fn(&Marks) + Send + Sync>;

/// What the handle, the pump and the sync task share.
pub(crate) struct Shared<S: SegmentStore> {
    pub(crate) store: S,
    pub(crate) dir: PathBuf,
    pub(crate) config: LogConfig,
    pub(crate) snapshots: Snapshots,
    pub(crate) share: DiskShare,
    state: Mutex<State<S::File>>,
    /// Held while the segment or its room changes; everyone who needs that waits here.
    pub(crate) room: tokio::sync::Mutex<()>,
    /// Held while the epoch checkpoint is written, also by whoever stopped waiting for that.
    pub(crate) epoch_file: Arc<tokio::sync::Mutex<()>>,
    /// Fires when writes land, a pump or a sync comes to rest, or the log fails.
    pub(crate) progress: Notify,
}

/// Accepted but not yet wholly written.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) end_bytes: u64,
    pub(crate) next_offset: i64,
    pub(crate) tail_before: Tail,
    pub(crate) producer: Option<ProducerUndo>,
}

/// Pieces of accepted batches, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pieces: Vec<Chunk>,
    len_bytes: usize,
}

impl Pending {
    fn push(&mut self, piece: Chunk) {
        self.len_bytes += piece.as_slice().len();
        self.pieces.push(piece);
    }

    /// Hands over all pieces.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Chunk> {
        self.len_bytes = 0;
        self.pieces.drain(..)
    }

    pub(crate) fn clear(&mut self) {
        self.drain().for_each(drop);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// A segment on its way from active to sealed.
#[derive(Debug)]
pub(crate) struct Sealing<F> {
    pub(crate) opened: Arc<Opened<F>>,
    pub(crate) next_offset: i64,
    /// Offset and bytes of the producer snapshot taken at the roll.
    pub(crate) snapshot: (i64, Vec<u8>),
    pub(crate) aborted: Arc<TransactionIndex>,
}

/// What the sync task has to do.
#[derive(Debug, Default)]
pub(crate) struct SyncState {
    /// A task is at it.
    pub(crate) running: bool,
    /// Somebody wants everything below this offset durable.
    pub(crate) wanted: i64,
    /// The `flush.ms` timer runs.
    pub(crate) timer: bool,
}

/// A generation that began because batches found no space, and where the log was cut.
#[derive(Clone, Debug)]
pub(crate) struct SpaceCut {
    pub(crate) generation: u64,
    pub(crate) end_offset: i64,
    pub(crate) fault: Arc<IoFault>,
}

/// The log's state. Invariant: all unwritten batches belong to the active segment, because a roll first waits
/// for what was accepted.
pub(crate) struct State<F> {
    pub(crate) marks: Marks,
    pub(crate) sealed: SealedSegments,
    pub(crate) active: Active<F>,
    pub(crate) open: OpenSegments<F>,
    /// Accepted pieces that no pump has taken yet.
    pub(crate) pending: Pending,
    pub(crate) unwritten: VecDeque<Unwritten>,
    /// Parked here while no pump runs; whoever takes it is the pump.
    pub(crate) line: Option<WriteLine<F>>,
    pub(crate) pump_waker: Option<Waker>,
    /// A pump is a task that will run and take what is pending, once the runtime's thread gets to it.
    pub(crate) pump_due: bool,
    pub(crate) sync: SyncState,
    pub(crate) ahead: Ahead<F>,
    /// Rolled and not yet synced, oldest first. Bounded: see [`Need::Sealed`](crate::admit::Need::Sealed).
    pub(crate) sealing: VecDeque<Arc<Sealing<F>>>,
    pub(crate) producers: Producers,
    /// Of the sealed segments; the active one has its own.
    pub(crate) aborted: SealedTransactions,
    pub(crate) epochs: EpochCache,
    pub(crate) waiters: Waiters,
    /// A roll or truncation is replacing the active segment: nothing is accepted meanwhile.
    pub(crate) held: bool,
    /// A truncation cuts files: nothing is synced meanwhile.
    pub(crate) cutting: bool,
    /// A full disk is being cut back: nothing is accepted meanwhile.
    pub(crate) repairing: bool,
    pub(crate) closed: bool,
    /// The directory's name may belong to another log by now: no file is reached by its path any more.
    pub(crate) deleted: bool,
    pub(crate) compacting: Compacting,
    pub(crate) cursors: Cursors,
    pub(crate) space_cut: Option<SpaceCut>,
    pub(crate) observer: Option<Observer>,
}

impl<S: SegmentStore> Shared<S> {
    pub(crate) fn new(
        store: S,
        dir: PathBuf,
        config: LogConfig,
        snapshots: Snapshots,
        state: State<S::File>,
    ) -> Arc<Self> {
        let (room, progress) = (tokio::sync::Mutex::new(()), Notify::new());
        let (share, epoch_file) = (DiskShare::join(dir.parent().unwrap_or(&dir)), Arc::default());
        let state = Mutex::new(state);
        Arc::new(Self { store, dir, config, snapshots, share, state, room, epoch_file, progress })
    }

    /// Locks for reading, or for changes that move no mark.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<S::File>> {
        // A panic under the lock leaves marks that only ever grew; they remain the best knowledge there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state; afterwards, without the lock, wakes waiters and tells the observer.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut State<S::File>, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let before = state.visible();
        let result = change(&mut state, &mut wakes);
        state.marks.assert_order();
        let mut notice = None;
        if before != state.visible() {
            let State { marks, waiters, observer, .. } = &mut *state;
            waiters.reached(marks, &mut wakes);
            notice = observer.clone().map(|observer| (observer, marks.clone()));
        }
        drop(state);
        wakes.send();
        if let Some((observer, marks)) = notice {
            observer(&marks);
        }
        result
    }

    /// Takes the log out of service for good: the first fault stays, everyone who waits gets it.
    pub(crate) fn poison(&self, fault: IoFault) {
        tracing::error!(dir = %self.dir.display(), %fault, "the log goes offline: a write or sync failed and is not retried");
        self.take_offline(Arc::new(fault));
    }

    /// The same without a word: whoever knows the fault tells of it.
    pub(crate) fn take_offline(&self, fault: Arc<IoFault>) {
        self.update(|state, wakes| {
            let fault = Arc::clone(state.marks.fault.get_or_insert(fault));
            state.pending.clear();
            state.waiters.fail_all(&WaitError::Fault(fault), wakes);
        });
        self.progress.notify_waiters();
    }

    /// Waits until `ready` says so, looking again at every sign of progress.
    pub(crate) async fn until<R>(&self, mut ready: impl FnMut(&mut State<S::File>) -> Option<R>) -> R {
        loop {
            let progress = self.progress.notified();
            if let Some(result) = ready(&mut self.lock()) {
                return result;
            }
            progress.await;
        }
    }

    /// Waits until everything accepted is written, or the log has failed.
    pub(crate) async fn drained(&self) -> Result<(), Arc<IoFault>> {
        self.until(|state| match &state.marks.fault {
            Some(fault) => Some(Err(Arc::clone(fault))),
            None if state.line.is_some() && state.pending.is_empty() && !state.repairing => Some(Ok(())),
            None => None,
        })
        .await
    }
}

impl<F> State<F> {
    fn visible(&self) -> (i64, i64, i64, u64, bool) {
        let Marks { start_offset, written, durable, generation, ref fault, .. } = self.marks;
        (start_offset, written, durable, generation, fault.is_some())
    }

    /// By which places in files are known.
    pub(crate) fn version(&self) -> Version {
        Version { generation: self.marks.generation, swaps: self.compacting.swaps }
    }

    /// Refuses to go on with a log that was deleted.
    pub(crate) fn check_deleted(&self, dir: &Path) -> Result<(), IoFault> {
        let fault = || IoFault::with_kind(IoOp::Open, dir, 0, FaultKind::NotFound, "the log was deleted");
        if self.deleted { Err(fault()) } else { Ok(()) }
    }

    /// Whether the segment is one of the log's that are cut to their size and synced.
    pub(crate) fn is_sealed(&self, base_offset: i64) -> bool {
        let known = self.sealed.position(base_offset).is_some();
        let unsealed = self.sealing.front().map_or(i64::MAX, |s| s.opened.base_offset);
        known && base_offset < unsealed && !self.deleted
    }

    /// Queues an accepted batch for the pump.
    pub(crate) fn enqueue(&mut self, batch: &Batch) {
        self.pending.push(Chunk::Inline(*batch.prefix()));
        self.pending.push(Chunk::Shared(batch.rest().clone()));
    }

    /// Whether a whole write is ready for a pump that only needs this thread to begin it.
    pub(crate) fn has_write_due(&self) -> bool {
        self.pump_due && self.pending.len_bytes >= BLOCK_BYTES
    }

    /// Where the file must be written up to for everyone who waits for a sync.
    pub(crate) fn awaited_bytes(&self) -> u64 {
        let Some(upto_offset) = self.waiters.last_durable() else { return 0 };
        let reached = self.unwritten.partition_point(|batch| batch.next_offset < upto_offset);
        self.unwritten.get(reached).map_or(0, |batch| batch.end_bytes)
    }

    /// Bytes accepted and not yet written.
    pub(crate) fn backlog_bytes(&self) -> u64 {
        self.active.tail.size_bytes - self.active.written_bytes
    }

    /// Notes that the active segment is written up to `upto_bytes`, which may lie inside a batch.
    pub(crate) fn landed(&mut self, upto_bytes: u64) {
        while let Some(batch) = self.unwritten.pop_front_if(|b| b.end_bytes <= upto_bytes) {
            self.marks.written = batch.next_offset;
            self.active.written_bytes = batch.end_bytes;
        }
    }

    /// Starts a generation and fails every waiter of the old one.
    pub(crate) fn next_generation(&mut self, wakes: &mut Wakes) {
        let waited = self.marks.generation;
        self.marks.generation += 1;
        let error = WaitError::GenerationChanged { waited, current: self.marks.generation };
        self.waiters.fail_all(&error, wakes);
    }

    /// Cuts off everything that is not written, because the disk is full. Returns where the file must end.
    pub(crate) fn cut_unwritten(&mut self, fault: Arc<IoFault>, wakes: &mut Wakes) -> u64 {
        self.marks.generation += 1;
        self.waiters.fail_all(&WaitError::NoSpace, wakes);
        self.pending.clear();
        let mut tail = self.active.tail;
        while let Some(batch) = self.unwritten.pop_back() {
            tail = batch.tail_before;
            if let Some(undo) = &batch.producer {
                self.producers.undo(undo);
            }
        }
        let end_offset = self.marks.written;
        self.marks.accepted = end_offset;
        self.sync.wanted = self.sync.wanted.min(end_offset);
        self.active.cut_back(tail, end_offset);
        self.active.reserved_bytes = tail.size_bytes;
        self.space_cut = Some(SpaceCut { generation: self.marks.generation, end_offset, fault });
        tail.size_bytes
    }
}

impl<F> fmt::Debug for State<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("marks", &self.marks)
            .field("sealed", &self.sealed.len())
            .field("active_base_offset", &self.active.base_offset)
            .field("unwritten", &self.unwritten.len())
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970 by the machine's clock.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
