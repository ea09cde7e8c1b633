//! What a follower does: says how far it is, and makes of its leader's answers what was decided.

use bytes::Bytes;
use plimsoll_log::{
    AppendError, AppendRequest, EpochEnd, Level, LogError, Marks, Origin, OutOfRange, follower_out_of_range,
};
use plimsoll_records::{Batch, BatchError};
use plimsoll_wire::fetch::PartitionFetchResponse;
use plimsoll_wire::{ErrorCode, NoSlice};

use super::Partition;
use super::replication::follower::{Fetched, Mismatch, Own, Sent, Span, Step, decide};
use super::replication::high_watermark::of_follower;
use super::replication::metadata::ReplicaId;

/// Where a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// What its next Fetch asks.
    pub(crate) sent: Sent,
    /// First offset of its log.
    pub(crate) log_start: i64,
    /// How far it is durable, where that is what counts.
    pub(crate) durable: Option<i64>,
}

/// What came of a leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// So many bytes of batches were appended, or none.
    Appended(usize),
    /// The log was cut: the recovery point may have moved down, and must be written down before the next Fetch.
    Cut,
    /// The answer was to a Fetch that no longer counts.
    Ignored,
    /// Ask the leader where its log begins and ends, then [`Partition::take_range`].
    AskForRange,
    /// Ask again after a pause.
    Later(ErrorCode),
}

/// Why an answer could not be taken. Ask again after a pause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Untaken {
    /// What came does not continue this log.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// What came is no run of whole batches.
    #[error("the leader's answer is damaged: {0}")]
    Damaged(#[from] BatchError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The log could not be cut.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Untaken {
    /// The log was closed or deleted meanwhile.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Append(AppendError::Closed) | Self::Log(LogError::Closed))
    }
}

impl Partition {
    /// What to ask `leader` next; `None` if this replica does not follow it, or is still writing what came last.
    pub(crate) fn position(&self, leader: ReplicaId) -> Option<Position> {
        let leader_epoch = self.epoch_under(leader)?;
        let (marks, last_fetched_epoch) = self.end();
        // The offset that is asked for says that everything below is held.
        if marks.written < marks.accepted {
            return None;
        }
        let sent = Sent { leader_epoch, fetch_offset: marks.written, last_fetched_epoch };
        let durable = (self.standing.level == Level::Durable).then_some(marks.durable);
        Some(Position { sent, log_start: marks.start_offset, durable })
    }

    /// Waits until what was appended counts by the level, or nobody needs it any more. Cancel-safe.
    pub(crate) async fn settled(&self) {
        let marks = self.log.marks();
        // Whatever ends the wait is seen by the next position.
        drop(self.log.wait(marks.generation, self.standing.level, marks.accepted).await);
    }

    /// Takes the leader's answer to what was `sent`. Cancel safety: dropped amid the batches, those before are appended;
    /// dropped amid a cut, the log is offline.
    pub(crate) async fn take_answer(
        &self,
        leader: ReplicaId,
        sent: &Sent,
        answer: PartitionFetchResponse<NoSlice>,
    ) -> Result<Taken, Untaken> {
        let _turn = self.turn.lock().await;
        let Some(own) = self.own(leader) else { return Ok(Taken::Ignored) };
        let diverging =
            answer.diverging_epoch.map(|end| EpochEnd { epoch: end.epoch, end_offset: end.end_offset });
        let batches = whole_batches(answer.records_bytes())?;
        let spans: Vec<_> = batches.iter().map(span).collect();
        let fetched = Fetched {
            error: answer.error,
            diverging,
            high_watermark: answer.high_watermark,
            log_start: answer.log_start_offset,
            batches: &spans,
        };
        match decide(sent, &own, &fetched) {
            Step::Ignore => Ok(Taken::Ignored),
            Step::Append { restart_at, batches: count } => {
                if let Some(offset) = restart_at {
                    self.log.truncate_fully_and_start_at(offset).await?;
                }
                let appended = self.append_as_follower(batches.into_iter().take(count)).await;
                self.know_leader(answer.high_watermark, answer.log_start_offset).await?;
                match restart_at {
                    Some(_) => appended.map(|_| Taken::Cut),
                    None => appended.map(Taken::Appended),
                }
            }
            Step::Truncate(end) => {
                let truncation = self.log.truncation_offset(end);
                tracing::info!(
                    "{:?}: the leader's epoch {} ends at {}, so this log is cut at {}",
                    self.standing.key,
                    end.epoch,
                    end.end_offset,
                    truncation.offset
                );
                self.log.truncate_to(truncation.offset).await?;
                self.clamp_high_watermark();
                Ok(Taken::Cut)
            }
            Step::AskForRange => Ok(Taken::AskForRange),
            Step::Retry | Step::AwaitMetadata => Ok(Taken::Later(answer.error)),
            Step::Refuse(mismatch) => Err(mismatch.into()),
        }
    }

