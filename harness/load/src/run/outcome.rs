//! What a run leaves: figures, intervals, judgement, status.

use std::collections::BTreeMap;

use plimsoll_results::stats::Steadiness;
use plimsoll_results::{
    IntervalRow, Latency, LatencySeries, Load, LoadMode, LoadObservation, Metric, Phase, PhaseSpan, Status,
    Throughput, VerifyDocument,
};

use super::shape;
use super::stage::RunInput;
use super::topics::TopicInForce;
use crate::clock::Nanos;
use crate::consumer::{ConsumerReport, ProofError};
use crate::payload::{CorpusVerdict, PayloadSummary};
use crate::producer::ProducerReport;
use crate::recorder::{Counters, Interval, Kind, results};
use crate::silence::Silences;
use crate::timeline::Timeline;
use crate::verify::{Anomaly, LogStarts, PartitionId, SendLog, Sight, Totals, VerifyReport, judge, noticed};
use crate::workload::{self, Acks, VerifyLevel};

/// What consumers did in the whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Records delivered to the first group.
    pub records: u64,
    /// Seconds from its first to its last delivery.
    pub seconds: f64,
    /// Whether every consumer read to the end.
    pub complete: bool,
}

/// Everything a run leaves. The figures are those of the measured window unless said otherwise.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Completion and verification.
    pub status: Status,
    /// Why it is not `ok`, and remarks when it is.
    pub status_reasons: Vec<String>,
    /// When it ran, on the monotonic clock.
    pub timeline: Timeline,
    /// Its phases, on the run's own clock.
    pub phases: Vec<PhaseSpan>,
    /// What the generator did.
    pub load: Load,
    /// What the target did.
    pub throughput: Throughput,
    /// Quantiles of the measured window.
    pub latency: Latency,
    /// One row per second, all phases.
    pub rows: Vec<IntervalRow>,
    /// All interval histograms.
    pub series: LatencySeries,
    /// Counters of the measured window: for costs per record.
    pub measured: Counters,
    /// Length of the measured window in seconds, shorter when the run was stopped.
    pub measured_s: f64,
    /// The values that were sent.
    pub payload: PayloadSummary,
    /// What became of every record; `None` when nothing was read back.
    pub verify: Option<VerifyReport>,
    /// The same in the form of a result file; its level says what was done.
    pub verify_document: VerifyDocument,
    /// What consumers noticed while the run was on.
    pub live: Totals,
    /// What consumers did in the whole run; `None` without any.
    pub consumed: Option<Consumed>,
    /// CPU that the host gave to others in the measured window, percent of all cores.
    pub steal_pct: Option<f64>,
    /// The first topic as the cluster described it; `None` where nothing could be read.
    pub topic: Option<TopicInForce>,
    /// When which partition acknowledged nothing, in a run with faults.
    pub silences: Silences,
    /// When producers had ended, on the monotonic clock.
    pub produce_ended: Nanos,
}

/// What a run knows beside its threads' reports.
pub(super) struct Facts<'a> {
    pub(super) input: &'a RunInput,
    pub(super) timeline: Timeline,
    pub(super) produce_ended: Nanos,
    pub(super) ended: Nanos,
    pub(super) cancelled: bool,
    pub(super) steal_pct: Option<f64>,
    /// What was said of warm-up when it ended; `None` where it was fixed or never ended.
    pub(super) warmup: Option<Steadiness>,
    pub(super) keeps_records: bool,
    /// Why nobody knows where the logs ended.
    pub(super) ends_unknown: Option<ProofError>,
    pub(super) acked: u64,
    pub(super) topic: Option<TopicInForce>,
}

/// The re-read.
pub(super) struct Proof {
    pub(super) sight: Sight,
    pub(super) incomplete: Option<ProofError>,
}

impl Outcome {
    pub(super) fn new(
        facts: &Facts<'_>,
        intervals: &[Interval],
        sends: &SendLog,
        starts: &BTreeMap<PartitionId, i64>,
        produced: Vec<ProducerReport>,
        consumed: Vec<ConsumerReport>,
        proof: Option<Proof>,
    ) -> Outcome {
        let workload = &facts.input.workload;
        let (rows, series) = results(&facts.timeline, intervals, facts.ended);
        let measured = measured(intervals);
        let measured_s = facts.timeline.measured_seconds(facts.produce_ended);
        let latency = Latency::of(&series);
        let load = load(facts, &measured, measured_s, &series, &latency, &produced, &consumed);
        let throughput = throughput(&measured, measured_s);
        let verify = proof.as_ref().map(|proof| judged(sends, proof, &workload.topic_names(), starts));
        let consumed_sum = consumed_by_all(&consumed);
        let live = live(&consumed);
        let witnessed = noticed(&live, &workload.topic_names());
        let verify_document = match &verify {
            Some(verify) => proved(verify, proof.as_ref()),
            None => counted(facts, &witnessed, consumed_sum),
        };
        let mut outcome = Outcome {
            status: Status::Ok,
            status_reasons: Vec::new(),
            timeline: facts.timeline,
            phases: shape::phases(&facts.timeline, facts.ended, facts.warmup.as_ref()),
            load,
            throughput,
            latency,
            rows,
            series,
            measured,
            measured_s,
            payload: facts.input.payload.summary(workload.window()),
            verify,
            verify_document,
            live: live.totals(),
            consumed: consumed_sum,
            steal_pct: facts.steal_pct,
            topic: facts.topic.clone(),
            silences: silences(&produced),
            produce_ended: facts.produce_ended,
        };
        outcome.judge(facts, &witnessed, &produced, &consumed);
        outcome
    }

