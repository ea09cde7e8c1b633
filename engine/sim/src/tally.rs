//! What a trial counts and how it says so.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts of one trial. `lost`, `dup`, `reorder` and `corrupt` must be zero, except in a control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Times the fault was brought about.
    pub cycles: u64,
    /// Batches acknowledged.
    pub acked: u64,
    /// Acknowledged batches that are gone.
    pub lost: u64,
    /// Batches stored twice.
    pub dup: u64,
    /// Batches stored before their producer's earlier ones.
    pub reorder: u64,
    /// Batches served that nobody sent, or at an offset that was not acknowledged.
    pub corrupt: u64,
    /// Damage that was noticed: refused, cut off or rebuilt. No violation.
    pub detected: u64,
    /// Acknowledged only after the power cut had begun, and gone. No violation: nobody could have been told.
    #[serde(default)]
    pub straddled: u64,
    /// Changed bits after which the log said something else and nobody could have known. No violation: nothing in
    /// Kafka's format tells. `docs/faults.md` lists them.
    #[serde(default)]
    pub untold: u64,
}

impl Tally {
    /// Whether a promise was broken.
    pub fn violated(&self) -> bool {
        self.lost + self.dup + self.reorder + self.corrupt > 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.cycles += other.cycles;
        self.acked += other.acked;
        self.lost += other.lost;
        self.dup += other.dup;
        self.reorder += other.reorder;
        self.corrupt += other.corrupt;
        self.detected += other.detected;
        self.straddled += other.straddled;
        self.untold += other.untold;
    }
}

/// The run without the protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Control {
    /// What was removed.
    pub without: &'static str,
    /// What it reported.
    pub tally: Tally,
}

/// One trial on one backend, as a line of the results file.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The kind of fault.
    pub trial: &'static str,
    /// Backend, and where the kind has more to tell apart, a file system.
    pub on: String,
    /// Makes the run again.
    pub seed: u64,
    /// Cycles asked for; lives are run to their end, so there may be more.
    pub asked: u64,
    /// What was counted.
    pub tally: Tally,
    /// The runs that must fail.
    pub controls: Vec<Control>,
    /// Why it did not run here.
    pub skipped: Option<String>,
}

impl Outcome {
    /// No promise was broken, and every control noticed that its protection was gone.
    pub fn passed(&self) -> bool {
        self.skipped.is_some() || !self.tally.violated() && self.controls.iter().all(|c| c.tally.violated())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trial, on, seed, tally, controls, skipped, .. } = self;
        if let Some(why) = skipped {
            return write!(f, "skipped: {trial} on {on}: {why}");
        }
        let Tally { cycles, acked, lost, dup, reorder, corrupt, detected, straddled, untold } = tally;
        write!(f, "{trial:<6} {on:<18} seed={seed} cycles={cycles} acked={acked} lost={lost} dup={dup}")?;
        write!(f, " reorder={reorder} corrupt={corrupt} detected={detected}")?;
        write!(f, " straddled={straddled} untold={untold}")?;
        for Control { without, tally } in controls {
            let Tally { lost, dup, reorder, corrupt, .. } = tally;
            let verdict = if tally.violated() { "failed as it must" } else { "DID NOT FAIL" };
            write!(
                f,
                "; control ({without}) {verdict}: lost={lost} dup={dup} reorder={reorder} corrupt={corrupt}"
            )?;
        }
        write!(f, "{}", if self.passed() { "" } else { "  VIOLATION" })
    }
}
