//! Disks that refuse, lie, stall and fill up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll_io::{FaultKind, Faults, Faulty, IoOp, SegmentStore, SimConfig};
use plimsoll_log::{
    AppendError, Durability, FlushPolicy, Level, Log, LogConfig, LogError, Marks, Origin, WaitError,
};

use crate::common::*;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn fsync_config() -> LogConfig {
    LogConfig { durability: Durability::Fsync, ..small_config() }
}

async fn opened(store: &TestStore, config: LogConfig) -> (tempfile::TempDir, Log<TestStore>) {
    let dir = tempfile::tempdir().expect("temp dir");
    let (log, _) = open(store.clone(), &dir.path().join("t-0"), config, None, false).await;
    (dir, log)
}

#[test]
fn a_failed_sync_poisons_and_is_never_retried() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, fsync_config()).await;
        store.script.fail(IoOp::Sync, EIO);
        let at = append(&log, batch(1, 10)).await.expect("accepted before the sync fails");
        let waited = log.wait(at.generation, Level::Durable, at.last_offset + 1).await;
        assert!(matches!(&waited, Err(WaitError::Fault(f)) if f.errno() == Some(EIO)), "{waited:?}");
        let syncs = store.script.syncs.load(Ordering::SeqCst);
        let refused = append(&log, batch(1, 10)).await;
        assert!(matches!(&refused, Err(AppendError::Poisoned(f)) if f.errno() == Some(EIO)), "{refused:?}");
        assert!(matches!(log.flush().await, Err(LogError::Poisoned(_))));
        assert!(matches!(log.close().await, Err(LogError::Poisoned(_))));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(store.script.syncs.load(Ordering::SeqCst), syncs, "no second sync, ever");
        assert_eq!((log.marks().written, log.marks().durable), (1, 0));
        assert_eq!(read_all(&log, 100).await.len(), 1, "what was written can still be read");
    });
}

#[test]
fn a_failed_sync_of_a_rolled_segment_poisons() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, small_config()).await;
        store.script.fail(IoOp::Sync, EIO);
        append(&log, batch(1, 9_000)).await.expect("append");
        let rolled = append(&log, batch(1, 9_000)).await;
        // The sync may fail before the batch that rolled is accepted, or after.
        assert!(matches!(rolled, Ok(_) | Err(AppendError::Poisoned(_))), "{rolled:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(log.marks().fault.is_some());
        assert_eq!(log.recovery_point(), 0, "nothing of it may be skipped at the next start");
    });
}

#[test]
fn a_failed_write_poisons_and_fails_all_waiters() {
    for store in [inline_store(), direct_store(1)] {
        run(async {
            let (_dir, log) = opened(&store, small_config()).await;
            append(&log, batch(1, 10)).await.expect("append");
            log.shared_drained().await;
            store.script.fail(IoOp::Write, EIO);
            let waiter = tokio::task::spawn_local({
                let log = log.clone();
                async move { log.wait(0, Level::Written, 2).await }
            });
            tokio::task::yield_now().await;
            let outcome = append(&log, batch(1, 10)).await;
            assert!(matches!(outcome, Ok(_) | Err(AppendError::Poisoned(_))), "{outcome:?}");
            assert!(matches!(waiter.await.expect("task"), Err(WaitError::Fault(_))));
            assert!(matches!(append(&log, batch(1, 10)).await, Err(AppendError::Poisoned(_))));
            assert_eq!(log.marks().written, 1);
        });
    }
}

