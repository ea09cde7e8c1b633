//! The handle to one partition's log: waiting, and what the outside may ask. Appending, reading and the rest of what a
//! log does are in files of their own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use plimsoll_io::{AnyStore, IoFault, SegmentStore};

use crate::config::LogConfig;
use crate::marks::{Level, Marks, WaitError};
use crate::producers::ProducerEntry;
use crate::state::{Observer, Shared, State};
use crate::{pump, sync_task};

/// One partition's log. Clones are handles to the same log; the last one dropped does not close it: see
/// [`Log::close`].
///
/// Futures need not be `Send`. Appends, syncs and closing must run inside a tokio `LocalSet` of a
/// current-thread runtime with time enabled, which must live until [`Log::close`] is done: writes belong to the
/// runtime that began them, and one that ends with writes in flight takes the log offline.
pub struct Log<S: SegmentStore> {
    pub(crate) shared: Arc<Shared<S>>,
}

/// A log over whichever backend the configuration named.
pub type AnyLog = Log<AnyStore>;

impl<S: SegmentStore> Clone for Log<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S: SegmentStore> fmt::Debug for Log<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dir", &self.shared.dir).field("state", &*self.shared.lock()).finish()
    }
}

/// One segment, for retention and inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// First offset it may hold.
    pub base_offset: i64,
    /// One past the last offset it holds.
    pub next_offset: i64,
    /// Bytes of batches.
    pub size_bytes: u64,
    /// Largest timestamp in milliseconds, if known without reading; see [`Log::largest_timestamp`].
    pub largest_timestamp: Option<i64>,
    /// It takes new batches.
    pub active: bool,
}

impl<S: SegmentStore> Log<S> {
    /// How far the log has come.
    pub fn marks(&self) -> Marks {
        self.shared.lock().marks.clone()
    }

    /// Waits until the mark of `level` reaches `upto_offset` (the offset after the last one needed). Waiting
    /// for [`Level::Durable`] asks for a sync. Fails when `generation` is not or no longer the log's.
    ///
    /// Cancel safety: dropping it cancels the wait and never a write.
    pub async fn wait(&self, generation: u64, level: Level, upto_offset: i64) -> Result<(), WaitError> {
        let receiver = {
            let mut state = self.shared.lock();
            state.check_wait(generation, upto_offset)?;
            if state.marks.at(level) >= upto_offset {
                return Ok(());
            }
            if level == Level::Durable {
                state.sync.wanted = state.sync.wanted.max(upto_offset);
            }
            let receiver = state.waiters.add(level, upto_offset);
            if level == Level::Durable {
                pump::wake(state);
            }
            receiver
        };
        sync_task::kick(&self.shared);
        receiver.await.unwrap_or(Err(WaitError::Closed))
    }

    /// Takes the log out of service for good, as its own failed write or sync would: for a fault of the disk that
    /// another log met. Everyone who waits gets it; a fault of its own stays.
    pub fn fail(&self, fault: Arc<IoFault>) {
        self.shared.take_offline(fault);
    }

    /// Ends the generation, as loss of leadership demands: every waiter of the old one fails. Returns the new.
    pub fn new_generation(&self) -> u64 {
        self.shared.update(|state, wakes| {
            state.next_generation(wakes);
            state.marks.generation
        })
    }

    /// Tells `observer` of every change of `written`, `durable`, `start_offset`, generation or fault; a change of
    /// `accepted` alone is told with the next of those. Called without any of the log's locks, possibly from
    /// several threads at once, so a call may bring older marks than the one before: take the larger ones
    /// within a generation.
    pub fn set_observer(&self, observer: Observer) {
        self.shared.lock().observer = Some(observer);
    }

    /// The partition's directory.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &LogConfig {
        &self.shared.config
    }

    /// Bytes of batches in all segments.
    pub fn log_size_bytes(&self) -> u64 {
        let state = self.shared.lock();
        state.sealed.size_bytes() + state.active.tail.size_bytes
    }

    /// All segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let state = self.shared.lock();
        let sealed = state.sealed.iter().map(|s| SegmentInfo {
            base_offset: s.base_offset,
            next_offset: s.next_offset,
            size_bytes: s.size_bytes,
            largest_timestamp: s.newest.flatten().map(|e| e.timestamp),
            active: false,
        });
        let active = SegmentInfo {
            base_offset: state.active.base_offset,
            next_offset: state.marks.accepted,
            size_bytes: state.active.tail.size_bytes,
            largest_timestamp: state.active.tail.newest.map(|e| e.timestamp),
            active: true,
        };
        sealed.chain([active]).collect()
    }

    /// Below this offset a restart need not check anything. Everything below it is synced.
    pub fn recovery_point(&self) -> i64 {
        let state = self.shared.lock();
        let unsealed = state.sealing.front().map_or(i64::MAX, |sealing| sealing.opened.base_offset);
        state.marks.durable.min(unsealed)
    }

    /// What is known of a producer.
    pub fn producer(&self, producer_id: i64) -> Option<ProducerEntry> {
        self.shared.lock().producers.get(producer_id).copied()
    }

    /// All known producers with their ids, ordered by these: what DescribeProducers tells.
    pub fn producers(&self) -> Vec<(i64, ProducerEntry)> {
        let mut producers: Vec<_> = self.shared.lock().producers.iter().map(|(id, e)| (id, *e)).collect();
        producers.sort_unstable_by_key(|(id, _)| *id);
        producers
    }

    /// How many producers are known.
    pub fn producer_count(&self) -> usize {
        self.shared.lock().producers.len()
    }

    /// Forgets producers that were not seen for `producer.id.expiration.ms`. Returns how many.
    pub fn expire_producers(&self, now_ms: i64) -> usize {
        let expiration_ms = self.shared.config.producer_id_expiration_ms;
        self.shared.lock().producers.expire(now_ms, expiration_ms)
    }

    /// Moves the log start offset up, as retention and DeleteRecords do; never down, never above the end.
    /// Returns the start offset now. Segments wholly below it stay until [`Log::remove_old_segments`].
    pub fn increment_start_offset(&self, start_offset: i64) -> i64 {
        self.shared.update(|state, _| {
            let wanted = start_offset.min(state.marks.accepted);
            if wanted > state.marks.start_offset {
                state.marks.start_offset = wanted;
                state.epochs.truncate_from_start(wanted);
            }
            state.marks.start_offset
        })
    }
}

impl<F> State<F> {
    /// Whether offsets of `generation` below `upto_offset` still mean what they did.
    fn check_wait(&self, generation: u64, upto_offset: i64) -> Result<(), WaitError> {
        if let Some(fault) = &self.marks.fault {
            return Err(WaitError::Fault(Arc::clone(fault)));
        }
        if self.closed {
            return Err(WaitError::Closed);
        }
        let current = self.marks.generation;
        if generation == current {
            return Ok(());
        }
        // A full disk cuts off only what was not written: offsets below the cut are still good.
        match self.space_cut.as_ref().filter(|cut| cut.generation == current && generation + 1 == current) {
            Some(cut) if upto_offset <= cut.end_offset => Ok(()),
            Some(_) => Err(WaitError::NoSpace),
            None => Err(WaitError::GenerationChanged { waited: generation, current }),
        }
    }
}
