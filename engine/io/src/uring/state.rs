//! A ring's own state: requests on their way to the kernel and back.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use io_uring::{IoUring, cqueue, squeue};

use crate::pool::arena_range;

use super::request::{Finished, Next, Request};

/// Submissions that fit between two calls into the kernel.
const SUBMISSIONS: u32 = 256;

/// Completions that fit before the kernel must queue them elsewhere.
const COMPLETIONS: u32 = 1024;

/// How long the kernel thread of a polled ring spins without work before it sleeps, in milliseconds.
const SQPOLL_IDLE_MS: u32 = 10;

/// Kernel threads that may wait for devices on behalf of one thread's rings. The kernel's own bound is four per core:
/// so few files of a device that stands still would hold up the syncs of all others.
const WORKERS_MAX: u32 = 512;

/// How submissions and completions of a ring are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RingKind {
    /// By the ring's thread, in its calls into the kernel.
    Deferred,
    /// By a kernel thread that polls.
    Sqpoll,
}

/// A ring of this kind.
pub(super) fn build(kind: RingKind) -> io::Result<IoUring> {
    match kind {
        RingKind::Deferred => build_deferred(),
        RingKind::Sqpoll => build_sqpoll(),
    }
}

fn build_sqpoll() -> io::Result<IoUring> {
    IoUring::builder().setup_cqsize(COMPLETIONS).setup_sqpoll(SQPOLL_IDLE_MS).build(SUBMISSIONS)
}

/// A ring with the cheapest way of running completions that this kernel has.
fn build_deferred() -> io::Result<IoUring> {
    let deferred = IoUring::builder()
        .setup_cqsize(COMPLETIONS)
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .build(SUBMISSIONS);
    match deferred {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            tracing::info!("this kernel has no deferred task runs (Linux 6.1): the ring uses plain ones");
            build_plain()
        }
        other => other,
    }
}

/// A ring as every kernel with io_uring has it.
pub(super) fn build_plain() -> io::Result<IoUring> {
    IoUring::builder().setup_cqsize(COMPLETIONS).build(SUBMISSIONS)
}

/// Lets as many operations wait in the kernel as a runtime has blocking threads. Zero leaves the workers for sockets as
/// they are.
fn allow_workers(io: &IoUring) {
    if let Err(error) = io.submitter().register_iowq_max_workers(&mut [WORKERS_MAX, 0]) {
        tracing::info!(%error, "this kernel bounds a ring's workers by itself (Linux 5.15 lifts it)");
    }
}

/// Pins the block arena for this ring. Where the limit of locked memory forbids it, writes work unregistered.
fn register_arena(io: &IoUring) -> bool {
    let Some((start, len)) = arena_range() else { return false };
    let buffer = libc::iovec { iov_base: start.cast(), iov_len: len };
    // SAFETY: the arena is mapped for the life of the process, so it outlives the ring.
    match unsafe { io.submitter().register_buffers(&[buffer]) } {
        Ok(()) => true,
        Err(error) => {
            warn_unregistered(len, &error);
            false
        }
    }
}

fn warn_unregistered(len_bytes: usize, error: &io::Error) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            %error,
            len_bytes,
            "io_uring buffers could not be registered; writes use plain ones (raise the limit of locked memory)"
        );
    }
}

/// The ring's own state. Borrowed only in calls that neither wait nor run foreign code, but for waking.
pub(super) struct Core {
    io: IoUring,
    requests: Vec<Option<Request>>,
    free: Vec<u32>,
    /// Parts to submit when there is room: request and part.
    backlog: VecDeque<(u32, u32)>,
    /// Wakers of requests that are over, called once nothing is borrowed.
    to_wake: Vec<Waker>,
    /// Submissions whose completion has not been seen.
    with_kernel: usize,
    arena_registered: bool,
    /// The kernel refuses this ring; what it has is never given back.
    broken: bool,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("with_kernel", &self.with_kernel)
            .field("backlog", &self.backlog.len())
            .field("arena_registered", &self.arena_registered)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Takes over a new ring: completions ring its eventfd, the block arena is registered if memory allows.
    pub(super) fn new(io: IoUring, eventfd: &OwnedFd) -> io::Result<Core> {
        io.submitter().register_eventfd(eventfd.as_raw_fd())?;
        allow_workers(&io);
        let arena_registered = register_arena(&io);
        Ok(Core {
            io,
            requests: Vec::new(),
            free: Vec::new(),
            backlog: VecDeque::new(),
            to_wake: Vec::new(),
            with_kernel: 0,
            arena_registered,
            broken: false,
        })
    }

    #[cfg(test)]
    pub(super) fn unregister_arena(&mut self) {
        self.io.submitter().unregister_buffers().unwrap();
        self.arena_registered = false;
    }

    /// True if the kernel refuses this ring.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A waker to call, once the core is no longer borrowed.
    pub(super) fn next_to_wake(&mut self) -> Option<Waker> {
        self.to_wake.pop()
    }

