//! Compaction against a map: whatever was appended, cleaned, crashed and restarted, the newest value of each key is read
//! back at the offset it was written to.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use plimsoll_io::{
    MmapStore, PageCacheStore, Preallocation, SegmentStore, UringOptions, UringStore, probe_io_uring,
};
use plimsoll_log::{
    AbortedTxn, CompactError, CompactProblem, CompactRequest, CompactionPolicy, CompactionReport, Log,
    LogConfig, OffsetMap, Throttle,
};
use plimsoll_records::marker::{EndTxn, end_txn};
use plimsoll_records::{
    Batch, BatchBuilder, Codec, CodecId, Compressor, Decompressor, ProducerStamp, RecordLimits,
};
use proptest::prelude::*;

use crate::common::*;

const RETENTION_MS: i64 = 1_000;

/// A batch of keyed records; `None` is a tombstone. Values are long enough for a few batches to fill a segment.
pub(crate) fn keyed(codec: CodecId, stamp: ProducerStamp, transactional: bool, records: &[Keyed]) -> Batch {
    let mut builder = BatchBuilder::new(Codec::with_default_level(codec));
    builder.set_producer(stamp).set_transactional(transactional);
    for (i, (key, value)) in records.iter().enumerate() {
        let value = value.map(|v| filler(*key, v));
        builder.push(1_000 + i as i64, Some(&[*key]), value.as_deref(), &[("h", Some(b"x"))]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

/// Does not compress, so that codecs do not make all segments alike.
fn filler(key: u8, value: u8) -> Vec<u8> {
    let mut state = u64::from(key) << 8 | u64::from(value) | 1 << 40;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::once(value).chain((0..600).map(step)).collect()
}

pub(crate) type Keyed = (u8, Option<u8>);

/// What was appended, and how its transactions ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Every record by offset: key, value, timestamp, producer of an open or aborted transaction.
    records: BTreeMap<i64, (u8, Option<Vec<u8>>, i64)>,
    /// Offsets that `read_committed` must not see.
    hidden: Vec<(i64, i64, i64)>,
    pub(crate) aborted: Vec<AbortedTxn>,
    /// First offset of each open transaction.
    open: HashMap<i64, i64>,
    sequences: HashMap<i64, i32>,
    first_dirty: Option<i64>,
    pub(crate) now_ms: i64,
}

impl History {
    fn visible(&self, offset: i64, producer_id: i64) -> bool {
        let hides =
            |(id, first, last): &(i64, i64, i64)| *id == producer_id && (*first..=*last).contains(&offset);
        !self.hidden.iter().any(hides)
    }

    /// The newest committed value of each key that has one.
    fn newest(&self, producers: &HashMap<i64, i64>) -> BTreeMap<u8, (i64, u8)> {
        let mut newest = BTreeMap::new();
        for (offset, (key, value, _)) in &self.records {
            if self.visible(*offset, producers.get(offset).copied().unwrap_or(-1)) {
                match value {
                    Some(value) => newest.insert(*key, (*offset, value[0])),
                    None => newest.remove(key),
                };
            }
        }
        newest
    }

    /// Forgets what a truncation cut off.
    pub(crate) fn truncate(&mut self, end: i64) {
        self.records.retain(|offset, _| *offset < end);
    }

    fn stable_offset(&self, end: i64) -> i64 {
        self.open.values().copied().min().unwrap_or(end)
    }
}

/// Id, epoch, last sequence and offset, and where its transaction began.
pub(crate) type ProducerState = (i64, i16, Option<(i32, i64)>, Option<i64>);

/// A log under test with its history.
pub(crate) struct Cleaned<S: SegmentStore> {
    pub(crate) log: Log<S>,
    pub(crate) history: History,
    /// Producer of each offset that has one and is transactional.
    pub(crate) producers: HashMap<i64, i64>,
}

impl<S: SegmentStore> Cleaned<S> {
    pub(crate) fn new(log: Log<S>) -> Self {
        Self { log, history: History { now_ms: 10_000, ..History::default() }, producers: HashMap::new() }
    }

    pub(crate) async fn append(&mut self, codec: CodecId, producer: Option<(i64, bool)>, records: &[Keyed]) {
        let (id, transactional) = producer.unwrap_or((-1, false));
        let sequence = self.history.sequences.get(&id).copied().unwrap_or(0);
        let stamp = match producer {
            Some(_) => ProducerStamp { id, epoch: 0, base_sequence: sequence },
            None => ProducerStamp::NONE,
        };
        let at = append(&self.log, keyed(codec, stamp, transactional, records)).await.expect("append");
        self.history.sequences.insert(id, sequence + records.len() as i32);
        for (i, (key, value)) in records.iter().enumerate() {
            let (offset, value) = (at.base_offset + i as i64, value.map(|v| filler(*key, v)));
            self.history.records.insert(offset, (*key, value, 1_000 + i as i64));
            if transactional {
                self.producers.insert(offset, id);
            }
        }
        if transactional {
            self.history.open.entry(id).or_insert(at.base_offset);
        }
    }

    pub(crate) async fn end(&mut self, id: i64, end: EndTxn) {
        let Some(first_offset) = self.history.open.remove(&id) else { return };
        let marker = end_txn(end, 0, id, 0, 2_000).expect("marker");
        let last_offset = append(&self.log, marker).await.expect("append").last_offset;
        if end == EndTxn::Abort {
            let last_stable_offset = self.history.stable_offset(last_offset + 1);
            let txn = AbortedTxn { producer_id: id, first_offset, last_offset, last_stable_offset };
            self.history.aborted.push(txn);
            self.history.hidden.push((id, first_offset, last_offset));
        }
    }

    pub(crate) async fn compact(&mut self, map: &mut OffsetMap) -> Result<CompactionReport, CompactError> {
        self.log.flush().await.expect("flush");
        let throttle = Throttle::unlimited();
        let request = CompactRequest {
            policy: CompactionPolicy { delete_retention_ms: RETENTION_MS, ..CompactionPolicy::default() },
            upto_offset: self.history.stable_offset(self.log.marks().accepted),
            first_dirty_offset: self.history.first_dirty,
            now_ms: self.history.now_ms,
            aborted: self.history.aborted.clone(),
            map,
            throttle: &throttle,
        };
        let report = self.log.compact(request).await?;
        self.history.first_dirty = Some(report.first_dirty_offset);
        Ok(report)
    }

    /// Everything that must hold of the log, however it came to its present shape.
    pub(crate) async fn check(&self) {
        let batches = read_all(&self.log, 3_000).await;
        let mut seen = History { hidden: self.history.hidden.clone(), ..History::default() };
        let (mut next_offset, mut decompressor) = (0, Decompressor::new());
        for batch in &batches {
            let header = batch.header();
            assert!(header.base_offset >= next_offset, "offsets rise");
            next_offset = header.next_offset();
            if header.attributes.is_control() {
                continue;
            }
            for record in batch.records(&mut decompressor, RecordLimits::default()) {
                let record = record.expect("record");
                let written = self.history.records.get(&record.offset).expect("was written");
                let (key, value) = (record.key.expect("key")[0], record.value.map(<[u8]>::to_vec));
                assert_eq!((key, value.clone(), record.timestamp), *written, "at {}", record.offset);
                assert_eq!(record.headers.len(), 1);
                seen.records.insert(record.offset, (key, value, record.timestamp));
            }
        }
        assert_eq!(next_offset, self.log.marks().accepted, "the end of the offsets is kept");
        assert_eq!(seen.newest(&self.producers), self.history.newest(&self.producers));
        self.check_open_transactions(&batches);
        self.check_every_offset(&batches).await;
    }

    /// Of a transaction that left data, the marker is there too, so that nothing waits for it.
    fn check_open_transactions(&self, batches: &[Batch]) {
        let mut open = HashMap::new();
        for header in batches.iter().map(Batch::header).filter(|h| h.attributes.is_transactional()) {
            match header.attributes.is_control() {
                true => open.remove(&header.producer_id),
                false => Some(*open.entry(header.producer_id).or_insert(header.base_offset)),
            };
        }
        assert_eq!(open, self.history.open);
    }

    /// A read from any offset begins with the batch that holds it, or the next (rule E17).
    async fn check_every_offset(&self, batches: &[Batch]) {
        for from in 0..self.log.marks().accepted {
            let out = self.log.read(from, i64::MAX, 1, true).await.expect("read");
            let first = Batch::from_bytes(out.records.to_bytes().expect("bytes")).expect("one batch");
            let expected = batches.iter().find(|b| b.header().last_offset() >= from).expect("a batch");
            assert_eq!(first.to_bytes(), expected.to_bytes(), "from {from}");
        }
    }

    /// What a restart must find again of each producer.
    pub(crate) fn producer_states(&self) -> Vec<ProducerState> {
        let ids = self.history.sequences.keys().filter(|id| **id >= 0);
        let state = |id: &i64| {
            let entry = self.log.producer(*id)?;
            let last = entry.window.last().map(|b| (b.last_sequence, b.last_offset));
            Some((*id, entry.epoch, last, entry.txn_first_offset))
        };
        let mut states: Vec<_> = ids.filter_map(state).collect();
        states.sort_unstable();
        states
    }
}

pub(crate) fn map_of(keys: usize) -> OffsetMap {
    OffsetMap::new(24 * (keys + 1), 1.0)
}

/// Opens the log again without what a clean stop leaves, so that every batch is looked at.
async fn reopened(store: &TestStore, dir: &Path, before: Cleaned<TestStore>) -> Cleaned<TestStore> {
    let states = before.producer_states();
    let Cleaned { log, history, producers } = before;
    log.close().await.expect("close");
    for entry in std::fs::read_dir(dir).expect("list") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "snapshot" || e == "index" || e == "timeindex") {
            std::fs::remove_file(path).expect("remove");
        }
    }
    let (log, report) = open(store.clone(), dir, small_config(), None, false).await;
    assert_eq!((report.truncated_bytes, report.segments_removed), (0, 0), "{report:?}");
    let after = Cleaned { log, history, producers };
    assert_eq!(after.producer_states(), states);
    after
}

