//! The `[load]`, `[phases]` and `[verify]` sections.

use serde::{Deserialize, Serialize};

use super::units::{Period, Rate, Size};

/// Who decides when the next record is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadMode {
    /// A schedule fixed in advance; a slow target does not slow it down.
    Open,
    /// The target: `in_flight` records are outstanding at any time, or as many as fit the buffer.
    Closed,
}

/// Spacing of intended times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Exponential gaps, as independent sources make them.
    Poisson,
    /// Equal gaps; locks in phase with timers.
    Uniform,
}

/// The `[load]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// Open or closed loop.
    pub mode: LoadMode,
    /// Spacing of intended times (open loop).
    pub arrival: Arrival,
    /// Records per second over all workers (open loop).
    pub rate: Rate,
    /// Records outstanding per worker (closed loop); 0 means as fast as the buffer allows.
    pub in_flight: u64,
    /// The generator wakes at most this often; due times in between are sent at the next wake-up and
    /// still count from their own intended time.
    pub tick: Period,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            mode: LoadMode::Open,
            arrival: Arrival::Poisson,
            rate: Rate(20_000.0),
            in_flight: 0,
            tick: Period(50_000),
        }
    }
}

/// The `[phases]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Phases {
    /// Written to a scratch file beside the target's data, synced and removed before the target starts. On a
    /// guest whose memory is backed lazily the first touch of a page costs ten times the write itself; this
    /// pays it outside the measured window. `0B` leaves memory as it is. Below about 4 GiB it holds.
    pub prewarm: Size,
    /// Load before measuring, at least; kept in the files, shaded in plots, never in the figures.
    pub warmup: Period,
    /// Load before measuring, at most: measuring begins once ten seconds were steady, and otherwise here, with a
    /// verdict. `0s` stands for `warmup`: a fixed time that nobody judges.
    pub warmup_max: Period,
    /// The measured window.
    pub measure: Period,
    /// How long outstanding records may take after the load has ended.
    pub drain: Period,
}

impl Default for Phases {
    fn default() -> Self {
        Phases {
            prewarm: Size(0),
            warmup: Period(5_000_000_000),
            warmup_max: Period(0),
            measure: Period(30_000_000_000),
            drain: Period(30_000_000_000),
        }
    }
}

impl Phases {
    /// Whether warm-up ends when the load is steady, and not at a fixed time.
    pub fn judges_warmup(&self) -> bool {
        self.warmup_max > self.warmup
    }

    pub(super) fn resolve(&mut self) {
        if self.warmup_max.0 == 0 {
            self.warmup_max = self.warmup;
        }
    }
}

/// How much is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLevel {
    /// Nothing; the result is marked.
    Off,
    /// Live checks in the timed run only.
    Counts,
    /// Live checks and a full re-read from the start offsets to the end offsets.
    Full,
}

/// The `[verify]` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Verify {
    /// How much is proved.
    pub level: VerifyLevel,
    /// How long the full re-read may take.
    pub timeout: Period,
}

impl Default for Verify {
    fn default() -> Self {
        Verify { level: VerifyLevel::Full, timeout: Period(120_000_000_000) }
    }
}
