//! One ring per thread and runtime, and how completions find their way to the futures that wait.
//!
//! A ring is used only by the thread that made it (single issuer). Its eventfd sits in the runtime's reactor with a
//! waker of our own, which runs where the reactor runs: on the ring's thread it takes the completions and wakes
//! exactly the futures concerned. So no task needs to be spawned, and no wake-up is spent on a driver. If the reactor
//! lives on another thread (a multi-threaded runtime), the waker wakes all waiting futures, which then look
//! themselves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use io_uring::{IoUring, cqueue, squeue};
use rustix::event::EventfdFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Handle, RuntimeFlavor};

use crate::block::arena_range;

use super::request::{Finished, Next, Request};

/// Submissions that fit between two calls into the kernel.
const SUBMISSIONS: u32 = 256;

/// Completions that fit before the kernel must queue them elsewhere.
const COMPLETIONS: u32 = 1024;

thread_local! {
    /// Usually one. Several only while runtimes nest or follow each other on this thread.
    static RINGS: RefCell<Vec<(runtime::Id, Rc<Ring>)>> = const { RefCell::new(Vec::new()) };
}

/// The ring of this thread and runtime, made on first use.
pub(super) fn current() -> io::Result<Rc<Ring>> {
    let handle = Handle::try_current().map_err(io::Error::other)?;
    let id = handle.id();
    RINGS.with_borrow_mut(|rings| {
        let usable = |ring: &Ring| !ring.core.borrow().broken;
        if let Some((_, ring)) = rings.iter().find(|(owner, ring)| *owner == id && usable(ring)) {
            return Ok(Rc::clone(ring));
        }
        // Broken rings, and those of runtimes that are gone: nobody waits on them, the kernel has nothing of theirs.
        rings.retain(|(_, ring)| {
            usable(ring) && (Rc::strong_count(ring) > 1 || !ring.core.borrow().is_idle())
        });
        let ring = Rc::new(Ring::new(&handle, build()?)?);
        rings.push((id, Rc::clone(&ring)));
        Ok(ring)
    })
}

#[derive(Debug)]
pub(super) struct Ring {
    core: RefCell<Core>,
    ready: AsyncFd<OwnedFd>,
    alarm: Arc<Alarm>,
    waker: Waker,
}