#[test]
fn a_full_disk_at_reserve_is_an_ordinary_error() {
    run(async {
        let limits = INLINE;
        let store = TestStore::new(SimConfig { limits, capacity_bytes: 20_000, ..SimConfig::default() });
        let (_dir, log) = opened(&store, LogConfig { segment_bytes: 1 << 20, ..small_config() }).await;
        let mut accepted = 0;
        let refused = loop {
            match append(&log, batch(1, 1_000)).await {
                Ok(_) => accepted += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(&refused, AppendError::NoSpace(f) if f.kind == FaultKind::NoSpace), "{refused:?}");
        assert!(accepted > 10, "the last room is used too: {accepted}");
        assert_eq!((log.marks().accepted, log.marks().generation), (accepted, 0));
        assert!(log.marks().fault.is_none());
        append(&log, batch(1, 20)).await.expect("a smaller batch still fits");
        assert_eq!(read_all(&log, 1_000).await.len() as i64, accepted + 1);
    });
}

#[test]
fn a_batch_that_a_full_disk_cut_off_does_not_come_back_after_a_power_cut() {
    for seed in 0..20 {
        run(async move {
            let (inner, faults) = (inline_store(), Faults::new(seed));
            let dir = tempfile::tempdir().expect("temp dir");
            let (dir, store) = (dir.path().join("t-0"), Faulty::new(inner.clone(), faults.clone()));
            let (log, _) = open(store, &dir, small_config(), None, false).await;
            append(&log, batch(1, 100)).await.expect("append");
            log.flush().await.expect("flush");
            // All of it reaches the file, and is refused all the same.
            faults.tear_nth_write(1, usize::MAX, ENOSPC);
            let refused = append(&log, batch(1, 100)).await;
            assert!(matches!(refused, Err(AppendError::NoSpace(_))), "{refused:?}");
            log.shared_drained().await;
            let (log, _) = open(inner.crash(seed), &dir, small_config(), Some(1), false).await;
            assert_eq!(log.marks().accepted, 1, "seed {seed}");
        });
    }
}

#[test]
fn a_broken_device_is_not_taken_for_a_full_disk_because_another_write_found_no_room() {
    for errnos in [[ENOSPC, EIO], [EIO, ENOSPC]] {
        run(async move {
            let store = direct_store(1);
            let (_dir, log) = opened(&store, small_config()).await;
            // Several writes in flight, of which two fail.
            errnos.iter().for_each(|errno| store.script.fail(IoOp::Write, *errno));
            let at = append(&log, batch(1, 12_000)).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let fault = log.marks().fault.unwrap_or_else(|| panic!("{errnos:?}: in service after {at:?}"));
            assert_eq!(fault.errno(), Some(EIO));
        });
    }
}

#[test]
fn a_full_disk_at_roll_is_an_ordinary_error_and_the_next_try_rolls() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, small_config()).await;
        append(&log, batch(1, 10_000)).await.expect("append");
        store.script.fail(IoOp::Create, ENOSPC);
        store.script.fail(IoOp::Create, ENOSPC);
        let refused = append(&log, batch(1, 10_000)).await;
        assert!(matches!(refused, Err(AppendError::NoSpace(_))), "{refused:?}");
        assert_eq!((log.segments().len(), log.marks().accepted), (1, 1));
        append(&log, batch(1, 10_000)).await.expect("there is room again");
        assert_eq!((log.segments().len(), log.marks().accepted), (2, 2));
        assert_eq!(read_all(&log, 1).await.len(), 2);
    });
}

#[test]
fn a_full_disk_at_write_is_cut_back_and_the_log_goes_on() {
    for store in [inline_store(), direct_store(3)] {
        run(async {
            let (_dir, log) = opened(&store, LogConfig { segment_bytes: 1 << 20, ..small_config() }).await;
            append(&log, produced(7, 0, 0, 2)).await.expect("append");
            log.shared_drained().await;
            store.script.fail(IoOp::Write, ENOSPC);
            match append(&log, produced(7, 0, 2, 3)).await {
                Err(AppendError::NoSpace(_)) => {}
                Ok(at) => {
                    let waited = log.wait(at.generation, Level::Written, at.last_offset + 1).await;
                    assert!(matches!(waited, Err(WaitError::NoSpace)), "{waited:?}");
                }
                Err(other) => panic!("{other:?}"),
            }
            let marks = log.marks();
            assert_eq!((marks.accepted, marks.written, marks.generation), (2, 2, 1));
            assert!(marks.fault.is_none());
            log.wait(0, Level::Written, 2).await.expect("what was written before the cut is still good");
            // The producer's retry is in order, because its state was taken back too.
            let at = append(&log, produced(7, 0, 2, 3)).await.expect("retry");
            assert_eq!((at.base_offset, at.duplicate, at.generation), (2, false, 1));
            log.wait(at.generation, Level::Written, 5).await.expect("written");
            assert_eq!(read_all(&log, 1 << 20).await.len(), 2);
            log.close().await.expect("close");
        });
    }
}

