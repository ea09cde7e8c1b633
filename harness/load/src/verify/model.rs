//! Mutation tests of the checker, and its agreement with a naive model that remembers everything.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::stamp::Stamp;

const P0: PartitionId = PartitionId { topic: 0, partition: 0 };

/// A stored run: two producers with batches of five, taking turns in one partition.
#[derive(Debug, Clone)]
struct Stored {
    sends: SendLog,
    /// Offset, value, and the record's true name.
    log: Vec<(i64, Vec<u8>, (u32, u64))>,
}

fn value(producer: u32, sequence: u64) -> Vec<u8> {
    let payload = format!("payload {sequence} of producer {producer}");
    let stamp = Stamp { producer, sequence, intended_ns: sequence * 1000 };
    [stamp.encode(payload.as_bytes()).as_slice(), payload.as_bytes()].concat()
}

fn stored(batches: u64) -> Stored {
    let (mut sends, mut log) = (SendLog::new(), Vec::new());
    for batch in 0..batches {
        let (producer, first, base) = ((batch % 2) as u32, batch / 2 * 5, log.len() as i64);
        sends.record(P0, producer, first, 5, Outcome::Acked, Some(base));
        log.extend((0..5).map(|i| (base + i as i64, value(producer, first + i), (producer, first + i))));
    }
    Stored { sends, log }
}

fn verdict(run: &Stored) -> VerifyReport {
    let mut sight = Sight::new();
    for (offset, value, _) in &run.log {
        // Faults are counted inside; the pass goes on.
        let _ = sight.partition(P0).observe(*offset, value);
    }
    judge(&run.sends, &sight, &["t".to_owned()], &LogStarts::new())
}

/// The one example of the report: what, at which offset, and which record.
fn only(report: &VerifyReport) -> (Anomaly, Option<i64>, (u32, u64)) {
    let [example] = report.examples.as_slice() else { panic!("not one example: {:?}", report.examples) };
    (example.anomaly, example.offset, (example.producer.unwrap(), example.sequence.unwrap()))
}

#[test]
fn an_untouched_run_is_clean() {
    let report = verdict(&stored(200));
    assert!(report.ok, "{report:?}");
    assert_eq!((report.acked, report.expected, report.seen), (1000, 1000, 1000));
}

#[test]
fn e2_a_deleted_record_is_named() {
    for at in 0..1000 {
        let mut run = stored(200);
        let (offset, _, name) = run.log.remove(at);
        let report = verdict(&run);
        assert_eq!((report.lost, report.seen, report.ok), (1, 999, false));
        let (anomaly, found, found_name) = only(&report);
        assert_eq!((anomaly, found_name), (Anomaly::Lost, name));
        // Two producers take turns, so that an offset is certain only at the ends of a run; it is never wrong.
        assert!(found.is_none_or(|found| found == offset), "{found:?} is not {offset}");
    }
}

#[test]
fn e2_a_doubled_record_is_named_with_the_copys_offset() {
    for at in 0..1000 {
        let mut run = stored(200);
        let (_, value, name) = run.log[at].clone();
        run.log.iter_mut().skip(at + 1).for_each(|(offset, ..)| *offset += 1);
        run.log.insert(at + 1, (at as i64 + 1, value, name));
        let report = verdict(&run);
        assert_eq!((report.duplicated, report.lost, report.reordered, report.ok), (1, 0, 0, false));
        assert_eq!(only(&report), (Anomaly::Duplicated, Some(at as i64 + 1), name));
    }
}

#[test]
fn e2_swapped_records_are_named() {
    for at in (0..995).filter(|at| at % 5 < 4) {
        let mut run = stored(200);
        let (before, after) = run.log.split_at_mut(at + 1);
        let (one, two) = (&mut before[at], &mut after[0]);
        std::mem::swap(&mut one.1, &mut two.1);
        let report = verdict(&run);
        assert_eq!((report.reordered, report.lost, report.duplicated, report.ok), (1, 0, 0, false));
        // The earlier one is now behind the one that was sent after it.
        assert_eq!(only(&report), (Anomaly::Reordered, Some(at as i64 + 1), run.log[at].2));
    }
}