#[derive(Clone, Debug)]
enum Op {
    Append { records: Vec<Keyed>, codec: CodecId, producer: Option<i64> },
    InTransaction { records: Vec<Keyed>, codec: CodecId, id: i64 },
    End { id: i64, commit: bool },
    Compact { keys: usize, later_ms: i64 },
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let record = || (0u8..12, proptest::option::weighted(0.8, any::<u8>()));
    let records = move || proptest::collection::vec(record(), 1..8);
    let codec = || proptest::sample::select(CodecId::ALL.to_vec());
    prop_oneof![
        12 => (records(), codec(), proptest::option::of(1i64..3))
            .prop_map(|(records, codec, producer)| Op::Append { records, codec, producer }),
        8 => (records(), codec(), 10i64..13)
            .prop_map(|(records, codec, id)| Op::InTransaction { records, codec, id }),
        6 => (10i64..13, any::<bool>()).prop_map(|(id, commit)| Op::End { id, commit }),
        3 => (1usize..20, 0i64..2_500).prop_map(|(keys, later_ms)| Op::Compact { keys, later_ms }),
        1 => Just(Op::Reopen),
    ]
}

async fn live(store: TestStore, ops: Vec<Op>) {
    let temp = tempfile::tempdir().expect("temp dir");
    let dir = temp.path().join("t-0");
    let (log, _) = open(store.clone(), &dir, small_config(), None, false).await;
    let mut cleaned = Cleaned::new(log);
    for op in ops {
        match op {
            Op::Append { records, codec, producer } => {
                cleaned.append(codec, producer.map(|id| (id, false)), &records).await;
            }
            Op::InTransaction { records, codec, id } => {
                cleaned.append(codec, Some((id, true)), &records).await
            }
            Op::End { id, commit } => {
                cleaned.end(id, if commit { EndTxn::Commit } else { EndTxn::Abort }).await
            }
            Op::Compact { keys, later_ms } => {
                cleaned.history.now_ms += later_ms;
                let before = cleaned.log.log_size_bytes();
                let report = cleaned.compact(&mut map_of(keys)).await.expect("compact");
                assert!(report.segments_after <= report.segments_before);
                assert!(cleaned.log.log_size_bytes() <= before + report.records_kept * 10, "{report:?}");
                cleaned.check().await;
            }
            Op::Reopen => cleaned = reopened(&store, &dir, cleaned).await,
        }
    }
    cleaned.log.flush().await.expect("flush");
    cleaned.check().await;
    let cleaned = reopened(&store, &dir, cleaned).await;
    cleaned.check().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn e33_a_compacted_log_agrees_with_a_map(
        ops in proptest::collection::vec(op(), 1..90), direct: bool, seed: u64,
    ) {
        let store = if direct { direct_store(seed) } else { inline_store() };
        run(live(store, ops));
    }
}

