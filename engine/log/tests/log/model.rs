//! The log against a list of batches.

use plimsoll_log::{Level, Log};
use plimsoll_records::Batch;
use proptest::prelude::*;

use std::time::Duration;

use crate::common::*;

#[derive(Clone, Debug)]
enum Op {
    Append { records: usize, value_bytes: usize, timestamp: i64 },
    Read { at: u16, upto: u16, max_bytes: usize, at_least_one: bool },
    FindTime { timestamp: i64 },
    Truncate { at: u16 },
    Flush,
    Restart { clean: bool },
    RaiseStart { at: u16 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (1usize..5, 1usize..2000, 0i64..5_000)
            .prop_map(|(records, value_bytes, timestamp)| Op::Append { records, value_bytes, timestamp }),
        8 => (any::<u16>(), any::<u16>(), 0usize..6_000, any::<bool>())
            .prop_map(|(at, upto, max_bytes, at_least_one)| Op::Read { at, upto, max_bytes, at_least_one }),
        4 => (0i64..5_100).prop_map(|timestamp| Op::FindTime { timestamp }),
        1 => any::<u16>().prop_map(|at| Op::Truncate { at }),
        1 => Just(Op::Flush),
        1 => any::<bool>().prop_map(|clean| Op::Restart { clean }),
        1 => any::<u16>().prop_map(|at| Op::RaiseStart { at }),
    ]
}

#[derive(Default)]
struct Model {
    batches: Vec<Batch>,
    start: i64,
}

impl Model {
    fn end(&self) -> i64 {
        self.batches.last().map_or(0, |b| b.header().next_offset()).max(self.start)
    }

    /// Whole batches by a linear scan.
    fn read(&self, from: i64, upto: i64, max_bytes: usize, at_least_one: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for batch in &self.batches {
            let header = batch.header();
            if header.last_offset() < from {
                continue;
            }
            let first = bytes.is_empty() && at_least_one;
            if header.last_offset() >= upto || (bytes.len() + batch.size_bytes() > max_bytes && !first) {
                break;
            }
            bytes.extend_from_slice(&batch.to_bytes());
        }
        bytes
    }

    fn find_time(&self, timestamp: i64) -> Option<i64> {
        self.batches.iter().find_map(|batch| {
            let mut decompressor = plimsoll_records::Decompressor::new();
            let mut records = batch.records(&mut decompressor, plimsoll_records::RecordLimits::default());
            records.find_map(|record| {
                let record = record.expect("record");
                (record.timestamp >= timestamp && record.offset >= self.start).then_some(record.offset)
            })
        })
    }
}

async fn check(store: TestStore, ops: Vec<Op>) {
    let temp = tempfile::tempdir().expect("temp dir");
    let dir = temp.path().join("t-0");
    let (mut log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    let mut model = Model::default();
    for op in ops {
        match op {
            Op::Append { records, value_bytes, timestamp } => {
                let mut batch = batch_at(timestamp, records, value_bytes);
                let at = append(&log, batch.clone()).await.expect("append");
                assert_eq!(at.base_offset, model.end());
                batch.set_base_offset(at.base_offset);
                batch.set_leader_epoch(0);
                model.batches.push(batch);
                log.wait(at.generation, Level::Written, at.last_offset + 1).await.expect("written");
            }
            Op::Read { at, upto, max_bytes, at_least_one } => {
                let span = model.end() - model.start + 1;
                let from = model.start + i64::from(at) % span;
                let upto = model.start + i64::from(upto) % (span + 3);
                compare_read(&log, &model, from, upto, max_bytes, at_least_one).await;
            }
            Op::FindTime { timestamp } => {
                let found = log.offset_for_timestamp(timestamp, i64::MAX).await.expect("lookup");
                assert_eq!(found.map(|f| f.offset), model.find_time(timestamp), "time {timestamp}");
            }
            Op::Truncate { at } => {
                let to = model.start + i64::from(at) % (model.end() - model.start + 1);
                let end = log.truncate_to(to).await.expect("truncate");
                model.batches.retain(|b| b.header().last_offset() < to);
                model.start = model.start.min(end);
                assert_eq!(end, log.marks().accepted);
                if let Some(last) = model.batches.last() {
                    assert_eq!(end, last.header().next_offset());
                }
            }
            Op::Flush => log.flush().await.expect("flush"),
            Op::Restart { clean } => {
                let (start, recovery_point) = (log.marks().start_offset, log.recovery_point());
                match clean {
                    true => log.close().await.expect("close"),
                    false => {
                        log.flush().await.expect("settle");
                        // No task of a process that died goes on.
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
                (log, _) = open(store.clone(), &dir, small_config(), Some(recovery_point), clean).await;
                log.increment_start_offset(start);
            }
            Op::RaiseStart { at } => {
                let span = (model.end() - model.start).max(1);
                model.start = log.increment_start_offset(model.start + i64::from(at) % span / 2);
                log.remove_old_segments().await.expect("remove");
            }
        }
        assert_eq!((log.marks().accepted, log.marks().start_offset), (model.end(), model.start));
    }
}

async fn compare_read(
    log: &Log<TestStore>,
    model: &Model,
    from: i64,
    upto: i64,
    max_bytes: usize,
    at_least_one: bool,
) {
    let expected = model.read(from, upto, max_bytes, at_least_one);
    let out = log.read(from, upto, max_bytes, at_least_one).await.expect("read");
    let found = out.records.to_bytes().expect("bytes");
    // A read answers from one segment, so it may stop early, but at a batch and never with nothing instead of
    // something.
    assert!(expected.starts_with(&found), "{from}..{upto} {max_bytes} {at_least_one}");
    assert_eq!(found.is_empty(), expected.is_empty(), "{from}..{upto} {max_bytes} {at_least_one}");
    if found.len() < expected.len() {
        let segments = log.segments();
        let mut bytes = found.clone();
        let mut next = from;
        while let Some(batch) = Batch::split_from(&mut bytes).expect("batch") {
            next = batch.header().next_offset();
        }
        assert!(segments.iter().any(|s| s.base_offset == next), "stopped at {next}, which begins no segment");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_log_agrees_with_a_linear_scan(ops in proptest::collection::vec(op(), 1..80), direct: bool, seed: u64) {
        let store = if direct { direct_store(seed) } else { inline_store() };
        run(check(store, ops));
    }
}
