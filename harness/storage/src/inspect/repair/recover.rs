//! Letting the engine open and close partitions, which is what a broker's recovery does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plimsoll_io::{PageCacheStore, Preallocation};
use plimsoll_log::{Log, LogConfig, OffsetCheckpoint, OpenHints, TopicPartition, layout, read_topic_id};
use tokio::task::LocalSet;

use super::RepairError;

/// Opens each partition as after a crash, so that all of it is scanned, and closes it cleanly. One whose topic id is not
/// known is left to the broker, which knows it.
pub(crate) fn reopen(log_dir: &Path, dirs: &BTreeSet<PathBuf>) -> Result<(), RepairError> {
    if dirs.is_empty() {
        return Ok(());
    }
    let starts = OffsetCheckpoint::read(&log_dir.join(layout::LOG_START_CHECKPOINT))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(RepairError::Runtime)?;
    for dir in dirs {
        let name = dir.file_name().and_then(|name| name.to_str()).and_then(layout::parse_partition_dir);
        let start = name.and_then(|(topic, partition)| {
            starts.offsets.get(&TopicPartition::new(topic, partition)).copied()
        });
        LocalSet::new().block_on(&runtime, open_and_close(dir, start))?;
    }
    Ok(())
}

async fn open_and_close(dir: &Path, log_start_offset: Option<i64>) -> Result<(), RepairError> {
    let Some(topic_id) = read_topic_id(dir)? else { return Ok(()) };
    let failed = |source| RepairError::Log { dir: dir.to_owned(), source: Box::new(source) };
    let store = PageCacheStore::new(Preallocation::None);
    let hints = OpenHints { recovery_point: None, log_start_offset, clean: false };
    let (log, _) = Log::open(store, dir, topic_id, LogConfig::default(), hints).await.map_err(failed)?;
    log.close().await.map_err(failed)
}
