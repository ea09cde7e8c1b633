//! The log's own thread: openraft wants a store that any thread may use, the segment log wants one thread. Jobs go over a
//! bounded channel, one after the other, in the order of their sending.

use std::fmt::Debug;
use std::future::Future;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::pin::Pin;

use openraft::storage::{LogFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{AnyError, OptionalSend, StorageIOError};
use plimsoll_io::AnyStore;
use plimsoll_log::RecoveryReport;
use tokio::sync::{mpsc, oneshot, watch};

use super::log::RaftLog;
use super::snapshot::Kept;
use super::types::{Entry, LogId, RaftId, StorageError, TypeConfig, Vote};
use crate::ControlError;

/// Jobs that wait; whoever sends another waits too.
const QUEUE: usize = 64;

type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
type Job = Box<dyn for<'a> FnOnce(&'a mut RaftLog) -> Work<'a, ()> + Send>;
type IoError = StorageIOError<RaftId>;

/// Openraft's log store. Clones share the thread, which ends with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    jobs: mpsc::Sender<Job>,
    running: watch::Receiver<()>,
    /// How far snapshots reach.
    kept: watch::Receiver<Kept>,
}

impl LogStore {
    /// Opens the log under `log_dir` on a new thread. `store` makes the page-cache store there; `kept` says how far
    /// snapshots reach.
    pub(super) async fn open(
        store: impl FnOnce() -> Result<AnyStore, ControlError> + Send + 'static,
        log_dir: PathBuf,
        kept: watch::Receiver<Kept>,
    ) -> Result<(Self, RecoveryReport), ControlError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (alive, running) = watch::channel(());
        let (opened, report) = oneshot::channel();
        let thread = std::thread::Builder::new().name("raft-log".into());
        let body = move || {
            let _alive = alive;
            serve(store, log_dir, queue, opened);
        };
        thread.spawn(body).map_err(|error| ControlError::Stopped(error.to_string()))?;
        let report = report.await.map_err(|_| ControlError::Stopped("its thread ended".into()))??;
        Ok((Self { jobs, running, kept }, report))
    }

    /// Ends the log cleanly. What is asked of it afterwards fails.
    pub(crate) async fn close(&self) -> Result<(), ControlError> {
        self.run(|log| Box::pin(async move { log.close().await })).await?
    }

    /// Becomes ready when the log's thread has ended.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        ended(self.running.clone())
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut RaftLog) -> Work<'a, T> + Send + 'static,
    ) -> Result<T, ControlError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |log| {
            let work = work(log);
            Box::pin(async move {
                // Whoever asked may have gone; what was done stays done.
                let _gone = answer.send(work.await).is_err();
            })
        });
        let stopped = || ControlError::Stopped("the log was closed".into());
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }

    async fn entries(&self, from: u64, upto: u64, whole: bool) -> Result<Vec<Entry>, StorageError> {
        let bound = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
        let range = bound(from)..bound(upto);
        let read = match whole {
            true => self.run(move |log| Box::pin(log.read(range))).await,
            false => self.run(move |log| Box::pin(log.read_some(range))).await,
        };
        flat(read).map_err(|error| IoError::read_logs(error).into())
    }
}

async fn ended(mut running: watch::Receiver<()>) {
    while running.changed().await.is_ok() {}
}

/// Both ways in which a job fails, as openraft wants them.
fn flat<T>(result: Result<Result<T, ControlError>, ControlError>) -> Result<T, AnyError> {
    result.and_then(|inner| inner).map_err(|error| AnyError::new(&error))
}

fn serve(
    store: impl FnOnce() -> Result<AnyStore, ControlError>,
    log_dir: PathBuf,
    mut queue: mpsc::Receiver<Job>,
    opened: oneshot::Sender<Result<RecoveryReport, ControlError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _gone = opened.send(Err(ControlError::Stopped(error.to_string()))).is_err();
            return;
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let open = async { RaftLog::open(store()?, &log_dir).await };
        let (mut log, report) = match open.await {
            Ok(opened) => opened,
            Err(error) => {
                let _gone = opened.send(Err(error)).is_err();
                return;
            }
        };
        let _gone = opened.send(Ok(report)).is_err();
        while let Some(job) = queue.recv().await {
            job(&mut log).await;
        }
    });
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let upto = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(upto) => *upto,
            Bound::Unbounded => u64::MAX,
        };
        self.entries(from, upto, true).await
    }

    /// No more than one read's worth, which keeps what goes over the network small.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.entries(start, end, false).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let state = self.run(|log| {
            let state = LogState { last_purged_log_id: log.purged(), last_log_id: log.last() };
            Box::pin(async move { Ok(state) })
        });
        flat(state.await).map_err(|error| IoError::read_logs(error).into())
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        let saved = self.run(move |log| Box::pin(async move { log.save_vote(vote) }));
        flat(saved.await).map_err(|error| IoError::write_vote(error).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote = self.run(|log| Box::pin(async move { Ok(log.vote()) }));
        flat(vote.await).map_err(|error| IoError::read_vote(error).into())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let Some(committed) = committed else { return Ok(()) };
        let saved = self.run(move |log| Box::pin(async move { log.save_committed(committed) }));
        flat(saved.await).map_err(|error| IoError::write(error).into())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let committed = self.run(|log| Box::pin(async move { Ok(log.committed()) }));
        flat(committed.await).map_err(|error| IoError::read(error).into())
    }

    /// Returns when the entries are durable: they are readable then too, and the log is small.
    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let appended = self.run(move |log| Box::pin(log.append(entries)));
        match flat(appended.await) {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                Err(IoError::write_logs(error).into())
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let cut = self.run(move |log| Box::pin(log.truncate(log_id.index)));
        flat(cut.await).map_err(|error| IoError::write_logs(error).into())
    }

    /// Waits until a snapshot holds what goes. Openraft asks for this while a leader's snapshot is still being installed;
    /// a crash in between would leave neither.
    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let kept = self.kept.wait_for(|kept| kept.failed || kept.last >= Some(log_id)).await;
        let held = kept.is_ok_and(|kept| !kept.failed);
        if !held {
            return Err(
                IoError::write_logs(AnyError::error("no snapshot holds what is to be cut off")).into()
            );
        }
        let cut = self.run(move |log| Box::pin(log.purge(log_id)));
        flat(cut.await).map_err(|error| IoError::write_logs(error).into())
    }
}
