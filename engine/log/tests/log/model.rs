//! The log against a list of batches.

use plimsoll_log::{DeleteRecordsError, Level, Log, OpenHints, RetentionPolicy, SegmentInfo};
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
    DeleteRecords { at: u16 },
    Retain { retention_ms: Option<i64>, retention_bytes: Option<u64>, at: u16 },
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
        1 => any::<u16>().prop_map(|at| Op::DeleteRecords { at }),
        2 => (proptest::option::of(0i64..6_000), proptest::option::of(0u64..80_000), any::<u16>())
            .prop_map(|(retention_ms, retention_bytes, at)| Op::Retain { retention_ms, retention_bytes, at }),
    ]
}

/// Behind all timestamps.
const NOW_MS: i64 = 6_000;

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

    /// The log start after retention: Kafka's three passes, each over what the one before left.
    fn retain(&self, segments: &[SegmentInfo], policy: &RetentionPolicy, high_watermark: i64) -> i64 {
        let mut left: Vec<&SegmentInfo> = segments.iter().filter(|s| s.size_bytes > 0 || !s.active).collect();
        let may_go = |s: &SegmentInfo| s.next_offset <= high_watermark;
        while left.first().is_some_and(|s| !s.active && s.next_offset <= self.start && may_go(s)) {
            left.remove(0);
        }
        let size = |left: &[&SegmentInfo]| left.iter().map(|s| s.size_bytes).sum::<u64>();
        let fits = |left: &[&SegmentInfo]| policy.retention_bytes.is_some_and(|most| size(left) >= most);
        while left.first().is_some_and(|s| fits(&left[1..]) && may_go(s)) {
            left.remove(0);
        }
        let newest = |s: &SegmentInfo| {
            let held = self
                .batches
                .iter()
                .filter(|b| (s.base_offset..s.next_offset).contains(&b.header().base_offset));
            held.map(|b| b.header().max_timestamp).max().unwrap_or(i64::MAX)
        };
        let expired = |s: &SegmentInfo| policy.retention_ms.is_some_and(|most| NOW_MS - newest(s) > most);
        while left.first().is_some_and(|s| expired(s) && may_go(s)) {
            left.remove(0);
        }
        left.first().map_or(self.end(), |s| s.base_offset).max(self.start)
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
                let hints =
                    OpenHints { recovery_point: Some(recovery_point), log_start_offset: Some(start), clean };
                (log, _) =
                    Log::open(store.clone(), &dir, TOPIC_ID, small_config(), hints).await.expect("open");
            }
            Op::RaiseStart { at } => {
                let span = (model.end() - model.start).max(1);
                model.start = log.increment_start_offset(model.start + i64::from(at) % span / 2);
                log.remove_old_segments().await.expect("remove");
            }
            Op::DeleteRecords { at } => {
                let before = model.start + i64::from(at) % (model.end() - model.start + 2);
                match log.delete_records(before, model.end()).await {
                    Ok(start) => model.start = start,
                    Err(DeleteRecordsError::OutOfRange { .. }) => assert_eq!(before, model.end() + 1),
                    Err(error) => panic!("{error}"),
                }
            }
            Op::Retain { retention_ms, retention_bytes, at } => {
                let policy = RetentionPolicy { retention_ms, retention_bytes };
                let high_watermark = model.end() - i64::from(at) % 20 / 2;
                // What is still being sealed would only go with the next call.
                log.flush().await.expect("flush");
                let expected = model.retain(&log.segments(), &policy, high_watermark);
                let retained = log.apply_retention(&policy, high_watermark, NOW_MS).await.expect("retention");
                assert_eq!(retained.log_start_offset, expected, "{policy:?} below {high_watermark}");
                model.start = expected;
            }
        }
        assert_eq!((log.marks().accepted, log.marks().start_offset), (model.end(), model.start));
        assert_eq!(log.log_size_bytes(), log.segments().iter().map(|s| s.size_bytes).sum::<u64>());
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
