//! The state of the disk that every trial begins in: dirty pages of one trial slow the next, so that each waits until
//! nothing is dirty.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Dirty and being written back: below this a trial may begin.
const BACKLOG_MAX_BYTES: u64 = 16 << 20;
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// Writes out the directory's file system, again while others make more pages dirty, until the machine's dirty backlog
/// is small, a few seconds at most. Returns the backlog left in bytes, 0 where the kernel does not say.
pub(crate) fn settle(dir: &Path) -> io::Result<u64> {
    let start = Instant::now();
    loop {
        rustix::fs::syncfs(File::open(dir)?)?;
        let backlog_bytes = backlog_bytes();
        if backlog_bytes < BACKLOG_MAX_BYTES || start.elapsed() > SETTLE_MAX {
            return Ok(backlog_bytes);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn backlog_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    of("Dirty:") + of("Writeback:")
}

/// The kernel's monitors of memory accesses that run here: they may take pages that were idle for a while, so that a
/// cached file does not stay cached.
pub fn idle_page_monitors() -> usize {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let name = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("comm")).ok();
    processes.filter_map(|entry| name(entry.ok()?)).filter(|name| name.starts_with("kdamond")).count()
}
