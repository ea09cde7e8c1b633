//! The state of memory and disk that every trial begins in.
//!
//! Guest memory that its host has not backed costs ten times more CPU at first touch than the write itself, and
//! dirty pages of one trial slow the next. So each visit of a cell first writes and removes a file as large as
//! a trial with the same batch size, and each trial waits until nothing is dirty.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Dirty and being written back: below this a trial may begin.
const BACKLOG_MAX_BYTES: u64 = 16 << 20;
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// Writes and removes a scratch file, so that the pages the next trial takes are backed by the host.
pub(crate) fn warm(dir: &Path, bytes: u64, batch_bytes: usize) -> io::Result<()> {
    let path = dir.join("warm.scratch");
    let (file, chunk) = (File::create(&path)?, vec![0x5a; batch_bytes.max(1)]);
    let mut at_bytes = 0;
    while at_bytes < bytes {
        file.write_all_at(&chunk, at_bytes)?;
        at_bytes += chunk.len() as u64;
    }
    drop(file);
    fs::remove_file(&path)
}

/// Writes out the directory's file system and waits until the machine's dirty backlog is small, a few seconds at
/// most. Returns the backlog left in bytes, 0 where the kernel does not say.
pub(crate) fn settle(dir: &Path) -> io::Result<u64> {
    let start = Instant::now();
    rustix::fs::syncfs(File::open(dir)?)?;
    loop {
        let backlog_bytes = backlog_bytes();
        if backlog_bytes < BACKLOG_MAX_BYTES || start.elapsed() > SETTLE_MAX {
            return Ok(backlog_bytes);
        }
        std::thread::sleep(Duration::from_millis(2));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warming_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        warm(dir.path(), 100_000, 4096).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
