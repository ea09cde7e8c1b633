//! One OS thread with a current-thread runtime for each producer and consumer.

use std::future::Future;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::error::RunError;
use crate::timeline::LiveTimeline;

/// Tasks polled between two looks at the sockets: answers should not wait for a full round.
const EVENT_INTERVAL: u32 = 16;

/// A thread that has connected and waits for the timeline.
pub(super) struct Waiting<R> {
    name: String,
    ready: Receiver<Result<(), RunError>>,
    start: oneshot::Sender<LiveTimeline>,
    thread: JoinHandle<Option<R>>,
}

/// A thread that runs.
pub(super) struct Running<R> {
    name: String,
    thread: JoinHandle<Option<R>>,
}

/// A current-thread runtime.
pub(super) fn runtime(what: &str) -> Result<tokio::runtime::Runtime, RunError> {
    let built =
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build();
    built.map_err(|source| RunError::Machine { what: format!("the runtime of {what}"), source })
}

impl<R: Send + 'static> Waiting<R> {
    /// Starts a thread that connects with `connect` and, once the timeline is known, does `run`.
    pub(super) fn spawn<C, E, Connect, Run>(
        name: String,
        connect: impl FnOnce() -> Connect + Send + 'static,
        run: impl FnOnce(C, LiveTimeline) -> Run + Send + 'static,
    ) -> Result<Waiting<R>, RunError>
    where
        Connect: Future<Output = Result<C, E>>,
        Run: Future<Output = R>,
        RunError: From<E>,
    {
        let (tell, ready) = sync_channel(1);
        let (start, timeline) = oneshot::channel();
        let of = name.clone();
        let body = move || match runtime(&of) {
            Ok(runtime) => runtime.block_on(life(connect, run, &tell, timeline)),
            Err(error) => {
                // The run has given up if nobody listens.
                let _told = tell.send(Err(error));
                None
            }
        };
        let thread = std::thread::Builder::new().name(name.clone()).spawn(body);
        let thread = thread.map_err(|source| RunError::Machine { what: name.clone(), source })?;
        Ok(Waiting { name, ready, start, thread })
    }

    /// Waits until the thread has connected.
    pub(super) fn connected(&self) -> Result<(), RunError> {
        self.ready.recv().unwrap_or_else(|_| Err(RunError::Panicked(self.name.clone())))
    }

    /// Tells the thread when to begin.
    pub(super) fn start(self, timeline: LiveTimeline) -> Running<R> {
        // A thread that is gone already is found when it is joined.
        let _sent = self.start.send(timeline);
        Running { name: self.name, thread: self.thread }
    }
}

async fn life<C, E, R, Connect: Future<Output = Result<C, E>>, Run: Future<Output = R>>(
    connect: impl FnOnce() -> Connect,
    run: impl FnOnce(C, LiveTimeline) -> Run,
    tell: &SyncSender<Result<(), RunError>>,
    timeline: oneshot::Receiver<LiveTimeline>,
) -> Option<R>
where
    RunError: From<E>,
{
    let connected = connect().await;
    let (connected, told) = match connected {
        Ok(connected) => (Some(connected), tell.send(Ok(()))),
        Err(error) => (None, tell.send(Err(error.into()))),
    };
    // No timeline comes when the run gave up on another thread's account.
    match (connected, told, timeline.await) {
        (Some(connected), Ok(()), Ok(timeline)) => Some(run(connected, timeline).await),
        _ => None,
    }
}

impl<R> Running<R> {
    /// True when the thread has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the thread and takes what it leaves.
    pub(super) fn join(self) -> Result<R, RunError> {
        let left = self.thread.join().ok().flatten();
        left.ok_or(RunError::Panicked(self.name))
    }
}
