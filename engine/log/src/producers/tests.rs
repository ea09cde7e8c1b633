use plimsoll_records::{Attributes, BatchHeader, sequence_add};
use proptest::prelude::*;

use super::*;

fn header(epoch: i16, sequence: i32, records: i32, base_offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset,
        batch_length: 49,
        leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: records - 1,
        base_timestamp: 1_000,
        max_timestamp: 1_000 + base_offset,
        producer_id: 7,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: records,
    }
}

fn with(batches: &[(i16, i32, i32, i64)]) -> Producers {
    let mut producers = Producers::default();
    for &(epoch, sequence, records, offset) in batches {
        producers.apply(&header(epoch, sequence, records, offset), None, 0);
    }
    producers
}

fn out_of_order(result: Result<Verdict, ProducerError>) -> bool {
    matches!(result, Err(ProducerError::OutOfOrderSequence { .. }))
}

#[test]
fn e14_a_retry_gets_the_original_offset_and_timestamp() {
    let producers = with(&[(0, 0, 10, 100), (0, 10, 5, 200)]);
    let verdict = producers.check(&header(0, 0, 10, 0), Origin::Client);
    let Ok(Verdict::Duplicate(original)) = verdict else { panic!("{verdict:?}") };
    assert_eq!((original.first_offset(), original.last_offset, original.timestamp), (100, 109, 1_100));
    assert!(out_of_order(producers.check(&header(0, 0, 9, 0), Origin::Client)), "another last sequence");
}

#[test]
fn e14_duplicate_window_is_five_batches() {
    let producers =
        with(&[(0, 0, 1, 0), (0, 1, 1, 1), (0, 2, 1, 2), (0, 3, 1, 3), (0, 4, 1, 4), (0, 5, 1, 5)]);
    assert!(out_of_order(producers.check(&header(0, 0, 1, 0), Origin::Client)), "the sixth last");
    for sequence in 1..=5 {
        let verdict = producers.check(&header(0, sequence, 1, 0), Origin::Client);
        assert!(matches!(verdict, Ok(Verdict::Duplicate(b)) if b.last_offset == i64::from(sequence)));
    }
    assert_eq!(producers.check(&header(0, 6, 1, 0), Origin::Client), Ok(Verdict::New));
}

#[test]
fn e14_gaps_are_refused() {
    let producers = with(&[(0, 0, 10, 0)]);
    assert!(out_of_order(producers.check(&header(0, 11, 1, 0), Origin::Client)));
    assert_eq!(producers.check(&header(0, 10, 1, 0), Origin::Client), Ok(Verdict::New));
}

#[test]
fn e14_sequences_wrap_from_max_to_zero() {
    let at_end = with(&[(0, i32::MAX - 1, 2, 0)]);
    assert_eq!(at_end.check(&header(0, 0, 1, 0), Origin::Client), Ok(Verdict::New));
    let across = with(&[(0, i32::MAX - 1, 4, 0)]);
    let last = across.get(7).and_then(|e| e.window.last().copied()).expect("batch");
    assert_eq!((last.first_sequence(), last.last_sequence), (i32::MAX - 1, 1));
    assert_eq!(across.check(&header(0, 2, 1, 0), Origin::Client), Ok(Verdict::New));
    let again = across.check(&header(0, i32::MAX - 1, 4, 0), Origin::Client);
    assert!(matches!(again, Ok(Verdict::Duplicate(_))));
}

#[test]
fn e14_a_new_epoch_starts_at_zero_and_fences_the_old() {
    let mut producers = with(&[(0, 0, 10, 0)]);
    assert!(out_of_order(producers.check(&header(1, 10, 1, 0), Origin::Client)));
    assert_eq!(producers.check(&header(1, 0, 1, 10), Origin::Client), Ok(Verdict::New));
    producers.apply(&header(1, 0, 1, 10), None, 0);
    let stale = producers.check(&header(0, 0, 10, 0), Origin::Client);
    assert!(matches!(stale, Err(ProducerError::InvalidEpoch { epoch: 0, current: 1, .. })), "{stale:?}");
}

