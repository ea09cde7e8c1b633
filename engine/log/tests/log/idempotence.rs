//! Rule E14 through the log: retries, restarts and truncations.

use plimsoll_log::{AppendError, Level, ProducerError};

use crate::common::*;

#[test]
fn e14_a_retry_in_flight_reports_the_originals_offsets_and_waits_on_them() {
    run(async {
        let store = direct_store(1);
        let temp = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(store, &temp.path().join("t-0"), small_config(), None, false).await;
        append(&log, batch(5, 10)).await.expect("append");
        let original = append(&log, produced(9, 0, 0, 3)).await.expect("append");
        assert!(log.marks().written <= original.last_offset, "still in flight");
        let retry = append(&log, produced(9, 0, 0, 3)).await.expect("retry");
        assert!(retry.duplicate);
        assert_eq!((retry.base_offset, retry.last_offset), (5, 7));
        assert_eq!(retry.log_append_time_ms, 1_002, "the original's timestamp");
        assert_eq!(log.marks().accepted, 8, "stored once");
        log.wait(retry.generation, Level::Written, retry.last_offset + 1).await.expect("written");
    });
}

#[test]
fn e14_state_survives_a_kill_and_a_clean_stop() {
    for clean in [false, true] {
        run(async {
            let store = inline_store();
            let temp = tempfile::tempdir().expect("temp dir");
            let dir = temp.path().join("t-0");
            let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
            for sequence in 0..100 {
                append(&log, produced(9, 0, sequence, 1)).await.expect("append");
                append(&log, batch(1, 400)).await.expect("something between, so that it rolls");
            }
            assert!(log.segments().len() > 2);
            log.flush().await.expect("settle");
            let recovery_point = log.recovery_point();
            if clean {
                log.close().await.expect("close");
            }
            drop(log);
            let (log, _) = open(store, &dir, small_config(), Some(recovery_point), clean).await;
            let again = append(&log, produced(9, 0, 99, 1)).await.expect("the last batch is known");
            assert_eq!((again.duplicate, again.base_offset), (true, 198));
            let gap = append(&log, produced(9, 0, 101, 1)).await;
            assert!(
                matches!(gap, Err(AppendError::Producer(ProducerError::OutOfOrderSequence { .. }))),
                "{gap:?}"
            );
            assert!(!append(&log, produced(9, 0, 100, 1)).await.expect("the next").duplicate);
        });
    }
}

#[test]
fn e14_truncation_takes_producer_state_back() {
    run(async {
        let store = inline_store();
        let temp = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(store, &temp.path().join("t-0"), small_config(), None, false).await;
        for sequence in 0..100 {
            append(&log, produced(9, 0, sequence, 1)).await.expect("append");
            append(&log, batch(1, 400)).await.expect("append");
        }
        for keep in [91, 30, 3] {
            log.truncate_to(2 * keep).await.expect("truncate");
            let last = i32::try_from(keep).expect("small") - 1;
            assert!(append(&log, produced(9, 0, last, 1)).await.expect("known").duplicate);
            assert!(append(&log, produced(9, 0, last + 2, 1)).await.is_err(), "a gap now");
        }
    });
}

#[test]
fn snapshots_are_taken_at_rolls_and_kept_with_their_segments() {
    run(async {
        let store = inline_store();
        let temp = tempfile::tempdir().expect("temp dir");
        let dir = temp.path().join("t-0");
        let (log, _) = open(store, &dir, small_config(), None, false).await;
        for sequence in 0..100 {
            append(&log, produced(9, 0, sequence, 1)).await.expect("append");
            append(&log, batch(1, 1_500)).await.expect("append");
        }
        log.close().await.expect("close");
        let mut snapshots: Vec<i64> = std::fs::read_dir(&dir)
            .expect("list")
            .filter_map(|e| e.expect("entry").file_name().to_str()?.strip_suffix(".snapshot")?.parse().ok())
            .collect();
        snapshots.sort_unstable();
        let bases: Vec<i64> = log.segments().iter().map(|s| s.base_offset).collect();
        assert_eq!(snapshots.pop(), Some(200), "the clean stop's");
        assert_eq!(snapshots, bases[1..], "the rolls'");
    });
}

#[test]
fn producers_expire() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(inline_store(), &temp.path().join("t-0"), small_config(), None, false).await;
        append(&log, produced(9, 0, 0, 1)).await.expect("append");
        assert_eq!(log.expire_producers(0), 0);
        assert_eq!(log.expire_producers(i64::MAX / 2), 1);
        assert!(log.producer(9).is_none());
        assert!(append(&log, produced(9, 0, 77, 1)).await.is_ok(), "an unknown producer may start anywhere");
    });
}
