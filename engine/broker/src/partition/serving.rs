//! What a leader tells: followers what is new, consumers where to read, clients what offsets there are.

use plimsoll_log::ReadError;
use plimsoll_wire::ErrorCode;
use tokio::time::{Instant, timeout_at};

use super::replication::leader::FollowerFetch;
use super::replication::metadata::ReplicaId;
use super::replication::serve::{Range, Verdict, fence};
use super::replication::visible;
use super::{Fetched, Partition, Watcher};

impl Partition {
    /// Answers a follower's Fetch before the read, and notes how far the follower is (rules E18, E23, E25–E27).
    pub(crate) fn fetched_by(&self, fetch: &FollowerFetch) -> Verdict {
        let standing = &self.standing;
        let marks = self.log.marks();
        let mut epoch_end = self.log.epoch_end_offset(fetch.asked.last_fetched_epoch);
        // The end of the latest epoch is how far followers may read.
        epoch_end.end_offset = epoch_end.end_offset.min(marks.written);
        let range = Range { start: marks.start_offset, end: marks.written, epoch_end };
        let verdict = standing.look_again(&marks, |leading, view| {
            let starts_at = leading.leader.low_watermark(view);
            let verdict = leading.leader.fetch(fetch, &range, view);
            // Who is in sync already changes nothing; who leaves is looked for from time to time.
            if !leading.leader.isr().committed().contains(&fetch.replica_id) {
                leading.leader.advance(view);
                standing.noted(leading.leader.propose(view));
            }
            (verdict, leading.leader.low_watermark(view) != starts_at)
        });
        let Some((verdict, low_watermark_moved)) = verdict else {
            let code = fence(fetch.asked.current_leader_epoch, standing.known_epoch()).err();
            return Verdict::Refuse(code.unwrap_or(ErrorCode::NotLeaderOrFollower));
        };
        if low_watermark_moved {
            standing.consumers.wake();
        }
        verdict
    }

    /// Reads for a follower: as far as the log is written.
    pub(crate) async fn read_for_follower(
        &self,
        offset: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Fetched, ReadError> {
        let bounds = self.bounds();
        let out = self.log.read(offset, bounds.log_end, max_bytes, at_least_one).await?;
        self.standing.around.counts.sent(out.records.len());
        Ok(Fetched { bounds, records: out.records, aborted: None })
    }

    /// Where a consumer in `rack` should read from `fetch_offset`, if not here (KIP-392).
    pub(crate) fn preferred_read_replica(&self, rack: &str, fetch_offset: i64) -> Option<ReplicaId> {
        if rack.is_empty() || self.standing.is_alone() {
            return None;
        }
        let peers = self.standing.around.peers();
        let state = self.standing.lock();
        let leader = &state.leading.as_ref()?.leader;
        let rack_of = |id: ReplicaId| peers.get(&id)?.rack.as_deref();
        let preferred = visible::preferred_read_replica(leader, rack, fetch_offset, rack_of)?;
        // Whom it could not reach it would be sent to again and again.
        peers.get(&preferred).is_some_and(|peer| !peer.standing.fenced).then_some(preferred)
    }

    /// Whether clients may be told `offset`, or an end (`None`), already (rule E29).
    pub(crate) fn offset_available(&self, offset: Option<i64>, version: i16) -> Result<(), ErrorCode> {
        if self.standing.is_alone() {
            return Ok(());
        }
        let state = self.standing.lock();
        let leader = &state.leading.as_ref().ok_or(ErrorCode::NotLeaderOrFollower)?.leader;
        visible::offset_available(leader.epoch_start(), leader.high_watermark(), offset, version)
    }

    /// The least log start of all replicas that are there (rule E30); `None` while one did not say. An error if this
    /// replica does not lead.
    pub(crate) fn low_watermark(&self) -> Result<Option<i64>, ErrorCode> {
        let marks = self.log.marks();
        let low = self.standing.look_again(&marks, |leading, view| leading.leader.low_watermark(view));
        low.ok_or(ErrorCode::NotLeaderOrFollower)
    }

    /// Waits until no replica that is there begins below `offset`; returns the low watermark then. Cancel-safe.
    pub(crate) async fn deleted_everywhere(&self, offset: i64, deadline: Instant) -> Result<i64, ErrorCode> {
        let watcher = Watcher::default();
        loop {
            self.watch(&watcher);
            match self.low_watermark()? {
                Some(low) if low >= offset => return Ok(low),
                _ => {}
            }
            let moved = timeout_at(deadline, watcher.moved()).await;
            moved.map_err(|_| ErrorCode::RequestTimedOut)?;
        }
    }
}
