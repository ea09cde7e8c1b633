//! Latencies and counters per one-second interval, one recorder per thread, merged by adding counts.
//!
//! Intervals are cut by the clock; a latency belongs to the interval in which it ended and to the phase
//! in which its record was *due*, so that what was slow in the measured window is counted there even when
//! it ended in the drain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_results::stats::SteadyInterval;
use plimsoll_results::{
    Histogram, IntervalRow, LatencyInterval, LatencySeries, Metric, Phase, Pooled, Quantile, Stage,
};

use crate::clock::Nanos;
use crate::timeline::{LiveTimeline, Slot, Timeline};

/// The latencies a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Acknowledgement minus intended time. A record without an acknowledgement when the drain ends has at
    /// least the time until then.
    Response,
    /// Acknowledgement minus send: from the first byte of the answered request to the last of the answer.
    Service,
    /// That send minus intended time, in an open loop: generator, buffer, linger, full window, retries. With
    /// the service it makes the response.
    Schedule,
    /// Delivery to a consumer minus intended time.
    EndToEnd,
    /// When the generator came round to it minus intended time: its own part of the schedule delay, and the only
    /// one that it is judged by.
    Lateness,
    /// [`Stage::Enqueue`], of the measured window only, as the other stages.
    Enqueue,
    /// [`Stage::Linger`]
    Linger,
    /// [`Stage::Compress`]
    Compress,
    /// [`Stage::SendQueue`]
    SendQueue,
    /// [`Stage::Decode`]
    Decode,
}

const KINDS: [Kind; 10] = [
    Kind::Response,
    Kind::Service,
    Kind::Schedule,
    Kind::EndToEnd,
    Kind::Lateness,
    Kind::Enqueue,
    Kind::Linger,
    Kind::Compress,
    Kind::SendQueue,
    Kind::Decode,
];
/// Records are due in warm-up or in the measured window, never later.
const DUE_PHASES: [Phase; 2] = [Phase::Warmup, Phase::Measure];

impl Kind {
    /// The name in result files.
    pub fn metric(self) -> Metric {
        match self {
            Kind::Response => Metric::Response,
            Kind::Service => Metric::Service,
            Kind::Schedule => Metric::Schedule,
            Kind::EndToEnd => Metric::EndToEnd,
            Kind::Lateness => Metric::Other("lateness".into()),
            Kind::Enqueue => Metric::Stage(Stage::Enqueue),
            Kind::Linger => Metric::Stage(Stage::Linger),
            Kind::Compress => Metric::Stage(Stage::Compress),
            Kind::SendQueue => Metric::Stage(Stage::SendQueue),
            Kind::Decode => Metric::Stage(Stage::Decode),
        }
    }

    /// A part of another latency.
    fn is_stage(self) -> bool {
        self >= Kind::Enqueue
    }
}

/// What was counted in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters {
    /// Records due in the measured window by their own intended time, whenever the generator came round to
    /// them; add with [`Recorder::due`].
    pub due: u64,
    /// Records handed to the producer.
    pub sent: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Payload bytes (keys and values with stamp) acknowledged.
    pub acked_bytes: u64,
    /// Record batches acknowledged.
    pub acked_batches: u64,
    /// Bytes of acknowledged batches as sent, after compression.
    pub wire_bytes: u64,
    /// Records delivered to consumers.
    pub consumed: u64,
    /// Payload bytes delivered to consumers.
    pub consumed_bytes: u64,
    /// Produce or fetch requests that failed.
    pub errors: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Those of `due` that were never handed over; add with [`Recorder::unsent`].
    pub unsent: u64,
}

impl Counters {
    /// Adds the counts of another.
    pub fn add(&mut self, other: &Counters) {
        self.due += other.due;
        self.sent += other.sent;
        self.acked += other.acked;
        self.acked_bytes += other.acked_bytes;
        self.acked_batches += other.acked_batches;
        self.wire_bytes += other.wire_bytes;
        self.consumed += other.consumed;
        self.consumed_bytes += other.consumed_bytes;
        self.errors += other.errors;
        self.retries += other.retries;
        self.unsent += other.unsent;
    }
}

