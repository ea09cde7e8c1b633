//! Transactions: what holds the last stable offset back, which were aborted, and that no restart forgets either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_log::{AbortedTxn, AppendError, Log, LogConfig, ProducerError, TransactionIndex, layout};
use plimsoll_records::marker::{EndTxn, end_txn};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor, ProducerStamp};
use proptest::prelude::*;

use crate::common::*;

/// Many segments of few batches.
fn tiny_config() -> LogConfig {
    LogConfig { segment_bytes: 2048, reserve_step_min_bytes: 4096, ..small_config() }
}

fn transactional(id: i64, base_sequence: i32, records: usize) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.set_transactional(true).set_producer(ProducerStamp { id, epoch: 0, base_sequence });
    for _ in 0..records {
        builder.push(1_000, None, Some(&[7; 100]), &[]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

fn marker(id: i64, end: EndTxn, coordinator_epoch: i32) -> Batch {
    end_txn(end, coordinator_epoch, id, 0, 1_000).expect("marker")
}

/// What a log of these batches must answer, worked out from scratch each time.
#[derive(Clone, Debug, Default)]
struct Model(Vec<Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: i64,
    first_offset: i64,
    last_offset: i64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Transactional,
    Plain,
    Marker(EndTxn, i32),
}

/// Last sequence, coordinator epoch, first offset of the ongoing transaction.
type Producer = (i32, i32, Option<i64>);

impl Model {
    fn end_offset(&self) -> i64 {
        self.0.last().map_or(0, |e| e.last_offset + 1)
    }

    fn push(&mut self, id: i64, records: i64, kind: Kind) {
        let first_offset = self.end_offset();
        self.0.push(Entry { id, first_offset, last_offset: first_offset + records - 1, kind });
    }

    fn producers(&self) -> BTreeMap<i64, Producer> {
        let mut producers = BTreeMap::new();
        for entry in &self.0 {
            let (last_sequence, coordinator, begun) = producers.entry(entry.id).or_insert((-1, -1, None));
            match entry.kind {
                Kind::Marker(_, epoch) => (*coordinator, *begun) = (epoch, None),
                kind => {
                    *last_sequence += (entry.last_offset - entry.first_offset + 1) as i32;
                    begun.get_or_insert(entry.first_offset);
                    *begun = begun.filter(|_| kind == Kind::Transactional);
                }
            }
        }
        producers
    }

    /// Producer, first offset, marker's offset and end of each transaction that has a marker.
    fn finished(&self) -> Vec<(i64, i64, i64, EndTxn)> {
        let (mut begun, mut finished) = (BTreeMap::new(), Vec::new());
        for entry in &self.0 {
            match entry.kind {
                Kind::Plain => {}
                Kind::Transactional => drop(begun.entry(entry.id).or_insert(entry.first_offset)),
                Kind::Marker(end, _) => {
                    let first = begun.remove(&entry.id);
                    finished.extend(first.map(|first| (entry.id, first, entry.last_offset, end)));
                }
            }
        }
        finished
    }

    fn stable(&self, high_watermark: i64, unreplicated: bool) -> i64 {
        let ongoing = self.producers().into_values().filter_map(|(_, _, begun)| begun);
        let finished = self.finished().into_iter().filter(|f| unreplicated && f.2 >= high_watermark);
        ongoing.chain(finished.map(|f| f.1)).chain([high_watermark]).min().expect("not empty")
    }

    fn aborted(&self, from: i64, upto: i64) -> Vec<(i64, i64, i64)> {
        let aborted = self.finished().into_iter().filter(|f| f.3 == EndTxn::Abort);
        aborted.filter(|f| f.2 >= from && f.1 < upto).map(|(id, first, last, _)| (id, first, last)).collect()
    }
}

/// The answers of `log` are those of `model`. What is not replicated is exact only as long as nothing was reloaded from a
/// snapshot, which does not know it: then the answer may be higher.
async fn compare(log: &Log<TestStore>, model: &Model, reloaded: bool) {
    let end_offset = model.end_offset();
    assert_eq!(log.marks().accepted, end_offset);
    let known = log.producers().into_iter().map(|(id, e)| {
        let last_sequence = e.window.last().map_or(-1, |b| b.last_sequence);
        (id, (last_sequence, e.coordinator_epoch, e.txn_first_offset))
    });
    assert_eq!(known.collect::<BTreeMap<_, _>>(), model.producers());
    for high_watermark in (0..=end_offset).step_by(3).chain([end_offset]) {
        let (least, most) = (model.stable(high_watermark, true), model.stable(high_watermark, false));
        let stable = log.last_stable_offset(high_watermark);
        assert!(
            if reloaded { (least..=most).contains(&stable) } else { stable == least },
            "{high_watermark}"
        );
    }
    for from in (0..=end_offset).step_by(7) {
        for upto in [from + 1, from + 11, end_offset] {
            let found = log.aborted_transactions(from, upto).await.expect("aborted");
            let found = found.iter().map(|a| (a.producer_id, a.first_offset, a.last_offset));
            assert_eq!(found.collect::<Vec<_>>(), model.aborted(from, upto), "{from}..{upto}");
        }
        compare_read(log, model, from, |_| i64::MAX).await;
    }
}

/// What a `read_committed` consumer gets from `from` on, and the offset behind the last record. Nothing that was aborted
/// among these records is missing, and nothing is told of transactions behind `bound`.
async fn compare_read(log: &Log<TestStore>, model: &Model, from: i64, bound: impl Fn(i64) -> i64) -> i64 {
    let stable_offset = log.last_stable_offset(model.end_offset());
    let read = log.read_committed(from, stable_offset, 300, true).await.expect("read");
    let next_offset = batches_of(&read.out).last().map_or(from, |batch| batch.header().next_offset());
    let found: Vec<_> = read.aborted.iter().map(|a| (a.producer_id, a.first_offset, a.last_offset)).collect();
    if next_offset == from {
        assert!(from >= stable_offset && read.aborted.is_empty());
        return from;
    }
    for needed in model.aborted(from, next_offset) {
        assert!(found.contains(&needed), "{from}..{next_offset} without {needed:?}");
    }
    let allowed = model.aborted(from, bound(next_offset).min(stable_offset));
    assert!(found.iter().all(|found| allowed.contains(found)), "{from}..{next_offset} with all of {found:?}");
    next_offset
}

async fn add(log: &Log<TestStore>, model: &mut Model, id: i64, records: i64, kind: Kind) {
    let sequence = model.producers().get(&id).map_or(0, |p| p.0 + 1);
    let batch = match kind {
        Kind::Transactional => transactional(id, sequence, records as usize),
        Kind::Plain => produced(id, 0, sequence, records as usize),
        Kind::Marker(end, epoch) => marker(id, end, epoch),
    };
    append(log, batch).await.expect("append");
    model.push(id, records, kind);
}

fn txn_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("list").map(|e| e.expect("entry").path());
    entries.filter(|p| p.extension().is_some_and(|e| e == layout::TXN_INDEX_SUFFIX)).collect()
}

/// Twelve transactions of two producers in many segments, every third aborted, and one left open.
async fn filled(log: &Log<TestStore>) -> Model {
    let mut model = Model::default();
    for round in 0..12 {
        for id in [1, 2] {
            add(log, &mut model, id, 3, Kind::Transactional).await;
        }
        add(log, &mut model, 9, 2, Kind::Plain).await;
        let end = if round % 3 == 0 { EndTxn::Abort } else { EndTxn::Commit };
        add(log, &mut model, 1 + round % 2, 1, Kind::Marker(end, round as i32)).await;
    }
    model
}

#[test]
fn e20_a_finished_transaction_holds_readers_back_until_its_marker_is_replicated() {
    run(async {
        let dir = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(inline_store(), &dir.path().join("t-0"), small_config(), None, false).await;
        let mut model = Model::default();
        add(&log, &mut model, 9, 2, Kind::Plain).await;
        add(&log, &mut model, 1, 3, Kind::Transactional).await;
        assert_eq!((log.last_stable_offset(1), log.last_stable_offset(5)), (1, 2));
        add(&log, &mut model, 1, 1, Kind::Marker(EndTxn::Commit, 0)).await;
        assert_eq!(log.last_stable_offset(5), 2, "the marker at 5 is not below the high watermark");
        assert_eq!(log.last_stable_offset(6), 6);
        log.increment_start_offset(4);
        add(&log, &mut model, 1, 1, Kind::Transactional).await;
        assert_eq!(log.last_stable_offset(7), 6);
        log.increment_start_offset(7);
        assert_eq!(log.last_stable_offset(7), 7, "never below the log start offset");
    });
}

#[test]
fn e20_a_marker_without_a_transaction_changes_nothing() {
    run(async {
        let dir = tempfile::tempdir().expect("temp dir");
        let (log, _) = open(inline_store(), &dir.path().join("t-0"), small_config(), None, false).await;
        append(&log, marker(1, EndTxn::Abort, 3)).await.expect("empty transaction");
        assert_eq!(log.last_stable_offset(0), 0);
        assert_eq!(log.aborted_transactions(0, 1).await.expect("aborted"), []);
        let fenced = append(&log, marker(1, EndTxn::Abort, 2)).await;
        let expected = ProducerError::CoordinatorFenced { producer_id: 1, coordinator_epoch: 2, current: 3 };
        assert!(matches!(fenced, Err(AppendError::Producer(error)) if error == expected));
        append(&log, transactional(1, 0, 1)).await.expect("begins");
        let outside = append(&log, produced(1, 0, 1, 1)).await;
        let expected = ProducerError::InvalidTxnState { producer_id: 1, first_offset: 1 };
        assert!(matches!(outside, Err(AppendError::Producer(error)) if error == expected));
    });
}

#[test]
fn e19_aborted_transactions_are_found_over_all_segments_and_after_every_kind_of_restart() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let dir = parent.path().join("t-0");
        let (log, _) = open(store.clone(), &dir, tiny_config(), None, false).await;
        let model = filled(&log).await;
        assert!(log.segments().len() > 4);
        compare(&log, &model, false).await;
        log.flush().await.expect("flush");
        assert!(!txn_files(&dir).is_empty(), "sealing writes them");
        compare(&log, &model, true).await;
        drop(log);
        let (log, _) = open(store.clone(), &dir, tiny_config(), None, false).await;
        compare(&log, &model, true).await;
        log.close().await.expect("close");
        let (log, report) = open(store.clone(), &dir, tiny_config(), None, true).await;
        assert_eq!(report.segments_scanned, 0);
        compare(&log, &model, true).await;
        let recovery_point = log.recovery_point();
        drop(log);
        let (log, report) = open(store, &dir, tiny_config(), Some(recovery_point), false).await;
        assert_eq!(report.segments_scanned, 1, "the others are trusted with what lies beside them");
        compare(&log, &model, true).await;
    });
}

