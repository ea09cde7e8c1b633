//! What the broker knows of itself: times of every stage and API, bytes, connections.
//!
//! Each network thread counts into a [`Recorder`] of its own, which nobody else writes: a count is a load and a store,
//! without a lock and without a bus cycle. A [`Trace`] follows one request and reads the clock at the borders of its
//! stages, per request and never per record. Whoever asks, through [`http`], adds up all recorders; that needs no
//! network thread to be awake.

mod counts;
pub(crate) mod http;
mod recorder;
mod trace;

use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_wire::ApiKey;

pub(crate) use counts::Distribution;
pub(crate) use recorder::{Recorder, Stage};
pub(crate) use trace::Trace;

/// The recorders of all network threads.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    recorders: Mutex<Vec<Arc<Recorder>>>,
}

impl Telemetry {
    /// A recorder for one more thread.
    pub(crate) fn recorder(&self) -> Arc<Recorder> {
        let recorder = Arc::new(Recorder::default());
        self.recorders.lock().unwrap_or_else(PoisonError::into_inner).push(recorder.clone());
        recorder
    }

    /// One stage over all threads, in nanoseconds, once per record.
    pub(crate) fn stage(&self, stage: Stage) -> Distribution {
        self.merged(|recorder| Some(recorder.stage(stage)))
    }

    /// The requests of one API over all threads, in nanoseconds, once per request.
    pub(crate) fn api(&self, api: ApiKey) -> Distribution {
        self.merged(|recorder| recorder.api(api))
    }

    /// One number over all threads.
    pub(crate) fn sum(&self, of: impl Fn(&Recorder) -> u64) -> u64 {
        self.each().iter().map(|recorder| of(recorder)).fold(0, u64::wrapping_add)
    }

    fn merged(&self, of: impl Fn(&Recorder) -> Option<&counts::Counts>) -> Distribution {
        let mut sum = Distribution::default();
        for recorder in self.each() {
            of(&recorder).into_iter().for_each(|counts| counts.add_to(&mut sum));
        }
        sum
    }

    fn each(&self) -> Vec<Arc<Recorder>> {
        self.recorders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
