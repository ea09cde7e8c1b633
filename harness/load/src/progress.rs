//! What can be seen of a run while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_results::QuantileSet;

use crate::clock::Nanos;
use crate::timeline::Timeline;

/// Counters that every thread adds to, once per batch.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    acked: AtomicU64,
    acked_bytes: AtomicU64,
    consumed: AtomicU64,
}

impl Counted {
    pub(crate) fn acked(&self, records: u64, bytes: u64) {
        self.acked.fetch_add(records, Ordering::Relaxed);
        self.acked_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn consumed(&self, records: u64) {
        self.consumed.fetch_add(records, Ordering::Relaxed);
    }

    pub(crate) fn acked_so_far(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    pub(crate) fn acked_bytes_so_far(&self) -> u64 {
        self.acked_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn consumed_so_far(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Loading data, creating topics, connecting.
    Prepare,
    /// Load before measuring.
    Warmup,
    /// The measured window.
    Measure,
    /// Waiting for the last answers and deliveries.
    Drain,
    /// Reading everything back.
    Verify,
}

impl Stage {
    /// The word for a progress line.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Warmup => "warm-up",
            Stage::Measure => "measure",
            Stage::Drain => "drain",
            Stage::Verify => "verify",
        }
    }
}

/// A look at a running run.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Seconds since the load began.
    pub elapsed_s: f64,
    /// Seconds until the load ends, by the plan.
    pub remaining_s: f64,
    /// Acknowledged records per second since the last look.
    pub rate: f64,
    /// Records acknowledged so far.
    pub acked: u64,
    /// Records consumed so far; while verifying, records read back.
    pub consumed: u64,
    /// Response quantiles of the last whole second: for the eye, not for a result.
    pub response: Option<QuantileSet>,
}

/// Whoever watches a run. All calls come from the thread that runs it.
pub trait Observer {
    /// A stage begins. Counters of the target are best read here: at [`Stage::Measure`] and [`Stage::Drain`]
    /// the call comes within milliseconds of the border.
    fn stage(&mut self, stage: Stage) {
        let _ = stage;
    }

    /// Consumers of a backlog or a replay are about to begin, and wait for this to return.
    fn before_reading(&mut self) {}

    /// Comes every few milliseconds while there is load. What is done here delays the borders.
    fn tick(&mut self, now: Nanos, timeline: &Timeline) {
        let _ = (now, timeline);
    }

    /// Comes several times a second.
    fn progress(&mut self, progress: &Progress) {
        let _ = progress;
    }
}

/// Watches nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
