//! Writes with the engine what no client can ask a broker for yet: `write_directory DIR`. In `DIR/epochs-0` several
//! leader epochs, codecs and producers over small segments; in `DIR/compacted-0` a log that was cleaned. In
//! `DIR/transactions-0` two producers' transactions, committed and aborted, one still open at the clean close; in
//! `DIR/cleaned-0` the same after cleaning, in `DIR/spent-0` after two more, when markers without data have gone.

use std::path::Path;

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{
    AppendRequest, CompactRequest, CompactionPolicy, Log, LogConfig, OffsetMap, OpenHints, Origin, Throttle,
};
use plimsoll_records::marker::{EndTxn, end_txn};
use plimsoll_records::{Batch, BatchBuilder, BuildError, Codec, Compressor, ProducerStamp};
use tokio::task::LocalSet;
use uuid::Uuid;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const BATCHES: i64 = 100;
const RECORDS: i64 = 5;
const START_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;
const ROUNDS: i64 = 40;

fn main() -> Outcome<()> {
    let dir = std::env::args_os().nth(1).ok_or("write_directory DIR")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    LocalSet::new().block_on(&runtime, async {
        let written = fill(&Path::new(&dir).join("epochs-0")).await?;
        written.close().await?;
        let cleaned = fill(&Path::new(&dir).join("compacted-0")).await?;
        clean(&cleaned, START_MS + HOUR_MS).await?;
        cleaned.close().await?;
        for (name, cleanings) in [("transactions-0", 0), ("cleaned-0", 1), ("spent-0", 3)] {
            let log = transact(&Path::new(&dir).join(name)).await?;
            for day in 0..cleanings {
                clean(&log, START_MS + HOUR_MS + day * 48 * HOUR_MS).await?;
            }
            log.close().await?;
        }
        Ok(())
    })
}

async fn open(dir: &Path) -> Outcome<Log<PageCacheStore>> {
    let config = LogConfig { segment_bytes: 4096, index_interval_bytes: 400, ..LogConfig::default() };
    let store = PageCacheStore::new(Preallocation::Fallocate);
    Ok(Log::open(store, dir, Uuid::new_v4(), config, OpenHints::default()).await?.0)
}

async fn append(log: &Log<PageCacheStore>, batch: Batch, leader_epoch: i32) -> Outcome<()> {
    log.append(AppendRequest { batch, leader_epoch, origin: Origin::Client }).await?;
    Ok(())
}

async fn fill(dir: &Path) -> Outcome<Log<PageCacheStore>> {
    let log = open(dir).await?;
    for i in 0..BATCHES {
        append(&log, batch(i)?, (i / 30) as i32).await?;
    }
    log.flush().await?;
    Ok(log)
}

/// Transactions that overlap: in each round both producers write, then one of them ends its transaction, every third
/// time with an abort. What the other began in the last round stays open.
async fn transact(dir: &Path) -> Outcome<Log<PageCacheStore>> {
    let log = open(dir).await?;
    for round in 0..ROUNDS {
        for id in [200, 201] {
            append(&log, transactional(id, round)?, 0).await?;
        }
        let end = if round % 3 == 0 { EndTxn::Abort } else { EndTxn::Commit };
        append(&log, end_txn(end, 7, 200 + round % 2, 0, START_MS + round * 1000)?, 0).await?;
    }
    log.flush().await?;
    Ok(log)
}

/// Few keys, of which each aborted transaction wrote some last.
fn transactional(id: i64, round: i64) -> Result<Batch, BuildError> {
    let mut builder = BatchBuilder::new(Codec::None);
    let base_sequence = (round * RECORDS) as i32;
    builder.set_transactional(true).set_producer(ProducerStamp { id, epoch: 0, base_sequence });
    for record in 0..RECORDS {
        let (key, value) =
            (format!("key-{}", (round * 4 + record) % 29), format!("value-{id}-{round}-{record}"));
        builder.push(START_MS + round * 1000, Some(key.as_bytes()), Some(value.as_bytes()), &[])?;
    }
    builder.finish(&mut Compressor::new())
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

/// Cleans all that is stable, as if nothing had been cleaned before.
async fn clean(log: &Log<PageCacheStore>, now_ms: i64) -> Outcome<()> {
    let throttle = Throttle::unlimited();
    let mut map = OffsetMap::new(1 << 20, 0.9);
    let upto_offset = log.last_stable_offset(log.marks().durable);
    let request = CompactRequest {
        policy: CompactionPolicy::default(),
        upto_offset,
        first_dirty_offset: None,
        now_ms,
        aborted: log.aborted_transactions(0, upto_offset).await?,
        map: &mut map,
        throttle: &throttle,
    };
    let report = log.compact(request).await?;
    println!("{} records were removed, {} stay", report.records_removed, report.records_kept);
    Ok(())
}
