//! What was spent in the measured phase: counters read at both of its borders, and what stands against them.

use std::collections::BTreeMap;

use plimsoll_load::Timeline;
use plimsoll_probe::{
    ProcessError, ProcessSample, ProcessUsage, SyscallCounter, SystemSample, SystemUsage, monotonic_ns,
};

/// A border may be read so much later than it was due, in parts of the phase, before figures suffer from it.
const LATE_SHARE: f64 = 0.02;

/// A node's id and its process.
type Member = (i32, u32);

/// Counters at one border of the measured phase.
#[derive(Debug)]
pub(super) struct Border {
    at_ns: u64,
    brokers: BTreeMap<Member, Result<ProcessSample, ProcessError>>,
    client: Result<ProcessSample, ProcessError>,
    system: SystemSample,
}

impl Border {
    /// Reads every counter now. `brokers` are the target's processes as far as they are ours.
    pub(super) fn read(brokers: &[Member], device: Option<(u32, u32)>) -> Self {
        Self {
            at_ns: monotonic_ns(),
            brokers: brokers.iter().map(|member| (*member, ProcessSample::read(member.1))).collect(),
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
    /// What processes spent that ended between the borders.
    ended: Vec<(i32, Result<ProcessUsage, ProcessError>)>,
}

/// System calls of both sides.
#[derive(Debug)]
struct Syscalls {
    brokers: Vec<Result<SyscallCounter, String>>,
    client: Result<SyscallCounter, String>,
}

impl Syscalls {
    /// Begins counting, where the kernel lets it.
    fn begin(brokers: &[Member]) -> Self {
        let brokers = brokers.iter().map(|(_, pid)| SyscallCounter::of(*pid)).collect();
        Self { brokers, client: SyscallCounter::of(std::process::id()) }
    }

    /// Calls so far, of the target and of this process. A process that has ended keeps its count.
    fn counts(&mut self) -> (Option<u64>, Option<u64>) {
        let count = |counter: &mut Result<SyscallCounter, String>| counter.as_mut().ok()?.count();
        let brokers = self.brokers.iter_mut().map(count).sum::<Option<u64>>();
        (brokers.filter(|_| !self.brokers.is_empty()), count(&mut self.client))
    }

    /// Why a side has no count.
    fn unavailable(&self) -> Option<&str> {
        let broker = self.brokers.iter().find_map(|counter| counter.as_ref().err());
        broker.or(self.client.as_ref().err()).map(String::as_str)
    }
}

/// What was spent between the borders. What is missing or inexact has a remark that says why.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// The target's processes together; `None` for somebody else's.
    pub(super) broker: Option<ProcessUsage>,
    /// Each node of the target.
    pub(super) nodes: BTreeMap<i32, ProcessUsage>,
    /// This process.
    pub(super) client: Option<ProcessUsage>,
    pub(super) system: Option<SystemUsage>,
    pub(super) remarks: Vec<String>,
    /// Why system calls were not counted.
    pub(super) uncounted: Option<String>,
}

impl Borders {
    /// The measured phase begins. What reading the counters costs comes before it.
    pub(super) fn begin(&mut self, brokers: &[Member], device: Option<(u32, u32)>) {
        self.syscalls = Some(Syscalls::begin(brokers));
        self.before = Some(Border::read(brokers, device));
        // Of the calls between here and there only the readings' own are too many.
        self.calls = self.syscalls.as_mut().map(Syscalls::counts).unwrap_or_default();
    }

    /// It ends, for the processes that are still there.
    pub(super) fn end(&mut self, device: Option<(u32, u32)>) {
        let now = self.syscalls.as_mut().map(Syscalls::counts).unwrap_or_default();
        let more = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        self.calls = (more(now.0, self.calls.0), more(now.1, self.calls.1));
        let members = self.before.iter().flat_map(|before| before.brokers.keys().copied());
        let members: Vec<Member> = members.collect();
        self.after = Some(Border::read(&members, device));
    }