/// One closed interval of one thread, or of several merged.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Where it lies.
    pub slot: Slot,
    /// What was counted.
    pub counters: Counters,
    histograms: Vec<(Phase, Kind, Histogram)>,
}

impl Interval {
    /// The histogram of one kind over records due in any phase; `None` when it has none.
    pub fn merged(&self, kind: Kind) -> Option<Histogram> {
        let parts = self.histograms.iter().filter(|(_, k, _)| *k == kind).map(|(_, _, histogram)| histogram);
        parts.fold(None, |sum: Option<Histogram>, part| {
            let mut sum = sum.unwrap_or_default();
            sum.add(part);
            Some(sum)
        })
    }

    fn add(&mut self, other: Interval) {
        self.counters.add(&other.counters);
        for (phase, kind, histogram) in other.histograms {
            match self.histograms.iter_mut().find(|(p, k, _)| (*p, *k) == (phase, kind)) {
                Some((_, _, own)) => own.add(&histogram),
                None => self.histograms.push((phase, kind, histogram)),
            }
        }
        self.histograms.sort_by_key(|(phase, kind, _)| (*phase, *kind));
    }
}

/// Where threads put their closed intervals, and where the run reads them.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    closed: Arc<Mutex<BTreeMap<Slot, Interval>>>,
}

impl Ledger {
    /// Adds one closed interval.
    pub fn add(&self, interval: Interval) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        match closed.get_mut(&interval.slot) {
            Some(own) => own.add(interval),
            None => drop(closed.insert(interval.slot, interval)),
        }
    }

    /// All intervals in order, merged over threads, in the slots of the timeline as it became.
    pub fn intervals(&self, timeline: &Timeline) -> Vec<Interval> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut merged: BTreeMap<Slot, Interval> = BTreeMap::new();
        for interval in closed.values() {
            let slot = timeline.slot_at(interval.slot.begin);
            let interval = Interval { slot, ..interval.clone() };
            match merged.get_mut(&slot) {
                Some(own) => own.add(interval),
                None => drop(merged.insert(slot, interval)),
            }
        }
        merged.into_values().collect()
    }

    /// What `seconds` of a load said that began at `start`: throughput and p99, for the judgement of warm-up.
    pub(crate) fn seconds(&self, start: Nanos, seconds: std::ops::Range<u64>) -> Vec<SteadyInterval> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |begin: Nanos| closed.values().find(|interval| interval.slot.begin == begin);
        let second = |number: u64| {
            let interval = of(start + number * crate::clock::SECOND);
            let p99_us = interval.and_then(|interval| interval.merged(Kind::Response));
            SteadyInterval {
                records: interval.map_or(0, |interval| interval.counters.acked),
                p99_us: p99_us.and_then(|response| Pooled::new([&response]).read_us(Quantile::P99)),
            }
        };
        seconds.map(second).collect()
    }

    /// The last interval that ended before `at`, for the progress line.
    pub fn last_before(&self, at: Nanos) -> Option<Interval> {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.values().rev().find(|interval| interval.slot.end <= at).cloned()
    }
}

/// Counts of the interval that is open, of one thread. No lock until an interval closes.
#[derive(Debug)]
pub struct Recorder {
    timeline: LiveTimeline,
    ledger: Ledger,
    slot: Slot,
    /// Counters of the open interval; add to them directly.
    pub counters: Counters,
    histograms: [[Histogram; KINDS.len()]; DUE_PHASES.len()],
}

impl Recorder {
    /// A recorder that puts closed intervals into `ledger`.
    pub fn new(timeline: impl Into<LiveTimeline>, ledger: Ledger) -> Recorder {
        let timeline = timeline.into();
        let histograms = std::array::from_fn(|_| std::array::from_fn(|_| Histogram::new()));
        let slot = timeline.get().slot_at(0);
        Recorder { timeline, ledger, slot, counters: Counters::default(), histograms }
    }

    /// Closes the open interval if it has ended. Call with the time of what is counted next.
    pub fn roll(&mut self, now: Nanos) {
        if now >= self.slot.end {
            self.close();
            self.slot = self.timeline.get().slot_at(now);
        }
    }

