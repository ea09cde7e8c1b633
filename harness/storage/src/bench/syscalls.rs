//! How many system calls the threads of a trial made: the kernel's own count, which needs a privilege.

use std::fs;
use std::io;
use std::sync::{Mutex, PoisonError};

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};

/// Where the kernel tells the number of its event "a system call begins".
const EVENT_ID: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// A count of this thread's system calls and those of all threads it begins from now on.
#[derive(Debug)]
pub(crate) struct Syscalls(Result<Mutex<Counter>, String>);

impl Syscalls {
    /// Starts counting. Where the kernel does not let it, every count is `None`.
    pub(crate) fn begin() -> Syscalls {
        let counter = counter().map(Mutex::new);
        Syscalls(counter.map_err(|error| {
            format!("the kernel does not let this user count system calls ({error}); root may")
        }))
    }

    /// Calls so far.
    pub(crate) fn count(&self) -> Option<u64> {
        let counter = self.0.as_ref().ok()?;
        counter.lock().unwrap_or_else(PoisonError::into_inner).read().ok()
    }

    /// Why there is no count.
    pub(crate) fn unavailable(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}

fn counter() -> io::Result<Counter> {
    let [usual, older] = EVENT_ID;
    let id = fs::read_to_string(usual).or_else(|_| fs::read_to_string(older))?;
    let event = Tracepoint::with_id(id.trim().parse().map_err(io::Error::other)?);
    let mut counter = Builder::new(event).include_kernel().inherit(true).build()?;
    counter.enable()?;
    Ok(counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_a_thread_begun_later_are_counted() {
        let syscalls = Syscalls::begin();
        let Some(before) = syscalls.count() else {
            eprintln!("skipped: counting system calls: {}", syscalls.unavailable().unwrap_or_default());
            return;
        };
        let call = || (0..1_000).for_each(|_| std::thread::sleep(std::time::Duration::from_nanos(1)));
        std::thread::spawn(call).join().unwrap();
        let made = syscalls.count().unwrap() - before;
        assert!((1_000..2_000).contains(&made), "{made}");
    }
}