/// Fills segments with a few keys again and again.
pub(crate) async fn overwrite<S: SegmentStore>(cleaned: &mut Cleaned<S>, batches: u8) {
    for i in 0..batches {
        cleaned.append(CodecId::None, None, &[(i % 5, Some(i)), (5 + i % 3, Some(i))]).await;
    }
}

pub(crate) async fn fresh<S: SegmentStore>(store: S, dir: &Path) -> Cleaned<S> {
    Cleaned::new(open(store, &dir.join("t-0"), small_config(), None, false).await.0)
}

#[test]
fn e33_older_values_go_and_segments_merge() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        overwrite(&mut cleaned, 120).await;
        let (segments, size) = (cleaned.log.segments().len(), cleaned.log.log_size_bytes());
        let report = cleaned.compact(&mut map_of(100)).await.expect("compact");
        cleaned.check().await;
        assert_eq!(
            (report.segments_before, report.segments_after),
            (segments - 1, segments - 1),
            "all were full"
        );
        assert!(cleaned.log.log_size_bytes() < size / 4, "{report:?}");
        assert!(!report.map_full && report.records_kept < 20 && report.records_removed > 150, "{report:?}");
        overwrite(&mut cleaned, 40).await;
        let report = cleaned.compact(&mut map_of(100)).await.expect("compact");
        cleaned.check().await;
        let after = cleaned.log.segments();
        assert!(report.segments_before > segments && report.segments_after < 6, "{report:?}");
        assert_eq!(after.len(), report.segments_after + 1);
        assert_eq!(report.first_dirty_offset, after.last().expect("active").base_offset);
        let nothing = cleaned.compact(&mut map_of(100)).await.expect("compact");
        let none = CompactionReport { first_dirty_offset: report.first_dirty_offset, ..Default::default() };
        assert_eq!(nothing, none, "nothing is dirty");
    });
}

