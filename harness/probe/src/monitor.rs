//! A light sample of the machine every second, for the time series.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use plimsoll_results::IntervalResources;
use rustix::time::{ClockId, clock_gettime};

use crate::process::ProcessSample;
use crate::system::{SystemSample, SystemUsage};

/// `CLOCK_MONOTONIC` in nanoseconds: the one clock of a run.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonitorSample {
    /// Middle of the sampled time, on [`monotonic_ns`].
    pub middle_ns: u64,
    /// What the machine did in it.
    pub resources: IntervalResources,
}

impl MonitorSample {
    /// As [`plimsoll_results::attach_resources`] wants it: milliseconds since the run's zero.
    pub fn since(&self, run_zero_ns: u64) -> (f64, IntervalResources) {
        ((self.middle_ns as f64 - run_zero_ns as f64) / 1e6, self.resources)
    }
}

/// Samples in the background until finished.
#[derive(Debug)]
pub struct Monitor {
    commands: Sender<Command>,
    thread: JoinHandle<Vec<MonitorSample>>,
}

#[derive(Debug)]
enum Command {
    Brokers(Vec<u32>),
    Stop,
}

impl Monitor {
    /// Starts sampling every `period`: the brokers' processes, this process, and the data device if known.
    pub fn start(period: Duration, brokers: Vec<u32>, device: Option<(u32, u32)>) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("monitor".to_owned()).spawn(move || {
            let mut sampler = Sampler { brokers, device, last: Reading::default(), samples: Vec::new() };
            sampler.last = sampler.read();
            loop {
                match inbox.recv_timeout(period) {
                    Ok(Command::Brokers(pids)) => sampler.replace_brokers(pids),
                    Err(RecvTimeoutError::Timeout) => sampler.sample(),
                    Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break sampler.samples,
                }
            }
        })?;
        Ok(Self { commands, thread })
    }

    /// Names the brokers anew, after one was restarted.
    pub fn set_brokers(&self, pids: Vec<u32>) {
        // The thread ends only when this handle is finished, so the message arrives.
        let _ = self.commands.send(Command::Brokers(pids));
    }

    /// Stops and gives every sample. Without the thread's samples (it panicked) the list is empty.
    pub fn finish(self) -> Vec<MonitorSample> {
        let _ = self.commands.send(Command::Stop);
        self.thread.join().unwrap_or_default()
    }
}

struct Sampler {
    brokers: Vec<u32>,
    device: Option<(u32, u32)>,
    last: Reading,
    samples: Vec<MonitorSample>,
}

#[derive(Default)]
struct Reading {
    at_ns: u64,
    broker_cpu_ns: Option<u64>,
    client_cpu_ns: Option<u64>,
    system: Option<SystemSample>,
}

impl Sampler {
    fn read(&self) -> Reading {
        let cpu = |pid: u32| ProcessSample::cpu_ns(pid).ok();
        Reading {
            at_ns: monotonic_ns(),
            broker_cpu_ns: self.brokers.iter().map(|pid| cpu(*pid)).sum::<Option<u64>>(),
            client_cpu_ns: cpu(std::process::id()),
            system: Some(SystemSample::read(self.device)),
        }
    }

    fn replace_brokers(&mut self, pids: Vec<u32>) {
        self.brokers = pids;
        // The new processes' counters begin elsewhere: no difference may span the change.
        self.last = self.read();
    }

    fn sample(&mut self) {
        let now = self.read();
        let wall_ns = now.at_ns.saturating_sub(self.last.at_ns);
        let pct = |before: Option<u64>, after: Option<u64>| {
            Some(after?.saturating_sub(before?) as f64 / wall_ns.max(1) as f64 * 100.0)
        };
        let system = self.last.system.as_ref().zip(now.system.as_ref());
        let system = system.map(|(b, a)| SystemUsage::between(b, a)).unwrap_or_default();
        let resources = IntervalResources {
            broker_cpu_pct: pct(self.last.broker_cpu_ns, now.broker_cpu_ns)
                .filter(|_| !self.brokers.is_empty()),
            client_cpu_pct: pct(self.last.client_cpu_ns, now.client_cpu_ns),
            steal_pct: system.steal_pct,
            psi_cpu_pct: system.psi.cpu.some_pct,
            psi_io_pct: system.psi.io.some_pct,
            psi_memory_pct: system.psi.memory.some_pct,
            dirty_bytes: system.dirty_bytes,
            disk_write_bytes: system.disk.map(|disk| disk.write_bytes),
            disk_read_bytes: system.disk.map(|disk| disk.read_bytes),
        };
        self.samples.push(MonitorSample { middle_ns: self.last.at_ns + wall_ns / 2, resources });
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_one_another_on_the_monotonic_clock() {
        let begun = monotonic_ns();
        let monitor = Monitor::start(Duration::from_millis(5), vec![std::process::id()], None).unwrap();
        while monotonic_ns() < begun + 60_000_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let samples = monitor.finish();
        assert!(samples.len() >= 2 && samples.windows(2).all(|pair| pair[0].middle_ns < pair[1].middle_ns));
        assert!(samples.iter().all(|sample| sample.middle_ns > begun));
        assert!(samples[0].resources.broker_cpu_pct.is_some());
    }
}
