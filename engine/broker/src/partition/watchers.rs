//! Fetches that wait for a partition to grow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Somebody who waits for any of several partitions. Dropping it ends the wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watcher(Arc<Notify>);

impl Watcher {
    /// Resolves once any watched partition has moved since it was watched. Cancel-safe.
    pub(crate) async fn moved(&self) {
        self.0.notified().await;
    }
}

/// Above this many, those who stopped waiting are swept out before one more is added.
const SWEEP_AT: usize = 64;

/// The watchers of one partition. Each is told once and must watch again.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    /// Spares the lock on the append path while nobody waits.
    any: AtomicBool,
    waiting: Mutex<Vec<Watcher>>,
}

impl Watchers {
    pub(crate) fn add(&self, watcher: &Watcher) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= SWEEP_AT {
            // A watcher held only by lists like this one has nobody behind it any more. One that is in
            // several lists survives until its partitions move; the lists stay bounded by open requests.
            waiting.retain(|w| Arc::strong_count(&w.0) > 1);
        }
        waiting.push(watcher.clone());
        self.any.store(true, Ordering::SeqCst);
    }

    pub(crate) fn wake(&self) {
        if !self.any.load(Ordering::SeqCst) {
            return;
        }
        let woken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.any.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        woken.iter().for_each(|watcher| watcher.0.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_move_between_watching_and_waiting_is_not_missed() {
        let watchers = Watchers::default();
        let watcher = Watcher::default();
        watchers.add(&watcher);
        watchers.wake();
        tokio::time::timeout(std::time::Duration::from_secs(5), watcher.moved()).await.expect("told");
    }

    #[test]
    fn abandoned_watchers_do_not_pile_up() {
        let watchers = Watchers::default();
        for _ in 0..1_000 {
            watchers.add(&Watcher::default());
        }
        assert!(watchers.waiting.lock().expect("unpoisoned").len() <= SWEEP_AT);
    }
}
