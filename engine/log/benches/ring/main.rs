//! What an append costs on its whole way to the ring, against a hand-written loop over a ring.
//!
//! Each pair runs both on fresh files of one directory, in random order of sorts (they take turns to begin). The
//! floor copies the same bytes into registered blocks and keeps the same number of writes in flight; it knows no
//! batches, tails, marks or runtime. CPU is that of the whole process, kernel workers on its behalf included.
//!
//! `cargo bench -p plimsoll-log --bench ring [-- BATCH_BYTES WRITE_BYTES DEPTH PAIRS MIB TAIL_CACHE_MIB]`

#![expect(unsafe_code, reason = "the floor is written by hand against the ring")]

mod floor;
mod meter;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use plimsoll_io::{Preallocation, UringOptions, UringStore};
use plimsoll_log::{AppendRequest, Level, Log, LogConfig, OpenHints, Origin};
use plimsoll_records::{Batch, BatchBuilder, Codec, Compressor};
use tokio::task::LocalSet;
use uuid::Uuid;

use meter::{Cost, Meter};

/// One comparison.
#[derive(Clone, Copy, Debug)]
struct Cell {
    batch_bytes: usize,
    /// Of the floor; the engine chooses for itself.
    write_bytes: usize,
    depth: u16,
    pairs: usize,
    total_bytes: usize,
    tail_cache_bytes: u64,
}

fn cell(batch_bytes: usize, write_bytes: usize, depth: u16) -> Cell {
    let tail_cache_bytes = UringOptions::default().tail_cache_bytes;
    Cell { batch_bytes, write_bytes, depth, pairs: 12, total_bytes: 256 << 20, tail_cache_bytes }
}

fn cells() -> [Cell; 4] {
    [
        cell(16 << 10, 64 << 10, 16),
        cell(64 << 10, 64 << 10, 16),
        cell(256 << 10, 256 << 10, 8),
        cell(1 << 20, 256 << 10, 16),
    ]
}

/// A batch of nearly `size_bytes`, as producers make them: no multiple of anything.
fn batch(size_bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    while builder.size_bytes() + 1_040 <= size_bytes {
        builder.push(0, None, Some(&[7; 1_000]), &[]).expect("push");
    }
    builder.finish(&mut Compressor::new()).expect("finish")
}

/// Appends `cell.total_bytes` with as much outstanding as the floor has, and waits until all is written.
async fn append_all(path: &Path, cell: Cell, batch: &Batch, meter: &Meter) -> Cost {
    let Cell { depth, tail_cache_bytes, .. } = cell;
    let options = UringOptions { depth, tail_cache_bytes, ..UringOptions::default() };
    let store = UringStore::new(Preallocation::Fallocate, options).expect("io_uring");
    let config = LogConfig { reserve_step_min_bytes: cell.total_bytes as u64, ..LogConfig::default() };
    let opened = Log::open(store, path, Uuid::nil(), config, OpenHints::default());
    let (log, _) = opened.await.expect("open");
    let window = (usize::from(cell.depth) * cell.write_bytes).div_ceil(cell.batch_bytes).max(2);
    let mut outstanding = VecDeque::new();
    // The first write makes the ring and registers its memory, which the floor does beforehand, too.
    let request = AppendRequest { batch: batch.clone(), leader_epoch: 0, origin: Origin::Client };
    let appended = log.append(request).await.expect("append");
    log.wait(appended.generation, Level::Written, appended.last_offset + 1).await.expect("written");
    meter
        .measure(async {
            for _ in 1..cell.total_bytes / batch.size_bytes() {
                if outstanding.len() == window
                    && let Some((generation, next_offset)) = outstanding.pop_front()
                {
                    log.wait(generation, Level::Written, next_offset).await.expect("written");
                }
                let request = AppendRequest { batch: batch.clone(), leader_epoch: 0, origin: Origin::Client };
                let appended = log.append(request).await.expect("append");
                outstanding.push_back((appended.generation, appended.last_offset + 1));
            }
            if let Some((generation, next_offset)) = outstanding.pop_back() {
                log.wait(generation, Level::Written, next_offset).await.expect("written");
            }
        })
        .await
}

