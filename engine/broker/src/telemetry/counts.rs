//! Counts by duration in HdrHistogram's layout, written by one thread and read by any.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use hdrhistogram::Histogram;

/// Three significant digits: so many buckets per power of two.
const STEPS: usize = 1024;
const STEPS_LOG2: u32 = STEPS.trailing_zeros();
/// Two pages of exact values, then one per power of two, up to 2^42 ns: 73 minutes.
const PAGES: usize = 33;

/// Counts of durations in nanoseconds, to three significant digits, with their exact sum.
///
/// Only one thread may add to it; counts of two that add at once get lost. Memory is taken for the powers of two that
/// occur, 8 KiB each.
#[derive(Debug)]
pub(crate) struct Counts {
    pages: [OnceLock<Box<[AtomicU64]>>; PAGES],
    sum_ns: AtomicU64,
    overflow: AtomicU64,
}

/// Durations of several threads, added up.
#[derive(Debug)]
pub(crate) struct Distribution {
    /// Nanoseconds, three digits.
    pub(crate) histogram: Histogram<u64>,
    /// Exact; wraps around, so that only differences mean something after years.
    pub(crate) sum_ns: u64,
    /// Too long for the histogram, and not in the sum.
    pub(crate) overflow: u64,
}

impl Default for Counts {
    fn default() -> Self {
        let pages = std::array::from_fn(|_| OnceLock::new());
        Self { pages, sum_ns: AtomicU64::new(0), overflow: AtomicU64::new(0) }
    }
}

impl Default for Distribution {
    fn default() -> Self {
        let mut histogram = Histogram::new_with_bounds(1, 2 * STEPS as u64, 3)
            .unwrap_or_else(|_| unreachable!("constant bounds are valid"));
        histogram.auto(true);
        Self { histogram, sum_ns: 0, overflow: 0 }
    }
}

/// More without a locked bus cycle, which the one writer does not need.
fn add(cell: &AtomicU64, n: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

impl Counts {
    /// Counts `n` equal durations.
    pub(crate) fn record(&self, ns: u64, n: u64) {
        let (page, step) = place(ns);
        let Some(page) = self.pages.get(page) else { return add(&self.overflow, n) };
        let page = page.get_or_init(|| (0..STEPS).map(|_| AtomicU64::new(0)).collect());
        if let Some(bucket) = page.get(step) {
            add(bucket, n);
            add(&self.sum_ns, ns.wrapping_mul(n));
        }
    }

    /// Adds what was counted so far. Read bucket by bucket, so that under load the latest may be missing.
    pub(crate) fn add_to(&self, sum: &mut Distribution) {
        sum.sum_ns = sum.sum_ns.wrapping_add(self.sum_ns.load(Ordering::Relaxed));
        sum.overflow += self.overflow.load(Ordering::Relaxed);
        for (page, buckets) in self.pages.iter().enumerate() {
            for (step, bucket) in buckets.get().into_iter().flatten().enumerate() {
                let n = bucket.load(Ordering::Relaxed);
                // The range grows by itself up to any value that has a place here.
                if n > 0 && sum.histogram.record_n(value(page, step), n).is_err() {
                    sum.overflow += n;
                }
            }
        }
    }
}

/// Page and step of a duration.
fn place(ns: u64) -> (usize, usize) {
    let shift = ns.checked_ilog2().unwrap_or(0).saturating_sub(STEPS_LOG2);
    let steps = (ns >> shift) as usize;
    (shift as usize + steps / STEPS, steps % STEPS)
}

/// The smallest duration that has this place.
fn value(page: usize, step: usize) -> u64 {
    match page {
        0 => step as u64,
        _ => ((STEPS + step) as u64) << (page - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a foreign tool would have counted, this counts.
        #[test]
        fn the_layout_is_hdrhistograms(values in proptest::collection::vec((0u64..1 << 42, 1u64..9), 1..50)) {
            let (counts, mut expected) = (Counts::default(), Distribution::default());
            for (ns, n) in &values {
                counts.record(*ns, *n);
                expected.histogram.record_n(*ns, *n).expect("in range");
                expected.sum_ns += ns * n;
            }
            let mut read = Distribution::default();
            counts.add_to(&mut read);
            prop_assert_eq!(read.histogram, expected.histogram);
            prop_assert_eq!((read.sum_ns, read.overflow), (expected.sum_ns, 0));
        }

        #[test]
        fn a_place_holds_the_values_that_differ_from_its_first_in_the_fourth_digit(ns in 0u64..1 << 42) {
            let (page, step) = place(ns);
            let first = value(page, step);
            prop_assert!(first <= ns && ns - first <= first / STEPS as u64, "{first} for {ns}");
        }
    }

    #[test]
    fn what_is_too_long_is_counted_as_such() {
        let counts = Counts::default();
        counts.record(1 << 42, 2);
        counts.record(u64::MAX, 1);
        let mut read = Distribution::default();
        counts.add_to(&mut read);
        assert_eq!((read.histogram.len(), read.overflow), (0, 3));
    }
}
