//! What is to fail, and when.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::gate::{Gate, Held};
use crate::dice::Dice;
use crate::fault::{IoFault, IoOp};

/// What is to fail. Clones share it, so a test keeps one while the store uses another.
#[derive(Clone, Debug)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
struct Plan {
    dice: Dice,
    seen: [u64; IoOp::ALL.len()],
    rates: [Option<Rate>; IoOp::ALL.len()],
    script: Vec<Scripted>,
    /// Gone once they are open.
    gates: Vec<Weak<Gate>>,
    free_bytes: Option<u64>,
    injected: u64,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    probability: f64,
    errno: i32,
}

#[derive(Clone, Copy, Debug)]
struct Scripted {
    op: IoOp,
    /// Counted over the life of the plan.
    at_count: u64,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) errno: i32,
    /// Bytes of a write that still reach the file; `None` lets chance decide.
    pub(super) keep_bytes: Option<usize>,
}

impl Faults {
    /// A plan without faults. `seed` decides what rates hit and how much of a write survives.
    pub fn new(seed: u64) -> Faults {
        let plan = Plan {
            dice: Dice::new(seed),
            seen: [0; IoOp::ALL.len()],
            rates: [None; IoOp::ALL.len()],
            script: Vec::new(),
            gates: Vec::new(),
            free_bytes: None,
            injected: 0,
        };
        Faults { plan: Arc::new(Mutex::new(plan)) }
    }

    /// Lets each `op` fail with `errno` at the given probability; zero switches it off.
    pub fn set_rate(&self, op: IoOp, probability: f64, errno: i32) {
        if let Some(rate) = self.locked().rates.get_mut(op.index()) {
            *rate = (probability > 0.0).then_some(Rate { probability, errno });
        }
    }

    /// Fails the `nth` `op` from now (1 is the next) with `errno`. A failed write leaves nothing behind.
    pub fn fail_nth(&self, op: IoOp, nth: u64, errno: i32) {
        self.schedule(op, nth, Verdict { errno, keep_bytes: Some(0) });
    }

    /// Fails the `nth` write from now with `errno` after its first `keep_bytes` reached the file (rounded down to
    /// the file's alignment).
    pub fn tear_nth_write(&self, nth: u64, keep_bytes: usize, errno: i32) {
        self.schedule(IoOp::Write, nth, Verdict { errno, keep_bytes: Some(keep_bytes) });
    }

    /// Leaves room for `free_bytes` more in all files together, then answers ENOSPC; `None` lifts the limit.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.locked().free_bytes = free_bytes;
    }

    /// Lets every `op` on files under `under` wait from now on, before anything is done, until the answer is dropped.
    pub fn hold(&self, op: IoOp, under: &Path) -> Held {
        let gate = Gate::new(op, under);
        self.locked().gates.push(Arc::downgrade(&gate));
        Held { gate }
    }

    /// How many faults were injected so far.
    pub fn injected(&self) -> u64 {
        self.locked().injected
    }

    fn schedule(&self, op: IoOp, nth: u64, verdict: Verdict) {
        let mut plan = self.locked();
        let at_count = plan.seen.get(op.index()).copied().unwrap_or(0) + nth;
        plan.script.push(Scripted { op, at_count, verdict });
    }

    fn locked(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and says whether it fails.
    fn decide(&self, op: IoOp) -> Option<Verdict> {
        let mut plan = self.locked();
        let seen = plan.seen.get_mut(op.index())?;
        *seen += 1;
        let count = *seen;
        let scripted = plan.script.iter().position(|entry| entry.op == op && entry.at_count == count);
        let verdict = match scripted {
            Some(index) => Some(plan.script.swap_remove(index).verdict),
            None => plan.roll(op),
        };
        plan.injected += u64::from(verdict.is_some());
        verdict
    }

    /// Waits at the gate that holds such an operation, then counts it and says whether it fails.
    pub(super) async fn enter(&self, op: IoOp, path: &Path) -> Option<Verdict> {
        if let Some(gate) = self.gate_for(op, path) {
            gate.pass().await;
        }
        self.decide(op)
    }

    /// A gate that holds such an operation. Forgets those that are open.
    fn gate_for(&self, op: IoOp, path: &Path) -> Option<Arc<Gate>> {
        let gates = &mut self.locked().gates;
        gates.retain(|gate| gate.strong_count() > 0);
        gates.iter().filter_map(Weak::upgrade).find(|gate| gate.holds(op, path))
    }

    /// Holds or fails an operation that has no bytes to tear.
    pub(super) async fn check(&self, op: IoOp, path: &Path, at_bytes: u64) -> Result<(), IoFault> {
        match self.enter(op, path).await {
            Some(verdict) => Err(verdict.fault(op, path, at_bytes)),
            None => Ok(()),
        }
    }

    /// Takes up to `want_bytes` from the imagined disk and returns how many there were; all or none if `whole`.
    pub(super) fn take_space(&self, want_bytes: u64, whole: bool) -> u64 {
        let mut plan = self.locked();
        let Some(free_bytes) = plan.free_bytes else { return want_bytes };
        let taken_bytes = if whole && free_bytes < want_bytes { 0 } else { free_bytes.min(want_bytes) };
        plan.free_bytes = Some(free_bytes - taken_bytes);
        plan.injected += u64::from(taken_bytes < want_bytes);
        taken_bytes
    }

    pub(super) fn chance_below(&self, bound: usize) -> usize {
        self.locked().dice.below(bound as u64) as usize
    }
}

impl Plan {
    fn roll(&mut self, op: IoOp) -> Option<Verdict> {
        let rate = (*self.rates.get(op.index())?)?;
        self.dice.hits(rate.probability).then_some(Verdict { errno: rate.errno, keep_bytes: None })
    }
}

impl Verdict {
    pub(super) fn fault(&self, op: IoOp, path: &Path, at_bytes: u64) -> IoFault {
        IoFault::new(op, path, at_bytes, io::Error::from_raw_os_error(self.errno))
    }
}
