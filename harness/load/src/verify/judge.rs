//! Holds what was seen against what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::ranges::Ranges;
use super::sends::Outcome;
use super::sight::{BadBatch, Damage, Oddity, PartitionSight};
use super::{Anomaly, Example, PartitionId, SendLog, Sight, VerifyReport};
use crate::stamp::StampFault;

/// First offset of each partition's log at the time of the reading; partitions without one start at 0.
pub type LogStarts = BTreeMap<PartitionId, i64>;

/// Compares a whole pass with all sends. `topics` names the topics by their index.
///
/// Acknowledged and not seen is lost; seen and refused, or never numbered by any producer, is phantom. A record
/// of unknown outcome may be there or not. A damaged record is named by its offset's acknowledgement, else by
/// what its stamp claims, else by the sequence missing at that place, and is then not counted as lost as well.
pub fn judge(sends: &SendLog, sight: &Sight, topics: &[String], starts: &LogStarts) -> VerifyReport {
    let mut report = VerifyReport::default();
    let nothing = PartitionSight::default();
    let partitions: BTreeSet<PartitionId> =
        sends.keys().map(|(id, _)| id).chain(sight.partitions().keys().copied()).collect();
    for id in partitions {
        let topic = topics.get(id.topic as usize).cloned().unwrap_or_else(|| format!("topic {}", id.topic));
        let seen = sight.partitions().get(&id).unwrap_or(&nothing);
        let start = starts.get(&id).copied().unwrap_or(0);
        PartitionCase { id, topic, sends, seen, start, report: &mut report }.judge();
    }
    let faults = [report.lost, report.duplicated, report.reordered, report.corrupted, report.phantom];
    report.ok = faults == [0; 5];
    report.examples.sort_by_key(|example| example.anomaly);
    report
}

/// What one pass noticed by itself, with nothing to hold it against: copies, order and damage. Acknowledged, lost
/// and phantom records are not judged.
pub fn noticed(sight: &Sight, topics: &[String]) -> VerifyReport {
    let (mut report, nothing) = (VerifyReport::default(), SendLog::new());
    for (id, seen) in sight.partitions() {
        let topic = topics.get(id.topic as usize).cloned().unwrap_or_else(|| format!("topic {}", id.topic));
        report.seen += seen.totals().records - seen.totals().duplicated;
        PartitionCase { id: *id, topic, sends: &nothing, seen, start: 0, report: &mut report }.notice();
    }
    report.ok = [report.duplicated, report.reordered, report.corrupted] == [0; 3];
    report.examples.sort_by_key(|example| example.anomaly);
    report
}

/// One partition before the judge.
struct PartitionCase<'a> {
    id: PartitionId,
    topic: String,
    sends: &'a SendLog,
    seen: &'a PartitionSight,
    start: i64,
    report: &'a mut VerifyReport,
}

