//! How busy the generator was: CPU of its own threads, and CPU that the host gave to others.

use std::fs;

use crate::clock::{self, Nanos};
use crate::timeline::Timeline;

/// CPU of the calling thread over the measured window.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    from: Option<(Nanos, Nanos)>,
    to: Option<(Nanos, Nanos)>,
}

impl CpuMeter {
    /// Looks at the clock when the window begins and when it ends; call often.
    pub(crate) fn look(&mut self, timeline: &Timeline, now: Nanos) {
        if self.from.is_none() && now >= timeline.measure {
            self.from = Some((now, clock::thread_cpu()));
        }
        if self.to.is_none() && now >= timeline.end {
            self.to = Some((now, clock::thread_cpu()));
        }
    }

    /// Percent of one core, up to `now` if the window has not ended.
    pub(crate) fn percent(&self, now: Nanos) -> Option<f64> {
        let (from, used) = self.from?;
        let (to, used_then) = self.to.unwrap_or_else(|| (now, clock::thread_cpu()));
        (to > from).then(|| (used_then - used) as f64 * 100.0 / (to - from) as f64)
    }
}

/// CPU time of the machine and the part of it that other guests of the host took, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StealSample {
    total: u64,
    steal: u64,
}

impl StealSample {
    /// Reads `/proc/stat`; `None` where there is none.
    pub(crate) fn take() -> Option<StealSample> {
        StealSample::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line: user nice system idle iowait irq softirq steal, then guest times counted already.
    fn parse(stat: &str) -> Option<StealSample> {
        let fields = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> =
            fields.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
        Some(StealSample { total: ticks.iter().sum(), steal: *ticks.get(7)? })
    }

    /// Percent of all cores' time that was stolen between two samples.
    pub(crate) fn percent_since(&self, earlier: &StealSample) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|total| *total > 0)?;
        Some(self.steal.saturating_sub(earlier.steal) as f64 * 100.0 / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_field() {
        let before = StealSample::parse("cpu  100 0 100 700 0 0 0 100 5 5\ncpu0 1\n").unwrap();
        let after = StealSample::parse("cpu  150 0 150 750 0 0 0 150 9 9\n").unwrap();
        assert_eq!(before, StealSample { total: 1000, steal: 100 });
        assert_eq!(after.percent_since(&before), Some(25.0));
        assert_eq!(before.percent_since(&before), None);
        assert_eq!(StealSample::parse("intr 0\n"), None);
    }
}
