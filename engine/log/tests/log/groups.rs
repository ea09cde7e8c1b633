//! Group commit over a direct backend: several writes in flight, then one sync for all of them.

use crate::common::*;
use crate::contract::temp;
use plimsoll_io::{IoOp, Metered, Preallocation, SegmentStore, UringOptions, UringStore};
use plimsoll_log::{Durability, Level, LogConfig};

/// Appends `count` batches, waits until all are durable and returns how often the store wrote and synced.
async fn durable<S: SegmentStore>(store: S, write_max_bytes: usize, count: usize) -> (u64, u64) {
    let store = Metered::new(store);
    let meter = store.meter().clone();
    let (_guard, dir) = temp();
    let config = LogConfig { durability: Durability::Fsync, write_max_bytes, ..LogConfig::default() };
    let (log, _) = open(store, &dir, config, None, false).await;
    let before = (meter.summary(IoOp::Write).count, meter.summary(IoOp::Sync).count);
    let mut last = None;
    for _ in 0..count {
        last = Some(append(&log, batch(4, 15_000)).await.expect("append"));
    }
    let last = last.expect("batches");
    log.wait(last.generation, Level::Durable, last.last_offset + 1).await.expect("durable");
    (meter.summary(IoOp::Write).count - before.0, meter.summary(IoOp::Sync).count - before.1)
}

#[test]
fn one_sync_covers_several_writes_that_were_in_flight() {
    for seed in 0..10 {
        let (writes, syncs) = run(durable(direct_store(seed), 64 << 10, 32));
        assert!((20..=40).contains(&writes), "{writes} writes");
        assert!((1..=writes * 2 / 3).contains(&syncs), "{syncs} syncs of {writes} writes");
    }
}

#[test]
fn over_a_real_ring_too() {
    match UringStore::new(Preallocation::Fallocate, UringOptions::default()) {
        Err(reason) => println!("skipped: io_uring: {reason}"),
        Ok(store) => {
            let (writes, syncs) = run(durable(store, 1 << 20, 64));
            assert!((1..=writes).contains(&syncs), "{syncs} syncs of {writes} writes");
        }
    }
}

/// What several writes in flight do to a full pipeline: whole blocks only, none of them written twice.
#[test]
fn a_pipeline_that_never_runs_dry_writes_hardly_a_block_twice() {
    run(async {
        let store = Metered::new(direct_store(3));
        let meter = store.meter().clone();
        let (_guard, dir) = temp();
        let config = LogConfig { write_max_bytes: 16 << 10, ..LogConfig::default() };
        let (log, _) = open(store, &dir, config, None, false).await;
        let (mut outstanding, mut payload_bytes) = (std::collections::VecDeque::new(), 0);
        for _ in 0..200 {
            let batch = batch(4, 3_001);
            payload_bytes += batch.size_bytes() as u64;
            outstanding.push_back(append(&log, batch).await.expect("append"));
            if outstanding.len() > 16
                && let Some(oldest) = outstanding.pop_front()
            {
                log.wait(oldest.generation, Level::Written, oldest.last_offset + 1).await.expect("written");
            }
        }
        let written_bytes = meter.summary(IoOp::Write).bytes;
        let ratio = written_bytes as f64 / payload_bytes as f64;
        assert!(ratio < 1.02, "{ratio} bytes written per byte of payload");
    });
}
