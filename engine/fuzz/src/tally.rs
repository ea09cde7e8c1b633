//! How many inputs a test has tried.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts, and says the count at the end of a test, where `--nocapture` shows it.
#[derive(Debug)]
pub struct Tally {
    test: &'static str,
    inputs: AtomicU64,
}

impl Tally {
    /// A count of zero for `test`.
    pub const fn new(test: &'static str) -> Self {
        Self { test, inputs: AtomicU64::new(0) }
    }

    /// One more input.
    pub fn count(&self) {
        self.inputs.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        eprintln!("{}: {} inputs", self.test, self.inputs.load(Ordering::Relaxed));
    }
}