#[test]
fn e19_a_reads_list_of_aborted_transactions_ends_where_the_offset_index_knows_the_batches_do() {
    run(async {
        let dir = tempfile::tempdir().expect("temp dir");
        // Every batch has an index entry.
        let config = LogConfig { index_interval_bytes: 0, ..tiny_config() };
        let (log, _) = open(inline_store(), &dir.path().join("t-0"), config, None, false).await;
        let model = filled(&log).await;
        let (mut from, stable_offset) = (0, log.last_stable_offset(model.end_offset()));
        // The entry of the batch behind the last one read has that batch's last offset.
        let behind = |next_offset: i64| {
            let next = model.0.iter().find(|entry| entry.first_offset >= next_offset);
            next.map_or(i64::MAX, |entry| entry.last_offset)
        };
        while from < stable_offset {
            from = compare_read(&log, &model, from, behind).await;
        }
        assert!(model.aborted(0, stable_offset).len() > 3, "or the bound would mean nothing");
        assert_eq!(from, stable_offset);
    });
}

#[test]
fn e19_an_offset_index_that_changed_on_the_device_hides_no_aborted_transaction() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let dir = parent.path().join("t-0");
        let config = LogConfig { index_interval_bytes: 0, ..tiny_config() };
        let (log, _) = open(store.clone(), &dir, config.clone(), None, false).await;
        let model = filled(&log).await;
        log.close().await.expect("close");
        let first = layout::segment_path(&dir, 0, layout::INDEX_SUFFIX);
        let right = std::fs::read(&first).expect("index");
        for bit in 0..right.len() * 8 {
            flip_bit(&dir, layout::INDEX_SUFFIX, bit);
            let (log, _) = open(store.clone(), &dir, config.clone(), None, true).await;
            let (mut from, end_offset) = (0, log.segments()[0].next_offset);
            while from < end_offset {
                from = compare_read(&log, &model, from, |_| i64::MAX).await;
            }
            drop(log);
            std::fs::write(&first, &right).expect("mended");
        }
    });
}