    /// A process is about to end in between: what it spent is read while it can be.
    pub(super) fn leaves(&mut self, node: i32, pid: u32) {
        if let Some(before) = self.before.as_mut().filter(|_| self.after.is_none())
            && let Some(sample) = before.brokers.remove(&(node, pid))
        {
            self.ended.push((node, between(&sample, &ProcessSample::read(pid))));
        }
    }

    /// A process has come in between.
    pub(super) fn joins(&mut self, node: i32, pid: u32) {
        if let Some(before) = self.before.as_mut().filter(|_| self.after.is_none()) {
            before.brokers.insert((node, pid), ProcessSample::read(pid));
            if let Some(syscalls) = &mut self.syscalls {
                syscalls.brokers.push(SyscallCounter::of(pid));
            }
        }
    }

    /// The differences over the measured phase of `timeline`.
    pub(super) fn usage(self, timeline: &Timeline) -> Usage {
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
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
        let to_the_end = before
            .brokers
            .iter()
            .filter_map(|(member, from)| Some((member.0, between(from, after.brokers.get(member)?))));
        let parts: Vec<(i32, Result<ProcessUsage, ProcessError>)> =
            self.ended.iter().cloned().chain(to_the_end).collect();
        let parts: Option<Vec<(i32, ProcessUsage)>> =
            parts.into_iter().map(|(node, usage)| Some((node, told("target", usage)?))).collect();
        let mut nodes = BTreeMap::new();
        for (node, usage) in parts.into_iter().flatten() {
            nodes
                .entry(node)
                .and_modify(|sum: &mut ProcessUsage| *sum = sum.followed_by(usage))
                .or_insert(usage);
        }
        let broker = nodes.values().copied().reduce(ProcessUsage::plus);
        let broker = broker.map(|usage| ProcessUsage { syscalls: self.calls.0, ..usage });
        let client = told("client", between(&before.client, &after.client));
        let client = client.map(|usage| ProcessUsage { syscalls: self.calls.1, ..usage });
        let uncounted = self.syscalls.as_ref().and_then(Syscalls::unavailable).map(str::to_owned);
        let system = Some(SystemUsage::between(&before.system, &after.system));
        Usage { broker, nodes, client, system, remarks, uncounted }
    }
}

fn between(
    before: &Result<ProcessSample, ProcessError>,
    after: &Result<ProcessSample, ProcessError>,
) -> Result<ProcessUsage, ProcessError> {
    let read = |sample: &Result<ProcessSample, ProcessError>| sample.clone();
    ProcessUsage::between(&read(before)?, &read(after)?)
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
        let members: Vec<Member> = broker.map(|pid| (1, pid)).into_iter().collect();
        Border::read(&members, None)
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
        let mut lost = here(own);
        lost.brokers.values_mut().for_each(|sample| *sample = ProcessSample::read(u32::MAX));
        let gone = usage(Some(here(own)), Some(lost));
        assert!(gone.broker.is_none() && gone.client.is_some());
        assert!(gone.remarks[0].starts_with("the target's costs are unknown: cannot read"), "{gone:?}");
        let unfinished = usage(None, None);
        assert!(unfinished.remarks[0].contains("before its measured phase"), "{unfinished:?}");
    }

    #[test]
    fn what_a_node_spent_before_and_after_its_restart_adds_up() {
        let own = std::process::id();
        let mut borders = Borders { before: Some(here(Some(own))), ..Borders::default() };
        borders.leaves(1, own);
        borders.joins(1, own);
        borders.joins(2, own);
        let from = borders.before.as_ref().map_or(0, |border| border.at_ns);
        borders.end(None);
        let usage = borders.usage(&Timeline::new(from - SECOND, SECOND, SECOND));
        assert_eq!(usage.nodes.keys().copied().collect::<Vec<_>>(), [1, 2]);
        let peak = |node: i32| usage.nodes[&node].rss_peak_bytes.expect("known");
        // Both are this process, which may have grown between the readings.
        assert!(peak(1) < peak(2) * 3 / 2, "the peak of a node is not a sum: {usage:?}");
        let both = usage.broker.expect("known");
        assert_eq!(both.rss_peak_bytes, Some(peak(1) + peak(2)));
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