    /// Sets the status: failures of the run, then of the proof, then of the measurement, then remarks.
    fn judge(
        &mut self,
        facts: &Facts<'_>,
        witnessed: &VerifyReport,
        produced: &[ProducerReport],
        consumed: &[ConsumerReport],
    ) {
        for failure in produced.iter().filter_map(|report| report.failure.as_ref()) {
            self.worsen(Status::Failed, failure.to_string());
        }
        for failure in consumed.iter().filter_map(|report| report.failure.as_ref()) {
            self.worsen(Status::Failed, failure.to_string());
        }
        if facts.acked == 0 && !facts.cancelled {
            self.worsen(Status::Failed, "no record was acknowledged".into());
        }
        if let Some(error) = &facts.ends_unknown {
            self.worsen(Status::Failed, error.to_string());
        }
        self.judge_verify(facts);
        if let Some(found) = found(witnessed) {
            self.worsen(Status::Failed, format!("live consumers saw records {found}"));
        }
        if facts.cancelled {
            self.worsen(Status::Aborted, "stopped before its end; figures are of the part that ran".into());
        }
        if self.latency.overflow + self.latency.negative > 0 {
            let (over, negative) = (self.latency.overflow, self.latency.negative);
            let reason = format!("{over} latencies beyond an hour and {negative} that ran backwards");
            self.worsen(Status::Invalid, reason);
        }
        self.remark(produced, consumed);
    }

    fn judge_verify(&mut self, facts: &Facts<'_>) {
        let Some(verify) = &self.verify else {
            let why = match (facts.keeps_records, facts.input.workload.verify.level) {
                (false, _) => "nothing was verified: this target keeps no records",
                (true, VerifyLevel::Off) => "nothing was verified: verify.level is off",
                (true, _) => "no full re-read: verify.level is counts",
            };
            self.status_reasons.push(why.into());
            let lost = self.verify_document.counts.lost;
            if lost > 0 {
                let reason =
                    format!("{lost} acknowledged records never came to a consumer that read to the end");
                self.worsen(Status::Failed, reason);
            }
            return;
        };
        let incomplete = self.verify_document.incomplete.clone();
        let found = found(&certain(verify, incomplete.is_none()));
        if let Some(why) = incomplete {
            self.worsen(Status::Invalid, why);
        }
        if let Some(found) = found {
            self.worsen(Status::Failed, format!("records {found}"));
        }
    }

    fn remark(&mut self, produced: &[ProducerReport], consumed: &[ConsumerReport]) {
        let unsettled: u64 = produced.iter().map(|report| report.unsettled).sum();
        if unsettled > 0 {
            self.status_reasons.push(format!("{unsettled} records had no answer when the drain ended"));
        }
        if consumed.iter().any(|report| !report.complete && report.failure.is_none()) {
            self.status_reasons.push("consumers did not reach the end within the drain".into());
        }
        let verdicts = self.load.verdicts.iter().map(|verdict| format!("{verdict}: {}", verdict.explain()));
        self.status_reasons.extend(verdicts.collect::<Vec<_>>());
        self.status_reasons.extend(shape::remarks(&self.phases, &self.rows));
        if let CorpusVerdict::TooSmall { have_bytes, need_bytes } = self.payload.verdict {
            self.status_reasons.push(format!(
                "payload: {} has {have_bytes} bytes, below the {need_bytes} that keep a record from coming twice in a codec's window",
                self.payload.source
            ));
        }
    }

    /// A worse status wins; every reason is kept.
    fn worsen(&mut self, status: Status, reason: String) {
        let rank = |status: Status| match status {
            Status::Ok => 0,
            Status::Invalid => 1,
            Status::Aborted => 2,
            Status::Failed => 3,
        };
        if rank(status) > rank(self.status) {
            self.status = status;
        }
        self.status_reasons.push(reason);
    }
}

