//! A ring's own state: requests on their way to the kernel and back.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::Waker;

use io_uring::{IoUring, cqueue, squeue};

use super::backlog::{Backlog, Place};
use super::build::{COMPLETIONS, allow_workers, register_arena};
use super::request::{Finished, Next, Request};

/// The ring's own state. Borrowed only in calls that neither wait nor run foreign code, but for waking.
pub(super) struct Core {
    io: IoUring,
    requests: Vec<Option<Request>>,
    free: Vec<u32>,
    /// Parts to submit when there is room.
    backlog: Backlog,
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
            backlog: Backlog::default(),
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
        let (parts, is_read) = (request.parts() as u32, request.is_read());
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
        match is_read {
            true => self.backlog.add_read(key, parts),
            false => self.backlog.add_write(key, parts),
        }
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
            let requests = &self.requests;
            let of = |key: u32| requests.get(key as usize).and_then(Option::as_ref);
            let left_bytes =
                |(key, part): Place| of(key).map_or(0, |request| request.left_bytes(part as usize));
            let Some((key, part)) = self.backlog.take(left_bytes) else { break };
            let entry = of(key).and_then(|request| request.entry(part as usize, self.arena_registered));
            let Some(entry) = entry else { continue };
            if !self.push(&entry.user_data(u64::from(key) << 32 | u64::from(part))) {
                self.put_back(key, part);
                break;
            }
            self.with_kernel += 1;
            moved += 1;
        }
        moved
    }

    /// Takes what is left of a part, which the kernel does not have, into the backlog again.
    fn put_back(&mut self, key: u32, part: u32) {
        let Some(request) = self.requests.get(key as usize).and_then(Option::as_ref) else { return };
        if request.is_read() {
            self.backlog.end_read(request.left_bytes(part as usize));
            self.backlog.rest_of_read((key, part));
        } else {
            self.backlog.rest_of_write((key, part));
        }
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
        let Some(request) = self.requests.get_mut(key as usize).and_then(Option::as_mut) else { return };
        let is_read = request.is_read();
        if is_read {
            self.backlog.end_read(request.left_bytes(part as usize));
        }
        match request.completed(part as usize, result) {
            Next::Wait => {}
            Next::Again if is_read => self.backlog.rest_of_read((key, part)),
            Next::Again => self.backlog.rest_of_write((key, part)),
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
