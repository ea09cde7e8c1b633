//! What a process spent between two instants.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use plimsoll_results::ProcessCost;
use thiserror::Error;

use crate::proc_fs::{keyed, keyed_bytes, text};

/// A process that could not be sampled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProcessError {
    /// It has ended, or is hidden from this user.
    #[error("cannot read process {pid}: {reason}")]
    Gone {
        /// Process id.
        pid: u32,
        /// What the kernel said.
        reason: String,
    },
    /// The two samples are of different processes: it was restarted in between.
    #[error("process {before} was replaced by {after} between the samples: add up each process on its own")]
    Replaced {
        /// Process id of the first sample.
        before: u32,
        /// Process id of the second sample.
        after: u32,
    },
}

/// Counters of one process since it began.
#[derive(Debug, Clone)]
pub struct ProcessSample {
    pid: u32,
    at: Instant,
    stat: Stat,
    /// Thread id to counters: finer than the process's own, but those of ended threads are gone.
    tasks: BTreeMap<u32, Task>,
    rss_peak_bytes: Option<u64>,
    io: Option<Io>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Stat {
    minor_faults: u64,
    major_faults: u64,
    user_ticks: u64,
    sys_ticks: u64,
    start_ticks: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Task {
    cpu_ns: u64,
    run_delay_ns: u64,
    voluntary: u64,
    involuntary: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Io {
    read_bytes: u64,
    write_bytes: u64,
}

impl ProcessSample {
    /// Reads the counters. Takes about 20 µs per thread of the process.
    pub fn read(pid: u32) -> Result<Self, ProcessError> {
        let gone = |reason| ProcessError::Gone { pid, reason };
        let stat = text(format!("/proc/{pid}/stat")).map_err(gone)?;
        let stat = Stat::parse(&stat).ok_or_else(|| gone("its stat line is cut short".to_owned()))?;
        let status = text(format!("/proc/{pid}/status")).map_err(gone)?;
        Ok(Self {
            pid,
            at: Instant::now(),
            stat,
            tasks: tasks(pid),
            rss_peak_bytes: keyed_bytes(&status, "VmHWM"),
            io: text(format!("/proc/{pid}/io")).ok().and_then(|io| Io::parse(&io)),
        })
    }

    /// CPU time so far in nanoseconds, to the kernel's clock tick (usually 10 ms). One file: cheap.
    pub fn cpu_ns(pid: u32) -> Result<u64, ProcessError> {
        let gone = |reason| ProcessError::Gone { pid, reason };
        let stat = text(format!("/proc/{pid}/stat")).map_err(gone)?;
        let stat = Stat::parse(&stat).ok_or_else(|| gone("its stat line is cut short".to_owned()))?;
        Ok((stat.user_ticks + stat.sys_ticks) * tick_ns())
    }
}

impl Stat {
    /// Fields are counted from behind the command name, which may hold spaces and brackets.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Field n of proc_pid_stat(5) is at n − 3 here.
        let at = |field: usize| fields.get(field - 3)?.parse().ok();
        Some(Self {
            minor_faults: at(10)?,
            major_faults: at(12)?,
            user_ticks: at(14)?,
            sys_ticks: at(15)?,
            start_ticks: at(22)?,
        })
    }
}

impl Io {
    fn parse(text: &str) -> Option<Self> {
        Some(Self { read_bytes: keyed(text, "read_bytes")?, write_bytes: keyed(text, "write_bytes")? })
    }
}

/// Counters of every thread that could be read; one that ends meanwhile is left out.
fn tasks(pid: u32) -> BTreeMap<u32, Task> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return BTreeMap::new() };
    entries.filter_map(|entry| task(&entry.ok()?)).collect()
}

fn task(entry: &fs::DirEntry) -> Option<(u32, Task)> {
    let id = entry.file_name().to_str()?.parse().ok()?;
    let schedstat = text(entry.path().join("schedstat")).ok()?;
    let mut numbers = schedstat.split_whitespace().map(str::parse::<u64>);
    let (cpu_ns, run_delay_ns) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let status = text(entry.path().join("status")).ok()?;
    let voluntary = keyed(&status, "voluntary_ctxt_switches")?;
    let involuntary = keyed(&status, "nonvoluntary_ctxt_switches")?;
    Some((id, Task { cpu_ns, run_delay_ns, voluntary, involuntary }))
}

fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// Resources spent between two samples. What the kernel did not give is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct ProcessUsage {
    /// Wall-clock nanoseconds between the samples.
    pub wall_ns: u64,
    /// CPU nanoseconds.
    pub cpu_ns: u64,
    /// Of these in user space; `None` when too little was spent to tell the two apart.
    pub cpu_user_ns: Option<u64>,
    /// Of these in the kernel.
    pub cpu_sys_ns: Option<u64>,
    /// Time runnable but not running, over all threads.
    pub run_delay_ns: Option<u64>,
    /// Context switches because a thread waited.
    pub voluntary_switches: Option<u64>,
    /// Context switches because another thread got the core.
    pub involuntary_switches: Option<u64>,
    /// System calls, where somebody counted them ([`crate::SyscallCounter`]).
    pub syscalls: Option<u64>,
    /// Page faults served from memory.
    pub minor_faults: u64,
    /// Page faults that read the disk.
    pub major_faults: u64,
    /// Peak resident memory since the process began.
    pub rss_peak_bytes: Option<u64>,
    /// Bytes fetched from storage.
    pub read_bytes: Option<u64>,
    /// Bytes sent to storage; for cached writes counted when the page becomes dirty.
    pub write_bytes: Option<u64>,
}

impl ProcessUsage {
    /// What was spent from one sample to a later one of the same process.
    pub fn between(before: &ProcessSample, after: &ProcessSample) -> Result<Self, ProcessError> {
        if (before.pid, before.stat.start_ticks) != (after.pid, after.stat.start_ticks) {
            return Err(ProcessError::Replaced { before: before.pid, after: after.pid });
        }
        let user_ticks = after.stat.user_ticks.saturating_sub(before.stat.user_ticks);
        let sys_ticks = after.stat.sys_ticks.saturating_sub(before.stat.sys_ticks);
        let by_ticks_ns = (user_ticks + sys_ticks) * tick_ns();
        let fine = fine_usage(before, after);
        let cpu_ns = fine.map_or(by_ticks_ns, |task| task.cpu_ns);
        let split = split(cpu_ns, user_ticks, sys_ticks);
        let io = before.io.zip(after.io);
        Ok(Self {
            wall_ns: u64::try_from(after.at.duration_since(before.at).as_nanos()).unwrap_or(u64::MAX),
            cpu_ns,
            cpu_user_ns: split.map(|(user, _)| user),
            cpu_sys_ns: split.map(|(_, sys)| sys),
            run_delay_ns: fine.map(|task| task.run_delay_ns),
            voluntary_switches: fine.map(|task| task.voluntary),
            involuntary_switches: fine.map(|task| task.involuntary),
            syscalls: None,
            minor_faults: after.stat.minor_faults.saturating_sub(before.stat.minor_faults),
            major_faults: after.stat.major_faults.saturating_sub(before.stat.major_faults),
            rss_peak_bytes: after.rss_peak_bytes,
            read_bytes: io.map(|(b, a)| a.read_bytes.saturating_sub(b.read_bytes)),
            write_bytes: io.map(|(b, a)| a.write_bytes.saturating_sub(b.write_bytes)),
        })
    }

    /// Adds another process, for example the next broker. A part that one of them lacks is lacking in the sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| Some(a? + b?);
        Self {
            wall_ns: self.wall_ns.max(other.wall_ns),
            cpu_ns: self.cpu_ns + other.cpu_ns,
            cpu_user_ns: sum(self.cpu_user_ns, other.cpu_user_ns),
            cpu_sys_ns: sum(self.cpu_sys_ns, other.cpu_sys_ns),
            run_delay_ns: sum(self.run_delay_ns, other.run_delay_ns),
            voluntary_switches: sum(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: sum(self.involuntary_switches, other.involuntary_switches),
            syscalls: sum(self.syscalls, other.syscalls),
            minor_faults: self.minor_faults + other.minor_faults,
            major_faults: self.major_faults + other.major_faults,
            rss_peak_bytes: sum(self.rss_peak_bytes, other.rss_peak_bytes),
            read_bytes: sum(self.read_bytes, other.read_bytes),
            write_bytes: sum(self.write_bytes, other.write_bytes),
        }
    }