#[test]
fn e32_a_damaged_or_lost_transaction_index_is_made_anew() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let dir = parent.path().join("t-0");
        let (log, _) = open(store.clone(), &dir, tiny_config(), None, false).await;
        let model = filled(&log).await;
        log.close().await.expect("close");
        let files = txn_files(&dir);
        let good: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).expect("read")).collect();
        assert!(files.len() >= 2);
        for path in &files {
            std::fs::write(path, b"not an index").expect("damage");
        }
        let (log, _) = open(store.clone(), &dir, tiny_config(), None, true).await;
        compare(&log, &model, true).await;
        log.close().await.expect("close");
        let mended: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).expect("read")).collect();
        assert_eq!(mended, good);
        // Lost with the files that vouch for them: then an absent file proves nothing.
        for path in &files {
            for suffix in [layout::TXN_INDEX_SUFFIX, layout::INDEX_SUFFIX, layout::TIME_INDEX_SUFFIX] {
                std::fs::remove_file(path.with_extension(suffix)).expect("lose");
            }
        }
        let (log, _) = open(store.clone(), &dir, tiny_config(), None, true).await;
        read_all(&log, 1 << 16).await;
        drop(log);
        let (log, _) = open(store, &dir, tiny_config(), None, true).await;
        compare(&log, &model, true).await;
        let mended: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap_or_default()).collect();
        let sealed = good.len() - 1;
        assert_eq!(
            mended.get(..sealed),
            good.get(..sealed),
            "the active segment's comes with the next close"
        );
    });
}