    /// The outcome of a request that is over or lost with the ring.
    pub(super) fn take_finished(&mut self, key: u32) -> Option<Finished> {
        let broken = self.broken;
        let request = self.request(key)?;
        match (request.is_over(), broken) {
            (true, _) => Some(self.remove(key)?.into_finished()),
            (false, true) => Some(request.lost()),
            (false, false) => None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.with_kernel == 0 && self.backlog.is_empty()
    }

    pub(super) fn insert(&mut self, request: Request) -> u32 {
        let parts = request.parts() as u32;
        let key = match self.free.pop() {
            Some(key) => key,
            None => {
                self.requests.push(None);
                (self.requests.len() - 1) as u32
            }
        };
        if let Some(place) = self.requests.get_mut(key as usize) {
            *place = Some(request);
        }
        self.backlog.extend((0..parts).map(|part| (key, part)));
        key
    }

    pub(super) fn request(&mut self, key: u32) -> Option<&mut Request> {
        self.requests.get_mut(key as usize)?.as_mut()
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Request> {
        let request = self.requests.get_mut(key as usize)?.take()?;
        self.free.push(key);
        Some(request)
    }

    /// Submits what waits and takes what has completed, until neither does anything.
    pub(super) fn advance(&mut self) {
        while !self.broken {
            let moved = self.fill_queue();
            if let Err(error) = self.enter_if_needed() {
                return self.break_down(error);
            }
            if self.take_completions() + moved == 0 {
                return;
            }
        }
    }

    /// Moves the backlog into the submission queue as far as it fits and the completion queue can answer.
    fn fill_queue(&mut self) -> usize {
        let mut moved = 0;
        while self.with_kernel < COMPLETIONS as usize {
            let Some((key, part)) = self.backlog.pop_front() else { break };
            let registered = self.arena_registered;
            let entry = self.request(key).and_then(|request| request.entry(part as usize, registered));
            let Some(entry) = entry else { continue };
            let entry = entry.user_data(u64::from(key) << 32 | u64::from(part));
            if !self.push(&entry) {
                self.backlog.push_front((key, part));
                break;
            }
            self.with_kernel += 1;
            moved += 1;
        }
        moved
    }

    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the memory, its vector and the file that the entry names belong to a request in `requests`, which
        // keeps them until every completion of it has been seen, and leaks them if the ring breaks down.
        unsafe { self.io.submission().push(entry).is_ok() }
    }

    /// Calls the kernel if it must take submissions or run deferred completions.
    fn enter_if_needed(&mut self) -> io::Result<()> {
        let queue = self.io.submission();
        let needed = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if !needed {
            return Ok(());
        }
        match self.io.submit() {
            Ok(_) => Ok(()),
            // Taken up again at the next completion; without one in sight there is nobody to wait for.
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EBUSY) => Ok(()),
                Some(libc::EAGAIN) if self.with_kernel > self.io.submission().len() => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn take_completions(&mut self) -> usize {
        let mut taken = 0;
        while let Some((user_data, result)) = self.next_completion() {
            taken += 1;
            self.with_kernel = self.with_kernel.saturating_sub(1);
            self.complete((user_data >> 32) as u32, user_data as u32, result);
        }
        taken
    }

    fn next_completion(&mut self) -> Option<(u64, i32)> {
        self.io.completion().next().map(|entry: cqueue::Entry| (entry.user_data(), entry.result()))
    }

    fn complete(&mut self, key: u32, part: u32, result: i32) {
        let Some(request) = self.request(key) else { return };
        match request.completed(part as usize, result) {
            Next::Wait => {}
            Next::Again => self.backlog.push_back((key, part)),
            Next::Over if request.abandoned => drop(self.remove(key)),
            Next::Over => {
                let waker = request.waker.take();
                self.to_wake.extend(waker);
            }
        }
    }

    /// Ends every waiting request with the ring's error. Their memory stays, since the kernel may still use it.
    fn break_down(&mut self, error: io::Error) {
        tracing::error!(%error, "io_uring_enter failed: the ring is given up");
        self.broken = true;
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        for request in self.requests.iter_mut().flatten() {
            request.give_up(io::Error::from_raw_os_error(errno));
            self.to_wake.extend(request.waker.take());
        }
    }

    /// Waits until the kernel has given back everything.
    fn drain(&mut self) -> io::Result<()> {
        self.backlog.clear();
        while self.with_kernel > 0 {
            match self.io.submit_and_wait(1) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                Err(error) => return Err(error),
            }
            self.take_completions();
            self.backlog.clear();
        }
        Ok(())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let drained = if self.broken { Err(io::ErrorKind::Other.into()) } else { self.drain() };
        if drained.is_err() {
            // The kernel may still read or write this memory.
            mem::forget(mem::take(&mut self.requests));
        }
    }
}
