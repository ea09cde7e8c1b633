//! What cleaning costs: a log of 64 MiB in which each key was written eight times, all of it dirty, over the page cache
//! and without a throttle. Bytes are those of the log before, which a cleaning reads twice.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{
    AppendRequest, CompactRequest, CompactionPolicy, Log, LogConfig, OffsetMap, OpenHints, Origin, Throttle,
};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use tokio::task::LocalSet;
use uuid::Uuid;

const LOG_BYTES: u64 = 64 << 20;
const RECORDS_PER_BATCH: u64 = 60;
const VALUE_BYTES: usize = 250;
/// Uncompressed; the codecs have fewer bytes for the same records.
const BATCHES: u64 = LOG_BYTES / (RECORDS_PER_BATCH * (VALUE_BYTES as u64 + 20));

/// Half of a value compresses.
fn batch(codec: Codec, nth: u64, compressor: &mut Compressor) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    let keys = BATCHES * RECORDS_PER_BATCH / 8;
    for i in nth * RECORDS_PER_BATCH..(nth + 1) * RECORDS_PER_BATCH {
        let mut state = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut value = vec![b'v'; VALUE_BYTES];
        for byte in value.iter_mut().step_by(2) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        builder.push(0, Some(&(i * 7_919 % keys).to_be_bytes()), Some(&value), &[]).expect("push");
    }
    builder.finish(compressor).expect("finish")
}

/// Fills a fresh log, cleans it, and says how long the cleaning took.
async fn clean(batches: &[Batch]) -> Duration {
    let dir = tempfile::tempdir().expect("temp dir");
    let config = LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() };
    let store = PageCacheStore::new(Preallocation::Fallocate);
    let opened = Log::open(store, &dir.path().join("t-0"), Uuid::nil(), config, OpenHints::default()).await;
    let (log, _) = opened.expect("open");
    for batch in batches {
        let request = AppendRequest { batch: batch.clone(), leader_epoch: 0, origin: Origin::Client };
        log.append(request).await.expect("append");
    }
    log.flush().await.expect("flush");
    let (mut map, throttle) = (OffsetMap::new(16 << 20, 0.9), Throttle::unlimited());
    let request = CompactRequest {
        policy: CompactionPolicy::default(),
        upto_offset: i64::MAX,
        first_dirty_offset: None,
        now_ms: 0,
        aborted: Vec::new(),
        map: &mut map,
        throttle: &throttle,
    };
    let start = Instant::now();
    let report = log.compact(request).await.expect("compact");
    let elapsed = start.elapsed();
    assert!(report.records_removed > report.records_kept && !report.map_full, "{report:?}");
    log.close().await.expect("close");
    elapsed
}

fn compact(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut group = criterion.benchmark_group("compact");
    for (name, codec) in [("none", Codec::None), ("lz4", Codec::Lz4), ("zstd", Codec::ZSTD)] {
        let mut compressor = Compressor::new();
        let batches: Vec<Batch> = (0..BATCHES).map(|nth| batch(codec, nth, &mut compressor)).collect();
        group.throughput(Throughput::Bytes(batches.iter().map(|b| b.size_bytes() as u64).sum()));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..rounds {
                    elapsed += LocalSet::new().block_on(&runtime, clean(&batches));
                }
                elapsed
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = compact
}
criterion_main!(benches);
