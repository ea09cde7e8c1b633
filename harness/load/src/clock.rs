//! One clock for everything that is subtracted: `CLOCK_MONOTONIC` in nanoseconds.
//!
//! Intended times, sends, acknowledgements and receptions are all points on it, so that no latency is a
//! difference of two clocks. It is the same for every process of one machine and for no other machine.

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
