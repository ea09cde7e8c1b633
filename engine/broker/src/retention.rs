//! What goes by age and size, looked at again and again.

use std::sync::Arc;
use std::time::Duration;

use plimsoll_log::LogError;
use tokio::sync::watch;
use tracing::{error, info};

use crate::api::now_ms;
use crate::broker::Broker;
use crate::catalog::Topic;
use crate::housekeeping::rests;
use crate::log_dirs::LogDir;
use crate::partition::Partition;

/// Applies every topic's retention in one directory each `log.retention.check.interval.ms`, until told to stop.
pub(crate) async fn run(broker: Arc<Broker>, dir: Arc<LogDir>, mut stopped: watch::Receiver<bool>) {
    let every = Duration::from_millis(broker.settings.int("log.retention.check.interval.ms").unsigned_abs());
    while !rests(every, &mut stopped).await {
        if dir.is_offline() {
            return;
        }
        if apply(&broker, &dir).await > 0
            && let Err(failed) = broker.note_log_starts(&dir).await
        {
            error!("log starts could not be written down: {failed}");
        }
    }
}

/// Goes over every partition in the directory once. Returns how many segments went.
async fn apply(broker: &Broker, dir: &Arc<LogDir>) -> usize {
    let mut removed = 0;
    for topic in broker.catalog.all() {
        for partition in topic.online().filter(|partition| Arc::ptr_eq(partition.directory(), dir)) {
            removed += of_partition(&topic, partition).await;
            tokio::task::yield_now().await;
        }
    }
    removed
}

/// Only what lies below the high watermark goes (rule E30).
async fn of_partition(topic: &Topic, partition: &Partition) -> usize {
    let (policy, high_watermark) = (&topic.settings.retention, partition.bounds().high_watermark);
    match partition.log().apply_retention(policy, high_watermark, now_ms()).await {
        Ok(retained) => {
            if retained.removed_segments > 0 {
                info!(
                    "{}-{}: {} segments with {} bytes are gone; the log starts at {}",
                    topic.name,
                    partition.index(),
                    retained.removed_segments,
                    retained.removed_bytes,
                    retained.log_start_offset
                );
            }
            retained.removed_segments
        }
        // Deleted or closed meanwhile.
        Err(LogError::Closed) => 0,
        Err(failed) => {
            error!("{}-{}: retention failed: {failed}", topic.name, partition.index());
            0
        }
    }
}
