//! One replica of a partition: a log, what this broker is to it, and those who wait for it.
//!
//! [`Partition`] opens the log and reads for consumers. What the metadata makes of the replica is carried out in `change`;
//! what a leader does is in `leading` (for producers), `serving` (for followers and consumers) and `in_sync` (with the
//! controller), what a follower does in `following`; `standing` holds what both know, behind one short lock, and tells those
//! who wait (`watchers`). Every decision is made by [`replication`], which does no I/O.

mod change;
mod following;
mod in_sync;
mod isolation;
mod leading;
pub mod replication;
mod residence;
mod serving;
mod standing;
mod surroundings;
#[cfg(test)]
pub(crate) mod tests;
mod watchers;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use plimsoll_io::Records;
use plimsoll_log::{
    AbortedTxn, AnyLog, CommittedRead, Durability, Level, Log, LogError, Marks, OpenHints, ReadError,
    RecoveryReport,
};
use plimsoll_wire::ErrorCode;

use crate::config::TopicSettings;
use crate::log_dirs::LogDir;
pub(crate) use following::{Position, Taken};
pub(crate) use in_sync::Health;
pub(crate) use isolation::Isolation;
pub(crate) use leading::{AppendTicket, Unacknowledged, Unappended};
use replication::leader::Rules;
use replication::serve::{Asked, Range, Verdict, judge};
use residence::Residence;
use standing::{NO_EPOCH, Standing};
pub(crate) use surroundings::{PartitionKey, Peer, Peers, Surroundings};
pub(crate) use watchers::Watcher;

