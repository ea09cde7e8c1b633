//! Tells the controllers which replicas lie on a disk that failed, so that others lead them (KIP-112, KIP-858).

use std::time::Duration;

use plimsoll_controller::{Command, Controller, PartitionId};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::broker::Broker;

/// How long after a failure the next try comes.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Replicas named in one command.
const NAMED_MAX: usize = 1000;

/// Runs until told to stop. Looks whenever the metadata or a directory is not what it was.
pub(crate) async fn report_offline(broker: &Broker, mut stopped: watch::Receiver<bool>) {
    let mut applied = broker.applied.subscribe();
    loop {
        applied.mark_unchanged();
        let reported = report(broker).await;
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return,
            () = broker.log_dirs().lost() => {}
            _ = applied.changed() => {}
            () = tokio::time::sleep(RETRY_AFTER), if !reported => {}
        }
    }
}

/// Whether the controllers know all.
async fn report(broker: &Broker) -> bool {
    let partitions = unknown(broker);
    if partitions.is_empty() {
        return true;
    }
    let (node_id, broker_epoch) = (broker.settings.node_id(), broker.broker_epoch);
    let count = partitions.len();
    let command = Command::TakeReplicasOffline { node_id, broker_epoch, partitions };
    match broker.quorum.controller().propose(command).await {
        Ok(_) => info!("the controllers know that {count} replicas here are offline"),
        Err(error) => {
            warn!("the controllers do not know yet that {count} replicas here are offline: {error}")
        }
    }
    // What was told is looked at again once it is in the metadata.
    false
}

/// Replicas of this broker whose disk failed, and of which the metadata does not say so.
fn unknown(broker: &Broker) -> Vec<PartitionId> {
    let (node_id, mut unknown) = (broker.settings.node_id(), Vec::new());
    for topic in broker.catalog.all() {
        for (partition, slot) in (0..).zip(&topic.partitions) {
            let known = slot.record.offline.contains(&node_id);
            if slot.replica.is_offline() && !known && unknown.len() < NAMED_MAX {
                unknown.push(PartitionId { topic_id: topic.id, partition });
            }
        }
    }
    unknown
}