    /// Adds a later time of the same node, in another process or trial: counters and time add up, the peak stays a peak.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        let rss_peak_bytes = self.rss_peak_bytes.max(next.rss_peak_bytes);
        Self { rss_peak_bytes, wall_ns: self.wall_ns + next.wall_ns, ..self.plus(next) }
    }

    /// CPU in percent of one core.
    pub fn cpu_pct(&self) -> Option<f64> {
        (self.wall_ns > 0).then(|| self.cpu_ns as f64 / self.wall_ns as f64 * 100.0)
    }

    /// The cost of each of `records` acknowledged records. Without records there is no cost per record.
    pub fn cost(&self, records: u64) -> ProcessCost {
        let each = |sum: Option<u64>| sum.filter(|_| records > 0).map(|sum| sum as f64 / records as f64);
        let seconds = self.wall_ns as f64 / 1e9;
        let rate = |sum: Option<u64>| sum.filter(|_| seconds > 0.0).map(|sum| sum as f64 / seconds);
        let (voluntary, involuntary) = (self.voluntary_switches, self.involuntary_switches);
        ProcessCost {
            cpu_user_ns_per_record: each(self.cpu_user_ns),
            cpu_sys_ns_per_record: each(self.cpu_sys_ns),
            rss_peak_bytes: self.rss_peak_bytes,
            run_delay_ns_per_record: each(self.run_delay_ns),
            syscalls_per_record: each(self.syscalls),
            syscalls_per_s: rate(self.syscalls),
            ctx_switches_per_s: rate(voluntary.zip(involuntary).map(|(wanted, not)| wanted + not)),
            voluntary_switches_per_record: each(voluntary),
            voluntary_switches_per_s: rate(voluntary),
            involuntary_switches_per_record: each(involuntary),
            involuntary_switches_per_s: rate(involuntary),
            minor_faults: Some(self.minor_faults),
            major_faults: Some(self.major_faults),
            minor_faults_per_record: each(Some(self.minor_faults)),
            major_faults_per_s: rate(Some(self.major_faults)),
            read_bytes_per_s: rate(self.read_bytes),
            write_bytes_per_s: rate(self.write_bytes),
        }
    }
}

/// Sums the threads' own counters, exact to the nanosecond, unless a thread ended in between.
fn fine_usage(before: &ProcessSample, after: &ProcessSample) -> Option<Task> {
    let complete = !after.tasks.is_empty() && before.tasks.keys().all(|id| after.tasks.contains_key(id));
    let sum = after.tasks.iter().fold(Task::default(), |sum, (id, now)| {
        let then = before.tasks.get(id).copied().unwrap_or_default();
        Task {
            cpu_ns: sum.cpu_ns + now.cpu_ns.saturating_sub(then.cpu_ns),
            run_delay_ns: sum.run_delay_ns + now.run_delay_ns.saturating_sub(then.run_delay_ns),
            voluntary: sum.voluntary + now.voluntary.saturating_sub(then.voluntary),
            involuntary: sum.involuntary + now.involuntary.saturating_sub(then.involuntary),
        }
    });
    // A thread that was born and died between the samples shows only in the process's ticks.
    let ticks = |s: &Stat| s.user_ticks + s.sys_ticks;
    let by_ticks_ns = ticks(&after.stat).saturating_sub(ticks(&before.stat)) * tick_ns();
    (complete && sum.cpu_ns + 3 * tick_ns() >= by_ticks_ns).then_some(sum)
}