#[test]
fn e2_a_flipped_byte_anywhere_is_named_even_in_the_stamp_itself() {
    for at in [0, 3, 7, 499, 500, 777, 994, 999] {
        for byte in 0..stored(200).log[at].1.len() {
            let mut run = stored(200);
            run.log[at].1[byte] ^= 0x10;
            let report = verdict(&run);
            assert_eq!(
                (report.corrupted, report.lost, report.phantom, report.ok),
                (1, 0, 0, false),
                "{at} {byte}"
            );
            assert_eq!(only(&report), (Anomaly::Corrupted, Some(at as i64), run.log[at].2), "{at} {byte}");
        }
    }
}

#[test]
fn e2_a_batch_that_does_not_fit_its_checksum_counts_once_whoever_notices_it() {
    let run = stored(4);
    let see = |spoil: Option<usize>, distrusted: bool| {
        let mut sight = Sight::new();
        for (number, batch) in run.log.chunks(5).enumerate() {
            let before = sight.partition(P0).totals();
            for (at, (offset, value, _)) in batch.iter().enumerate() {
                let mut value = value.clone();
                value[30] ^= u8::from(number == 2 && spoil == Some(at));
                let _ = sight.partition(P0).observe(*offset, &value);
            }
            if number == 2 && distrusted {
                sight.partition(P0).distrust(10, before);
            }
        }
        (judge(&run.sends, &sight, &["t".to_owned()], &LogStarts::new()), noticed(&sight, &["t".to_owned()]))
    };
    // Outside the values: all five, named by the batch; inside one: that one alone.
    for (spoil, corrupted, offset) in [(None, 5, 10), (Some(3), 1, 13)] {
        let (judged, noticed) = see(spoil, true);
        for report in [&judged, &noticed] {
            assert_eq!((report.corrupted, report.lost, report.phantom, report.ok), (corrupted, 0, 0, false));
            assert_eq!(report.examples.len(), 1);
            assert_eq!((report.examples[0].partition, report.examples[0].offset), (0, Some(offset)));
        }
    }
    let (judged, noticed) = see(None, false);
    assert!(judged.ok && noticed.ok && noticed.seen == 20);
}

#[test]
fn a_lost_tail_is_lost_although_no_gap_shows_it() {
    let mut run = stored(4);
    run.log.truncate(10);
    let report = verdict(&run);
    assert_eq!(report.lost, 10);
    assert!(report.examples[0].detail.contains("missing after offset 4"), "{}", report.examples[0]);
    assert!(report.examples[0].to_string().starts_with("lost t-0@"), "{}", report.examples[0]);
    let nothing = judge(&run.sends, &Sight::new(), &[], &LogStarts::new());
    assert_eq!((nothing.lost, nothing.examples.len()), (20, EXAMPLES_MAX));
}

#[test]
fn unknown_records_may_be_there_or_not_and_refused_ones_may_not() {
    let mut sends = SendLog::new();
    sends.record(P0, 1, 0, 2, Outcome::Acked, Some(0));
    sends.record(P0, 1, 2, 4, Outcome::Unknown, None);
    sends.record(P0, 1, 6, 2, Outcome::Refused, None);
    let see = |sequences: &[u64]| {
        let mut sight = Sight::new();
        for (offset, sequence) in sequences.iter().enumerate() {
            sight.partition(P0).observe(offset as i64, &value(1, *sequence)).unwrap();
        }
        judge(&sends, &sight, &["t".to_owned()], &LogStarts::new())
    };
    let report = see(&[0, 1, 3, 4]);
    assert!(report.ok, "{report:?}");
    assert_eq!((report.unknown, report.unknown_seen), (4, 2));
    let report = see(&[0, 1, 7, 9]);
    assert_eq!((report.phantom, report.ok), (2, false));
    assert!(report.examples[0].detail.contains("was refused"));
    assert!(report.examples[1].detail.contains("never sent"));
}

#[test]
fn what_retention_removed_is_not_lost() {
    let mut run = stored(2);
    run.log.drain(..3);
    let mut sight = Sight::new();
    for (offset, value, _) in &run.log {
        sight.partition(P0).observe(*offset, value).unwrap();
    }
    let starts = LogStarts::from([(P0, 3)]);
    let report = judge(&run.sends, &sight, &["t".to_owned()], &starts);
    assert_eq!((report.expired, report.expected, report.lost, report.ok), (3, 7, 0, true));
    assert_eq!(judge(&run.sends, &sight, &["t".to_owned()], &LogStarts::new()).lost, 3);
}