#[test]
fn a_truncation_takes_markers_back() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let (log, _) = open(store, &parent.path().join("t-0"), tiny_config(), None, false).await;
        let mut model = filled(&log).await;
        while model.0.len() > 1 {
            let len = model.0.len() - 1 - model.0.len() / 5;
            model.0.truncate(len);
            assert_eq!(log.truncate_to(model.end_offset()).await.expect("truncate"), model.end_offset());
            compare(&log, &model, true).await;
        }
        log.truncate_fully_and_start_at(100).await.expect("truncate");
        assert_eq!(log.last_stable_offset(100), 100);
        assert_eq!(log.aborted_transactions(100, 200).await.expect("aborted"), []);
    });
}

#[test]
fn what_a_full_disk_cuts_off_is_undone() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let (log, _) = open(store.clone(), &parent.path().join("t-0"), small_config(), None, false).await;
        let mut model = Model::default();
        add(&log, &mut model, 1, 3, Kind::Transactional).await;
        add(&log, &mut model, 2, 3, Kind::Transactional).await;
        add(&log, &mut model, 2, 1, Kind::Marker(EndTxn::Abort, 0)).await;
        for batch in [marker(1, EndTxn::Abort, 1), transactional(2, 3, 1), transactional(3, 0, 1)] {
            store.script.fail(plimsoll_io::IoOp::Write, 28);
            let cut = append(&log, batch).await;
            assert!(matches!(cut, Err(AppendError::NoSpace(_))), "{cut:?}");
            compare(&log, &model, false).await;
        }
    });
}

