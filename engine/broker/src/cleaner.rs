//! The log cleaner: one cleaning at a time, the dirtiest log first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_log::{
    CompactError, CompactRequest, CompactionPolicy, OffsetMap, Throttle, TopicPartition, layout,
};
use tokio::sync::watch;
use tracing::{error, info};

use crate::api::now_ms;
use crate::broker::Broker;
use crate::housekeeping::rests;
use crate::partition::Partition;

/// How full the map of keys may become, as in Kafka.
const LOAD_FACTOR: f64 = 0.9;

/// The cleaner and what it remembers.
#[derive(Debug)]
pub(crate) struct Cleaner {
    throttle: Throttle,
    map_bytes: usize,
    /// Logs with a batch that cannot be cleaned: left alone until the next start.
    uncleanable: BTreeSet<TopicPartition>,
}

/// A log that is due.
struct Due {
    key: TopicPartition,
    partition: Arc<Partition>,
    policy: CompactionPolicy,
    first_dirty_offset: i64,
    dirty_ratio: f64,
}

/// Cleans until told to stop; rests for `log.cleaner.backoff.ms` when nothing is due.
pub(crate) async fn run(broker: &Arc<Broker>, mut stopped: watch::Receiver<bool>) {
    if !broker.settings.flag("log.cleaner.enable") {
        return;
    }
    let backoff = Duration::from_millis(broker.settings.int("log.cleaner.backoff.ms").unsigned_abs());
    let mut cleaner = Cleaner::new(broker);
    loop {
        let rest = match cleaner.clean_dirtiest(broker).await {
            true => Duration::ZERO,
            false => backoff,
        };
        if rests(rest, &mut stopped).await {
            return;
        }
    }
}

impl Cleaner {
    fn new(broker: &Broker) -> Self {
        let bytes_per_s = broker.settings.double("log.cleaner.io.max.bytes.per.second");
        // Kafka's default stands for no limit.
        let throttle = match bytes_per_s < u64::MAX as f64 {
            true => Throttle::new(bytes_per_s as u64),
            false => Throttle::unlimited(),
        };
        Self {
            throttle,
            map_bytes: broker.settings.count("log.cleaner.dedupe.buffer.size"),
            uncleanable: BTreeSet::new(),
        }
    }

    /// Cleans the dirtiest log that is due. False if there is none.
    async fn clean_dirtiest(&mut self, broker: &Broker) -> bool {
        let Some(due) = self.dirtiest(broker).await else { return false };
        let name = format!("{}-{}", due.key.topic, due.key.partition);
        match self.clean(&due).await {
            Ok(Some(first_dirty_offset)) => remember(broker, &due, first_dirty_offset).await,
            Ok(None) => {}
            // Changed under the cleaning, or gone: the next round looks again.
            Err(CompactError::Busy | CompactError::Interrupted | CompactError::Closed) => {}
            Err(failed) => {
                error!("{name} cannot be cleaned and is left alone until the next start: {failed}");
                self.uncleanable.insert(due.key);
            }
        }
        true
    }

    async fn dirtiest(&self, broker: &Broker) -> Option<Due> {
        let known = broker.log_dirs().cleaned().await;
        let mut dirtiest: Option<Due> = None;
        for topic in broker.catalog.all() {
            let Some(policy) = topic.settings.compaction else { continue };
            for partition in topic.online() {
                let key = TopicPartition::new(&*topic.name, partition.index());
                if self.uncleanable.contains(&key) {
                    continue;
                }
                let first_dirty = known.get(&key).copied();
                let upto_offset = cleanable_upto(partition);
                let log = partition.log();
                let found = log.compaction_candidate(&policy, upto_offset, first_dirty, now_ms()).await;
                let Ok(candidate) = found else { continue };
                let dirty_ratio = candidate.dirty_ratio();
                if candidate.is_due(&policy) && dirtiest.as_ref().is_none_or(|d| d.dirty_ratio < dirty_ratio)
                {
                    let (partition, first_dirty_offset) = (partition.clone(), candidate.first_dirty_offset);
                    dirtiest = Some(Due { key, partition, policy, first_dirty_offset, dirty_ratio });
                }
                tokio::task::yield_now().await;
            }
        }
        dirtiest
    }

    /// One cleaning. Returns from where on the log is dirty now, if that moved.
    async fn clean(&self, due: &Due) -> Result<Option<i64>, CompactError> {
        // Taken for this cleaning only: most brokers compact nothing most of the time.
        let mut map = OffsetMap::new(self.map_bytes, LOAD_FACTOR);
        let log = due.partition.log();
        let upto_offset = cleanable_upto(&due.partition);
        let aborted = log.aborted_transactions(log.marks().start_offset, upto_offset).await?;
        let request = CompactRequest {
            policy: due.policy,
            upto_offset,
            first_dirty_offset: Some(due.first_dirty_offset),
            now_ms: now_ms(),
            aborted,
            map: &mut map,
            throttle: &self.throttle,
        };
        let report = log.compact(request).await?;
        info!(
            "{}-{}: cleaned up to {}: {} records stay, {} went; {} segments became {}",
            due.key.topic,
            due.key.partition,
            report.first_dirty_offset,
            report.records_kept,
            report.records_removed,
            report.segments_before,
            report.segments_after
        );
        Ok(Some(report.first_dirty_offset).filter(|offset| *offset > due.first_dirty_offset))
    }
}

/// Writes the new checkpoint of the log's directory, without partitions that are gone.
async fn remember(broker: &Broker, due: &Due, first_dirty_offset: i64) {
    let dir = due.partition.directory();
    let written = dir.cleaned.update(|checkpoint| {
        checkpoint.offsets.insert(due.key.clone(), first_dirty_offset);
        checkpoint.offsets.retain(|key, _| broker.catalog.by_name(&key.topic).is_some());
    });
    if let Err(failed) = dir.heed(written.await) {
        error!("{} could not be written; logs are cleaned again: {failed}", layout::CLEANER_CHECKPOINT);
    }
}

/// What is stable: below the high watermark and every transaction that is still open (rule E33).
fn cleanable_upto(partition: &Partition) -> i64 {
    partition.bounds().last_stable
}
