//! One ring per thread and runtime, and how completions find their way to the futures that wait.
//!
//! A ring is used only by the thread that made it (single issuer). Its eventfd sits in the runtime's reactor with a
//! waker of our own, which runs where the reactor runs: on the ring's thread it takes the completions and wakes
//! exactly the futures concerned. So no task needs to be spawned, and no wake-up is spent on a driver. If the reactor
//! lives on another thread (a multi-threaded runtime), the waker wakes all waiting futures, which then look
//! themselves.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

use io_uring::IoUring;
use rustix::event::EventfdFlags;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Handle, RuntimeFlavor};

#[cfg(test)]
use super::build::build_plain;
use super::build::{RingKind, build};
use super::request::{Finished, Request};
use super::state::Core;

thread_local! {
    /// Usually one. Several only while runtimes nest or follow each other on this thread.
    static RINGS: RefCell<Vec<(runtime::Id, Rc<Ring>)>> = const { RefCell::new(Vec::new()) };
}

/// The ring of this kind, thread and runtime, made on first use.
pub(super) fn current(kind: RingKind) -> io::Result<Rc<Ring>> {
    let handle = Handle::try_current().map_err(io::Error::other)?;
    let id = handle.id();
    RINGS.with_borrow_mut(|rings| {
        let usable = |ring: &Ring| !ring.core.borrow().is_broken();
        let fits = |ring: &Ring| ring.alarm.kind == kind && usable(ring);
        if let Some((_, ring)) = rings.iter().find(|(owner, ring)| *owner == id && fits(ring)) {
            return Ok(Rc::clone(ring));
        }
        // Broken rings, and those of runtimes that are gone: nobody waits on them, the kernel has nothing of theirs.
        rings.retain(|(_, ring)| {
            usable(ring) && (Rc::strong_count(ring) > 1 || !ring.core.borrow().is_idle())
        });
        let ring = Rc::new(Ring::new(&handle, kind, build(kind)?)?);
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
    kind: RingKind,
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
                let ours = |ring: &Ring| std::ptr::eq(Arc::as_ptr(&ring.alarm), &*self);
                rings.iter().find(|(_, ring)| ours(ring)).map(|(_, ring)| Rc::clone(ring))
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
    fn new(handle: &Handle, kind: RingKind, io: IoUring) -> io::Result<Ring> {
        let eventfd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let core = Core::new(io, &eventfd)?;
        // SAFETY: an `OwnedFd` stays open and the same until dropped, and `ready` owns it.
        let ready = unsafe { AsyncFd::register_with_interest(eventfd, Interest::READABLE) }?;
        let elsewhere = match handle.runtime_flavor() {
            RuntimeFlavor::CurrentThread => None,
            _ => Some(Mutex::default()),
        };
        let thread = thread::current().id();
        let alarm = Arc::new(Alarm { thread, kind, armed: AtomicBool::new(false), elsewhere });
        let waker = Waker::from(Arc::clone(&alarm));
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
        while let Some(waker) = self.core.try_borrow_mut().ok().and_then(|mut core| core.next_to_wake()) {
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

/// Gives this thread the ring that an older kernel, without memory to pin, would get.
#[cfg(test)]
pub(super) fn use_plain_ring() {
    let handle = Handle::current();
    let ring = Ring::new(&handle, RingKind::Deferred, build_plain().unwrap()).unwrap();
    let mut core = ring.core.borrow_mut();
    core.unregister_arena();
    drop(core);
    RINGS.with_borrow_mut(|rings| rings.push((handle.id(), Rc::new(ring))));
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
        let finished = core.take_finished(key)?;
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