impl PartitionCase<'_> {
    fn judge(mut self) {
        let producers: BTreeSet<u32> = self.producers().collect();
        let mut missing: BTreeMap<u32, Ranges> =
            producers.into_iter().map(|producer| (producer, self.judge_stream(producer))).collect();
        self.notice_with(&mut missing);
        for (producer, lost) in missing {
            self.report.lost += lost.len();
            for sequence in lost.iter().take(super::EXAMPLES_MAX) {
                self.show_lost(producer, sequence);
            }
        }
    }

    fn notice(mut self) {
        self.notice_with(&mut BTreeMap::new());
    }

    /// Counts and names what shows by itself; damaged records are taken out of the missing ones.
    fn notice_with(&mut self, missing: &mut BTreeMap<u32, Ranges>) {
        self.judge_damage(missing);
        self.show_bad_batches();
        self.report.duplicated += self.seen.totals().duplicated;
        self.report.reordered += self.seen.totals().reordered;
        self.show_oddities(Anomaly::Duplicated, self.seen.duplicates());
        self.show_oddities(Anomaly::Reordered, self.seen.late());
    }

    fn producers(&self) -> impl Iterator<Item = u32> {
        let sent = self.sends.producers_of(self.id);
        sent.chain(self.seen.streams().producers())
    }

    /// Counts one producer's records; gives the acknowledged ones that were not seen.
    fn judge_stream(&mut self, producer: u32) -> Ranges {
        let sent = self.sends.stream((self.id, producer));
        let (acked, unknown) = (sent.with(Outcome::Acked), sent.with(Outcome::Unknown));
        let seen = self.seen.streams().get(producer).map(|stream| stream.seen()).unwrap_or_default();
        let expired = sent.acked_below(self.start).without(&seen);
        let phantom = seen.without(&acked).without(&unknown);
        self.report.acked += acked.len();
        self.report.expired += expired.len();
        self.report.expected += acked.len() - expired.len();
        self.report.seen += seen.len();
        self.report.unknown += unknown.len();
        self.report.unknown_seen += unknown.and(&seen).len();
        self.report.phantom += phantom.len();
        let refused = sent.with(Outcome::Refused);
        for sequence in phantom.iter().take(super::EXAMPLES_MAX) {
            let why = if refused.contains(sequence) { "was refused" } else { "was never sent by this run" };
            self.show(Anomaly::Phantom, None, Some((producer, sequence)), format!("is there, but {why}"));
        }
        acked.without(&seen).without(&expired)
    }

    /// Names each damaged record and takes it out of the missing ones.
    fn judge_damage(&mut self, missing: &mut BTreeMap<u32, Ranges>) {
        self.report.corrupted += self.seen.totals().corrupted;
        for damage in self.seen.damaged() {
            let name = self.name_of(damage, missing);
            if let Some((producer, sequence)) = name
                && let Some(left) = missing.get_mut(&producer)
            {
                *left = left.without(&Ranges::of([(sequence, sequence)]));
            }
            self.show(
                Anomaly::Corrupted,
                Some(damage.offset),
                name.or(claim(damage)),
                damage.fault.to_string(),
            );
        }
    }

    /// Names batches whose damage lies outside the values. Their records were seen, so none is missing.
    fn show_bad_batches(&mut self) {
        for BadBatch { base_offset, records } in self.seen.bad_batches() {
            let detail = format!(
                "the batch does not fit its checksum though its values ({records}) fit theirs: a key, a header or a field of the batch is not what was sent"
            );
            self.show(Anomaly::Corrupted, Some(*base_offset), None, detail);
        }
    }

    /// Which missing record a damaged one is.
    fn name_of(&self, damage: &Damage, missing: &BTreeMap<u32, Ranges>) -> Option<(u32, u64)> {
        let is_missing = |name: &(u32, u64)| missing.get(&name.0).is_some_and(|left| left.contains(name.1));
        let acked = self.sends.acked_at(self.id, damage.offset).filter(is_missing);
        acked
            .or_else(|| claim(damage).filter(is_missing))
            .or_else(|| self.missing_around(damage.offset, missing))
    }

    /// The first missing record whose neighbours lie on both sides of this offset.
    fn missing_around(&self, offset: i64, missing: &BTreeMap<u32, Ranges>) -> Option<(u32, u64)> {
        missing.iter().find_map(|(producer, left)| {
            let stream = self.seen.streams().get(*producer)?;
            let around = |sequence: &u64| {
                let gap = stream.gap_of(*sequence);
                gap.after_offset.is_none_or(|after| after < offset)
                    && gap.before_offset.is_none_or(|before| offset < before)
            };
            // One look per gap is enough: all its sequences have the same neighbours.
            left.runs().iter().map(|(first, _)| *first).find(around).map(|sequence| (*producer, sequence))
        })
    }

    fn show_lost(&mut self, producer: u32, sequence: u64) {
        let run = self.sends.stream((self.id, producer)).acked_run(sequence).copied();
        let offset = run.and_then(|run| run.offset_of(sequence));
        let told = match (offset, run.and_then(|run| run.offsets())) {
            (Some(offset), _) => format!("acknowledged at offset {offset}"),
            (None, Some((first, last))) => format!("acknowledged between offsets {first} and {last}"),
            (None, None) => "acknowledged without an offset".to_owned(),
        };
        let detail = match self.seen.streams().get(producer).map(|stream| stream.gap_of(sequence)) {
            None => format!("{told}; nothing of this producer was seen"),
            Some(gap) => match (gap.after_offset, gap.before_offset) {
                (Some(after), Some(before)) => {
                    format!("{told}; missing between offsets {after} and {before}")
                }
                (None, Some(before)) => format!("{told}; missing before offset {before}"),
                (Some(after), None) => format!("{told}; missing after offset {after}"),
                (None, None) => told,
            },
        };
        self.show(Anomaly::Lost, offset, Some((producer, sequence)), detail);
    }

    fn show_oddities(&mut self, anomaly: Anomaly, oddities: &[Oddity]) {
        for odd in oddities {
            self.show(anomaly, odd.offset, Some((odd.producer, odd.sequence)), odd.detail.clone());
        }
    }

    fn show(&mut self, anomaly: Anomaly, offset: Option<i64>, name: Option<(u32, u64)>, detail: String) {
        self.report.show(Example {
            anomaly,
            topic: self.topic.clone(),
            partition: self.id.partition,
            offset,
            producer: name.map(|name| name.0),
            sequence: name.map(|name| name.1),
            detail,
        });
    }
}

/// Who a damaged record says it is.
fn claim(damage: &Damage) -> Option<(u32, u64)> {
    match damage.fault {
        StampFault::Checksum { claimed, .. } => Some((claimed.producer, claimed.sequence)),
        StampFault::Short { .. } | StampFault::Magic(_) => None,
    }
}
