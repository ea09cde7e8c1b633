//! Appending: admitted under the lock, room and epochs provided without it, taken towards the file.

use std::sync::Arc;

use plimsoll_io::SegmentStore;
use plimsoll_records::Batch;

use crate::admit::{Admission, Appended, Need};
use crate::error::AppendError;
use crate::log::Log;
use crate::producers::Origin;
use crate::state::{State, now_ms};
use crate::{ahead, pump, sync_task};

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
}
