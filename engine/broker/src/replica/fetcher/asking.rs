//! What the leader is asked: of each partition, what it has not heard yet.

use std::time::Duration;

use plimsoll_wire::fetch::{FetchPartition, FetchRequest, ReplicaState};
use tokio::time::Instant;

use super::super::session::{asked, forgotten};
use super::{Entry, Fetcher};
use crate::partition::{PartitionKey, Position};

/// How soon a partition is looked at again that is still writing what came last.
const UNSETTLED_PAUSE: Duration = Duration::from_millis(10);

impl Fetcher {
    /// Takes what was placed here and removed. Says whether anything was placed.
    pub(super) fn take_changes(&mut self) -> bool {
        let changes = self.lane.changes(self.seen, self.partitions.keys());
        self.seen = changes.version;
        for key in changes.removed {
            self.drop_out(key);
            self.partitions.remove(&key);
            self.due.remove(&key);
        }
        let came = !changes.placed.is_empty();
        for partition in changes.placed {
            let key = partition.key();
            // What was asked in an epoch before this one does not count.
            let entry = Entry { partition, sent: None, resume_at: None, failures: 0, slow: false };
            self.partitions.insert(key, entry);
            self.due.insert(key);
        }
        came
    }

    /// The partition leaves the session.
    pub(super) fn drop_out(&mut self, key: PartitionKey) {
        let asked = self.partitions.get_mut(&key).and_then(|entry| entry.sent.take());
        if asked.is_some() {
            self.gone.insert(key);
        }
    }

    /// Those whose pause is over are due.
    pub(super) fn resume(&mut self) {
        let now = Instant::now();
        for (key, entry) in &mut self.partitions {
            if entry.resume_at.is_some_and(|at| at <= now) {
                entry.resume_at = None;
                self.due.insert(*key);
            }
        }
    }

    /// Says what is new of each partition that is due, or of all in a new session.
    pub(super) fn request(&mut self) -> FetchRequest {
        let keys: Vec<_> = match self.session.is_new() {
            true => self.partitions.keys().copied().collect(),
            false => self.due.iter().copied().collect(),
        };
        self.due.clear();
        let mut stated = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some(wanted) = self.state(key) {
                self.gone.remove(&key);
                stated.push((key, wanted));
            }
        }
        let resume_at = self.partitions.values().filter_map(|entry| entry.resume_at).min();
        let pause = resume_at.map(|at| at.saturating_duration_since(Instant::now()));
        let wait = pause.map_or(self.settings.wait_max, |pause| pause.min(self.settings.wait_max));
        FetchRequest {
            replica: ReplicaState {
                replica_id: self.broker.around.id(),
                replica_epoch: self.broker.around.broker_epoch(),
            },
            max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.settings.min_bytes,
            max_bytes: self.settings.response_bytes_max,
            session_id: self.session.id,
            session_epoch: self.session.epoch,
            topics: asked(stated),
            forgotten_topics: forgotten(self.gone.iter().copied()),
            ..FetchRequest::default()
        }
    }

    /// Where one partition is; `None` if it is not to be asked for now.
    fn state(&mut self, key: PartitionKey) -> Option<FetchPartition> {
        let leader = self.lane.leader();
        let entry = self.partitions.get_mut(&key)?;
        if entry.resume_at.is_some() {
            entry.sent = None;
            return None;
        }
        let Some(position) = entry.partition.position(leader) else {
            entry.resume_at = Some(Instant::now() + UNSETTLED_PAUSE);
            self.drop_out(key);
            return None;
        };
        let Position { sent, log_start, durable } = position;
        entry.sent = Some(sent);
        if durable.is_none_or(|durable| durable >= sent.fetch_offset) {
            entry.slow = false;
        } else {
            // The leader hears of the sync once it is done.
            self.due.insert(key);
        }
        Some(FetchPartition {
            index: key.index,
            current_leader_epoch: sent.leader_epoch,
            fetch_offset: sent.fetch_offset,
            last_fetched_epoch: sent.last_fetched_epoch,
            log_start_offset: log_start,
            partition_max_bytes: self.settings.partition_bytes_max,
            durable_offset: durable.unwrap_or(-1),
            ..FetchPartition::default()
        })
    }
}
