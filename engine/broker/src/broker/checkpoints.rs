//! What is written down of all partitions of a directory, never on the thread that asks for it.

use std::sync::Arc;

use plimsoll_log::{OffsetCheckpoint, TopicPartition};

use super::Broker;
use crate::error::BrokerError;
use crate::log_dirs::LogDir;
use crate::partition::Partition;

impl Broker {
    /// Writes recovery points, log starts and high watermarks down, of the partitions that there are. Every directory is tried; the first
    /// failure is returned.
    pub(crate) async fn checkpoint(&self) -> Result<(), BrokerError> {
        let mut outcome = Ok(());
        for dir in self.log_dirs.online() {
            outcome = outcome.and(self.checkpoint_of(dir).await);
        }
        outcome
    }

    /// The same of one directory.
    pub(crate) async fn checkpoint_of(&self, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
        dir.note_recovery_points(|| self.gather(dir, |partition| partition.log().recovery_point())).await?;
        self.note_log_starts(dir).await?;
        self.note_high_watermarks(dir).await
    }

    /// Writes down up to where the partitions of a directory may be consumed.
    pub(crate) async fn note_high_watermarks(&self, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
        dir.note_high_watermarks(|| self.gather(dir, |partition| partition.bounds().high_watermark)).await
    }

    /// Writes down where the logs of a directory start.
    pub(crate) async fn note_log_starts(&self, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
        dir.note_log_starts(|| self.gather(dir, |partition| partition.bounds().log_start)).await
    }

    fn gather(&self, dir: &Arc<LogDir>, offset: impl Fn(&Partition) -> i64) -> OffsetCheckpoint {
        let mut checkpoint = OffsetCheckpoint::default();
        for topic in self.catalog.all() {
            for partition in topic.opened().filter(|partition| Arc::ptr_eq(partition.directory(), dir)) {
                let key = TopicPartition::new(&*topic.name, partition.index());
                checkpoint.offsets.insert(key, offset(partition));
            }
        }
        checkpoint
    }
}
