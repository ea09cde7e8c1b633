//! One partition as its leader sees it: a log, a role, and those who wait for it to grow.

mod isolation;
pub mod replication;
mod residence;
mod watchers;

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_io::Records;
use plimsoll_log::{
    AbortedTxn, AnyLog, AppendError, AppendRequest, Appended, CommittedRead, Durability, Level, Log,
    LogError, Marks, OpenHints, Origin, ReadError, RecoveryReport, WaitError,
};
use plimsoll_records::Batch;
use plimsoll_wire::Uuid;

use crate::config::TopicSettings;
use crate::log_dirs::LogDir;
pub(crate) use isolation::Isolation;
use replication::role::Role;
use residence::Residence;
pub(crate) use watchers::Watcher;
use watchers::Watchers;

/// A partition that is assigned to this broker. It serves clients while this broker leads it.
///
/// One replica holds it, so the high watermark is derived: what is written (in sync with the kernel) or,
/// under `durability=fsync`, what is durable. Nothing above it is shown to anybody.
#[derive(Debug)]
pub struct Partition {
    index: i32,
    /// The epoch it leads in, or [`NOT_LEADING`].
    led_epoch: AtomicI32,
    role: Mutex<Option<Role>>,
    level: Level,
    log: AnyLog,
    directory: Arc<LogDir>,
    watchers: Arc<Watchers>,
    residence: Arc<Mutex<Residence>>,
}

/// Stands in the place of a leader epoch while another broker, or none, leads.
const NOT_LEADING: i32 = -1;

/// Why a partition cannot be opened or closed.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// Its log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The metadata is older than the log: records would be written again in an epoch that had others.
    #[error(
        "the metadata would have it led in leader epoch {leader_epoch}, but its log already holds epoch {latest_epoch}; the metadata log is older than the partition: restore both from the same backup"
    )]
    OldMetadata {
        /// What the metadata says.
        leader_epoch: i32,
        /// The log's latest.
        latest_epoch: i32,
    },
}

/// Where an append stands: what the answer says and what it waits for.
#[derive(Clone, Debug)]
pub(crate) struct AppendTicket {
    pub(crate) appended: Appended,
    upto_offset: i64,
}

/// What a partition looks like at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) log_start: i64,
    pub(crate) high_watermark: i64,
    /// Below it every transaction is decided (rule E20).
    pub(crate) last_stable: i64,
    pub(crate) log_end: i64,
}

/// What a fetch found.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) bounds: Bounds,
    pub(crate) records: Records,
    /// What a `read_committed` consumer must leave out; others are told nothing.
    pub(crate) aborted: Option<Vec<AbortedTxn>>,
}

impl Partition {
    /// Opens the log `name` in `directory` and recovers it as needed; nobody leads it here yet. A fault of the log takes
    /// the whole directory out of service.
    pub(crate) async fn open(
        directory: Arc<LogDir>,
        name: &str,
        topic_id: Uuid,
        index: i32,
        settings: &TopicSettings,
        recovery: Recovery,
    ) -> Result<(Self, RecoveryReport), PartitionError> {
        let config = settings.log.clone();
        let level = match config.durability {
            Durability::Replicated => Level::Written,
            Durability::Fsync => Level::Durable,
        };
        let hints = OpenHints {
            recovery_point: recovery.point,
            log_start_offset: recovery.log_start,
            clean: recovery.clean,
        };
        let (log, report) =
            Log::open(directory.store().clone(), &directory.path().join(name), topic_id, config, hints)
                .await?;
        let watchers = Arc::new(Watchers::default());
        let marks = log.marks();
        let residence = Arc::new(Mutex::new(Residence::from(marks.at(level), marks.durable)));
        let (observed, holder, resident) = (watchers.clone(), directory.clone(), residence.clone());
        log.set_observer(Arc::new(move |marks: &Marks| {
            marks.fault.iter().for_each(|fault| holder.fail(fault.clone()));
            let mut residence = lock(&resident);
            residence.readable_to(marks.at(level), Instant::now);
            if residence.synced_to(marks.durable) {
                holder.synced();
            }
            drop(residence);
            observed.wake();
        }));
        let (led_epoch, role) = (AtomicI32::new(NOT_LEADING), Mutex::default());
        Ok((Self { index, led_epoch, role, level, log, directory, watchers, residence }, report))
    }

    /// Index inside its topic.
    pub fn index(&self) -> i32 {
        self.index
    }

    /// The epoch it leads in; -1 while it does not.
    pub fn leader_epoch(&self) -> i32 {
        self.led_epoch.load(Ordering::Acquire)
    }

    /// Whether this broker leads it.
    pub(crate) fn leads(&self) -> bool {
        self.leader_epoch() != NOT_LEADING
    }

    /// What the metadata made of it last; `None` since the start.
    pub(crate) fn role(&self) -> Option<Role> {
        *lock(&self.role)
    }

    /// Goes on as before, by a newer record.
    pub(crate) fn go_on(&self, role: Role) {
        *lock(&self.role) = Some(role);
    }

    /// Leads in the epoch of `role`, which begins at the log end even before its first batch (rule E27).
    pub(crate) async fn lead(&self, role: Role) -> Result<(), PartitionError> {
        self.log.new_generation();
        self.log.assign_leader_epoch(role.leader_epoch).await?;
        *lock(&self.role) = Some(role);
        self.led_epoch.store(role.leader_epoch, Ordering::Release);
        Ok(())
    }

