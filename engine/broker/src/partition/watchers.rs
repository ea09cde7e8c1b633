//! Fetches that wait for a partition to grow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

/// Somebody who waits for any of several partitions. Dropping it ends the wait.
#[derive(Debug, Default)]
pub(crate) struct Watcher(Arc<Notify>);

impl Watcher {
    /// Resolves once any watched partition has moved since it was watched. Cancel-safe.
    pub(crate) async fn moved(&self) {
        self.0.notified().await;
    }
}

/// Up to this many entries nobody sweeps.
const SWEEP_AT_MIN: usize = 64;

/// The watchers of one partition. Each is told once and must watch again.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    /// Spares the lock on the append path while nobody waits.
    any: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Entries do not keep a watcher alive: a fetch over a thousand partitions that is answered by one of them
/// leaves dead entries with the others, and those may stay quiet for ever.
#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Weak<Notify>>,
    sweep_at: usize,
}

impl Watchers {
    pub(crate) fn add(&self, watcher: &Watcher) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.entries.len() >= waiting.sweep_at.max(SWEEP_AT_MIN) {
            waiting.sweep();
        }
        waiting.entries.push(Arc::downgrade(&watcher.0));
        self.any.store(true, Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.any.store(false, Ordering::SeqCst);
            std::mem::take(&mut waiting.entries)
        };
        woken.iter().filter_map(Weak::upgrade).for_each(|waiting| waiting.notify_one());
    }
}

impl Waiting {
    /// Forgets those who are gone and those who are here twice. Doubling keeps the cost per entry constant.
    fn sweep(&mut self) {
        self.entries.retain(|entry| entry.strong_count() > 0);
        self.entries.sort_unstable_by_key(Weak::as_ptr);
        self.entries.dedup_by_key(|entry| entry.as_ptr());
        self.sweep_at = 2 * self.entries.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(watchers: &Watchers) -> usize {
        watchers.waiting.lock().expect("unpoisoned").entries.len()
    }

    #[tokio::test]
    async fn a_move_between_watching_and_waiting_is_not_missed() {
        let watchers = Watchers::default();
        let watcher = Watcher::default();
        watchers.add(&watcher);
        watchers.wake();
        tokio::time::timeout(std::time::Duration::from_secs(5), watcher.moved()).await.expect("told");
    }

    #[test]
    fn abandoned_watchers_do_not_pile_up_on_quiet_partitions() {
        let partitions = [Watchers::default(), Watchers::default()];
        for _ in 0..1_000 {
            let fetch = Watcher::default();
            partitions.iter().for_each(|quiet| quiet.add(&fetch));
        }
        assert!(partitions.iter().all(|quiet| entries(quiet) <= SWEEP_AT_MIN));
    }

    #[test]
    fn one_fetch_that_wakes_often_is_one_entry() {
        let (quiet, fetch) = (Watchers::default(), Watcher::default());
        (0..1_000).for_each(|_| quiet.add(&fetch));
        assert!(entries(&quiet) <= SWEEP_AT_MIN);
    }

    #[tokio::test]
    async fn a_sweep_keeps_those_who_still_wait() {
        let watchers = Watchers::default();
        let waiting: Vec<_> = (0..3 * SWEEP_AT_MIN).map(|_| Watcher::default()).collect();
        waiting.iter().for_each(|watcher| watchers.add(watcher));
        watchers.wake();
        for watcher in &waiting {
            tokio::time::timeout(std::time::Duration::from_secs(5), watcher.moved()).await.expect("told");
        }
    }
}
