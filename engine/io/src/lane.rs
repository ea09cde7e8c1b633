//! A thread of a log directory's own, for writes that must not run where requests are served.
//!
//! A buffered write copies memory, which is cheaper than waking another thread; but once too much of the page cache
//! is dirty the kernel makes writers wait 30 to 100 ms, and inline that stalls every connection of the runtime.
//! On the lane it stalls the writers of one directory. Syncs and cold reads are not its business: they have
//! threads each, so that a slow one holds up nobody else.

use std::io;
use std::thread;

use tokio::sync::{mpsc, oneshot};

/// Writes that may queue; beyond it writers wait. Each log has at most one write under way, so this bounds how many
/// logs wait in the queue and not in their own futures.
const QUEUE_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// The handle to the thread, which ends when the last handle has gone and the queue is empty.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    jobs: mpsc::Sender<Job>,
}

impl Lane {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Lane> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE_MAX);
        thread::Builder::new().name("io-lane".to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job();
            }
        })?;
        Ok(Lane { jobs })
    }

    /// Runs `work` after everything queued before it. `None` if the thread has died.
    ///
    /// Cancel safety: dropped while queueing, nothing happens; afterwards the work runs unobserved.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // Nobody may wait any more.
            let _unobserved = answer.send(work());
        };
        self.jobs.send(Box::new(job)).await.ok()?;
        answered.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_in_order_on_one_other_thread_and_also_unobserved() {
        let lane = Lane::start().unwrap();
        let here = thread::current().id();
        let there = lane.run(|| thread::current().id()).await.unwrap();
        assert_ne!(here, there);
        let (sender, receiver) = std::sync::mpsc::channel();
        for number in 0..10 {
            let sender = sender.clone();
            let mut dropped = Box::pin(lane.run(move || sender.send((number, thread::current().id()))));
            // Queued by the first poll; it may even be done by then.
            let _queued = futures_poll(dropped.as_mut());
        }
        lane.run(|| ()).await.unwrap();
        let seen: Vec<_> = receiver.try_iter().collect();
        assert_eq!(seen, (0..10).map(|number| (number, there)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_lane_that_died_says_so() {
        let lane = Lane::start().unwrap();
        assert_eq!(lane.run(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(lane.run(|| 1).await, None);
    }

    /// Once, so that the work is queued; the answer is not awaited.
    fn futures_poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> std::task::Poll<T> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
