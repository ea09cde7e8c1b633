//! Waiting to the microsecond. tokio's own timer ticks in milliseconds; a `timerfd` does not, and is not
//! subject to the thread's timer slack either.

use std::io;

use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock::{Nanos, SECOND, now};

/// An alarm clock on the monotonic clock, for one task.
#[derive(Debug)]
pub struct Pacer {
    timer: AsyncFd<OwnedFd>,
    armed_for: Option<Nanos>,
}

impl Pacer {
    /// Makes a pacer inside a tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// What the kernel says, when it has no timer descriptor left.
    pub fn new() -> io::Result<Pacer> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Pacer { timer: register(timer)?, armed_for: None })
    }

    /// Waits until `deadline`; returns at once when it has passed.
    ///
    /// Cancel safety: safe; the next call arms the timer anew.
    ///
    /// # Errors
    /// What the kernel says about the timer descriptor.
    pub async fn until(&mut self, deadline: Nanos) -> io::Result<()> {
        while now() < deadline {
            if self.armed_for != Some(deadline) {
                self.arm(deadline)?;
            }
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0u8; 8];
            match rustix::io::read(ready.get_inner(), &mut expirations) {
                Ok(_) => self.armed_for = None,
                Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn arm(&mut self, deadline: Nanos) -> io::Result<()> {
        let time = |ns: Nanos| Timespec {
            tv_sec: i64::try_from(ns / SECOND).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(ns % SECOND).unwrap_or(0),
        };
        let once = Itimerspec { it_interval: time(0), it_value: time(deadline.max(1)) };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        self.armed_for = Some(deadline);
        Ok(())
    }
}

#[expect(unsafe_code, reason = "tokio has no safe way left to register a descriptor of our own")]
fn register(timer: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` always returns the one valid descriptor it owns, and the `AsyncFd` owns it until
    // it is deregistered.
    Ok(unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_no_earlier_than_asked() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let mut pacer = Pacer::new().unwrap();
            for wait in [0, 30_000, 200_000, 5_000] {
                let deadline = now() + wait;
                pacer.until(deadline).await.unwrap();
                assert!(now() >= deadline);
            }
        });
    }

    #[test]
    fn an_abandoned_wait_does_not_delay_or_shorten_the_next() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pacer = Pacer::new().unwrap();
            let far = now() + 3_600 * SECOND;
            let soon = std::time::Duration::from_millis(1);
            assert!(tokio::time::timeout(soon, pacer.until(far)).await.is_err());
            let deadline = now() + 100_000;
            pacer.until(deadline).await.unwrap();
            assert!(now() >= deadline && now() < far);
        });
    }
}