#[test]
fn a_slow_sync_does_not_block_appends_and_one_sync_covers_all() {
    for store in [inline_store(), direct_store(4)] {
        run(async {
            let (_dir, log) = opened(&store, LogConfig { segment_bytes: 1 << 20, ..fsync_config() }).await;
            store.script.hold_syncs.store(1, Ordering::SeqCst);
            let first = append(&log, batch(1, 100)).await.expect("append");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(store.script.syncs.load(Ordering::SeqCst), 1, "the first sync is under way");
            for _ in 0..20 {
                let at = append(&log, batch(1, 100)).await.expect("append");
                log.wait(at.generation, Level::Written, at.last_offset + 1).await.expect("written meanwhile");
            }
            assert_eq!((log.marks().written, log.marks().durable), (21, 0));
            let seen: Arc<Mutex<Vec<i64>>> = Arc::default();
            let sink = Arc::clone(&seen);
            log.set_observer(Arc::new(move |marks| sink.lock().expect("seen").push(marks.durable)));
            store.script.release_syncs();
            log.wait(first.generation, Level::Durable, 21).await.expect("durable");
            assert_eq!(
                *seen.lock().expect("seen"),
                [1, 21],
                "what was written when each sync began, no more"
            );
            assert_eq!(store.script.syncs.load(Ordering::SeqCst), 2, "one group");
        });
    }
}

#[test]
fn flush_messages_and_flush_ms() {
    run(async {
        let store = inline_store();
        let flush = FlushPolicy { messages: Some(3), interval_ms: None };
        let (_dir, log) = opened(&store, LogConfig { flush, ..small_config() }).await;
        append(&log, batch(2, 10)).await.expect("append");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(log.marks().durable, 0);
        append(&log, batch(1, 10)).await.expect("append");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(log.marks().durable, 3);

        let flush = FlushPolicy { messages: None, interval_ms: Some(500) };
        let (_dir, log) = opened(&inline_store(), LogConfig { flush, ..small_config() }).await;
        append(&log, batch(2, 10)).await.expect("append");
        tokio::time::sleep(Duration::from_millis(499)).await;
        assert_eq!(log.marks().durable, 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(log.marks().durable, 2);
    });
}

#[test]
fn replicated_durability_syncs_only_at_rolls() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, small_config()).await;
        let before = store.script.syncs.load(Ordering::SeqCst);
        append(&log, batch(1, 9_000)).await.expect("append");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(store.script.syncs.load(Ordering::SeqCst), before);
        append(&log, batch(1, 9_000)).await.expect("append");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            (log.marks().durable, log.recovery_point()),
            (1, 1),
            "the sealed segment, not the active one"
        );
        assert_eq!(store.script.syncs.load(Ordering::SeqCst), before + 1);
    });
}

#[test]
fn a_dropped_waiter_or_append_never_drops_a_write() {
    run(async {
        let store = direct_store(5);
        let (_dir, log) = opened(&store, small_config()).await;
        let at = append(&log, batch(1, 100)).await.expect("append");
        {
            let wait = log.wait(at.generation, Level::Written, at.last_offset + 1);
            tokio::pin!(wait);
            assert!(futures_now(wait.as_mut()).is_pending());
        }
        log.shared_drained().await;
        assert_eq!(log.marks().written, 1);
    });
}

#[test]
fn a_new_generation_fails_every_waiter_of_the_old() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, small_config()).await;
        let waiters: Vec<_> = [Level::Written, Level::Durable]
            .into_iter()
            .map(|level| {
                let log = log.clone();
                tokio::task::spawn_local(async move { log.wait(0, level, 10).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(log.new_generation(), 1);
        for waiter in waiters {
            let outcome = waiter.await.expect("task");
            assert!(
                matches!(outcome, Err(WaitError::GenerationChanged { waited: 0, current: 1 })),
                "{outcome:?}"
            );
        }
        assert!(log.wait(0, Level::Written, 0).await.is_err(), "late ones too");
        let at = append(&log, batch(1, 1)).await.expect("append");
        assert_eq!(at.generation, 1);
        log.wait(1, Level::Written, 1).await.expect("written");
    });
}

#[test]
fn the_observer_sees_marks_rise_and_generations_change() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, fsync_config()).await;
        let seen: Arc<Mutex<Vec<Marks>>> = Arc::default();
        let sink = Arc::clone(&seen);
        let inner = log.clone();
        log.set_observer(Arc::new(move |marks| {
            // No lock is held: the log may be asked from inside.
            assert!(inner.marks().written >= marks.written);
            sink.lock().expect("seen").push(marks.clone());
        }));
        let at = append(&log, batch(4, 10)).await.expect("append");
        log.wait(at.generation, Level::Durable, 4).await.expect("durable");
        log.new_generation();
        let seen = seen.lock().expect("seen");
        let seen: Vec<_> = seen.iter().map(|m| (m.written, m.durable, m.generation)).collect();
        assert_eq!(seen, [(4, 0, 0), (4, 4, 0), (4, 4, 1)]);
    });
}