#[test]
fn e14_an_unknown_producer_may_start_anywhere() {
    assert_eq!(Producers::default().check(&header(3, 4711, 1, 0), Origin::Client), Ok(Verdict::New));
}

#[test]
fn e14_replicas_are_never_checked() {
    let producers = with(&[(5, 0, 10, 0)]);
    for header in [header(5, 0, 10, 0), header(5, 99, 1, 0), header(4, 0, 1, 0)] {
        assert_eq!(producers.check(&header, Origin::Replica), Ok(Verdict::New));
    }
}

#[test]
fn producers_expire_by_when_they_were_seen_unless_a_transaction_is_open() {
    let mut producers = with(&[(0, 0, 1, 0)]);
    let open = BatchHeader { producer_id: 8, attributes: Attributes(0x10), ..header(0, 0, 1, 1) };
    producers.apply(&open, None, 0);
    assert_eq!(producers.expire(99, 100), 0, "record timestamps play no part");
    assert_eq!(producers.expire(100, 100), 1);
    assert!(producers.get(7).is_none() && producers.get(8).is_some());
}

#[test]
fn markers_end_the_transaction_and_keep_the_sequence() {
    let mut producers = Producers::default();
    producers.apply(&BatchHeader { attributes: Attributes(0x10), ..header(0, 0, 3, 5) }, None, 0);
    assert_eq!(producers.get(7).and_then(|e| e.txn_first_offset), Some(5));
    let marker = BatchHeader { attributes: Attributes(0x30), base_sequence: -1, ..header(0, -1, 1, 8) };
    let end = TxnMarker { end: EndTxn::Commit, coordinator_epoch: 2 };
    producers.apply(&marker, Some(end), 0);
    let entry = producers.get(7).expect("entry");
    assert_eq!((entry.txn_first_offset, entry.coordinator_epoch), (None, 2));
    assert_eq!(producers.check(&header(0, 3, 1, 0), Origin::Client), Ok(Verdict::New));
}

proptest! {
    #[test]
    fn undo_restores_what_was_before(batches in proptest::collection::vec((0i64..3, 0i16..3, 0i32..9), 1..40)) {
        let mut producers = Producers::default();
        let mut history = Vec::new();
        for (offset, (id, epoch, sequence)) in batches.into_iter().enumerate() {
            let header = BatchHeader { producer_id: id, ..header(epoch, sequence, 1, offset as i64) };
            history.push((producers.clone(), producers.apply(&header, None, 0)));
        }
        for (before, undo) in history.into_iter().rev() {
            producers.undo(&undo.undo.expect("has a producer id"));
            prop_assert_eq!(&producers, &before);
        }
    }

    #[test]
    fn e14_a_well_behaved_producer_is_never_refused_and_never_stored_twice(
        steps in proptest::collection::vec((1i32..1000, 0usize..6), 1..60),
        start in prop_oneof![Just(0), Just(i32::MAX - 2000)],
    ) {
        let (mut producers, mut sent) = (Producers::default(), Vec::new());
        let (mut sequence, mut offset) = (start, 0i64);
        for (records, retry) in steps {
            let batch = header(0, sequence, records, offset);
            prop_assert_eq!(producers.check(&batch, Origin::Client), Ok(Verdict::New));
            producers.apply(&batch, None, 0);
            sent.push(batch);
            sequence = sequence_add(batch.last_sequence(), 1);
            offset = batch.next_offset();
            let Some(old) = sent.len().checked_sub(retry + 1).and_then(|i| sent.get(i)) else { continue };
            match producers.check(&BatchHeader { base_offset: 0, ..*old }, Origin::Client) {
                Ok(Verdict::Duplicate(found)) => {
                    prop_assert!(retry < WINDOW_BATCHES);
                    prop_assert_eq!(found.first_offset(), old.base_offset);
                }
                other => prop_assert!(retry >= WINDOW_BATCHES && out_of_order(other), "{:?}", other),
            }
        }
    }
}