#[derive(Clone, Debug)]
enum Step {
    Data {
        id: i64,
        records: i64,
    },
    Plain {
        id: i64,
    },
    Marker {
        id: i64,
        end: EndTxn,
    },
    /// To this many thousandths of the batches.
    Truncate(usize),
    Reopen {
        clean: bool,
    },
    PowerCut(u64),
    Compare,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![Just(EndTxn::Abort), Just(EndTxn::Commit)];
    prop_oneof![
        12 => (0i64..4, 1i64..5).prop_map(|(id, records)| Step::Data { id, records }),
        3 => (10i64..12).prop_map(|id| Step::Plain { id }),
        8 => (0i64..4, end).prop_map(|(id, end)| Step::Marker { id, end }),
        1 => (300usize..1000).prop_map(Step::Truncate),
        1 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
        1 => any::<u64>().prop_map(Step::PowerCut),
        1 => Just(Step::Compare),
    ]
}

/// The log and its model over several lives of a broker. Each has a runtime of its own: what a life leaves running must
/// not write into the next.
struct Lives {
    store: TestStore,
    dir: PathBuf,
    model: Model,
    markers: i32,
    reloaded: bool,
    clean: bool,
}

impl Lives {
    /// Plays steps up to the next restart, and says which it is.
    async fn live(&mut self, steps: &mut impl Iterator<Item = Step>) -> Option<Step> {
        let (log, _) = open(self.store.clone(), &self.dir, tiny_config(), None, self.clean).await;
        let end_offset = log.marks().accepted;
        self.model.0.retain(|e| e.last_offset < end_offset);
        self.clean = false;
        for step in steps {
            match step {
                Step::Reopen { clean } => {
                    match clean {
                        true => log.close().await.expect("close"),
                        false => log.flush().await.expect("flush"),
                    }
                    self.clean = clean;
                    return Some(step);
                }
                Step::PowerCut(_) => return Some(step),
                step => self.play(&log, step).await,
            }
        }
        compare(&log, &self.model, self.reloaded).await;
        None
    }

    async fn play(&mut self, log: &Log<TestStore>, step: Step) {
        let model = &mut self.model;
        match step {
            Step::Data { id, records } => add(log, model, id, records, Kind::Transactional).await,
            Step::Plain { id } => add(log, model, id, 1, Kind::Plain).await,
            Step::Marker { id, end } => {
                self.markers += 1;
                add(log, model, id, 1, Kind::Marker(end, self.markers)).await;
            }
            Step::Truncate(thousandths) => {
                model.0.truncate(model.0.len() * thousandths / 1000);
                log.truncate_to(model.end_offset()).await.expect("truncate");
                self.reloaded = true;
            }
            Step::Compare => {
                compare(log, model, self.reloaded).await;
                // Asking forgets what the highest watermark decided.
                self.reloaded = true;
            }
            Step::Reopen { .. } | Step::PowerCut(_) => {}
        }
    }
}

fn play(steps: Vec<Step>) {
    let parent = tempfile::tempdir().expect("temp dir");
    let (store, dir) = (inline_store(), parent.path().join("t-0"));
    let mut lives = Lives { store, dir, model: Model::default(), markers: 0, reloaded: false, clean: false };
    let mut steps = steps.into_iter();
    while let Some(restart) = run(lives.live(&mut steps)) {
        lives.reloaded = true;
        if let Step::PowerCut(seed) = restart {
            lives.store = lives.store.crash(seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn e19_e20_any_interleaving_agrees_with_a_model(steps in proptest::collection::vec(step(), 1..90)) {
        play(steps);
    }
}

#[test]
fn e19_the_file_is_kafkas() {
    run(async {
        let (parent, store) = (tempfile::tempdir().expect("temp dir"), inline_store());
        let dir = parent.path().join("t-0");
        let (log, _) = open(store, &dir, small_config(), None, false).await;
        append(&log, transactional(5, 0, 2)).await.expect("data");
        append(&log, transactional(6, 0, 1)).await.expect("data");
        append(&log, marker(5, EndTxn::Abort, 0)).await.expect("marker");
        log.close().await.expect("close");
        let bytes = std::fs::read(layout::segment_path(&dir, 0, layout::TXN_INDEX_SUFFIX)).expect("read");
        let expected = AbortedTxn { producer_id: 5, first_offset: 0, last_offset: 3, last_stable_offset: 2 };
        assert_eq!(TransactionIndex::parse(0, &bytes).expect("index").entries(), [expected]);
        assert_eq!(bytes.len(), 34);
    });
}
