//! A request under way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_wire::{ApiKey, NoSlice, Response, WireError, decode_response};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::{ClientError, Loss};
use crate::link::{Answer, Reply};
use crate::timing::Timed;

/// What a request was, for reading its answer and for naming it in errors.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) address: Arc<str>,
    pub(crate) api_key: ApiKey,
    pub(crate) version: i16,
}

pub(crate) type Interpret<T> =
    Box<dyn FnOnce(Option<Response<NoSlice>>, &Asked) -> Result<T, ClientError> + Send>;

/// A request that is on its way or on the wire. It is sent whether or not this is kept; dropping it only
/// gives up the answer.
#[must_use = "the answer says whether it worked"]
pub struct Pending<T> {
    asked: Asked,
    reply: oneshot::Receiver<Reply>,
    limit: Duration,
    deadline: Instant,
    interpret: Interpret<T>,
}

impl<T> Pending<T> {
    pub(crate) fn new(
        asked: Asked,
        reply: oneshot::Receiver<Reply>,
        limit: Duration,
        interpret: Interpret<T>,
    ) -> Self {
        Self { asked, reply, limit, deadline: Instant::now() + limit, interpret }
    }

    /// Waits for the answer, until the request timeout counted from the call.
    ///
    /// After a timeout the connection stays in order: a late answer is taken in and dropped, and the request
    /// keeps its place in flight until then.
    pub async fn wait(self) -> Result<Timed<T>, ClientError> {
        let Ok(reply) = timeout_at(self.deadline, self.reply).await else {
            return Err(ClientError::Timeout {
                address: self.asked.address,
                request: self.asked.api_key,
                after: self.limit,
            });
        };
        let answer = reply.unwrap_or(Err(Loss::ClosedHere)).map_err(|loss| self.asked.lost(loss))?;
        let timing = answer.timing;
        let response = self.asked.read(answer)?;
        let value = (self.interpret)(response, &self.asked)?;
        Ok(Timed { value, timing })
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Asked {
    /// `None` for a request without an answer.
    fn read(&self, answer: Answer) -> Result<Option<Response<NoSlice>>, ClientError> {
        if answer.frame.is_empty() {
            return Ok(None);
        }
        let (_, response) =
            decode_response(self.api_key, self.version, answer.frame).map_err(|error| self.wire(error))?;
        Ok(Some(response))
    }

    pub(crate) fn lost(&self, loss: Loss) -> ClientError {
        ClientError::Lost { address: Arc::clone(&self.address), request: self.api_key, loss }
    }

    pub(crate) fn wire(&self, source: WireError) -> ClientError {
        ClientError::Wire { address: Arc::clone(&self.address), source }
    }

    pub(crate) fn incomplete(&self, subject: impl Into<String>) -> ClientError {
        ClientError::Incomplete {
            address: Arc::clone(&self.address),
            request: self.api_key,
            subject: subject.into(),
        }
    }

    /// `Ok` for success, else the broker's error with its subject.
    pub(crate) fn check(
        &self,
        code: impl Into<plimsoll_wire::ErrorCode>,
        subject: impl FnOnce() -> String,
        message: Option<&str>,
    ) -> Result<(), ClientError> {
        code.into().into_result().map_err(|error| ClientError::Broker {
            address: Arc::clone(&self.address),
            request: self.api_key,
            subject: subject(),
            error,
            message: message.filter(|message| !message.is_empty()).map(str::to_owned),
        })
    }
}