#[test]
fn direct_writes_overlap_but_never_share_a_block() {
    run(async {
        let store = direct_store(6);
        let config =
            LogConfig { segment_bytes: 64 << 20, reserve_step_max_bytes: 64 << 20, ..LogConfig::default() };
        let (_dir, log) = opened(&store, config).await;
        // Each larger than one write may be, so that several are in flight at once.
        for _ in 0..4 {
            append(&log, batch(1, 3 << 20)).await.expect("append");
        }
        log.shared_drained().await;
        assert!(store.script.in_flight_most.load(Ordering::SeqCst) > 1);
        let batches = read_all(&log, 1 << 30).await;
        assert_eq!(batches.len(), 4, "and read_all checked each CRC");
    });
}

#[test]
fn e15_a_refused_batch_leaves_no_trace() {
    run(async {
        let store = inline_store();
        let (_dir, log) = opened(&store, small_config()).await;
        append(&log, produced(7, 0, 0, 1)).await.expect("append");
        let before = log.producer(7);
        assert!(matches!(append(&log, produced(7, 0, 5, 1)).await, Err(AppendError::Producer(_))));
        store.script.fail(IoOp::Create, ENOSPC);
        store.script.fail(IoOp::Create, ENOSPC);
        append(&log, batch(1, 9_000)).await.expect("append");
        let large =
            stamped(plimsoll_records::ProducerStamp { id: 7, epoch: 0, base_sequence: 1 }, 1_000, 1, 9_000);
        assert!(matches!(append(&log, large).await, Err(AppendError::NoSpace(_))));
        assert_eq!(log.producer(7), before);
        let too_large = append(&log, batch(1, 20_000)).await;
        assert!(
            matches!(too_large, Err(AppendError::TooLarge { segment_bytes: 16384, .. })),
            "{too_large:?}"
        );
        assert_eq!(log.marks().accepted, 2);
    });
}