    /// Counts `n` records whose intended time is `due`.
    pub fn due(&mut self, due: Nanos, n: u64) {
        self.counters.due += if self.timeline.get().phase_at(due) == Phase::Measure { n } else { 0 };
    }

    /// Counts `n` records whose intended time was `due` and which will never be sent.
    pub fn unsent(&mut self, due: Nanos, n: u64) {
        self.counters.unsent += if self.timeline.get().phase_at(due) == Phase::Measure { n } else { 0 };
    }

    /// Whether a record due then is among those that the figures are about.
    pub fn is_measured(&self, due: Nanos) -> bool {
        due >= self.timeline.get().measure
    }

    /// Counts `n` records that are among those and spent `ns` in a stage.
    pub fn stage(&mut self, kind: Kind, ns: Nanos, n: u64) {
        let measured = self.histograms.last_mut();
        if let Some(histogram) = measured.and_then(|kinds| kinds.get_mut(kind as usize)) {
            histogram.record_n_ns(ns, n);
        }
    }

    /// Counts `n` records due at `due` whose latency of this kind ran from `from` to `to`.
    pub fn span(&mut self, kind: Kind, due: Nanos, from: Nanos, to: Nanos, n: u64) {
        let phase = usize::from(due >= self.timeline.get().measure);
        let Some(histogram) = self.histograms.get_mut(phase).and_then(|kinds| kinds.get_mut(kind as usize))
        else {
            return;
        };
        match to.checked_sub(from) {
            Some(span) => histogram.record_n_ns(span, n),
            // Counted as an error of the clock, once for each record.
            None => (0..n).for_each(|_| histogram.record_span(from, to)),
        }
    }

    /// Closes the open interval and ends recording.
    pub fn finish(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let mut histograms = Vec::new();
        for (phase, kinds) in DUE_PHASES.into_iter().zip(&mut self.histograms) {
            for (kind, histogram) in KINDS.into_iter().zip(kinds) {
                if !histogram.is_empty() {
                    histograms.push((phase, kind, histogram.take()));
                }
            }
        }
        let counters = std::mem::take(&mut self.counters);
        self.ledger.add(Interval { slot: self.slot, counters, histograms });
    }
}

/// Turns merged intervals into the rows and histograms of a result, on the run's own clock. A second in
/// which nothing ended has a row of zeros: a stall must not shorten the time axis.
pub fn results(
    timeline: &Timeline,
    intervals: &[Interval],
    until: Nanos,
) -> (Vec<IntervalRow>, LatencySeries) {
    let (mut rows, mut series) = (Vec::new(), LatencySeries::default());
    let mut known = intervals.iter().peekable();
    let mut slot = timeline.slot_at(timeline.start);
    let mut consumed_and_acked = (0, 0);
    while slot.begin < until || known.peek().is_some() {
        let interval = known.next_if(|interval| interval.slot == slot);
        rows.push(row(timeline, slot, interval, until, &mut consumed_and_acked));
        for (phase, kind, histogram) in interval.iter().flat_map(|interval| &interval.histograms) {
            series.push(LatencyInterval {
                at_ns: slot.begin - timeline.start,
                len_ns: slot.end - slot.begin,
                phase: *phase,
                metric: kind.metric(),
                histogram: histogram.clone(),
            });
        }
        slot = timeline.slot_at(slot.end);
    }
    (rows, series)
}

fn row(
    timeline: &Timeline,
    slot: Slot,
    interval: Option<&Interval>,
    until: Nanos,
    consumed_and_acked: &mut (u64, u64),
) -> IntervalRow {
    let counters = interval.map_or_else(Counters::default, |interval| interval.counters);
    let end = slot.end.min(until.max(slot.begin));
    consumed_and_acked.0 += counters.consumed;
    consumed_and_acked.1 += counters.acked;
    IntervalRow {
        at_ms: (slot.begin - timeline.start) as f64 / 1e6,
        len_ms: (end - slot.begin) as f64 / 1e6,
        phase: slot.phase,
        partial: end - slot.begin < crate::clock::SECOND,
        sent: counters.sent,
        acked: counters.acked,
        consumed: counters.consumed,
        payload_bytes: counters.acked_bytes,
        errors: counters.errors,
        backlog_records: (consumed_and_acked.0 > 0)
            .then(|| consumed_and_acked.1.saturating_sub(consumed_and_acked.0)),
        latency: interval.map(quantiles).unwrap_or_default(),
        resources: None,
    }
}

