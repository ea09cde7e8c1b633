//! How much each of the logs on one disk may reserve ahead: Redpanda's rule, half of what is free divided among them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use plimsoll_io::IoFault;

use crate::room::{RESERVE_ALIGN_BYTES, off_thread};

/// Shares below this are no use: then nothing is reserved ahead.
const SHARE_FLOOR_BYTES: u64 = 64 << 10;

/// How long an answer of the file system is good for. What the logs take meanwhile is subtracted from it.
const ANSWER_LIFE: Duration = Duration::from_secs(1);

/// One log directory's disk, shared by its logs. Clones count as one log: they are the same log's.
///
/// Logs whose directories have the same parent find the same share by themselves; dropping the last clone leaves it.
#[derive(Clone, Debug)]
pub(crate) struct DiskShare(Arc<Seat>);

#[derive(Debug)]
struct Seat(Arc<Disk>);

#[derive(Debug)]
struct Disk {
    log_dir: PathBuf,
    logs: AtomicUsize,
    free_bytes: AtomicU64,
    asked_at: Mutex<Option<Instant>>,
}

/// The disks of this process that have logs.
static DISKS: Mutex<Option<HashMap<PathBuf, Weak<Disk>>>> = Mutex::new(None);

impl DiskShare {
    /// Joins the logs of `log_dir`.
    pub(crate) fn join(log_dir: &Path) -> DiskShare {
        let mut disks = locked(&DISKS);
        let disks = disks.get_or_insert_default();
        let disk = disks.get(log_dir).and_then(Weak::upgrade).unwrap_or_else(|| {
            disks.retain(|_, disk| disk.strong_count() > 0);
            let disk = Arc::new(Disk::new(log_dir));
            disks.insert(log_dir.to_owned(), Arc::downgrade(&disk));
            disk
        });
        disk.logs.fetch_add(1, Ordering::Relaxed);
        DiskShare(Arc::new(Seat(disk)))
    }

    /// The largest step that this log may reserve ahead now, `max_bytes` at most; 0 where the disk is too full or too
    /// many share it.
    pub(crate) fn step_max_bytes(&self, max_bytes: u64) -> u64 {
        let disk = &self.0.0;
        share_bytes(disk.free_bytes.load(Ordering::Relaxed), disk.logs.load(Ordering::Relaxed), max_bytes)
    }

    /// Notes that a log took `taken_bytes`.
    pub(crate) fn note_taken(&self, taken_bytes: u64) {
        let less = |free: u64| Some(free.saturating_sub(taken_bytes));
        // Never fails, since the new value is never `None`.
        let _ = self.0.0.free_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Asks the file system how much is free, unless somebody did lately. Off the runtime's thread: some file systems
    /// ask a server.
    pub(crate) async fn ask_if_old(&self) -> Result<(), IoFault> {
        let disk = Arc::clone(&self.0.0);
        match disk.begin_asking(Instant::now()) {
            true => off_thread(&self.0.0.log_dir, move || disk.ask()).await,
            false => Ok(()),
        }
    }
}

impl Disk {
    fn new(log_dir: &Path) -> Disk {
        let (log_dir, logs) = (log_dir.to_owned(), AtomicUsize::new(0));
        // Until the first answer: enough for any step.
        Disk { log_dir, logs, free_bytes: AtomicU64::new(u64::MAX), asked_at: Mutex::new(None) }
    }

    /// Whether the last answer is old. Whoever is told so must ask.
    fn begin_asking(&self, now: Instant) -> bool {
        let mut asked_at = locked(&self.asked_at);
        let old = asked_at.is_none_or(|then| now.saturating_duration_since(then) >= ANSWER_LIFE);
        if old {
            *asked_at = Some(now);
        }
        old
    }

    fn ask(&self) -> Result<(), IoFault> {
        self.free_bytes.store(plimsoll_io::free_bytes(&self.log_dir)?, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.logs.fetch_sub(1, Ordering::Relaxed);
    }
}

fn share_bytes(free_bytes: u64, logs: usize, max_bytes: u64) -> u64 {
    let share_bytes = free_bytes / 2 / logs.max(1) as u64;
    if share_bytes < SHARE_FLOOR_BYTES {
        return 0;
    }
    let step_bytes = share_bytes.min(max_bytes);
    step_bytes - step_bytes % RESERVE_ALIGN_BYTES
}

/// What is behind these locks changes whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_free_is_divided_and_a_share_below_the_floor_is_none() {
        const MAX: u64 = 32 << 20;
        assert_eq!(share_bytes(100 << 30, 1, MAX), MAX);
        assert_eq!(share_bytes(100 << 30, 1_600, MAX), MAX);
        assert_eq!(share_bytes(100 << 30, 10_000, MAX), 5_368_709 / 4096 * 4096);
        assert_eq!(share_bytes(1 << 30, 8_192, MAX), 64 << 10);
        assert_eq!(share_bytes(1 << 30, 8_193, MAX), 0);
        assert_eq!(share_bytes(0, 0, MAX), 0);
        assert_eq!(share_bytes(u64::MAX, 1, 16_384), 16_384, "a small maximum is no small share");
    }

    #[test]
    fn logs_of_one_directory_share_it_until_they_leave() {
        let directory = tempfile::tempdir().expect("temp dir");
        let first = DiskShare::join(directory.path());
        let others: Vec<DiskShare> = (0..9).map(|_| DiskShare::join(directory.path())).collect();
        let same = first.clone();
        assert_eq!(first.0.0.logs.load(Ordering::Relaxed), 10);
        drop(others);
        drop(first);
        assert_eq!(same.0.0.logs.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn free_space_is_asked_once_in_a_while_and_what_is_taken_meanwhile_counts() {
        let directory = tempfile::tempdir().expect("temp dir");
        let share = DiskShare::join(directory.path());
        assert_eq!(share.step_max_bytes(1 << 20), 1 << 20);
        let disk = &share.0.0;
        let now = Instant::now();
        assert!(disk.begin_asking(now) && !disk.begin_asking(now + ANSWER_LIFE / 2));
        disk.free_bytes.store(1 << 20, Ordering::Relaxed);
        assert_eq!(share.step_max_bytes(32 << 20), 512 << 10);
        share.note_taken(1 << 19);
        assert_eq!(share.step_max_bytes(32 << 20), 256 << 10);
        assert!(disk.begin_asking(now + ANSWER_LIFE));
        disk.ask().expect("ask");
        assert_ne!(disk.free_bytes.load(Ordering::Relaxed), 1 << 19);
    }
}
