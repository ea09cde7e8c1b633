//! Entries, vote and commit mark of one node, durable before they are answered for.
//!
//! An entry's index is its offset in the segment log. Cutting at the beginning writes down first where the log begins, so
//! that a crash leaves more than was asked for and the next opening ends the cut.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use plimsoll_io::{AnyStore, FaultKind};
use plimsoll_log::records::{Batch, Compressor, Decompressor};
use plimsoll_log::{
    AnyLog, AppendError, AppendRequest, Appended, Durability, Level, Log, LogConfig, OpenHints, Origin,
    RecoveryReport,
};
use tracing::{debug, warn};
use uuid::Uuid;

use super::entries::{self, corrupt};
use super::quorum_state::{self, QuorumState};
use super::types::{Entry, LogId, Vote};
use crate::{ControlError, METADATA_LOG, damage};

/// How often a full disk is tried again.
const ROOM_AGAIN: Duration = Duration::from_millis(200);

/// How much one step of reading takes from the log.
const READ_BYTES: usize = 1 << 20;

/// Size of a segment: small, because only whole ones can be cut off the beginning, and larger than any command.
const SEGMENT_BYTES: u32 = 16 << 20;

/// The log. Not `Send`: it lives on the thread of [`super::worker`].
pub(super) struct RaftLog {
    log: AnyLog,
    dir: PathBuf,
    state: QuorumState,
    last: Option<LogId>,
    compressor: Compressor,
}

impl RaftLog {
    /// Opens the log under `log_dir` and reads all of it. A torn last entry, which nobody was answered, is cut off; a log
    /// that lost others is refused with [`ControlError::Corrupt`] and left as it is.
    pub(super) async fn open(
        store: AnyStore,
        log_dir: &Path,
    ) -> Result<(Self, RecoveryReport), ControlError> {
        let dir = log_dir.join(METADATA_LOG);
        let state = QuorumState::read(&dir)?;
        let start = state.purged.map_or(0, |purged| offset(purged.index + 1));
        damage::check(&dir, start)?;
        let config =
            LogConfig { durability: Durability::Fsync, segment_bytes: SEGMENT_BYTES, ..LogConfig::default() };
        let hints = OpenHints { log_start_offset: Some(start), ..OpenHints::default() };
        let (log, recovery) = Log::open(store, &dir, Uuid::nil(), config, hints).await?;
        let mut opened = Self { log, dir, last: state.purged, state, compressor: Compressor::new() };
        let end = opened.end();
        let mut next = start;
        while next < end {
            let read = opened.read_some(next..end).await?;
            let last = read.last().ok_or_else(|| corrupt(next, "no whole batch follows".into()))?;
            opened.last = Some(last.log_id);
            next = offset(last.log_id.index + 1);
        }
        Ok((opened, recovery))
    }

    pub(super) fn purged(&self) -> Option<LogId> {
        self.state.purged
    }

    /// The last entry, or the last that was purged if there is none.
    pub(super) fn last(&self) -> Option<LogId> {
        self.last
    }

    pub(super) fn vote(&self) -> Option<Vote> {
        self.state.vote
    }

    /// Durable on return.
    pub(super) fn save_vote(&mut self, vote: Vote) -> Result<(), ControlError> {
        self.state.vote = Some(vote);
        self.state.write(&self.dir).map_err(ControlError::Side)
    }

    pub(super) fn committed(&self) -> Option<LogId> {
        // One that outran a log cut by hand would make a state machine wait for ever.
        quorum_state::read_committed(&self.dir).filter(|committed| Some(*committed) <= self.last)
    }

    /// One that a full disk has no room for costs a restarted node a little patience only.
    pub(super) fn save_committed(&self, committed: LogId) -> Result<(), ControlError> {
        match quorum_state::write_committed(&self.dir, committed) {
            Err(fault) if fault.kind == FaultKind::NoSpace => {
                debug!(%fault, "the commit mark could not be written");
                Ok(())
            }
            written => written.map_err(ControlError::Side),
        }
    }