#[test]
fn e33_tombstones_wait_for_their_horizon() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        cleaned.append(CodecId::Lz4, None, &[(200, Some(1)), (201, Some(1))]).await;
        cleaned.append(CodecId::Lz4, None, &[(200, None), (202, Some(1))]).await;
        let horizon = async |cleaned: &mut Cleaned<TestStore>| {
            overwrite(cleaned, 40).await;
            cleaned.compact(&mut map_of(100)).await.expect("compact");
            cleaned.check().await;
            let batches = read_all(&cleaned.log, 1 << 16).await;
            let second = batches.iter().find(|b| b.header().base_offset == 2).expect("its batch");
            (second.header().delete_horizon_ms(), second.header().record_count)
        };
        assert_eq!(horizon(&mut cleaned).await, (Some(11_000), 2), "first seen at 10,000");
        cleaned.history.now_ms += RETENTION_MS - 1;
        assert_eq!(horizon(&mut cleaned).await, (Some(11_000), 2), "it does not move");
        cleaned.history.now_ms += 1;
        assert_eq!(
            horizon(&mut cleaned).await,
            (Some(11_000), 1),
            "the tombstone is gone, the value beside it not"
        );
    });
}

#[test]
fn e33_a_full_map_cleans_as_far_as_it_reached() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        overwrite(&mut cleaned, 40).await;
        for key in 50..150 {
            cleaned.append(CodecId::None, None, &[(key, Some(key))]).await;
        }
        overwrite(&mut cleaned, 40).await;
        let (mut rounds, mut reached) = (0, 0);
        loop {
            let report = cleaned.compact(&mut map_of(30)).await.expect("compact");
            cleaned.check().await;
            assert!(report.first_dirty_offset > reached, "each round gets further");
            (rounds, reached) = (rounds + 1, report.first_dirty_offset);
            if !report.map_full {
                break;
            }
        }
        assert!(rounds > 3, "{rounds}");
        assert_eq!(reached, cleaned.log.segments().last().expect("active").base_offset);
    });
}