    /// Takes the leader's first and last offset, after it found what was `sent` out of range (rule E28).
    pub(crate) async fn take_range(
        &self,
        leader: ReplicaId,
        sent: &Sent,
        (leader_start, leader_end): (i64, i64),
    ) -> Result<Taken, Untaken> {
        let _turn = self.turn.lock().await;
        let own = self.own(leader).filter(|own| {
            let asked = (sent.leader_epoch, sent.fetch_offset, sent.last_fetched_epoch);
            asked == (own.leader_epoch, own.log_end, own.last_epoch)
        });
        let Some(own) = own else { return Ok(Taken::Ignored) };
        let what = follower_out_of_range(leader_start, leader_end, own.log_start, own.log_end);
        tracing::info!(
            "{:?}: {} is out of the leader's range {leader_start} to {leader_end}: {what:?}",
            self.standing.key,
            own.log_end
        );
        match what {
            OutOfRange::Truncate(offset) => {
                self.log.truncate_to(offset).await?;
            }
            OutOfRange::RestartAt(offset) => self.log.truncate_fully_and_start_at(offset).await?,
            OutOfRange::Retry => return Ok(Taken::Later(ErrorCode::OffsetOutOfRange)),
        }
        self.clamp_high_watermark();
        Ok(Taken::Cut)
    }

    /// The epoch in which this replica follows `leader`.
    fn epoch_under(&self, leader: ReplicaId) -> Option<i32> {
        let role = self.standing.lock().role;
        role.filter(|role| role.leader == Some(leader)).map(|role| role.leader_epoch)
    }

    fn own(&self, leader: ReplicaId) -> Option<Own> {
        let leader_epoch = self.epoch_under(leader)?;
        let (marks, last_epoch) = self.end();
        Some(Own { leader_epoch, log_start: marks.start_offset, log_end: marks.accepted, last_epoch })
    }

    /// How far the log is, and its latest epoch, -1 for none.
    fn end(&self) -> (Marks, i32) {
        (self.log.marks(), self.log.latest_epoch().map_or(-1, |latest| latest.epoch))
    }

    async fn append_as_follower(&self, batches: impl Iterator<Item = Batch>) -> Result<usize, Untaken> {
        let mut bytes = 0;
        for batch in batches {
            let (size_bytes, leader_epoch) = (batch.size_bytes(), batch.header().leader_epoch);
            self.log.append(AppendRequest { batch, leader_epoch, origin: Origin::Replica }).await?;
            bytes += size_bytes;
        }
        self.standing.around.counts.received(bytes);
        Ok(bytes)
    }

    /// Takes the leader's high watermark (rule E24) and log start (rule E30).
    async fn know_leader(&self, high_watermark: i64, log_start: i64) -> Result<(), LogError> {
        let marks = self.log.marks();
        let own = of_follower(high_watermark, marks.start_offset, marks.accepted);
        self.standing.set_follower_high_watermark(own);
        self.standing
            .lag
            .store((high_watermark - marks.accepted).max(0), std::sync::atomic::Ordering::Relaxed);
        if log_start > marks.start_offset {
            self.log.increment_start_offset(log_start);
            self.log.remove_old_segments().await?;
        }
        Ok(())
    }

    /// Nothing behind the log's end is committed as far as this replica can tell.
    fn clamp_high_watermark(&self) {
        let marks = self.log.marks();
        let clamped = self.standing.high_watermark(&marks).clamp(marks.start_offset, marks.accepted);
        self.standing.set_follower_high_watermark(clamped);
    }
}

/// The whole batches of an answer. A leader sends whole ones only; a cut one at the end is left out as a consumer would.
fn whole_batches(mut records: Bytes) -> Result<Vec<Batch>, BatchError> {
    let mut batches = Vec::new();
    while let Some(batch) = Batch::split_from(&mut records)? {
        batches.push(batch);
    }
    Ok(batches)
}

fn span(batch: &Batch) -> Span {
    let header = batch.header();
    Span {
        base_offset: header.base_offset,
        next_offset: header.next_offset(),
        leader_epoch: header.leader_epoch,
    }
}
