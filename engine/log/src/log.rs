//! The handle to one partition's log: appending, waiting, and what the outside may ask.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use plimsoll_io::{AnyStore, IoFault, SegmentStore};
use plimsoll_records::Batch;

use crate::admit::{Admission, Appended, Need};
use crate::config::LogConfig;
use crate::epochs::{EpochCache, EpochEnd, EpochEntry};
use crate::error::{AppendError, LogError};
use crate::follower::Truncation;
use crate::marks::{Level, Marks, WaitError};
use crate::producers::{Origin, ProducerEntry};
use crate::room::off_thread;
use crate::state::{Observer, Shared, State, now_ms};
use crate::{ahead, pump, sync_task};

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

/// A batch and who brings it.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// One batch. A client's must have been validated.
    pub batch: Batch,
    /// The leader's epoch, stamped on a client's batch; a replica's carries its own.
    pub leader_epoch: i32,
    /// Decides offsets and checks.
    pub origin: Origin,
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
    /// Appends one batch: assigns offsets, checks the producer (rule E14), rolls and reserves first if needed,
    /// and takes the batch towards the file. Does not wait until it is written; see [`Log::wait`]. With a
    /// backend that writes inline it is written on return.
    ///
    /// Cancel safety: dropped before acceptance, nothing of the batch remains; afterwards it is written anyway.
    pub async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        let AppendRequest { mut batch, leader_epoch, origin } = request;
        self.check(&batch, origin)?;
        if origin == Origin::Client {
            batch.set_leader_epoch(leader_epoch);
        }
        loop {
            match self.admit(&mut batch, origin)? {
                Admission::Accepted(appended) => {
                    let (appended, write_due) = self.confirm(appended)?;
                    if write_due {
                        // The device would idle while whoever appends batch after batch fills memory.
                        tokio::task::yield_now().await;
                    }
                    return Ok(appended);
                }
                Admission::Duplicate(original) => return Ok(original),
                Admission::Needs(need) => self.provide(need).await?,
            }
        }
    }

    fn check(&self, batch: &Batch, origin: Origin) -> Result<(), AppendError> {
        let (size_bytes, segment_bytes) = (batch.size_bytes(), self.shared.config.segment_bytes);
        if size_bytes as u64 > u64::from(segment_bytes) {
            return Err(AppendError::TooLarge { size_bytes, segment_bytes });
        }
        // A client's batch was checked when it was validated; a leader's has crossed a network since.
        match origin {
            Origin::Client => Ok(()),
            Origin::Replica => Ok(batch.verify_crc()?),
        }
    }

    fn admit(&self, batch: &mut Batch, origin: Origin) -> Result<Admission, AppendError> {
        let config = &self.shared.config;
        let mut state = self.shared.lock();
        let admission = state.admit(batch, origin, now_ms(), config)?;
        let (timer, ahead) = match admission {
            Admission::Accepted(_) => {
                (state.want_sync(config), state.begin_ahead(config, &self.shared.share))
            }
            Admission::Duplicate(_) | Admission::Needs(_) => (None, false),
        };
        drop(state);
        if ahead {
            ahead::start(&self.shared);
        }
        timer.into_iter().for_each(|after| sync_task::start_timer(&self.shared, after));
        Ok(admission)
    }

    /// Pumps, and looks whether the batch survived it. Says also whether the pump should get this thread now.
    fn confirm(&self, appended: Appended) -> Result<(Appended, bool), AppendError> {
        pump::drive(&self.shared);
        let state = self.shared.lock();
        if let Some(fault) = &state.marks.fault {
            return Err(AppendError::Poisoned(Arc::clone(fault)));
        }
        let cut = state.space_cut.as_ref().filter(|cut| cut.generation > appended.generation);
        match cut.filter(|cut| cut.end_offset <= appended.last_offset) {
            Some(cut) => Err(AppendError::NoSpace(Arc::clone(&cut.fault))),
            None => Ok((appended, state.has_write_due())),
        }
    }

    async fn provide(&self, need: Need) -> Result<(), AppendError> {
        match need {
            Need::Progress => self.progress().await,
            Need::Turn => drop(self.shared.room.lock().await),
            Need::Epoch { epoch, start_offset } => {
                self.assign_epoch(epoch, start_offset).await.map_err(AppendError::of_room)?;
            }
            Need::Sealed => self.sealed().await,
            Need::Roll { active_base, next_base } => self.roll(active_base, next_base).await?,
            Need::Reserve { active_base, upto_bytes } => self.reserve(active_base, upto_bytes).await?,
        }
        Ok(())
    }

    /// Waits until the backlog shrinks or a full disk is cut back.
    async fn progress(&self) {
        let before = self.shared.lock().backlog_bytes();
        self.shared
            .until(|state| {
                let over = state.marks.fault.is_some() || state.closed;
                (over || !state.repairing && (state.backlog_bytes() < before || before == 0)).then_some(())
            })
            .await;
    }

    /// Waits until the sync task has caught up so far that another segment may be rolled. Without the room lock:
    /// whatever needs no roll goes on meanwhile.
    pub(crate) async fn sealed(&self) {
        let over = |state: &State<S::File>| state.marks.fault.is_some() || state.closed;
        self.shared.until(|state| (over(state) || state.may_roll()).then_some(())).await;
    }

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

    async fn assign_epoch(&self, epoch: i32, start_offset: i64) -> Result<(), IoFault> {
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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::process::Command;
    use std::task::{Context, Waker};

    use plimsoll_io::{PageCacheStore, Preallocation};
    use uuid::Uuid;

    use super::*;
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
