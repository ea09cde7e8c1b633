//! What the log itself costs over the backend: one append of a 64 KiB batch (accepted, written, marks moved), one of
//! 1 KiB, and one 1 MiB read at the tail and in the middle. Page cache, no sync; old segments are removed as it goes,
//! so that disk use stays bounded.

use std::future::Future;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{AppendRequest, Log, LogConfig, OpenHints, Origin};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use uuid::Uuid;

struct Bench {
    runtime: Runtime,
    local: LocalSet,
    log: Log<PageCacheStore>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (local, dir) = (LocalSet::new(), tempfile::tempdir().expect("temp dir"));
        let store = PageCacheStore::new(Preallocation::Fallocate);
        let config = LogConfig { segment_bytes: 256 << 20, ..LogConfig::default() };
        let path = dir.path().join("t-0");
        let opened = Log::open(store, &path, Uuid::nil(), config, OpenHints::default());
        let (log, _) = local.block_on(&runtime, opened).expect("open");
        Self { runtime, local, log, _dir: dir }
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, work)
    }

    async fn append(&self, batch: Batch) {
        self.log
            .append(AppendRequest { batch, leader_epoch: 0, origin: Origin::Client })
            .await
            .expect("append");
    }

    async fn trim(&self) {
        let written = self.log.marks().written;
        self.log.increment_start_offset(written);
        self.log.remove_old_segments().await.expect("remove");
    }
}

fn batch(size_bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    while builder.size_bytes() + 1_024 <= size_bytes {
        builder.push(0, None, Some(&[7; 1_000]), &[]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    for (name, size_bytes) in [("2 KiB", 2 << 10), ("64 KiB", 64 << 10)] {
        let (bench, batch) = (Bench::new(), batch(size_bytes));
        group.throughput(Throughput::Bytes(batch.size_bytes() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                bench.run(async {
                    let start = std::time::Instant::now();
                    for _ in 0..rounds {
                        bench.append(batch.clone()).await;
                    }
                    let elapsed = start.elapsed();
                    bench.trim().await;
                    elapsed
                })
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read 1 MiB");
    let (bench, batch) = (Bench::new(), batch(16 << 10));
    bench.run(async {
        for _ in 0..4_000 {
            bench.append(batch.clone()).await;
        }
    });
    let end = bench.log.marks().written;
    for (name, from) in [("tail", end - 800), ("middle", end / 2 + 1)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                bench.run(async {
                    let start = std::time::Instant::now();
                    for _ in 0..rounds {
                        black_box(bench.log.read(from, i64::MAX, 1 << 20, true).await.expect("read"));
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(2));
    targets = append, read
}
criterion_main!(benches);
