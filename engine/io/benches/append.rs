//! One append per backend: the floor of what the engine can do with each technique, inside this crate's calls.
//!
//! Writes circle in a prepared 64 MiB file, so that memory stays warm and blocks are initialised.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plimsoll_io::{Backend, open_store};
use plimsoll_io::{Block, Chunk, IoConfig, IoLimits, Preallocation, SegmentFile, SegmentStore, WriteBufs};

const FILE_BYTES: u64 = 64 << 20;

fn bufs(limits: &IoLimits, bytes: &Bytes) -> WriteBufs {
    if limits.align_bytes == 1 {
        return WriteBufs::Gather(vec![Chunk::Inline([0; 16]), Chunk::Shared(bytes.slice(16..))]);
    }
    let mut block = Block::take(bytes.len());
    block.extend_from_slice(bytes);
    WriteBufs::Blocks(vec![block])
}

/// Writes `count` batches with as many in flight as the file asks for, then waits for all.
async fn append(file: &impl SegmentFile, batch: &Bytes, count: u64) -> Duration {
    let limits = file.limits();
    let places = FILE_BYTES / batch.len() as u64;
    let start = Instant::now();
    let mut in_flight = std::collections::VecDeque::new();
    for index in 0..count {
        if in_flight.len() >= limits.in_flight_max {
            settle(in_flight.pop_front()).await;
        }
        let write = file.write_at(index % places * batch.len() as u64, bufs(&limits, batch));
        let mut write = Box::pin(write);
        // The first poll submits.
        if let Some(done) = poll_once(write.as_mut()).await {
            done.result.expect("append");
        } else {
            in_flight.push_back(write);
        }
    }
    while !in_flight.is_empty() {
        settle(in_flight.pop_front()).await;
    }
    start.elapsed()
}

async fn settle(write: Option<impl Future<Output = plimsoll_io::Done<WriteBufs>> + Unpin>) {
    if let Some(write) = write {
        write.await.result.expect("append");
    }
}

async fn poll_once<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

fn benchmark(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let program = std::env::current_exe().expect("program");
    // Beside the program: temporary directories may lie in memory.
    let directory = tempfile::tempdir_in(program.parent().expect("directory")).expect("directory");
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for backend in [Backend::PageCache, Backend::Mmap, Backend::IoUring] {
        let store = match open_store(&IoConfig {
            backend,
            preallocation: Preallocation::ZeroFill,
            ..IoConfig::default()
        }) {
            Ok(store) => store,
            Err(reason) => {
                println!("SKIPPED {backend}: {reason}");
                continue;
            }
        };
        let path = Path::new(directory.path()).join(backend.to_string());
        let file = runtime.block_on(store.create(&path, FILE_BYTES)).expect("create");
        for len_bytes in [4 << 10, 64 << 10] {
            let batch = Bytes::from(vec![7; len_bytes]);
            group.throughput(Throughput::Bytes(len_bytes as u64));
            group.bench_function(BenchmarkId::new(backend.to_string(), len_bytes), |bencher| {
                bencher.iter_custom(|count| runtime.block_on(append(&file, &batch, count)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
