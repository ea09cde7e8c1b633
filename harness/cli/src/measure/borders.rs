//! What was spent in the measured phase: counters read at both of its borders, and what stands against them.

use plimsoll_load::Timeline;
use plimsoll_probe::{
    ProcessError, ProcessSample, ProcessUsage, SyscallCounter, SystemSample, SystemUsage, monotonic_ns,
};

/// A border may be read so much later than it was due, in parts of the phase, before figures suffer from it.
const LATE_SHARE: f64 = 0.02;

/// Counters at one border of the measured phase.
#[derive(Debug)]
pub(super) struct Border {
    at_ns: u64,
    broker: Option<Result<ProcessSample, ProcessError>>,
    client: Result<ProcessSample, ProcessError>,
    system: SystemSample,
}

impl Border {
    /// Reads every counter now. `broker` is the target's process if it is ours.
    pub(super) fn read(broker: Option<u32>, device: Option<(u32, u32)>) -> Self {
        Self {
            at_ns: monotonic_ns(),
            broker: broker.map(ProcessSample::read),
            client: ProcessSample::read(std::process::id()),
            system: SystemSample::read(device),
        }
    }
}

/// Both borders, as far as the run got.
#[derive(Debug, Default)]
pub(super) struct Borders {
    pub(super) before: Option<Border>,
    pub(super) after: Option<Border>,
    syscalls: Option<Syscalls>,
    /// Of the target and of this process, between the borders.
    calls: (Option<u64>, Option<u64>),
}

/// System calls of both sides.
#[derive(Debug)]
struct Syscalls {
    broker: Option<Result<SyscallCounter, String>>,
    client: Result<SyscallCounter, String>,
}

impl Syscalls {
    /// Begins counting, where the kernel lets it.
    fn begin(broker: Option<u32>) -> Self {
        Self { broker: broker.map(SyscallCounter::of), client: SyscallCounter::of(std::process::id()) }
    }

    /// Calls so far, of the target and of this process.
    fn counts(&mut self) -> (Option<u64>, Option<u64>) {
        let count = |counter: &mut Result<SyscallCounter, String>| counter.as_mut().ok()?.count();
        (self.broker.as_mut().and_then(count), count(&mut self.client))
    }

    /// Why a side has no count.
    fn unavailable(&self) -> Option<&str> {
        let broker = self.broker.as_ref().and_then(|counter| counter.as_ref().err());
        broker.or(self.client.as_ref().err()).map(String::as_str)
    }
}

/// What was spent between the borders. What is missing or inexact has a remark that says why.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// The target's process; `None` for somebody else's.
    pub(super) broker: Option<ProcessUsage>,
    /// This process.
    pub(super) client: Option<ProcessUsage>,
    pub(super) system: Option<SystemUsage>,
    pub(super) remarks: Vec<String>,
    /// Why system calls were not counted.
    pub(super) uncounted: Option<String>,
}

impl Borders {
    /// The measured phase begins. What reading the counters costs comes before it.
    pub(super) fn begin(&mut self, broker: Option<u32>, device: Option<(u32, u32)>) {
        self.syscalls = Some(Syscalls::begin(broker));
        self.before = Some(Border::read(broker, device));
        // Of the calls between here and there only the readings' own are too many.
        self.calls = self.syscalls.as_mut().map(Syscalls::counts).unwrap_or_default();
    }

    /// It ends.
    pub(super) fn end(&mut self, broker: Option<u32>, device: Option<(u32, u32)>) {
        let now = self.syscalls.as_mut().map(Syscalls::counts).unwrap_or_default();
        let more = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        self.calls = (more(now.0, self.calls.0), more(now.1, self.calls.1));
        self.after = Some(Border::read(broker, device));
    }

    /// The differences over the measured phase of `timeline`.
    pub(super) fn usage(self, timeline: &Timeline) -> Usage {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            let remarks = vec!["costs are unknown: the load ended before its measured phase".to_owned()];
            return Usage { remarks, ..Usage::default() };
        };
        let mut remarks: Vec<String> = late(timeline, before.at_ns, after.at_ns).into_iter().collect();
        let mut told = |whose, usage: Result<ProcessUsage, ProcessError>| match usage {
            Ok(usage) => Some(usage),
            Err(error) => {
                remarks.push(format!("the {whose}'s costs are unknown: {error}"));
                None
            }
        };
        let broker = before.broker.zip(after.broker).and_then(|(from, to)| told("target", between(from, to)));
        let broker = broker.map(|usage| ProcessUsage { syscalls: self.calls.0, ..usage });
        let client = told("client", between(before.client, after.client));
        let client = client.map(|usage| ProcessUsage { syscalls: self.calls.1, ..usage });
        let uncounted = self.syscalls.as_ref().and_then(Syscalls::unavailable).map(str::to_owned);
        let system = Some(SystemUsage::between(&before.system, &after.system));
        Usage { broker, client, system, remarks, uncounted }
    }
}

fn between(
    before: Result<ProcessSample, ProcessError>,
    after: Result<ProcessSample, ProcessError>,
) -> Result<ProcessUsage, ProcessError> {
    ProcessUsage::between(&before?, &after?)
}

/// Costs per record divide what was spent between the readings by what was done between the borders.
fn late(timeline: &Timeline, before_ns: u64, after_ns: u64) -> Option<String> {
    let late_ns = before_ns.saturating_sub(timeline.measure).max(after_ns.saturating_sub(timeline.end));
    let share = late_ns as f64 / timeline.end.saturating_sub(timeline.measure).max(1) as f64;
    (share > LATE_SHARE).then(|| {
        format!(
            "counters were read up to {:.0} ms beside the borders of the measured phase ({:.0} % of it): \
             the machine was too busy, and costs are that uncertain",
            late_ns as f64 / 1e6,
            share * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn here(broker: Option<u32>) -> Border {
        Border::read(broker, None)
    }

    fn usage(before: Option<Border>, after: Option<Border>) -> Usage {
        let from = before.as_ref().map_or(SECOND, |border| border.at_ns);
        Borders { before, after, ..Borders::default() }.usage(&Timeline::new(from - SECOND, SECOND, SECOND))
    }

    #[test]
    fn whatever_is_missing_has_its_reason() {
        let own = Some(std::process::id());
        let whole = usage(Some(here(own)), Some(here(own)));
        assert!(whole.broker.is_some() && whole.client.is_some() && whole.remarks.is_empty(), "{whole:?}");
        let somebody_elses = usage(Some(here(None)), Some(here(None)));
        assert!(somebody_elses.broker.is_none() && somebody_elses.remarks.is_empty(), "{somebody_elses:?}");
        let gone = usage(Some(here(own)), Some(here(Some(u32::MAX))));
        assert!(gone.broker.is_none() && gone.client.is_some());
        assert!(gone.remarks[0].starts_with("the target's costs are unknown: cannot read"), "{gone:?}");
        let unfinished = usage(None, None);
        assert!(unfinished.remarks[0].contains("before its measured phase"), "{unfinished:?}");
    }

    #[test]
    fn a_border_read_late_is_told_with_its_share_of_the_phase() {
        let line = Timeline::new(0, SECOND, SECOND);
        assert_eq!(late(&line, SECOND + SECOND / 100, 2 * SECOND), None);
        // A run that was stopped is read before its end was due.
        assert_eq!(late(&line, SECOND, SECOND + 1), None);
        let told = late(&line, SECOND, 2 * SECOND + SECOND / 4).expect("too late");
        assert!(told.contains("250 ms") && told.contains("25 %"), "{told}");
    }
}
