//! Where the time of a bench goes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// What a bench is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// The timed part of a trial.
    Measuring,
    /// Warming memory, making files and filling the first window, removing files.
    Preparing,
    /// Reading back.
    Verifying,
    /// Until the disk has taken the dirty backlog.
    Waiting,
    /// fio's runs.
    Fio,
}

/// Wall-clock seconds by what they were for; together all there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TimeSpent {
    /// The timed parts of all trials that count.
    pub measuring_s: f64,
    /// Warming memory, making files and filling the first window, removing files.
    pub preparing_s: f64,
    /// Reading back what was written.
    pub verifying_s: f64,
    /// Waiting until the disk had taken the dirty backlog.
    pub waiting_s: f64,
    /// fio's runs.
    pub fio_s: f64,
    /// Pairs that were thrown away, because they met cold memory.
    pub repeating_s: f64,
}

/// One activity at a time: the next one ends the one before.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    now: Activity,
    since: Instant,
    spent: TimeSpent,
}

impl Stopwatch {
    /// Begins by preparing.
    pub(crate) fn start() -> Stopwatch {
        let state = State { now: Activity::Preparing, since: Instant::now(), spent: TimeSpent::default() };
        Stopwatch { state: Mutex::new(state) }
    }

    /// From here on it is this.
    pub(crate) fn begin(&self, activity: Activity) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.charge();
        state.now = activity;
    }

    /// What was done since it was `before` was for nothing.
    pub(crate) fn throw_away(&self, before: &TimeSpent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.charge();
        let lost = state.spent.total().saturating_sub(before.total());
        state.spent = TimeSpent { repeating_s: before.repeating_s + lost.as_secs_f64(), ..*before };
    }

    /// All up to now.
    pub(crate) fn spent(&self) -> TimeSpent {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.charge();
        state.spent
    }
}

impl State {
    fn charge(&mut self) {
        let seconds = std::mem::replace(&mut self.since, Instant::now()).elapsed().as_secs_f64();
        *match self.now {
            Activity::Measuring => &mut self.spent.measuring_s,
            Activity::Preparing => &mut self.spent.preparing_s,
            Activity::Verifying => &mut self.spent.verifying_s,
            Activity::Waiting => &mut self.spent.waiting_s,
            Activity::Fio => &mut self.spent.fio_s,
        } += seconds;
    }
}

impl TimeSpent {
    /// All of it.
    pub fn total(&self) -> Duration {
        let TimeSpent { measuring_s, preparing_s, verifying_s, waiting_s, fio_s, repeating_s } = *self;
        Duration::from_secs_f64(measuring_s + preparing_s + verifying_s + waiting_s + fio_s + repeating_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_is_charged_to_one_activity() {
        let (watch, begun) = (Stopwatch::start(), Instant::now());
        for activity in [Activity::Waiting, Activity::Measuring, Activity::Verifying] {
            std::thread::sleep(Duration::from_millis(2));
            watch.begin(activity);
        }
        let spent = watch.spent();
        assert!(spent.preparing_s > 0.0 && spent.waiting_s > 0.0 && spent.measuring_s > 0.0, "{spent:?}");
        assert_eq!(spent.fio_s, 0.0);
        watch.throw_away(&TimeSpent::default());
        let thrown = watch.spent();
        assert!(thrown.repeating_s >= spent.total().as_secs_f64() && thrown.waiting_s == 0.0, "{thrown:?}");
        assert!(spent.total() <= begun.elapsed() + Duration::from_millis(1), "{spent:?}");
    }
}