/// One replica of a partition, on this broker. It leads or follows as the metadata says; until that is known it does
/// neither.
///
/// Nothing above the high watermark is shown to consumers: what all replicas in sync hold, written (in sync with the
/// kernel) or, under `durability=fsync`, durable. Where this is the only replica that is its log's own mark, and takes
/// no lock of replication's.
#[derive(Debug)]
pub struct Partition {
    log: AnyLog,
    directory: Arc<LogDir>,
    standing: Arc<Standing>,
    /// One change of role, or one answer of a leader, at a time. Held over I/O; nobody who serves requests waits for it.
    turn: tokio::sync::Mutex<()>,
}

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
    /// Opens the log `name` in `directory` and recovers it as needed. A fault of the log takes the whole directory out
    /// of service. The replica neither leads nor follows before [`Partition::take_role`].
    pub(crate) async fn open(
        directory: Arc<LogDir>,
        name: &str,
        key: PartitionKey,
        settings: &TopicSettings,
        recovery: Recovery,
        around: Arc<Surroundings>,
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
        let path = directory.path().join(name);
        let (log, report) = Log::open(directory.store().clone(), &path, key.topic_id, config, hints).await?;
        let marks = log.marks();
        let rules = Rules { min_isr: settings.min_isr, lag_max: around.lag_max() };
        let high_watermark = recovery.high_watermark.unwrap_or(marks.start_offset);
        let high_watermark = high_watermark.clamp(marks.start_offset, marks.accepted);
        let residence = Residence::from(marks.at(level), marks.durable);
        let standing = Arc::new(Standing::new(key, around, level, rules, high_watermark, residence));
        let (observed, holder) = (standing.clone(), directory.clone());
        log.set_observer(Arc::new(move |marks: &Marks| {
            marks.fault.iter().for_each(|fault| holder.fail(fault.clone()));
            if observed.observed(marks) {
                holder.synced();
            }
        }));
        Ok((Self { log, directory, standing, turn: tokio::sync::Mutex::new(()) }, report))
    }

    /// Index inside its topic.
    pub fn index(&self) -> i32 {
        self.standing.key.index
    }

    /// Topic and index.
    pub(crate) fn key(&self) -> PartitionKey {
        self.standing.key
    }

    /// The leader epoch that this replica knows, -1 while it knows none.
    pub fn leader_epoch(&self) -> i32 {
        self.standing.known_epoch()
    }

    /// Whether this replica leads.
    pub(crate) fn leads(&self) -> bool {
        self.standing.leads_in() != NO_EPOCH
    }

    /// Refuses whoever knows another leader epoch (rule E26), and everybody if this replica does not lead.
    pub(crate) fn check_leads(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        replication::serve::fence(current_leader_epoch, self.leader_epoch())?;
        if self.leads() { Ok(()) } else { Err(ErrorCode::NotLeaderOrFollower) }
    }

    /// Whether this replica follows another.
    pub(crate) fn follows(&self) -> bool {
        !self.leads() && self.standing.lock().role.is_some_and(|role| role.leader.is_some())
    }

    /// How many records its leader has committed that this follower lacks, as of the last answer.
    pub(crate) fn follower_lag(&self) -> i64 {
        self.standing.lag.load(Ordering::Relaxed)
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
        let high_watermark = self.standing.high_watermark(&marks);
        Bounds {
            log_start: marks.start_offset,
            high_watermark,
            last_stable: self.log.last_stable_offset(high_watermark),
            log_end: marks.accepted,
        }
    }

    /// Judges what a consumer asks before anything is read (rules E18, E26, E27). A replica that does not lead serves those
    /// that may read from any (KIP-392), up to its own high watermark.
    pub(crate) fn judge(&self, bounds: &Bounds, asked: &Asked, from_any: bool) -> Verdict {
        let leads = self.leads();
        let may_serve = leads || (from_any && self.follows());
        if !may_serve {
            let fenced = replication::serve::fence(asked.current_leader_epoch, self.leader_epoch());
            return Verdict::Refuse(fenced.err().unwrap_or(ErrorCode::NotLeaderOrFollower));
        }
        let epoch_end = match asked.last_fetched_epoch {
            -1 => plimsoll_log::UNKNOWN_EPOCH_END,
            epoch => self.log.epoch_end_offset(epoch),
        };
        let range = Range { start: bounds.log_start, end: bounds.log_end, epoch_end };
        match judge(asked, self.leader_epoch(), &range) {
            // The leader may have it already.
            Verdict::Read if !leads && asked.fetch_offset > bounds.high_watermark => {
                Verdict::Refuse(ErrorCode::OffsetNotAvailable)
            }
            Verdict::Refuse(ErrorCode::OffsetOutOfRange) if !leads && asked.fetch_offset > bounds.log_end => {
                Verdict::Refuse(ErrorCode::OffsetNotAvailable)
            }
            verdict => verdict,
        }
    }

    /// Reads whole batches from `offset` as far as `isolation` lets a consumer see within `bounds` (rules E17–E20).
    pub(crate) async fn read(
        &self,
        bounds: Bounds,
        offset: i64,
        isolation: Isolation,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
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
        self.standing.residence().asked(offset, count);
    }

    /// A reader that asked for `offset` is given records.
    pub(crate) fn gave(&self, offset: i64) {
        self.standing.residence().answered(offset, Instant::now);
    }

    /// Whether its acknowledgements wait for a sync.
    pub(crate) fn acks_after_sync(&self) -> bool {
        self.standing.level == Level::Durable
    }

    /// Wakes everybody who waits for progress, since there will be none.
    pub(crate) fn wake_watchers(&self) {
        self.standing.fail_waiting(ErrorCode::NotLeaderOrFollower);
        self.standing.consumers.wake();
        self.standing.followers.wake();
    }

    /// Wakes `watcher` once consumers may see more.
    pub(crate) fn watch(&self, watcher: &Watcher) {
        self.standing.consumers.add(watcher);
    }

    /// Wakes `watcher` once followers may read more.
    pub(crate) fn watch_as_follower(&self, watcher: &Watcher) {
        self.standing.followers.add(watcher);
    }
}

/// How to recover a log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recovery {
    /// Everything below this offset is known to be whole.
    pub(crate) point: Option<i64>,
    /// Where the log starts, if its start was moved.
    pub(crate) log_start: Option<i64>,
    /// Up to where its replica could be consumed.
    pub(crate) high_watermark: Option<i64>,
    /// The last stop was clean.
    pub(crate) clean: bool,
}
