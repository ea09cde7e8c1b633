//! What a leader does for producers: appends, and tells them when all have it.

use std::sync::Arc;

use plimsoll_log::{AppendError, AppendRequest, Appended, Origin, WaitError};
use plimsoll_records::Batch;
use plimsoll_wire::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Partition;
use super::replication::acks::{Acks, Key, Ticket};
use super::standing::{Acknowledged, NO_EPOCH, Standing, standing_in};

/// Where an append stands: what the answer says and what it waits for.
#[derive(Clone, Debug)]
pub(crate) struct AppendTicket {
    pub(crate) appended: Appended,
    ticket: Ticket,
    leader_epoch: i32,
}

/// Why a batch is not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Unacknowledged {
    /// The log gave up.
    #[error(transparent)]
    Log(#[from] WaitError),
    /// Replication did.
    #[error("{}", .0.name())]
    Replication(ErrorCode),
}

/// Why a batch was not appended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unappended {
    /// This replica may not take it.
    #[error("{}", .0.name())]
    Refused(ErrorCode),
    /// The log refused it.
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Partition {
    /// Appends a client's validated batch; the order of calls is the order in the log. Only a leader does, and under
    /// acks=all only while enough replicas are in sync (rule E13).
    pub(crate) async fn append(&self, batch: Batch, acks: Acks) -> Result<AppendTicket, Unappended> {
        let leader_epoch = self.standing.leads_in();
        self.may_append(leader_epoch, acks).map_err(Unappended::Refused)?;
        let request = AppendRequest { batch, leader_epoch, origin: Origin::Client };
        let appended = self.log.append(request).await?;
        if self.standing.leads_in() != leader_epoch {
            // It may have come behind the end of the epoch: the next leader cuts it off.
            return Err(Unappended::Refused(ErrorCode::NotLeaderOrFollower));
        }
        let (generation, upto_offset) = (appended.generation, appended.last_offset + 1);
        Ok(AppendTicket { appended, ticket: Ticket { acks, generation, upto_offset }, leader_epoch })
    }

    fn may_append(&self, leader_epoch: i32, acks: Acks) -> Result<(), ErrorCode> {
        if leader_epoch == NO_EPOCH {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if acks != Acks::All || self.standing.is_alone() {
            return Ok(());
        }
        let state = self.standing.lock();
        let leading = state.leading.as_ref().ok_or(ErrorCode::NotLeaderOrFollower)?;
        acks.before_append(leading.leader.isr().committed().len(), leading.leader.min_isr())
    }

    /// Whether the records of `ticket` have reached what an acknowledgement promises, as far as the own log tells.
    pub(crate) fn is_reached(&self, ticket: &AppendTicket) -> bool {
        let own = ticket.ticket.acks != Acks::All || self.standing.is_alone();
        let marks = self.log.marks();
        own && marks.generation == ticket.ticket.generation
            && marks.at(self.standing.level) >= ticket.ticket.upto_offset
    }

    /// Waits until an acknowledgement of `ticket` is true; `None` at `deadline`, the records stay.
    pub(crate) async fn wait_acked(
        &self,
        ticket: &AppendTicket,
        deadline: Option<Instant>,
    ) -> Option<Result<(), Unacknowledged>> {
        let acknowledged = self.acknowledged(ticket);
        match deadline {
            None => Some(acknowledged.await),
            Some(deadline) => timeout_at(deadline, acknowledged).await.ok(),
        }
    }

    async fn acknowledged(&self, appended: &AppendTicket) -> Result<(), Unacknowledged> {
        let Ticket { acks, generation, upto_offset } = appended.ticket;
        if acks != Acks::All || self.standing.is_alone() {
            self.log.wait(generation, self.standing.level, upto_offset).await?;
            // Others may hold the partition by now, and may have been elected without it.
            if acks != Acks::All || self.standing.is_alone() {
                return Ok(());
            }
        }
        match self.enlist(appended) {
            Ok(mut waiting) => {
                // What came between looking and waiting.
                self.advance();
                // The leader's state is gone with whoever would have told.
                let told = (&mut waiting.told).await.unwrap_or(Err(ErrorCode::NotLeaderOrFollower));
                waiting.key = None;
                told.map_err(Unacknowledged::Replication)
            }
            Err(answer) => answer.map_err(Unacknowledged::Replication),
        }
    }

    /// Lets an append wait for all replicas. The error is an answer that is known already.
    fn enlist(&self, appended: &AppendTicket) -> Result<Waiting<'_>, Acknowledged> {
        let standing = &self.standing;
        let marks = self.log.marks();
        let (entered, advanced) = {
            let mut state = standing.lock();
            let leading = state.leading.as_mut();
            let Some(leading) = leading.filter(|led| led.leader.leader_epoch() == appended.leader_epoch)
            else {
                return Err(Err(ErrorCode::NotLeaderOrFollower));
            };
            let peers = standing.around.peers();
            let brokers = standing_in(&peers);
            let view = standing.view(&marks, &brokers);
            let advanced = standing.advance(leading, &marks, &view);
            let reach = leading.reach(&view);
            let entered = match appended.ticket.settled(&reach) {
                Some(answer) => Err(answer),
                None => {
                    let (who, told) = oneshot::channel();
                    let key = leading.waiting.add(appended.ticket, who);
                    standing.publish(leading);
                    Ok(Waiting { standing, leader_epoch: appended.leader_epoch, key: Some(key), told })
                }
            };
            (entered, advanced)
        };
        standing.tell(advanced);
        entered
    }
}

/// A place among those who wait for all replicas; given back when it is dropped.
struct Waiting<'a> {
    standing: &'a Arc<Standing>,
    leader_epoch: i32,
    key: Option<Key>,
    told: oneshot::Receiver<Acknowledged>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let mut state = self.standing.lock();
        let leading = state.leading.as_mut();
        // Keys of another epoch's waiters may be the same.
        if let Some(leading) = leading.filter(|led| led.leader.leader_epoch() == self.leader_epoch) {
            drop(leading.waiting.remove(key));
        }
    }
}
