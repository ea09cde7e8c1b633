//! One latency histogram: nanoseconds, three significant digits, nothing dropped.

use hdrhistogram::Histogram as Hdr;

/// Longest latency a histogram holds: one hour. Longer ones are counted as overflow, never clipped.
pub const MAX_TRACKABLE_NS: u64 = 3_600_000_000_000;

/// Counts of latencies in nanoseconds with three significant digits.
///
/// The unit is 1 ns, so that a value below a microsecond is not rounded to zero. Values beyond
/// [`MAX_TRACKABLE_NS`] and spans that run backwards are counted on their own and make a run invalid.
/// There is no quantile here: quantiles are read from a [`Pooled`](crate::Pooled) histogram, which knows
/// how many samples and intervals stand behind them.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Hdr<u64>,
    sum_ns: u128,
    overflow: u64,
    negative: u64,
}

impl Histogram {
    /// An empty histogram. Small at first; it grows with the largest value.
    pub fn new() -> Self {
        let mut counts =
            Hdr::new_with_bounds(1, 4096, 3).unwrap_or_else(|_| unreachable!("constant bounds are valid"));
        counts.auto(true);
        Self { counts, sum_ns: 0, overflow: 0, negative: 0 }
    }

    /// Counts one latency in nanoseconds.
    pub fn record_ns(&mut self, value_ns: u64) {
        self.record_n_ns(value_ns, 1);
    }

    /// Counts `n` equal latencies, for example all records of one acknowledged batch.
    pub fn record_n_ns(&mut self, value_ns: u64, n: u64) {
        let fits = value_ns <= MAX_TRACKABLE_NS && self.counts.record_n(value_ns, n).is_ok();
        if fits {
            self.sum_ns += u128::from(value_ns) * u128::from(n);
        } else {
            self.overflow = self.overflow.saturating_add(n);
        }
    }

    /// Counts the time from one instant to a later one of the same clock, both in nanoseconds.
    /// A span that runs backwards is counted as negative and shown as an error, not as zero.
    pub fn record_span(&mut self, from_ns: u64, to_ns: u64) {
        match to_ns.checked_sub(from_ns) {
            Some(span) => self.record_ns(span),
            None => self.negative = self.negative.saturating_add(1),
        }
    }

    /// Adds the counts of another histogram: the only way two histograms become one.
    pub fn add(&mut self, other: &Self) {
        self.overflow = self.overflow.saturating_add(other.overflow);
        self.negative = self.negative.saturating_add(other.negative);
        match self.counts.add(&other.counts) {
            Ok(()) => self.sum_ns += other.sum_ns,
            Err(_) => self.overflow = self.overflow.saturating_add(other.counts.len()),
        }
    }

