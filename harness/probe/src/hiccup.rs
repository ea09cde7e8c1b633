//! How late the platform wakes a thread that only sleeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use plimsoll_results::Histogram;

const NAP: Duration = Duration::from_millis(1);

/// Sleeps 1 ms again and again and counts the oversleep. No result may claim a percentile below the
/// platform's own hiccup at that percentile. Costs under 1 % of a core; stops when dropped.
#[derive(Debug)]
pub struct HiccupMeter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    counts: Mutex<Histogram>,
}

impl HiccupMeter {
    /// Starts the thread.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("hiccups".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes what was counted since the last call: one interval.
    pub fn take(&self) -> Histogram {
        self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Shared {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let asleep = Instant::now();
            std::thread::sleep(NAP);
            let over = asleep.elapsed().saturating_sub(NAP);
            let over_ns = u64::try_from(over.as_nanos()).unwrap_or(u64::MAX);
            self.counts.lock().unwrap_or_else(PoisonError::into_inner).record_ns(over_ns);
        }
    }
}

impl Drop for HiccupMeter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has already been printed; there is nothing to add to it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_and_starts_anew_when_taken() {
        let meter = HiccupMeter::start().unwrap();
        let mut counted = 0;
        while counted < 3 {
            std::thread::sleep(NAP);
            counted += meter.take().len();
        }
        drop(meter);
        assert!(counted >= 3);
    }
}
