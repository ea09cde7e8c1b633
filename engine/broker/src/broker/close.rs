//! Closing everything, so that the next start need not look at what is whole.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::error;

use super::{Broker, SIDE_BY_SIDE_MAX, cut_short};
use crate::error::BrokerError;
use crate::log_dirs::LogDir;
use crate::partition::{Partition, PartitionError};

impl Broker {
    /// Closes every log, also if one of them fails, and leaves the clean-shutdown marker in the directories where all
    /// of it worked. Those that are offline are left as they are. The first failure is returned.
    ///
    /// Must run while the runtimes that appended are still alive: writes in flight belong to them.
    pub(crate) async fn close(&self) -> Result<(), BrokerError> {
        let (mut outcome, mut clean) = (Ok(()), Vec::new());
        for dir in self.log_dirs.online() {
            let closed = self.close_logs(dir).await;
            let noted = self.checkpoint_of(dir).await;
            match closed.and(noted) {
                Ok(()) => clean.push(dir),
                failed => outcome = outcome.and(failed),
            }
        }
        self.session.end();
        self.quorum.close().await?;
        for dir in clean {
            outcome = outcome.and(dir.leave_clean(self.broker_epoch));
        }
        outcome
    }

    async fn close_logs(&self, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
        let topics = self.catalog.all();
        let here = |partition: &&Arc<Partition>| Arc::ptr_eq(partition.directory(), dir);
        let mut open = topics.iter().flat_map(|topic| {
            let named = |partition: &Arc<Partition>| {
                (format!("{}-{}", topic.name, partition.index()), partition.clone())
            };
            topic.opened().filter(here).map(named)
        });
        let (mut closing, mut outcome) = (JoinSet::new(), Ok(()));
        loop {
            while closing.len() < SIDE_BY_SIDE_MAX
                && let Some((name, partition)) = open.next()
            {
                closing.spawn_local(async move {
                    let closed = partition.log().close().await.map_err(PartitionError::from);
                    closed.map_err(|source| BrokerError::Partition { partition: name, source })
                });
            }
            let Some(joined) = closing.join_next().await else { return outcome };
            let closed =
                joined.unwrap_or_else(|error| Err(cut_short("a partition was not closed to its end", error)));
            if let Err(failed) = &closed {
                error!("not closed, so it will be recovered at the next start: {failed}");
            }
            outcome = outcome.and(closed);
        }
    }
}
