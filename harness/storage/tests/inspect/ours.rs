//! Directories as our engine writes them.

use std::path::{Path, PathBuf};

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{AppendRequest, Log, LogConfig, MetaProperties, OpenHints, Origin, RecoveryReport};
use plimsoll_records::{BatchBuilder, Codec, Compressor, ProducerStamp};
use uuid::Uuid;

/// Batches in a partition, five records each.
pub(crate) const BATCHES: i64 = 60;
const RECORDS: i64 = 5;
/// One past the last offset.
pub(crate) const END: i64 = BATCHES * RECORDS;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 400, ..LogConfig::default() }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

/// Opens a partition's directory as a broker would.
pub(crate) fn open(dir: &Path, clean: bool) -> (i64, RecoveryReport) {
    let id = plimsoll_log::read_topic_id(dir).expect("readable").expect("an id");
    run(async {
        let hints = OpenHints { clean, ..OpenHints::default() };
        let store = PageCacheStore::new(Preallocation::None);
        let (log, report) = Log::open(store, dir, id, LogConfig::default(), hints).await.expect("opens");
        let end_offset = log.marks().accepted;
        log.close().await.expect("closes");
        (end_offset, report)
    })
}

/// A log directory with one partition `t-0` of several segments: all codecs, two producers, three epochs.
pub(crate) fn log_dir() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("temp dir");
    let meta = MetaProperties { cluster_id: "c".into(), node_id: 1, directory_id: "d".into() };
    meta.write(root.path()).expect("meta.properties");
    let dir = root.path().join("t-0");
    run(async {
        let store = PageCacheStore::new(Preallocation::None);
        let id = Uuid::from_u128(7);
        let (log, _) = Log::open(store, &dir, id, config(), OpenHints::default()).await.expect("opens");
        let codecs = [Codec::None, Codec::GZIP, Codec::Snappy, Codec::Lz4, Codec::ZSTD];
        for (i, codec) in (0..BATCHES).zip(codecs.into_iter().cycle()) {
            let mut builder = BatchBuilder::new(codec);
            let base_sequence = (i / 2 * RECORDS) as i32;
            builder.set_producer(ProducerStamp { id: 100 + i % 2, epoch: 0, base_sequence });
            for record in 0..RECORDS {
                let at_ms = 1_700_000_000_000 + i * 1000 + record;
                let value = format!("value {i} {record} {}", "x".repeat((i % 7) as usize * 20));
                builder.push(at_ms, Some(b"k"), Some(value.as_bytes()), &[("h", None)]).expect("fits");
            }
            let batch = builder.finish(&mut Compressor::new()).expect("a batch");
            let leader_epoch = (i / 25) as i32;
            log.append(AppendRequest { batch, leader_epoch, origin: Origin::Client }).await.expect("appends");
        }
        log.close().await.expect("closes");
    });
    (root, dir)
}

/// The log files, oldest first.
pub(crate) fn logs(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let mut logs: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    logs.sort();
    logs
}
