//! What leaders propose to the controller: collected, sent together, one message at a time; and the look at those who lag.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{debug, info, warn};

use crate::broker::Broker;
use crate::partition::replication::isr::{AlterPartition, Answer, Next};
use crate::partition::{Partition, PartitionKey};

/// Partitions in one message to the controller.
const CHANGES_MAX: usize = 1_000;

/// How long a controller may take before its silence counts as no answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause before something is sent again.
const RESEND_PAUSE: Duration = Duration::from_millis(100);

/// The controller, as far as leaders change ISRs through it.
pub(crate) trait AlterIsr {
    /// Asks for these changes at once. One answer each, in this order; [`Answer::Lost`] where it is not known what came of
    /// it. Cancel safety: dropped, any of them may be committed or not.
    async fn alter(&self, changes: Vec<(PartitionKey, AlterPartition)>) -> Vec<Answer>;
}

/// Runs until told to stop.
pub(crate) async fn run(broker: &Broker, controller: &impl AlterIsr, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => {}
        () = look_after_isrs(broker, controller) => {}
    }
}

async fn look_after_isrs(broker: &Broker, controller: &impl AlterIsr) {
    let proposals = broker.around.proposals();
    let mut laggards = interval((broker.around.lag_max() / 2).max(Duration::from_millis(1)));
    laggards.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut again: BTreeSet<PartitionKey> = BTreeSet::new();
    let mut again_at = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = sleep_until(again_at), if !again.is_empty() => {
                std::mem::take(&mut again).into_iter().for_each(|key| proposals.add(key));
            }
            _ = laggards.tick() => look_for_laggards(broker).await,
            () = proposals.news() => {
                let unsettled = send(broker, controller, proposals.take(CHANGES_MAX)).await;
                if !unsettled.is_empty() {
                    again.extend(unsettled);
                    again_at = Instant::now() + RESEND_PAUSE;
                }
            }
        }
    }
}

async fn look_for_laggards(broker: &Broker) {
    for topic in broker.catalog.all() {
        topic.online().for_each(|partition| partition.look_after_isr());
        tokio::task::yield_now().await;
    }
}

/// Sends what these partitions propose, and gives them the answers. Returns those that are to be sent again.
async fn send(broker: &Broker, controller: &impl AlterIsr, keys: Vec<PartitionKey>) -> Vec<PartitionKey> {
    let found = keys.into_iter().filter_map(|key| {
        let partition = partition(broker, key)?;
        let proposal = partition.proposal()?;
        Some((partition, (key, proposal)))
    });
    let (partitions, changes): (Vec<_>, Vec<_>) = found.unzip();
    if changes.is_empty() {
        return Vec::new();
    }
    let asked = controller.alter(changes.clone());
    let answers = tokio::time::timeout(PATIENCE, asked).await.unwrap_or_default();
    // Whoever got none may have been heard all the same.
    let answers = answers.into_iter().chain(std::iter::repeat(Answer::Lost));
    let mut again = Vec::new();
    for ((partition, (key, change)), answer) in partitions.iter().zip(changes).zip(answers) {
        tell(key, &change, &answer);
        if partition.altered(change.partition_epoch, answer) == Next::SendAgain {
            again.push(key);
        }
    }
    again
}

fn partition(broker: &Broker, key: PartitionKey) -> Option<std::sync::Arc<Partition>> {
    let topic = broker.catalog.by_id(key.topic_id)?;
    topic.partition(key.index).ok().cloned()
}

fn tell(key: PartitionKey, change: &AlterPartition, answer: &Answer) {
    let PartitionKey { topic_id, index } = key;
    let wanted: Vec<_> = change.isr.keys().collect();
    match answer {
        Answer::Committed { isr, .. } => info!("{topic_id}-{index}: the ISR is {isr:?} now"),
        Answer::Refused(code) => {
            warn!("{topic_id}-{index}: the controller refuses the ISR {wanted:?}: {}", code.name());
        }
        Answer::Lost => debug!("{topic_id}-{index}: no answer about the ISR {wanted:?}"),
    }
}