/// Divides exact CPU time in the proportion of the ticks seen in user space and in the kernel.
fn split(cpu_ns: u64, user_ticks: u64, sys_ticks: u64) -> Option<(u64, u64)> {
    let ticks = user_ticks + sys_ticks;
    if ticks == 0 {
        return None;
    }
    let user = u128::from(cpu_ns) * u128::from(user_ticks) / u128::from(ticks);
    let user = u64::try_from(user).unwrap_or(u64::MAX);
    Some((user, cpu_ns.saturating_sub(user)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "42 (a) b (c) S 1 1 1 0 -1 4194304 100 0 7 0 30 10 0 0 20 0 9 0 156265 3133440 393";

    #[test]
    fn a_command_name_with_brackets_does_not_shift_the_fields() {
        let stat = Stat::parse(LINE).unwrap();
        let expected =
            Stat { minor_faults: 100, major_faults: 7, user_ticks: 30, sys_ticks: 10, start_ticks: 156_265 };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("42 (short) S 1"), None);
    }

    #[test]
    fn exact_time_is_divided_as_the_ticks_were() {
        assert_eq!(split(1_000, 3, 1), Some((750, 250)));
        assert_eq!(split(1_000, 0, 0), None);
    }

    #[test]
    fn work_and_writing_of_this_process_are_seen() {
        let before = ProcessSample::read(std::process::id()).unwrap();
        let mut sum = 0u64;
        while ProcessSample::cpu_ns(std::process::id()).unwrap() < before_ns(&before) + 40_000_000 {
            sum = (0..10_000u64).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_add(n)));
        }
        let after = ProcessSample::read(std::process::id()).unwrap();
        let usage = ProcessUsage::between(&before, &after).unwrap();
        assert!(usage.cpu_ns >= 10_000_000, "{usage:?}");
        assert!(usage.cpu_user_ns.is_some() && usage.rss_peak_bytes.is_some_and(|bytes| bytes > 0));
    }

    fn before_ns(sample: &ProcessSample) -> u64 {
        (sample.stat.user_ticks + sample.stat.sys_ticks) * tick_ns()
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = ProcessSample::read(u32::MAX).unwrap_err();
        assert!(error.to_string().contains("4294967295"), "{error}");
    }

    #[test]
    fn a_restart_between_samples_is_an_error_not_a_negative_number() {
        let one = ProcessSample::read(std::process::id()).unwrap();
        let mut two = one.clone();
        two.stat.start_ticks += 1;
        assert!(matches!(ProcessUsage::between(&one, &two), Err(ProcessError::Replaced { .. })));
    }

    #[test]
    fn a_thread_that_ended_makes_the_ticks_decide() {
        let mut before = ProcessSample::read(std::process::id()).unwrap();
        let mut after = before.clone();
        after.stat.user_ticks += 100;
        before.tasks.insert(u32::MAX, Task::default());
        let usage = ProcessUsage::between(&before, &after).unwrap();
        assert_eq!((usage.cpu_ns, usage.run_delay_ns), (100 * tick_ns(), None));
    }

    #[test]
    fn every_counter_of_a_process_of_this_user_is_known() {
        let before = ProcessSample::read(std::process::id()).unwrap();
        let after = ProcessSample::read(std::process::id()).unwrap();
        let mut usage = ProcessUsage::between(&before, &after).unwrap();
        // Ended threads of other tests make these unknown, not zero.
        if usage.run_delay_ns.is_some() {
            assert!(usage.voluntary_switches.is_some() && usage.involuntary_switches.is_some(), "{usage:?}");
        }
        assert!(usage.read_bytes.is_some() && usage.write_bytes.is_some(), "{usage:?}");
        usage.syscalls = Some(6);
        usage.wall_ns = 2_000_000_000;
        let cost = usage.cost(3);
        assert_eq!((cost.syscalls_per_record, cost.syscalls_per_s), (Some(2.0), Some(3.0)));
        assert_eq!(ProcessUsage::default().cost(3).syscalls_per_record, None);
    }

    #[test]
    fn no_records_no_cost_per_record() {
        let usage =
            ProcessUsage { cpu_ns: 5, cpu_user_ns: Some(5), cpu_sys_ns: Some(0), ..Default::default() };
        assert_eq!(usage.cost(0).cpu_user_ns_per_record, None);
        assert_eq!(usage.cost(2).cpu_user_ns_per_record, Some(2.5));
    }
}
