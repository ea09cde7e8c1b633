//! Instructions per append, read and index lookup in user space, counted by callgrind; `scripts/instructions`
//! compares them with the baseline. Ten appends at a time, in a log that has grown past its first reservation.

#![expect(missing_docs, reason = "the benchmark macros make public items")]

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{AppendRequest, Log, LogConfig, OffsetEntry, OffsetIndex, OpenHints, Origin, ReadOut};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use uuid::Uuid;

const APPENDS: usize = 10;

/// An open log on real files, and batches to append.
struct Bench {
    batches: Vec<Batch>,
    log: Log<PageCacheStore>,
    local: LocalSet,
    runtime: Runtime,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(batch_bytes: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (local, dir) = (LocalSet::new(), tempfile::tempdir().expect("temp dir"));
        let config = LogConfig { reserve_step_min_bytes: 32 << 20, ..LogConfig::default() };
        let path = dir.path().join("t-0");
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let opened = Log::open(store, &path, Uuid::nil(), config, OpenHints::default());
        let (log, _) = local.block_on(&runtime, opened).expect("open");
        let bench = Self { batches: vec![batch(batch_bytes); APPENDS], log, local, runtime, _dir: dir };
        bench.append();
        bench
    }

    fn append(&self) {
        self.local.block_on(&self.runtime, async {
            for batch in &self.batches {
                let request = AppendRequest { batch: batch.clone(), leader_epoch: 0, origin: Origin::Client };
                self.log.append(request).await.expect("append");
            }
        });
    }

    fn read(&self, from_offset: i64) -> ReadOut {
        let read = self.log.read(from_offset, i64::MAX, 1 << 20, true);
        self.local.block_on(&self.runtime, read).expect("read")
    }
}

fn batch(size_bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    while builder.size_bytes() + 512 <= size_bytes {
        builder.push(0, None, Some(&[7; 490]), &[]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

fn index() -> OffsetIndex {
    let mut index = OffsetIndex::new(0);
    (1..100_000).for_each(|entry| index.push(entry * 10, entry as u64 * 4096));
    index
}

#[library_benchmark]
#[bench::of_1_kib(Bench::new(1 << 10))]
#[bench::of_64_kib(Bench::new(64 << 10))]
fn append(bench: Bench) -> Bench {
    black_box(&bench).append();
    bench
}

#[library_benchmark]
#[bench::tail(Bench::new(16 << 10))]
fn read(bench: Bench) -> (Bench, ReadOut) {
    let out = black_box(&bench).read(40);
    (bench, out)
}

#[library_benchmark]
#[bench::of_100_000_entries(index())]
fn look_up(index: OffsetIndex) -> (OffsetIndex, Option<OffsetEntry>) {
    let entry = black_box(&index).floor(456_789);
    (index, entry)
}

library_benchmark_group!(
    name = log;
    benchmarks = append, read, look_up
);
main!(library_benchmark_groups = log);