    /// Leads no more: whoever waits for records of this broker's is told so.
    pub(crate) fn give_up(&self, role: Role) {
        self.led_epoch.store(NOT_LEADING, Ordering::Release);
        *lock(&self.role) = Some(role);
        self.log.new_generation();
        self.watchers.wake();
    }

    /// Whether its disk failed.
    pub(crate) fn is_offline(&self) -> bool {
        self.directory.is_offline()
    }

    /// Where it lies.
    pub(crate) fn directory(&self) -> &Arc<LogDir> {
        &self.directory
    }

    /// The leader epoch in which `offset` was or will be written, -1 if no epoch is known.
    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        let Some(latest) = self.log.latest_epoch() else { return -1 };
        let mut epoch = latest.epoch;
        let mut start_offset = latest.start_offset;
        // From epoch to epoch downwards: where the one before ends, this one begins.
        while start_offset > offset && epoch > 0 {
            epoch = self.log.epoch_end_offset(epoch - 1).epoch;
            start_offset = self.log.epoch_end_offset(epoch - 1).end_offset;
        }
        epoch
    }

    /// Its log.
    pub(crate) fn log(&self) -> &AnyLog {
        &self.log
    }

    /// Log start, high watermark and log end, taken together.
    pub(crate) fn bounds(&self) -> Bounds {
        let marks = self.log.marks();
        let high_watermark = marks.at(self.level);
        Bounds {
            log_start: marks.start_offset,
            high_watermark,
            last_stable: self.log.last_stable_offset(high_watermark),
            log_end: marks.accepted,
        }
    }

    /// Appends a client's validated batch; the order of calls is the order in the log.
    pub(crate) async fn append(&self, batch: Batch) -> Result<AppendTicket, AppendError> {
        let leader_epoch = self.leader_epoch();
        if leader_epoch == NOT_LEADING {
            return Err(AppendError::Closed);
        }
        let request = AppendRequest { batch, leader_epoch, origin: Origin::Client };
        let appended = self.log.append(request).await?;
        let upto_offset = appended.last_offset + 1;
        Ok(AppendTicket { appended, upto_offset })
    }

    /// Whether the records of `ticket` have reached what an acknowledgement promises.
    pub(crate) fn is_reached(&self, ticket: &AppendTicket) -> bool {
        let marks = self.log.marks();
        marks.generation == ticket.appended.generation && marks.at(self.level) >= ticket.upto_offset
    }

    /// Waits until an acknowledgement of `ticket` is true; `None` after `timeout`, the records stay.
    pub(crate) async fn wait_acked(
        &self,
        ticket: &AppendTicket,
        timeout: Option<Duration>,
    ) -> Option<Result<(), WaitError>> {
        let reached = self.log.wait(ticket.appended.generation, self.level, ticket.upto_offset);
        match timeout {
            None => Some(reached.await),
            Some(limit) => tokio::time::timeout(limit, reached).await.ok(),
        }
    }

    /// Reads whole batches from `offset` as far as `isolation` lets a consumer see (rules E17–E20).
    pub(crate) async fn read(
        &self,
        offset: i64,
        isolation: Isolation,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
        let bounds = self.bounds();
        let upto_offset = bounds.visible(isolation);
        let out_of_range = offset < bounds.log_start || offset > bounds.log_end;
        let read = match isolation {
            _ if !out_of_range && offset >= upto_offset => CommittedRead::default(),
            Isolation::Uncommitted => {
                let out = self.log.read(offset, upto_offset, max_bytes, at_least_one).await?;
                CommittedRead { out, ..CommittedRead::default() }
            }
            Isolation::Committed => {
                self.log.read_committed(offset, upto_offset, max_bytes, at_least_one).await?
            }
        };
        let aborted = (isolation == Isolation::Committed).then_some(read.aborted);
        Ok(Fetched { bounds, records: read.out.records, aborted })
    }

    /// A reader asks for `offset` and so has what lies before. Tells `count` how long that lay here readable: the
    /// nanoseconds and the number of records, stretch by stretch.
    pub(crate) fn asked(&self, offset: i64, count: impl FnMut(u64, u64)) {
        lock(&self.residence).asked(offset, count);
    }

    /// A reader that asked for `offset` is given records.
    pub(crate) fn gave(&self, offset: i64) {
        lock(&self.residence).answered(offset, Instant::now);
    }

    /// Whether its acknowledgements wait for a sync.
    pub(crate) fn acks_after_sync(&self) -> bool {
        self.level == Level::Durable
    }

    /// Wakes everybody who waits for progress, since there will be none.
    pub(crate) fn wake_watchers(&self) {
        self.watchers.wake();
    }

    /// Wakes `watcher` at the next progress of this partition.
    pub(crate) fn watch(&self, watcher: &Watcher) {
        self.watchers.add(watcher);
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How to recover a log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recovery {
    /// Everything below this offset is known to be whole.
    pub(crate) point: Option<i64>,
    /// Where the log starts, if its start was moved.
    pub(crate) log_start: Option<i64>,
    /// The last stop was clean.
    pub(crate) clean: bool,
}