#[test]
fn e17_a_replica_batch_below_the_end_is_refused_and_may_restart_an_empty_log() {
    run(async {
        let (_dir, log) = opened(&inline_store(), small_config()).await;
        log.truncate_fully_and_start_at(105).await.expect("restart");
        let mut batch = batch(10, 20);
        batch.set_base_offset(100);
        batch.set_leader_epoch(3);
        let refused = replicate(&log, batch.clone()).await;
        let Err(AppendError::UnexpectedOffset { first_offset, last_offset, log_end_offset }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((first_offset, last_offset, log_end_offset), (100, 109, 105));
        log.truncate_fully_and_start_at(first_offset).await.expect("restart");
        replicate(&log, batch).await.expect("append");
        log.increment_start_offset(105);
        assert_eq!((log.marks().start_offset, log.marks().accepted), (105, 110));
        assert_eq!(log.read(105, i64::MAX, 1, true).await.expect("read").first_offset, Some(100));
        assert_eq!(log.latest_epoch().map(|e| e.epoch), Some(3));
    });
}

#[test]
fn replicas_keep_gaps_and_refuse_damage() {
    run(async {
        let (_dir, log) = opened(&inline_store(), small_config()).await;
        let at = |base: i64| {
            let mut batch = batch(2, 20);
            batch.set_base_offset(base);
            batch.set_leader_epoch(1);
            batch
        };
        replicate(&log, at(0)).await.expect("append");
        replicate(&log, at(10)).await.expect("a gap left by compaction");
        replicate(&log, at(10 + i64::from(i32::MAX) + 5))
            .await
            .expect("a gap wider than relative offsets: rolls");
        assert_eq!(log.segments().len(), 2);
        assert_eq!(log.read(5, i64::MAX, 1, true).await.expect("read").first_offset, Some(10));
        let next = log.read(100, i64::MAX, 1, true).await.expect("read").first_offset;
        assert_eq!(next, Some(10 + i64::from(i32::MAX) + 5), "the next segment answers for a gap");
        let mut bytes = at(1 << 40).to_bytes().to_vec();
        *bytes.last_mut().expect("byte") ^= 1;
        let damaged = plimsoll_records::Batch::from_bytes(bytes.into()).expect("shape");
        assert!(matches!(replicate(&log, damaged).await, Err(AppendError::Corrupt(_))));
    });
}

#[test]
fn e27_epochs_are_checkpointed_before_their_first_batch() {
    run(async {
        let store = inline_store();
        let (dir, log) = opened(&store, small_config()).await;
        let dir = dir.path().join("t-0");
        let with_epoch = |epoch| {
            let log = log.clone();
            async move {
                let request = plimsoll_log::AppendRequest {
                    batch: batch(2, 5),
                    leader_epoch: epoch,
                    origin: Origin::Client,
                };
                log.append(request).await.expect("append")
            }
        };
        with_epoch(1).await;
        assert_eq!(
            std::fs::read_to_string(dir.join("leader-epoch-checkpoint")).expect("file"),
            "0\n1\n1 0\n"
        );
        assert_eq!(log.assign_leader_epoch(4).await.expect("assign"), 2);
        assert_eq!(
            std::fs::read_to_string(dir.join("leader-epoch-checkpoint")).expect("file"),
            "0\n2\n1 0\n4 2\n"
        );
        with_epoch(4).await;
        assert_eq!(log.epoch_end_offset(1).end_offset, 2);
        assert_eq!(log.epoch_end_offset(4).end_offset, 4);
        log.truncate_to(2).await.expect("truncate");
        assert_eq!(
            std::fs::read_to_string(dir.join("leader-epoch-checkpoint")).expect("file"),
            "0\n1\n1 0\n"
        );
        assert_eq!(log.epoch_end_offset(1).end_offset, 2);
    });
}

#[test]
fn e31_rolls_by_time_and_full_index() {
    run(async {
        let (_dir, log) = opened(&inline_store(), LogConfig { segment_ms: 1_000, ..small_config() }).await;
        for (timestamp, segments) in [(5_000, 1), (6_000, 1), (6_001, 2), (1, 2), (7_002, 3)] {
            append(&log, batch_at(timestamp, 1, 10)).await.expect("append");
            assert_eq!(log.segments().len(), segments, "at {timestamp}");
        }
        let config = LogConfig { index_size_max_bytes: 24, index_interval_bytes: 0, ..small_config() };
        let (_dir, log) = opened(&inline_store(), config).await;
        for _ in 0..9 {
            append(&log, batch(1, 10)).await.expect("append");
        }
        assert!(log.segments().len() > 1, "a full index rolls");
        assert_eq!(read_all(&log, 100).await.len(), 9);
    });
}

/// Polls once.
fn futures_now<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

/// Waiting for what was accepted, whatever it takes.
trait Drained {
    async fn shared_drained(&self);
}

impl<S: SegmentStore> Drained for Log<S> {
    async fn shared_drained(&self) {
        let marks = self.marks();
        self.wait(marks.generation, Level::Written, marks.accepted).await.expect("written");
    }
}

#[test]
fn a_reservation_whose_sync_finds_no_space_is_poison_and_not_tried_again() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let (log, _) = open(store.clone(), &parent.path().join("t-0"), small_config(), None, false).await;
        *store.script.sync_in_reserve.lock().expect("script") = Some(28);
        let outcome = loop {
            match append(&log, batch(1, 1000)).await {
                Ok(_) => assert!(log.segments().len() < 3, "no reservation met the fault"),
                Err(error) => break error,
            }
        };
        assert!(matches!(outcome, AppendError::Poisoned(_)), "{outcome:?}");
        let again = append(&log, batch(1, 10)).await;
        assert!(matches!(again, Err(AppendError::Poisoned(_))), "{again:?}");
    });
}