/// What a re-read has shown for certain: a record that it did not reach is not lost, but what was found is there
/// all the same.
fn certain(verify: &VerifyReport, complete: bool) -> VerifyReport {
    let mut certain = verify.clone();
    if !complete {
        certain.lost = 0;
        certain.examples.retain(|example| example.anomaly != Anomaly::Lost);
    }
    certain
}

/// What is not as it should be, in words; `None` when nothing is.
fn found(report: &VerifyReport) -> Option<String> {
    let kinds = [
        (report.lost, "lost"),
        (report.duplicated, "duplicated"),
        (report.reordered, "reordered"),
        (report.corrupted, "corrupted"),
        (report.phantom, "never sent but there"),
    ];
    let found: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let first = report.examples.first().map(|example| format!("; first: {example}")).unwrap_or_default();
    (!found.is_empty()).then(|| format!("{}{first}", found.join(", ")))
}

/// Counters of intervals that lie in the measured window. What was due in it counts wherever it was noticed.
fn measured(intervals: &[Interval]) -> Counters {
    let mut sum = Counters::default();
    for interval in intervals {
        let Counters { due, unsent, .. } = interval.counters;
        match interval.slot.phase {
            Phase::Measure => sum.add(&interval.counters),
            _ => sum.add(&Counters { due, unsent, ..Counters::default() }),
        }
    }
    sum
}

fn load(
    facts: &Facts<'_>,
    measured: &Counters,
    measured_s: f64,
    series: &LatencySeries,
    latency: &Latency,
    produced: &[ProducerReport],
    consumed: &[ConsumerReport],
) -> Load {
    let workload = &facts.input.workload;
    let open = workload.load.mode == workload::LoadMode::Open;
    let rate = |records: u64| (measured_s > 0.0).then(|| records as f64 / measured_s);
    let cpu =
        produced.iter().map(|report| report.cpu_pct).chain(consumed.iter().map(|report| report.cpu_pct));
    let generator_cpu_pct = cpu.flatten().max_by(f64::total_cmp);
    let mut errors = BTreeMap::new();
    let counted =
        produced.iter().map(|report| &report.errors).chain(consumed.iter().map(|report| &report.errors));
    for (name, count) in counted.flatten() {
        *errors.entry(name.clone()).or_default() += count;
    }
    let records_resent = produced.iter().map(|report| report.resent).sum::<Option<u64>>();
    let observation = LoadObservation {
        // What the schedule really asked for: a Poisson second holds more or less than its mean.
        target_rate: rate(measured.due).filter(|_| open),
        achieved_rate: rate(measured.acked),
        unsent: measured.unsent,
        generator_cpu_pct,
        // Linger and the target's own pace also delay a send; only coming round late is the generator's doing.
        lateness_p99_us: p99_us(series, Kind::Lateness.metric()),
        response_p99_us: p99_us(series, Metric::Response),
        steal_pct: facts.steal_pct,
        generator_ceiling: None,
        steady: facts.warmup.as_ref().map(|warmup| warmup.steady),
    };
    Load {
        mode: if open { LoadMode::Open } else { LoadMode::Closed },
        target_rate: open.then(|| workload.load.rate.per_s()),
        achieved_rate: rate(measured.acked),
        sent: measured.sent,
        acked: measured.acked,
        unsent: measured.unsent,
        verdicts: observation.verdicts(),
        intended: Some(measured.due),
        errors,
        retries: Some(measured.retries).filter(|_| records_resent.is_none()),
        records_resent,
        schedule_delay: latency.quantiles.schedule.filter(|_| open),
        generator_cpu_pct,
        generator_ceiling: None,
        max_in_flight: Some(workload.produce.max_in_flight),
    }
}

/// The 99th percentile as it is, for the verdict on the generator. A figure for a reader asks for more behind
/// it; but a generator that was late once, for a hundredth of all records, was late.
fn p99_us(series: &LatencySeries, metric: Metric) -> Option<f64> {
    let pooled = series.pooled(&metric, Phase::Measure);
    let below = pooled.len() - pooled.len() / 100;
    let mut counted = 0;
    let mut values = pooled.total().iter();
    let p99_ns = values.find(|(_, count)| {
        counted += count;
        counted >= below
    });
    p99_ns.map(|(value_ns, _)| value_ns as f64 / 1e3)
}

fn throughput(measured: &Counters, measured_s: f64) -> Throughput {
    let elapsed_ns = (measured_s * 1e9) as u64;
    let acked = Throughput::over(measured.acked, measured.acked_bytes, elapsed_ns);
    let wire = Throughput::over(measured.acked, measured.wire_bytes, elapsed_ns);
    let consumed = Throughput::over(measured.consumed, measured.consumed_bytes, elapsed_ns);
    Throughput {
        wire_mb_per_s: wire.payload_mb_per_s,
        consumed_records_per_s: consumed.records_per_s,
        ..acked
    }
}

