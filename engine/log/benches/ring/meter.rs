//! What a stretch of work cost this process.

use std::fs;
use std::future::Future;
use std::time::Instant;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Time, CPU of all threads with the kernel's work for them, system calls and times a thread slept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    /// Of this thread; not a number where the kernel does not count them for us.
    pub(crate) syscalls: f64,
    pub(crate) switches: f64,
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    cpu_s: f64,
    syscalls: f64,
    switches: f64,
}

/// Reads the counters.
#[derive(Debug)]
pub(crate) struct Meter {
    syscalls: Option<OwnedFd>,
}

impl Meter {
    pub(crate) fn new() -> Meter {
        let syscalls = count_syscalls();
        if syscalls.is_none() {
            println!("skipped: system calls: tracefs is not mounted, or counting is not allowed");
        }
        Meter { syscalls }
    }

    pub(crate) fn now(&self) -> Reading {
        // SAFETY: all zeroes is a value of this plain structure, and the call writes nothing else.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        let mut count = [0; 8];
        let counted = self.syscalls.as_ref().and_then(|counter| rustix::io::read(counter, &mut count).ok());
        Reading {
            cpu_s: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            syscalls: counted.map_or(f64::NAN, |_| u64::from_ne_bytes(count) as f64),
            switches: usage.ru_nvcsw as f64,
        }
    }

    pub(crate) fn since(&self, start: Instant, before: &Reading) -> Cost {
        let wall_s = start.elapsed().as_secs_f64();
        let now = self.now();
        Cost {
            wall_s,
            cpu_s: now.cpu_s - before.cpu_s,
            syscalls: now.syscalls - before.syscalls,
            switches: now.switches - before.switches,
        }
    }

    pub(crate) async fn measure(&self, work: impl Future<Output = ()>) -> Cost {
        let (start, before) = (Instant::now(), self.now());
        work.await;
        self.since(start, &before)
    }
}

/// The first 48 bytes of `struct perf_event_attr` as `perf_event_open(2)` has them, and zeroes up to its first size.
#[repr(C)]
struct Attributes {
    kind: u32,
    size_bytes: u32,
    config: u64,
    rest: [u64; 6],
}

/// `PERF_TYPE_TRACEPOINT`.
const TRACEPOINT: u32 = 2;

/// A counter of this thread's system calls from now on.
fn count_syscalls() -> Option<OwnedFd> {
    let id = fs::read_to_string("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id").ok()?;
    let size_bytes = size_of::<Attributes>() as u32;
    let attributes =
        Attributes { kind: TRACEPOINT, size_bytes, config: id.trim().parse().ok()?, rest: [0; 6] };
    // SAFETY: the kernel reads as many bytes as the structure says it has; this thread, any CPU, no group, no flags.
    let counter = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attributes, 0, -1, -1, 0) };
    let counter = i32::try_from(counter).ok().filter(|counter| *counter >= 0)?;
    // SAFETY: a descriptor that the kernel has just given to nobody else.
    let counter = unsafe { OwnedFd::from_raw_fd(counter) };
    (counter.as_raw_fd() >= 0).then_some(counter)
}