    /// Appends entries that continue the log and waits until they are durable.
    pub(super) async fn append(&mut self, entries: Vec<Entry>) -> Result<(), ControlError> {
        let mut appended = None;
        for entry in &entries {
            self.begin_at(entry.log_id).await?;
            let batch = entries::encode(entry, now_ms(), &mut self.compressor)?;
            let leader_epoch = i32::try_from(entry.log_id.leader_id.term).unwrap_or(i32::MAX);
            let request = AppendRequest { batch, leader_epoch, origin: Origin::Client };
            appended = Some(self.append_once_there_is_room(request).await?);
        }
        if let Some(appended) = appended {
            self.log.wait(appended.generation, Level::Durable, appended.last_offset + 1).await?;
        }
        self.last = entries.last().map(|entry| entry.log_id).or(self.last);
        Ok(())
    }

    /// A full disk fails nothing for good: whoever proposed is told that it takes too long, and what is written while there
    /// is room again is what was asked for then.
    async fn append_once_there_is_room(&self, request: AppendRequest) -> Result<Appended, ControlError> {
        let mut told = false;
        loop {
            match self.log.append(request.clone()).await {
                Err(AppendError::NoSpace(fault)) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(%fault, "the metadata log waits for room on its disk");
                    }
                    tokio::time::sleep(ROOM_AGAIN).await;
                }
                other => return Ok(other?),
            }
        }
    }

    /// An empty log begins where its first entry says (openraft's suite begins below what was purged); any other has no
    /// hole.
    async fn begin_at(&mut self, log_id: LogId) -> Result<(), ControlError> {
        let (next, marks) = (offset(log_id.index), self.log.marks());
        if next == marks.accepted {
            return Ok(());
        }
        if marks.start_offset == marks.accepted {
            return Ok(self.log.truncate_fully_and_start_at(next).await?);
        }
        Err(corrupt(marks.accepted, format!("entry {log_id} does not continue the log")))
    }

    /// The entries of `range` that are there, as many as fit one read and at least one.
    pub(super) async fn read_some(&self, range: Range<i64>) -> Result<Vec<Entry>, ControlError> {
        let marks = self.log.marks();
        let (from, upto) = (range.start.max(marks.start_offset), range.end.min(marks.accepted));
        let mut entries = Vec::new();
        if from >= upto {
            return Ok(entries);
        }
        let read = self.log.read(from, upto, READ_BYTES, true).await;
        let read = read.map_err(|error| corrupt(from, error.to_string()))?;
        let mut bytes: Bytes = read.records.to_bytes().map_err(|error| corrupt(from, error.to_string()))?;
        let mut decompressor = Decompressor::new();
        while let Some(batch) = Batch::split_from(&mut bytes).map_err(|e| corrupt(from, e.to_string()))? {
            entries::decode(&batch, &mut decompressor, &mut entries)?;
        }
        if entries.first().map(|entry| offset(entry.log_id.index)) != Some(from) {
            return Err(corrupt(from, "no whole batch follows".into()));
        }
        Ok(entries)
    }

    /// All entries of `range` that are there.
    pub(super) async fn read(&self, range: Range<i64>) -> Result<Vec<Entry>, ControlError> {
        let (mut all, mut next) = (Vec::new(), range.start.max(self.log.marks().start_offset));
        while next < range.end {
            let some = self.read_some(next..range.end).await?;
            let Some(last) = some.last() else { break };
            next = offset(last.log_id.index + 1);
            all.extend(some);
        }
        Ok(all)
    }

    /// Cuts off `index` and what follows.
    pub(super) async fn truncate(&mut self, index: u64) -> Result<(), ControlError> {
        self.log.truncate_to(offset(index)).await?;
        let end = self.end();
        let last = self.read_some(end - 1..end).await?;
        self.last = last.last().map(|entry| entry.log_id).or(self.state.purged);
        Ok(())
    }

    /// Cuts off what comes before the entry after `purged`, also if the log does not reach so far.
    pub(super) async fn purge(&mut self, purged: LogId) -> Result<(), ControlError> {
        if self.state.purged < Some(purged) {
            self.state.purged = Some(purged);
            self.state.write(&self.dir).map_err(ControlError::Side)?;
        }
        let start = offset(purged.index + 1);
        if start >= self.end() {
            self.log.truncate_fully_and_start_at(start).await?;
            self.last = Some(purged);
        } else {
            self.log.delete_records(start, start).await.map_err(|e| corrupt(start, e.to_string()))?;
        }
        Ok(())
    }

    /// Ends the log cleanly.
    pub(super) async fn close(&self) -> Result<(), ControlError> {
        Ok(self.log.close().await?)
    }

    fn end(&self) -> i64 {
        self.log.marks().accepted
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The offset of an entry.
fn offset(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
