//! One clock for everything that is subtracted: `CLOCK_MONOTONIC` in nanoseconds.
//!
//! Intended times, sends, acknowledgements and receptions are all points on it, so that no latency is a
//! difference of two clocks. It is the same for every process of one machine and for no other machine.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

/// A point on the monotonic clock, in nanoseconds.
pub type Nanos = u64;

/// One second in [`Nanos`].
pub const SECOND: Nanos = 1_000_000_000;

/// Now.
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    // The monotonic clock starts at boot; neither part is ever negative.
    time.tv_sec.unsigned_abs() * SECOND + time.tv_nsec.unsigned_abs()
}

/// Milliseconds since 1970, for record timestamps and file names; never subtracted.
pub fn wall_ms() -> i64 {
    let time = clock_gettime(ClockId::Realtime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// CPU time of the calling thread, in nanoseconds.
pub fn thread_cpu() -> Nanos {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * SECOND + time.tv_nsec.unsigned_abs()
}

/// Turns the standard library's instants, which are points on the same clock without a zero, into [`Nanos`].
#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    instant: Instant,
    nanos: Nanos,
}

impl Bridge {
    /// Looks at both clocks. The error is the time between two reads, some tens of nanoseconds.
    pub fn new() -> Bridge {
        let look = || {
            let (before, instant, after) = (now(), Instant::now(), now());
            (after - before, Bridge { instant, nanos: before + (after - before) / 2 })
        };
        // Of several looks the one that was interrupted least.
        let best = (0..16).map(|_| look()).min_by_key(|(width, _)| *width);
        best.map_or_else(|| look().1, |(_, bridge)| bridge)
    }

    /// The instant on our clock.
    pub fn nanos(&self, instant: Instant) -> Nanos {
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.nanos + u64::try_from(later.as_nanos()).unwrap_or(u64::MAX),
            None => {
                let earlier = self.instant.duration_since(instant).as_nanos();
                self.nanos.saturating_sub(u64::try_from(earlier).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Default for Bridge {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_keeps_order_between_both_clocks() {
        let bridge = Bridge::new();
        for _ in 0..1000 {
            let (before, instant, after) = (now(), Instant::now(), now());
            let bridged = bridge.nanos(instant);
            // Within the error of one look.
            assert!(before <= bridged + 50_000 && bridged <= after + 50_000, "{before} {bridged} {after}");
        }
    }
}