fn engine(directory: &Path, cell: Cell, batch: &Batch, meter: &Meter) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let path = directory.join("t-0");
    let cost = LocalSet::new().block_on(&runtime, append_all(&path, cell, batch, meter));
    drop(runtime);
    std::fs::remove_dir_all(&path).expect("remove");
    cost
}

fn compare(directory: &Path, cell: Cell, meter: &Meter) {
    let batch = batch(cell.batch_bytes);
    let floor = || floor::run(&directory.join("floor"), cell, &batch, meter);
    let engine = || engine(directory, cell, &batch, meter);
    // Warms up files and memory.
    let _ = (floor(), engine());
    let pairs: Vec<(Cost, Cost)> = (0..cell.pairs)
        .map(|pair| match pair % 2 {
            0 => (floor(), engine()),
            _ => {
                let engine = engine();
                (floor(), engine)
            }
        })
        .collect();
    report(cell, &batch, &pairs);
}

fn report(cell: Cell, batch: &Batch, pairs: &[(Cost, Cost)]) {
    let batches = cell.total_bytes / batch.size_bytes();
    let payload_bytes = batches * batch.size_bytes();
    println!("batches of {} B, floor {} x {} B", batch.size_bytes(), cell.depth, cell.write_bytes);
    for (name, pick) in [("floor", 0), ("engine", 1)] {
        let costs = pairs.iter().map(|pair| if pick == 0 { pair.0 } else { pair.1 });
        let mb_per_s = median(costs.clone().map(|cost| payload_bytes as f64 / 1e6 / cost.wall_s));
        let cpu = median(costs.clone().map(|cost| cost.cpu_s / (payload_bytes as f64 / 1e9)));
        let calls = median(costs.clone().map(|cost| cost.syscalls / batches as f64));
        let switches = median(costs.map(|cost| cost.switches / batches as f64));
        println!(
            "  {name:6} {mb_per_s:6.0} MB/s  {cpu:.4} CPU-s/GB  {calls:.2} syscalls  {switches:.2} switches per batch"
        );
    }
    let cpu = median(pairs.iter().map(|(floor, engine)| engine.cpu_s / floor.cpu_s));
    let mut ratios: Vec<f64> = pairs.iter().map(|(floor, engine)| engine.cpu_s / floor.cpu_s).collect();
    ratios.sort_by(f64::total_cmp);
    let (low, high) = (ratios.first().copied().unwrap_or(0.0), ratios.last().copied().unwrap_or(0.0));
    let speed = median(pairs.iter().map(|(floor, engine)| floor.wall_s / engine.wall_s));
    println!(
        "  engine / floor: CPU x {cpu:.2} ({low:.2} to {high:.2}), speed x {speed:.2}, {} pairs",
        pairs.len()
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A directory beside the program: temporary directories may lie in memory.
fn directory() -> (tempfile::TempDir, PathBuf) {
    let program = std::env::current_exe().expect("program");
    let directory = tempfile::tempdir_in(program.parent().expect("directory")).expect("directory");
    let path = directory.path().to_owned();
    (directory, path)
}

fn main() {
    if let Err(reason) = plimsoll_io::probe_io_uring() {
        println!("skipped: ring: {reason}");
        return;
    }
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (_guard, directory) = directory();
    let meter = Meter::new();
    match numbers[..] {
        [batch_bytes, write_bytes, depth, pairs, mib, tail_cache_mib] => {
            let (depth, total_bytes) = (depth as u16, mib << 20);
            let tail_cache_bytes = (tail_cache_mib as u64) << 20;
            let cell = Cell { batch_bytes, write_bytes, depth, pairs, total_bytes, tail_cache_bytes };
            compare(&directory, cell, &meter);
        }
        _ => cells().into_iter().for_each(|cell| compare(&directory, cell, &meter)),
    }
}