/// What the reactor wakes.
#[derive(Debug)]
struct Alarm {
    thread: ThreadId,
    runtime: runtime::Id,
    /// The reactor holds the waker.
    armed: AtomicBool,
    /// Wakers of all waiting futures, kept only where the reactor may run on another thread.
    elsewhere: Option<Mutex<Vec<Waker>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.armed.store(false, Ordering::Release);
        if thread::current().id() == self.thread {
            // Gone at thread exit, or busy in the call that made the completion: then it looks by itself.
            let ring = RINGS.try_with(|rings| {
                let rings = rings.try_borrow().ok()?;
                rings.iter().find(|(owner, _)| *owner == self.runtime).map(|(_, ring)| Rc::clone(ring))
            });
            if let Ok(Some(ring)) = ring {
                ring.on_alarm();
            }
        } else if let Some(wakers) = &self.elsewhere {
            let wakers = mem::take(&mut *wakers.lock().unwrap_or_else(PoisonError::into_inner));
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Ring {
    fn new(handle: &Handle, io: IoUring) -> io::Result<Ring> {
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        io.submitter().register_eventfd(eventfd.as_raw_fd())?;
        let arena_registered = register_arena(&io);
        // SAFETY: an `OwnedFd` stays open and the same until dropped, and `ready` owns it.
        let ready = unsafe { AsyncFd::register_with_interest(eventfd, Interest::READABLE) }?;
        let elsewhere = match handle.runtime_flavor() {
            RuntimeFlavor::CurrentThread => None,
            _ => Some(Mutex::default()),
        };
        let thread = thread::current().id();
        let alarm =
            Arc::new(Alarm { thread, runtime: handle.id(), armed: AtomicBool::new(false), elsewhere });
        let waker = Waker::from(Arc::clone(&alarm));
        let core = Core {
            io,
            requests: Vec::new(),
            free: Vec::new(),
            backlog: VecDeque::new(),
            to_wake: Vec::new(),
            with_kernel: 0,
            arena_registered,
            broken: false,
        };
        Ok(Ring { core: RefCell::new(core), ready, alarm, waker })
    }

    /// Hands a request to the kernel. The future gives back what it owned; dropping it leaves the request with the
    /// ring until the kernel is done with it.
    pub(super) fn start(self: &Rc<Self>, request: Request) -> Waiting {
        let mut core = self.core.borrow_mut();
        let key = core.insert(request);
        core.advance();
        drop(core);
        self.wake_finished();
        Waiting { ring: Rc::clone(self), key: Some(key) }
    }

    /// The reactor saw completions.
    fn on_alarm(&self) {
        self.look();
        self.arm();
    }

    /// Takes what has completed, unless a caller further up is just doing that.
    fn look(&self) {
        if let Ok(mut core) = self.core.try_borrow_mut() {
            core.advance();
        }
        self.wake_finished();
    }

    /// Wakes with nothing borrowed: a waker may drop a task and with it a future of this ring.
    fn wake_finished(&self) {
        while let Some(waker) = self.core.try_borrow_mut().ok().and_then(|mut core| core.to_wake.pop()) {
            waker.wake();
        }
    }

    /// Asks the reactor for the next alarm. Events in between are taken at once.
    fn arm(&self) {
        if self.alarm.armed.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut context = Context::from_waker(&self.waker);
        loop {
            // Outside the task's budget: a refusal for want of budget would look like "armed".
            let mut readable = pin!(tokio::task::unconstrained(poll_fn(|context| {
                self.ready.poll_read_ready(context).map_ok(|mut guard| guard.clear_ready())
            })));
            match readable.as_mut().poll(&mut context) {
                Poll::Pending => break,
                // The eventfd is never read: each signal is an edge of its own.
                Poll::Ready(Ok(())) => self.look(),
                // The runtime is shutting down; nobody is left to wake.
                Poll::Ready(Err(error)) => break tracing::debug!(%error, "the reactor of a ring is gone"),
            }
        }
    }
}

/// A ring with the cheapest way of running completions that this kernel has.
fn build() -> io::Result<IoUring> {
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

fn build_plain() -> io::Result<IoUring> {
    IoUring::builder().setup_cqsize(COMPLETIONS).build(SUBMISSIONS)
}

/// Gives this thread the ring that an older kernel, without memory to pin, would get.
#[cfg(test)]
pub(super) fn use_plain_ring() {
    let handle = Handle::current();
    let ring = Ring::new(&handle, build_plain().unwrap()).unwrap();
    let mut core = ring.core.borrow_mut();
    core.io.submitter().unregister_buffers().unwrap();
    core.arena_registered = false;
    drop(core);
    RINGS.with_borrow_mut(|rings| rings.push((handle.id(), Rc::new(ring))));
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
struct Core {
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
    fn is_idle(&self) -> bool {
        self.with_kernel == 0 && self.backlog.is_empty()
    }

    fn insert(&mut self, request: Request) -> u32 {
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

    fn request(&mut self, key: u32) -> Option<&mut Request> {
        self.requests.get_mut(key as usize)?.as_mut()
    }

    fn remove(&mut self, key: u32) -> Option<Request> {
        let request = self.requests.get_mut(key as usize)?.take()?;
        self.free.push(key);
        Some(request)
    }

    /// Submits what waits and takes what has completed, until neither does anything.
    fn advance(&mut self) {
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
        // SAFETY: the memory and the file that the entry names belong to a request in `requests`, which keeps them
        // until every completion of it has been seen, and leaks them if the ring breaks down.
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

/// Waits for one request.
pub(super) struct Waiting {
    ring: Rc<Ring>,
    /// `None` once the result has been taken.
    key: Option<u32>,
}

impl Waiting {
    fn take_finished(&mut self) -> Option<Finished> {
        let key = self.key?;
        let mut core = self.ring.core.try_borrow_mut().ok()?;
        let broken = core.broken;
        let request = core.request(key)?;
        let finished = match (request.is_over(), broken) {
            (true, _) => core.remove(key)?.into_finished(),
            (false, true) => request.lost(),
            (false, false) => return None,
        };
        self.key = None;
        Some(finished)
    }

    /// Leaves the waker where completions and, on other threads, the reactor find it.
    fn leave_waker(&self, waker: &Waker) {
        if let (Some(key), Ok(mut core)) = (self.key, self.ring.core.try_borrow_mut())
            && let Some(request) = core.request(key)
            && !request.waker.as_ref().is_some_and(|left| left.will_wake(waker))
        {
            request.waker = Some(waker.clone());
        }
        if let Some(wakers) = &self.ring.alarm.elsewhere {
            let mut wakers = wakers.lock().unwrap_or_else(PoisonError::into_inner);
            if !wakers.iter().any(|left| left.will_wake(waker)) {
                wakers.push(waker.clone());
            }
        }
    }
}

impl Future for Waiting {
    type Output = Finished;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Finished> {
        self.ring.look();
        if let Some(finished) = self.take_finished() {
            return Poll::Ready(finished);
        }
        // First the waker, then the alarm: a completion in between must find it.
        self.leave_waker(context.waker());
        self.ring.arm();
        self.take_finished().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        let Ok(mut core) = self.ring.core.try_borrow_mut() else { return };
        let Some(request) = core.request(key) else { return };
        request.abandoned = true;
        if request.is_over() {
            core.remove(key);
        }
    }
}
