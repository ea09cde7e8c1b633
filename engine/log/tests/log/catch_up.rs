//! A consumer that goes through a log from start to end, over a device whose reads cost: each byte is read once.

use crate::common::*;
use crate::contract::temp;
use plimsoll_io::{IoOp, Metered};
use plimsoll_log::LogConfig;

/// Reads everything, `max_bytes` at a time, and returns bytes read from the device by bytes of batches, and the reads of
/// the log by those of the device.
async fn cost(max_bytes: usize, index_interval_bytes: u32) -> (f64, f64) {
    let store = Metered::new(direct_store(1));
    let meter = store.meter().clone();
    let (_guard, dir) = temp();
    let config = LogConfig { segment_bytes: 512 << 10, index_interval_bytes, ..LogConfig::default() };
    let (log, _) = open(store, &dir, config, None, false).await;
    for _ in 0..400 {
        append(&log, batch(4, 1_100)).await.expect("append");
    }
    log.flush().await.expect("flush");
    let upto_offset = log.segments().last().expect("segments").base_offset;
    let before = meter.summary(IoOp::Read);
    let (mut offset, mut log_bytes, mut log_reads) = (0, 0, 0);
    while offset < upto_offset {
        let out = log.read(offset, upto_offset, max_bytes, true).await.expect("read");
        assert_eq!(out.first_offset, Some(offset));
        let batches = batches_of(&out);
        assert!(!batches.is_empty());
        for batch in &batches {
            assert_eq!(batch.header().base_offset, offset, "no batch is missing or given twice");
            offset = batch.header().next_offset();
            log_bytes += batch.size_bytes();
        }
        log_reads += 1;
    }
    let after = meter.summary(IoOp::Read);
    let (bytes, reads) = (after.bytes - before.bytes, after.count - before.count);
    (bytes as f64 / log_bytes as f64, reads as f64 / f64::from(log_reads))
}

#[test]
fn one_read_of_the_log_is_one_of_the_device() {
    for (max_bytes, interval_bytes) in [(64 << 10, 4096), (64 << 10, 60_000), (200 << 10, 4096)] {
        let (bytes, reads) = run(cost(max_bytes, interval_bytes));
        assert!(bytes < 1.3, "{bytes} bytes read per byte of batches, {max_bytes} at a time");
        assert!(reads < 1.5, "{reads} reads of the device per read of the log, {max_bytes} at a time");
    }
}
