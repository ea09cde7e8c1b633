//! Writes with the engine what no client can ask a broker for yet: `write_directory DIR`. In `DIR/epochs-0` several
//! leader epochs, codecs and producers over small segments; in `DIR/compacted-0` a log that was cleaned.

use std::path::Path;

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{
    AppendRequest, CompactRequest, CompactionPolicy, Log, LogConfig, OffsetMap, OpenHints, Origin, Throttle,
};
use plimsoll_records::{Batch, BatchBuilder, BuildError, Codec, Compressor, ProducerStamp};
use tokio::task::LocalSet;
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BATCHES: i64 = 100;
const RECORDS: i64 = 5;
const START_MS: i64 = 1_700_000_000_000;

fn main() -> Outcome<()> {
    let dir = std::env::args_os().nth(1).ok_or("write_directory DIR")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    LocalSet::new().block_on(&runtime, async {
        let written = fill(&Path::new(&dir).join("epochs-0")).await?;
        written.close().await?;
        let cleaned = fill(&Path::new(&dir).join("compacted-0")).await?;
        clean(&cleaned).await?;
        Ok(cleaned.close().await?)
    })
}

async fn fill(dir: &Path) -> Outcome<Log<PageCacheStore>> {
    let config = LogConfig { segment_bytes: 4096, index_interval_bytes: 400, ..LogConfig::default() };
    let store = PageCacheStore::new(Preallocation::Fallocate);
    let (log, _) = Log::open(store, dir, Uuid::new_v4(), config, OpenHints::default()).await?;
    for i in 0..BATCHES {
        let request =
            AppendRequest { batch: batch(i)?, leader_epoch: (i / 30) as i32, origin: Origin::Client };
        log.append(request).await?;
    }
    log.flush().await?;
    Ok(log)
}

/// Few keys, so that most records are written over; some are deleted at last.
fn batch(i: i64) -> Result<Batch, BuildError> {
    const CODECS: [Codec; 5] = [Codec::None, Codec::GZIP, Codec::Snappy, Codec::Lz4, Codec::ZSTD];
    let codec = CODECS.get(i as usize % CODECS.len()).copied().unwrap_or(Codec::None);
    let mut builder = BatchBuilder::new(codec);
    let base_sequence = (i / 2 * RECORDS) as i32;
    builder.set_producer(ProducerStamp { id: 100 + i % 2, epoch: 0, base_sequence });
    for record in 0..RECORDS {
        let key = format!("key-{}", (i + record) % 9);
        let value = format!("value-{i}-{record}-{}", "x".repeat((i % 7) as usize * 20));
        let value = ((i + record) % 9 != 4).then_some(value.as_bytes());
        builder.push(START_MS + i * 1000 + record, Some(key.as_bytes()), value, &[("h", None)])?;
    }
    builder.finish(&mut Compressor::new())
}

async fn clean(log: &Log<PageCacheStore>) -> Outcome<()> {
    let throttle = Throttle::unlimited();
    let mut map = OffsetMap::new(1 << 20, 0.9);
    let report = log
        .compact(CompactRequest {
            policy: CompactionPolicy::default(),
            upto_offset: log.marks().durable,
            first_dirty_offset: None,
            now_ms: START_MS + 3_600_000,
            aborted: Vec::new(),
            map: &mut map,
            throttle: &throttle,
        })
        .await?;
    println!("{} records of {} were removed", report.records_removed, BATCHES * RECORDS);
    Ok(())
}
