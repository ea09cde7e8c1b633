//! Making rings: what the kernel offers, the memory they know, the workers they may have.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use io_uring::IoUring;

use crate::pool::arena_range;

/// Submissions that fit between two calls into the kernel.
const SUBMISSIONS: u32 = 256;

/// Completions that fit before the kernel must queue them elsewhere.
pub(super) const COMPLETIONS: u32 = 1024;

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
pub(super) fn allow_workers(io: &IoUring) {
    if let Err(error) = io.submitter().register_iowq_max_workers(&mut [WORKERS_MAX, 0]) {
        tracing::info!(%error, "this kernel bounds a ring's workers by itself (Linux 5.15 lifts it)");
    }
}

/// Pins the block arena for this ring. Where the limit of locked memory forbids it, writes work unregistered.
pub(super) fn register_arena(io: &IoUring) -> bool {
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
