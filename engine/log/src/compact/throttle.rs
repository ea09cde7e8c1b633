//! A limit on bytes per second, shared by all cleanings of a process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much may be taken at once after a rest, as a part of a second.
const BURST_S: f64 = 0.1;

/// A token bucket over bytes read and written (`log.cleaner.io.max.bytes.per.second`). Whoever takes more than there is
/// goes into debt and waits it out, so that pieces of any size pass and the rate holds in the mean.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_s: Option<f64>,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Negative while in debt.
    left_bytes: f64,
    at: Option<Instant>,
}

impl Throttle {
    /// At most `bytes_per_s`, at least 1.
    pub fn new(bytes_per_s: u64) -> Self {
        let rate = bytes_per_s.max(1) as f64;
        Self { bytes_per_s: Some(rate), bucket: Mutex::new(Bucket { left_bytes: rate * BURST_S, at: None }) }
    }

    /// No limit.
    pub fn unlimited() -> Self {
        Self { bytes_per_s: None, bucket: Mutex::new(Bucket { left_bytes: 0.0, at: None }) }
    }

    /// Takes `bytes` and waits until they are paid for. Gives way once in any case, since cleaning is background work.
    ///
    /// Cancel safety: dropped, the bytes stay taken.
    pub async fn take(&self, bytes: u64) {
        match self.debt(bytes) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => tokio::task::yield_now().await,
        }
    }

    fn debt(&self, bytes: u64) -> Option<Duration> {
        let rate = self.bytes_per_s?;
        let now = Instant::now();
        // A panic under the lock leaves a number, which is as good as any.
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = bucket.at.replace(now).map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        bucket.left_bytes = (bucket.left_bytes + rested * rate).min(rate * BURST_S) - bytes as f64;
        let debt_s = -bucket.left_bytes / rate;
        (debt_s > 0.0).then(|| Duration::try_from_secs_f64(debt_s).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_for_pieces_of_any_size_and_rest_is_not_saved_up() {
        let throttle = Throttle::new(1_000);
        let start = Instant::now();
        throttle.take(100).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "the burst is free");
        for bytes in [1, 499, 1_500] {
            throttle.take(bytes).await;
        }
        let took_ms = start.elapsed().as_millis();
        assert!((2_000..2_010).contains(&took_ms), "{took_ms}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        throttle.take(1_100).await;
        let took_ms = start.elapsed().as_millis();
        assert!((1_000..1_010).contains(&took_ms), "{took_ms}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let start = Instant::now();
        Throttle::unlimited().take(u64::MAX).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
