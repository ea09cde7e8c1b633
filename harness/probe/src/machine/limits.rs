//! Limits set on this process and its control group.

use plimsoll_results::Cgroup;
use rustix::process::{Resource, getrlimit};

use crate::proc_fs::{keyed, text, value};

pub(super) fn cgroup() -> Result<Cgroup, String> {
    let membership = text("/proc/self/cgroup")?;
    let mut groups = membership.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    match groups.clone().find(|(controllers, _)| controllers.split(',').any(|name| name == "memory")) {
        Some((_, memory)) => {
            let cpu =
                groups.find(|(names, _)| names.split(',').any(|name| name == "cpu")).map_or("/", |g| g.1);
            Ok(version_1(cpu, memory))
        }
        None => Ok(version_2(groups.find(|(controllers, _)| controllers.is_empty()).map_or("/", |g| g.1))),
    }
}

fn version_2(group: &str) -> Cgroup {
    let dir = format!("/sys/fs/cgroup{}", group.trim_end_matches('/'));
    Cgroup {
        cpu_max: text(format!("{dir}/cpu.max")).ok(),
        memory_max_bytes: value(format!("{dir}/memory.max")).ok(),
        nr_throttled: text(format!("{dir}/cpu.stat")).ok().and_then(|stat| keyed(&stat, "nr_throttled")),
    }
}

/// The old hierarchy: a quota of −1 and a limit near 2^63 mean none.
fn version_1(cpu: &str, memory: &str) -> Cgroup {
    let cpu_dir = format!("/sys/fs/cgroup/cpu{}", cpu.trim_end_matches('/'));
    let quota = value::<i64>(format!("{cpu_dir}/cpu.cfs_quota_us")).ok().filter(|quota| *quota > 0);
    let period = value::<i64>(format!("{cpu_dir}/cpu.cfs_period_us")).ok();
    let memory_dir = format!("/sys/fs/cgroup/memory{}", memory.trim_end_matches('/'));
    let limit = value::<u64>(format!("{memory_dir}/memory.limit_in_bytes")).ok();
    Cgroup {
        cpu_max: quota.zip(period).map(|(quota, period)| format!("{quota} {period}")),
        memory_max_bytes: limit.filter(|bytes| *bytes < 1 << 60),
        nr_throttled: text(format!("{cpu_dir}/cpu.stat")).ok().and_then(|stat| keyed(&stat, "nr_throttled")),
    }
}

pub(super) fn load_average() -> Result<[f64; 3], String> {
    let line = text("/proc/loadavg")?;
    let mut numbers = line.split_whitespace().map(str::parse::<f64>);
    let mut next = || numbers.next().and_then(Result::ok).ok_or_else(|| format!("/proc/loadavg: `{line}`"));
    Ok([next()?, next()?, next()?])
}

/// The soft limit: nobody raises this one.
pub(super) fn locked_memory_max_bytes() -> Option<u64> {
    getrlimit(Resource::Memlock).current
}

pub(super) fn open_files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}
