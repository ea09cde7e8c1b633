//! The three instants of a request.

use std::time::{Duration, Instant};

/// When a request was made, left, and was answered; all on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The call got its place in flight and was put in the queue.
    pub queued_at: Instant,
    /// Just before the system call that took the request's first byte.
    pub sent_at: Instant,
    /// Just after the system call that brought the answer's last byte. Without an answer (acks=0): just
    /// after the one that took the request's last byte.
    pub completed_at: Instant,
}

impl Timing {
    /// From the first byte out to the last byte in.
    pub fn service_time(&self) -> Duration {
        self.completed_at.saturating_duration_since(self.sent_at)
    }

    /// How long the request waited for the socket.
    pub fn queue_time(&self) -> Duration {
        self.sent_at.saturating_duration_since(self.queued_at)
    }
}

/// An answer and its instants.
#[derive(Debug, Clone, PartialEq)]
pub struct Timed<T> {
    /// The answer.
    pub value: T,
    /// Its instants.
    pub timing: Timing,
}