#[test]
fn e33_the_last_batch_of_a_producer_stays_as_a_shell() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (store, dir) = (inline_store(), temp.path().join("t-0"));
        let mut cleaned = fresh(store.clone(), temp.path()).await;
        for _ in 0..3 {
            cleaned.append(CodecId::Zstd, Some((7, false)), &[(1, Some(1)), (2, Some(2))]).await;
        }
        overwrite(&mut cleaned, 60).await;
        cleaned.compact(&mut map_of(100)).await.expect("compact");
        let batches = read_all(&cleaned.log, 1 << 16).await;
        let of_producer: Vec<_> = batches.iter().map(Batch::header).filter(|h| h.producer_id == 7).collect();
        assert_eq!(of_producer.len(), 1, "the earlier ones are gone");
        let shell = of_producer[0];
        assert_eq!((shell.record_count, shell.base_offset, shell.last_offset()), (0, 4, 5));
        assert_eq!((shell.base_sequence, shell.last_sequence()), (4, 5));
        let mut cleaned = reopened(&store, &dir, cleaned).await;
        // The producer goes on where it was, and its next batch lets the shell go.
        cleaned.append(CodecId::None, Some((7, false)), &[(1, Some(9))]).await;
        overwrite(&mut cleaned, 60).await;
        cleaned.compact(&mut map_of(100)).await.expect("compact");
        let batches = read_all(&cleaned.log, 1 << 16).await;
        assert!(batches.iter().all(|b| b.header().base_offset != 4), "the shell is gone");
        cleaned.check().await;
    });
}

#[test]
fn e33_aborted_data_goes_first_and_its_marker_after_the_horizon() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        cleaned.append(CodecId::None, Some((9, true)), &[(77, Some(1))]).await;
        cleaned.end(9, EndTxn::Abort).await;
        cleaned.append(CodecId::None, Some((9, true)), &[(78, Some(1))]).await;
        cleaned.end(9, EndTxn::Commit).await;
        let marker = async |cleaned: &mut Cleaned<TestStore>| {
            overwrite(cleaned, 40).await;
            cleaned.compact(&mut map_of(100)).await.expect("compact");
            cleaned.check().await;
            let batches = read_all(&cleaned.log, 1 << 16).await;
            let at = |offset| batches.iter().map(Batch::header).find(|h| h.base_offset == offset).copied();
            (at(0).is_some(), at(1).map(|h| h.delete_horizon_ms()))
        };
        assert_eq!(marker(&mut cleaned).await, (false, Some(None)), "its data went in this cleaning");
        assert_eq!(marker(&mut cleaned).await, (false, Some(Some(11_000))), "nothing of it is left");
        cleaned.history.now_ms += RETENTION_MS;
        assert_eq!(marker(&mut cleaned).await, (false, None));
        let batches = read_all(&cleaned.log, 1 << 16).await;
        assert!(
            [2, 3].iter().all(|o| batches.iter().any(|b| b.header().base_offset == *o)),
            "the committed one"
        );
    });
}

#[test]
fn e33_what_cannot_be_cleaned_is_named_and_left_alone() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        overwrite(&mut cleaned, 20).await;
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(1, None, Some(b"no key"), &[]).expect("push");
        let batch = builder.finish(&mut Compressor::new()).expect("finish");
        let keyless = append(&cleaned.log, batch).await.expect("append").base_offset;
        overwrite(&mut cleaned, 40).await;
        let before: Vec<_> = read_all(&cleaned.log, 1 << 16).await.iter().map(Batch::to_bytes).collect();
        let error = cleaned.compact(&mut map_of(100)).await.expect_err("a record without a key");
        let named = matches!(
            error,
            CompactError::Uncleanable { problem: CompactProblem::NoKey { offset }, .. } if offset == keyless
        );
        assert!(named, "{error}");
        let after: Vec<_> = read_all(&cleaned.log, 1 << 16).await.iter().map(Batch::to_bytes).collect();
        assert_eq!(before, after);
    });
}