    /// What a histogram that only grows has counted since an earlier look at it. Its sum may have wrapped at 2^64.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut more = self.clone();
        // A bucket that holds less than it did is no histogram that only grows; then nothing is known.
        if more.counts.subtract(&earlier.counts).is_err() {
            return Self::new();
        }
        let (now, then) = (self.sum_ns as u64, earlier.sum_ns as u64);
        more.sum_ns = u128::from(now.wrapping_sub(then));
        more.overflow = self.overflow.saturating_sub(earlier.overflow);
        more
    }

    /// Takes the counts and leaves an empty histogram, for cutting an interval without stopping the load.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Latencies counted, without overflow and negative ones.
    pub fn len(&self) -> u64 {
        self.counts.len()
    }

    /// True when nothing at all was recorded.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.overflow == 0 && self.negative == 0
    }

    /// Largest latency in nanoseconds to three digits, `None` when empty.
    pub fn max_ns(&self) -> Option<u64> {
        (!self.counts.is_empty()).then(|| self.counts.max())
    }

    /// Sum of the latencies counted, exact where the counts are of three digits. Means need it: they add up.
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// Mean in nanoseconds, `None` when empty.
    pub fn mean_ns(&self) -> Option<f64> {
        (!self.counts.is_empty()).then(|| self.sum_ns as f64 / self.counts.len() as f64)
    }

    /// Latencies beyond [`MAX_TRACKABLE_NS`].
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Spans whose end lay before their beginning.
    pub fn negative(&self) -> u64 {
        self.negative
    }

    /// How many latencies are at or above `value_ns` (to three digits).
    pub fn count_at_or_above(&self, value_ns: u64) -> u64 {
        let low = self.counts.lowest_equivalent(value_ns);
        if low == 0 {
            return self.counts.len();
        }
        if low > self.counts.high() {
            return 0;
        }
        self.counts.len().saturating_sub(self.counts.count_between(0, low - 1))
    }

    /// Counted values with their counts, ascending, for drawing and for tests.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
    }

    pub(crate) fn hdr(&self) -> &Hdr<u64> {
        &self.counts
    }

    /// A histogram that was kept elsewhere. Without its sum, which other tools do not write, the sum is that of its
    /// buckets.
    pub(crate) fn from_parts(
        mut counts: Hdr<u64>,
        sum_ns: Option<u128>,
        overflow: u64,
        negative: u64,
    ) -> Self {
        counts.auto(true);
        let bucket = |step: hdrhistogram::iterators::IterationValue<u64>| {
            u128::from(step.value_iterated_to()) * u128::from(step.count_since_last_iteration())
        };
        let sum_ns = sum_ns.unwrap_or_else(|| counts.iter_recorded().map(bucket).sum());
        Self { counts, sum_ns, overflow, negative }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let beside = |own: &Self| (own.sum_ns, own.overflow, own.negative);
        beside(self) == beside(other) && self.counts == other.counts
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b7_values_below_a_microsecond_are_not_zeroed() {
        let mut histogram = Histogram::new();
        histogram.record_ns(7);
        histogram.record_ns(970);
        assert_eq!(histogram.iter().collect::<Vec<_>>(), [(7, 1), (970, 1)]);
    }

    #[test]
    fn b7_overflow_is_counted_never_clipped() {
        let mut histogram = Histogram::new();
        histogram.record_ns(MAX_TRACKABLE_NS);
        histogram.record_ns(MAX_TRACKABLE_NS + 1);
        histogram.record_ns(u64::MAX);
        assert_eq!((histogram.len(), histogram.overflow()), (1, 2));
    }

    #[test]
    fn b7_a_span_that_runs_backwards_is_an_error_not_a_zero() {
        let mut histogram = Histogram::new();
        histogram.record_span(10, 9);
        histogram.record_span(10, 10);
        assert_eq!((histogram.len(), histogram.negative()), (1, 1));
    }

    #[test]
    fn taking_leaves_an_empty_histogram() {
        let mut histogram = Histogram::new();
        histogram.record_n_ns(500, 3);
        assert_eq!(histogram.take().len(), 3);
        assert!(histogram.is_empty());
    }

    proptest! {
        #[test]
        fn b4_adding_counts_equals_recording_together(
            a in proptest::collection::vec(0..MAX_TRACKABLE_NS + 10, 0..60),
            b in proptest::collection::vec(0..MAX_TRACKABLE_NS + 10, 0..60),
        ) {
            let (mut left, mut right, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
            a.iter().for_each(|v| left.record_ns(*v));
            b.iter().for_each(|v| right.record_ns(*v));
            a.iter().chain(&b).for_each(|v| both.record_ns(*v));
            left.add(&right);
            prop_assert_eq!(left, both);
        }

        #[test]
        fn the_count_above_matches_a_walk(
            values in proptest::collection::vec(0..2_000_000u64, 1..80), at in 0..2_500_000u64,
        ) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|v| histogram.record_ns(*v));
            let low = histogram.hdr().lowest_equivalent(at);
            let expected = values.iter().filter(|v| **v >= low).count() as u64;
            prop_assert_eq!(histogram.count_at_or_above(at), expected);
        }
    }
}