/// Quantiles of one interval by metric, over records due in any phase.
fn quantiles(interval: &Interval) -> BTreeMap<String, plimsoll_results::QuantileSet> {
    let of = |kind: Kind| {
        let parts = interval.histograms.iter().filter(move |(_, k, _)| *k == kind).map(|(_, _, h)| h);
        Pooled::new(parts)
    };
    let kinds = KINDS.into_iter().filter(|kind| !kind.is_stage());
    let kept = kinds.map(|kind| (kind, of(kind))).filter(|(_, pooled)| !pooled.is_empty());
    kept.map(|(kind, pooled)| (kind.metric().to_string(), pooled.interval_quantiles())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;
    use proptest::prelude::*;

    fn timeline() -> Timeline {
        Timeline::new(1_000, 2 * SECOND, 3 * SECOND)
    }

    fn record(recorder: &mut Recorder, due: Nanos, end: Nanos) {
        recorder.roll(end);
        recorder.counters.acked += 1;
        recorder.span(Kind::Response, due, due, end, 1);
    }

    #[test]
    fn a_record_due_in_the_measured_window_counts_there_though_it_ends_in_the_drain() {
        let (line, ledger) = (timeline(), Ledger::default());
        let mut recorder = Recorder::new(line, ledger.clone());
        record(&mut recorder, line.end - 1, line.end + SECOND);
        recorder.finish();
        let (rows, series) = results(&line, &ledger.intervals(&line), line.end + SECOND + 1);
        assert_eq!(series.pooled(&Metric::Response, Phase::Measure).len(), 1);
        assert_eq!(rows.last().unwrap().phase, Phase::Drain);
        assert_eq!(rows.last().unwrap().acked, 1);
    }

    #[test]
    fn a_stall_leaves_rows_of_zeros_not_a_shorter_axis() {
        let (line, ledger) = (timeline(), Ledger::default());
        let mut recorder = Recorder::new(line, ledger.clone());
        record(&mut recorder, 1_000, 2_000);
        record(&mut recorder, 1_000, 1_000 + 4 * SECOND);
        recorder.finish();
        let (rows, _) = results(&line, &ledger.intervals(&line), line.end);
        assert_eq!(rows.iter().map(|row| row.acked).collect::<Vec<_>>(), [1, 0, 0, 0, 1]);
    }

    #[test]
    fn b7_the_last_partial_interval_is_marked() {
        let (line, ledger) = (timeline(), Ledger::default());
        let mut recorder = Recorder::new(line, ledger.clone());
        record(&mut recorder, 1_000, line.end + 10);
        recorder.finish();
        let (rows, _) = results(&line, &ledger.intervals(&line), line.end + 500_000_000);
        assert!(rows.last().unwrap().partial && rows.iter().rev().skip(1).all(|row| !row.partial));
        assert_eq!(rows.last().unwrap().len_ms, 500.0);
    }

    proptest! {
        /// However records are dealt out to threads, the merged histograms are those of one thread.
        #[test]
        fn b4_merging_is_associative_and_blind_to_threads(
            ends in proptest::collection::vec((0u64..5_000_000_000, 0usize..3), 1..200),
        ) {
            let line = timeline();
            let (one, many) = (Ledger::default(), Ledger::default());
            let mut single = Recorder::new(line, one.clone());
            let mut threads: [Recorder; 3] = std::array::from_fn(|_| Recorder::new(line, many.clone()));
            let mut ends = ends;
            ends.sort_unstable();
            for (end, thread) in ends {
                let due = line.start + end / 2;
                record(&mut single, due, line.start + end);
                record(&mut threads[thread], due, line.start + end);
            }
            single.finish();
            threads.into_iter().for_each(Recorder::finish);
            let until = line.end + SECOND;
            prop_assert_eq!(results(&line, &one.intervals(&line), until), results(&line, &many.intervals(&line), until));
        }
    }
}