fn judged(
    sends: &SendLog,
    proof: &Proof,
    topics: &[String],
    starts: &BTreeMap<PartitionId, i64>,
) -> VerifyReport {
    judge(sends, &proof.sight, topics, &LogStarts::from_iter(starts.iter().map(|(id, at)| (*id, *at))))
}

fn proved(verify: &VerifyReport, proof: Option<&Proof>) -> VerifyDocument {
    let mut document = verify.to_results("full");
    document.incomplete = proof.and_then(|proof| proof.incomplete.as_ref()).map(ToString::to_string);
    if document.incomplete.is_some() {
        document.counts.ok = false;
        // What the re-read did not reach may well be there.
        document.counts.unknown += std::mem::take(&mut document.counts.lost);
    }
    document
}

/// Without a re-read: what the live consumers of the first group saw, if they are to be believed at all.
fn counted(facts: &Facts<'_>, witnessed: &VerifyReport, consumed: Option<Consumed>) -> VerifyDocument {
    let answered = facts.input.workload.produce.acks != Acks::None;
    let acked = if answered { facts.acked } else { 0 };
    if facts.input.workload.verify.level == VerifyLevel::Off || !facts.keeps_records {
        return VerifyReport { acked, ..VerifyReport::default() }.to_results("off");
    }
    let complete = consumed.is_some_and(|consumed| consumed.complete);
    // Who has read to the end has seen everything that is there. Records of unknown outcome may hide others that
    // are lost, so that this is the least.
    let lost = if complete { acked.saturating_sub(witnessed.seen + witnessed.corrupted) } else { 0 };
    let ok = witnessed.ok && complete && lost == 0;
    // Nobody was there to see anything: then nothing was expected to be seen.
    let expected = if consumed.is_some() { acked } else { 0 };
    let counts = VerifyReport { acked, expected, lost, ok, ..witnessed.clone() };
    let mut document = counts.to_results("counts");
    document.incomplete = (!complete).then(|| match consumed {
        Some(_) => "live consumers did not read to the end".to_owned(),
        None => "there were no live consumers".to_owned(),
    });
    document
}

/// A partition is silent while no producer hears of it.
fn silences(produced: &[ProducerReport]) -> Silences {
    let mut all = produced.iter().map(|report| &report.silences);
    let first = all.next().cloned().unwrap_or_default();
    all.fold(first, Silences::and)
}

/// What the first group saw.
fn live(consumed: &[ConsumerReport]) -> Sight {
    let mut sight = Sight::new();
    consumed.iter().filter(|report| report.counts).for_each(|report| sight.absorb(report.sight.clone()));
    sight
}

fn consumed_by_all(consumed: &[ConsumerReport]) -> Option<Consumed> {
    let first: Vec<&ConsumerReport> = consumed.iter().filter(|report| report.counts).collect();
    let spans = || first.iter().filter_map(|report| report.span);
    let (from, to) = (spans().map(|(from, _)| from).min(), spans().map(|(_, to)| to).max());
    (!first.is_empty()).then(|| Consumed {
        records: first.iter().map(|report| report.records).sum(),
        seconds: from.zip(to).map_or(0.0, |(from, to)| (to - from) as f64 / 1e9),
        complete: consumed.iter().all(|report| report.complete),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;
    use crate::verify::Outcome as Sent;

    const P0: PartitionId = PartitionId { topic: 0, partition: 0 };

    fn reread(sequences: &[u64]) -> VerifyReport {
        let (mut sends, mut sight) = (SendLog::new(), Sight::new());
        sends.record(P0, 1, 0, 10, Sent::Acked, Some(0));
        for (offset, sequence) in sequences.iter().enumerate() {
            let stamp = Stamp { producer: 1, sequence: *sequence, intended_ns: 0 };
            sight.partition(P0).observe(offset as i64, &stamp.encode(b"")).unwrap();
        }
        judge(&sends, &sight, &["t".to_owned()], &LogStarts::new())
    }

    #[test]
    fn an_unfinished_re_read_excuses_what_it_did_not_reach_and_nothing_it_found() {
        assert!(found(&reread(&[0, 1, 2])).unwrap().starts_with("7 lost; first: lost t-0@3"));
        assert_eq!(found(&certain(&reread(&[0, 1, 2]), false)), None);
        let doubled = found(&certain(&reread(&[0, 1, 1]), false)).unwrap();
        assert!(doubled.starts_with("1 duplicated; first: duplicated t-0@2"), "{doubled}");
        let phantom = found(&certain(&reread(&[0, 1, 2, 77]), false)).unwrap();
        assert!(phantom.starts_with("1 never sent but there; first: phantom"), "{phantom}");
    }
}