#[test]
fn results_count_phantoms_and_keep_every_name() {
    let mut run = stored(4);
    run.sends = SendLog::new();
    let document = verdict(&run).to_results("full");
    assert_eq!((document.counts.phantom, document.counts.unknown, document.counts.ok), (20, 0, false));
    assert_eq!(document.examples.len(), 20);
    assert_eq!(document.examples[0].producer, Some(0));
}

/// What happens to one record of the stored log.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Kept,
    Deleted,
    Doubled,
    Delayed,
    Flipped(prop::sample::Index),
    /// Its whole answer is replaced: acknowledged becomes unknown.
    Doubted,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        20 => Just(Fate::Kept),
        1 => Just(Fate::Deleted),
        1 => Just(Fate::Doubled),
        1 => Just(Fate::Delayed),
        1 => any::<prop::sample::Index>().prop_map(Fate::Flipped),
        1 => Just(Fate::Doubted),
    ]
}

/// Everything remembered, nothing clever.
#[derive(Debug, Default, PartialEq)]
struct Naive {
    lost: u64,
    duplicated: u64,
    reordered: u64,
    corrupted: u64,
    unknown: u64,
    seen: u64,
}

proptest! {
    #[test]
    fn the_checker_agrees_with_a_model_that_remembers_everything(fates in prop::collection::vec(fate(), 60)) {
        let whole = stored(12);
        let mut sends = SendLog::new();
        let mut log: Vec<(Vec<u8>, (u32, u64), bool)> = Vec::new();
        let mut acked = HashSet::new();
        for ((_, value, name), fate) in whole.log.into_iter().zip(&fates) {
            let outcome = if matches!(fate, Fate::Doubted) { Outcome::Unknown } else { Outcome::Acked };
            // Without offsets: those of the mutated log are no longer the ones that were answered.
            sends.record(P0, name.0, name.1, 1, outcome, None);
            if outcome == Outcome::Acked {
                acked.insert(name);
            }
            match fate {
                Fate::Deleted => {}
                Fate::Doubled => log.extend([(value.clone(), name, true), (value, name, true)]),
                Fate::Delayed => log.insert(log.len().saturating_sub(3), (value, name, true)),
                Fate::Flipped(at) => {
                    let mut value = value;
                    // The stamp's own fields are flipped in a test above; here the claim stays true.
                    let at = 24 + at.index(value.len() - 24);
                    value[at] ^= 1;
                    log.push((value, name, false));
                }
                Fate::Kept | Fate::Doubted => log.push((value, name, true)),
            }
        }
        let mut naive = Naive { unknown: 60 - acked.len() as u64, ..Naive::default() };
        let mut copies: HashMap<(u32, u64), u64> = HashMap::new();
        let mut highest: BTreeMap<u32, u64> = BTreeMap::new();
        let mut damaged = HashSet::new();
        let mut sight = Sight::new();
        for (offset, (value, name, whole)) in log.iter().enumerate() {
            let _ = sight.partition(P0).observe(offset as i64, value);
            if !whole {
                naive.corrupted += 1;
                damaged.insert(*name);
                continue;
            }
            let count = copies.entry(*name).or_default();
            *count += 1;
            naive.duplicated += u64::from(*count > 1);
            let high = highest.entry(name.0).or_default();
            naive.reordered += u64::from(*count == 1 && name.1 < *high);
            *high = name.1.max(*high);
        }
        naive.seen = copies.len() as u64;
        let missing = acked.iter().filter(|name| !copies.contains_key(name)).count() as u64;
        let report = judge(&sends, &sight, &["t".to_owned()], &LogStarts::new());
        naive.lost = missing - damaged.len() as u64;
        let found = Naive {
            lost: report.lost,
            duplicated: report.duplicated,
            reordered: report.reordered,
            corrupted: report.corrupted,
            unknown: report.unknown,
            seen: report.seen,
        };
        prop_assert_eq!(found, naive);
        prop_assert_eq!(report.phantom, 0);
    }
}
