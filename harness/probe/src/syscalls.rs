//! How many system calls a process makes: the kernel's own count, which needs a privilege.

use std::fs;
use std::io;

use perf_event::events::Tracepoint;
use perf_event::{Builder, Counter};

/// Where the kernel tells the number of its event "a system call begins".
const EVENT_ID: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];

/// A count of the system calls of every thread a process has now, and of all threads that those begin.
#[derive(Debug)]
pub struct SyscallCounter(Vec<Counter>);

impl SyscallCounter {
    /// Begins counting. The error says why the kernel does not let it.
    pub fn of(pid: u32) -> Result<Self, String> {
        let refused =
            |error: io::Error| format!("the kernel does not let this user count system calls ({error})");
        let event = event().map_err(refused)?;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| error.to_string())?;
        let ids = threads.filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok());
        let mut counters = Vec::new();
        for id in ids {
            match counter(&event, id) {
                Ok(counter) => counters.push(counter),
                // It ended since it was listed.
                Err(gone) if gone.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(Self(counters))
    }

    /// Calls since the beginning; `None` if one of the counts cannot be read.
    pub fn count(&mut self) -> Option<u64> {
        self.0.iter_mut().map(|counter| counter.read().ok()).sum()
    }
}

fn event() -> io::Result<Tracepoint> {
    let [usual, older] = EVENT_ID;
    let id = fs::read_to_string(usual).or_else(|_| fs::read_to_string(older))?;
    Ok(Tracepoint::with_id(id.trim().parse().map_err(io::Error::other)?))
}

fn counter(event: &Tracepoint, thread: i32) -> io::Result<Counter> {
    let mut counter = Builder::new(*event).observe_pid(thread).include_kernel().inherit(true).build()?;
    counter.enable()?;
    Ok(counter)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn calls_of_another_process_are_counted_from_the_beginning_on() {
        let mut other = Command::new("/bin/sh")
            .args([
                "-c",
                "read start; for n in 1 2 3 4 5 6 7 8 9 10; do kill -0 $$; done; echo done; read end",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut counter = match SyscallCounter::of(other.id()) {
            Ok(counter) => counter,
            Err(reason) => {
                eprintln!("skipped: counting system calls: {reason}");
                other.kill().unwrap();
                other.wait().unwrap();
                return;
            }
        };
        let mut stdin = other.stdin.take().unwrap();
        io::Write::write_all(&mut stdin, b"go\n").unwrap();
        let mut answer = [0; 5];
        io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut answer).unwrap();
        let calls = counter.count().unwrap();
        drop(stdin);
        other.wait().unwrap();
        assert!((10..1_000).contains(&calls), "{calls}");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(SyscallCounter::of(u32::MAX).is_err());
    }
}
