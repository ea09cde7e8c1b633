//! What this process spent between two instants. Trials run in this process, one at a time, so that its counters
//! are theirs; io_uring's workers are threads of it, the kernel's write-back threads are not.

use std::fs;

use rustix::time::{ClockId, clock_gettime};

use super::syscalls::Syscalls;

/// Counters of this process so far. What the kernel does not give is `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// All threads that ever lived, in nanoseconds.
    cpu_ns: u64,
    /// Of these in user space, to the kernel's tick.
    user_ticks: Option<u64>,
    /// Wanted and unwanted, of the threads that live.
    switches: Option<u64>,
    /// Sent towards storage; cached pages count when they become dirty.
    write_bytes: Option<u64>,
    syscalls: Option<u64>,
}

/// The difference of two [`Usage`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    pub(crate) cpu_ns: u64,
    pub(crate) sys_ns: Option<u64>,
    pub(crate) switches: Option<u64>,
    pub(crate) write_bytes: Option<u64>,
    pub(crate) syscalls: Option<u64>,
}

impl Usage {
    /// At the beginning of what is to be charged: the calls made here come before the count of calls.
    pub(crate) fn before(syscalls: &Syscalls) -> Usage {
        let usage = Usage::now(None);
        Usage { syscalls: syscalls.count(), ..usage }
    }

    /// At its end: the calls made here come behind.
    pub(crate) fn after(syscalls: &Syscalls) -> Usage {
        Usage::now(syscalls.count())
    }

    fn now(syscalls: Option<u64>) -> Usage {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let cpu_ns = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
            + u64::try_from(time.tv_nsec).unwrap_or(0);
        let write_bytes = fs::read_to_string("/proc/self/io").ok().and_then(|io| keyed(&io, "write_bytes"));
        Usage { cpu_ns, user_ticks: user_ticks(), switches: switches(), write_bytes, syscalls }
    }

    pub(crate) fn since(&self, before: &Usage) -> Spent {
        let more = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        let cpu_ns = self.cpu_ns.saturating_sub(before.cpu_ns);
        let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
        let user_ns = more(self.user_ticks, before.user_ticks).map(|ticks| ticks * tick_ns);
        Spent {
            cpu_ns,
            sys_ns: user_ns.map(|user_ns| cpu_ns.saturating_sub(user_ns)),
            switches: more(self.switches, before.switches),
            write_bytes: more(self.write_bytes, before.write_bytes),
            syscalls: more(self.syscalls, before.syscalls),
        }
    }
}

fn user_ticks() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Field 14 of proc_pid_stat(5), counted from behind the name, which may hold spaces.
    stat.rsplit_once(')')?.1.split_whitespace().nth(11)?.parse().ok()
}

fn switches() -> Option<u64> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let of = |status: String| {
        let count = |name| keyed(&status, name).unwrap_or(0);
        count("voluntary_ctxt_switches") + count("nonvoluntary_ctxt_switches")
    };
    Some(tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok()).map(of).sum())
}

fn keyed(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_another_thread_is_charged_after_it_ended() {
        let before = Usage::now(None);
        let work = || (0..20_000_000u64).fold(1, |sum: u64, n| std::hint::black_box(sum.wrapping_mul(n | 1)));
        std::thread::spawn(work).join().unwrap();
        assert!(Usage::now(None).since(&before).cpu_ns > 1_000_000);
    }

    #[test]
    fn keys_are_whole_words() {
        let io = "rchar: 5\nwrite_bytes: 42\ncancelled_write_bytes: 7\n";
        assert_eq!((keyed(io, "write_bytes"), keyed(io, "bytes")), (Some(42), None));
    }
}