#[test]
fn e33_damage_ends_a_cleaning_and_changes_nothing() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let (store, path) = (inline_store(), temp.path().join("t-0/00000000000000000000.log"));
        let mut cleaned = fresh(store.clone(), temp.path()).await;
        overwrite(&mut cleaned, 60).await;
        let names = || {
            let entries = std::fs::read_dir(temp.path().join("t-0")).expect("list");
            let mut names: Vec<_> = entries.map(|e| e.expect("entry").file_name()).collect();
            names.sort();
            names
        };
        cleaned.log.flush().await.expect("flush");
        let before = names();
        assert!(store.sim.corrupt(&path, 3_000, &[0xff; 3]));
        let error = cleaned.compact(&mut map_of(100)).await.expect_err("damage");
        assert!(matches!(error, CompactError::Uncleanable { .. }), "{error}");
        assert_eq!(names(), before, "nothing stays behind");
        assert!(cleaned.log.marks().fault.is_none());
    });
}

#[test]
fn e33_small_lags_and_configured_limits_are_kept() {
    run(async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(inline_store(), temp.path()).await;
        overwrite(&mut cleaned, 60).await;
        cleaned.log.flush().await.expect("flush");
        let young = CompactionPolicy { min_compaction_lag_ms: 500, ..CompactionPolicy::default() };
        let found = cleaned.log.compaction_candidate(&young, i64::MAX, None, 1_400).await.expect("candidate");
        assert_eq!((found.cleanable_bytes, found.is_due(&young)), (0, false), "{found:?}");
        let found = cleaned.log.compaction_candidate(&young, i64::MAX, None, 1_600).await.expect("candidate");
        assert!(found.is_due(&young) && found.dirty_ratio() == 1.0, "{found:?}");
        let old = CompactionPolicy { max_compaction_lag_ms: 10, min_cleanable_dirty_ratio: 1.0, ..young };
        let found = cleaned.log.compaction_candidate(&old, i64::MAX, None, 1_600).await.expect("candidate");
        assert!(found.overdue && found.is_due(&old), "{found:?}");
        let config: &LogConfig = cleaned.log.config();
        let segment_bytes = u64::from(config.segment_bytes);
        cleaned.compact(&mut map_of(100)).await.expect("compact");
        assert!(cleaned.log.segments().iter().all(|s| s.size_bytes <= segment_bytes));
    });
}

/// Cleans twice and opens again, on a real disk.
fn on_backend<S: SegmentStore>(store: S) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let temp = tempfile::tempdir().expect("temp dir");
        let mut cleaned = fresh(store.clone(), temp.path()).await;
        for _ in 0..2 {
            cleaned.append(CodecId::Zstd, Some((7, false)), &[(90, Some(1)), (91, None)]).await;
            overwrite(&mut cleaned, 60).await;
            let report = cleaned.compact(&mut map_of(100)).await.expect("compact");
            assert!(report.records_removed > 50, "{report:?}");
            cleaned.check().await;
        }
        cleaned.log.close().await.expect("close");
        let Cleaned { log, history, producers } = cleaned;
        drop(log);
        let (log, report) = open(store, &temp.path().join("t-0"), small_config(), None, false).await;
        assert_eq!((report.truncated_bytes, report.segments_removed), (0, 0), "{report:?}");
        Cleaned { log, history, producers }.check().await;
    });
}

#[test]
fn e33_every_backend_compacts_page_cache() {
    on_backend(PageCacheStore::new(Preallocation::Fallocate));
}

#[test]
fn e33_every_backend_compacts_mmap() {
    on_backend(MmapStore::new(Preallocation::Fallocate));
}

#[test]
fn e33_every_backend_compacts_io_uring() {
    if let Err(reason) = probe_io_uring() {
        eprintln!("skipped: compaction over io_uring: {reason}");
        return;
    }
    on_backend(UringStore::new(Preallocation::Fallocate, UringOptions::default()).expect("probed"));
}
