//! What is done again and again while a broker serves: checkpoints, retention, producers that are forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::broker::Broker;
use crate::log_dirs::LogDir;
use crate::retention;

/// Looks after each directory by itself: a disk that stands still must hold up no other.
pub(crate) async fn keep_house(broker: &Arc<Broker>, stopped: &watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    for dir in broker.log_dirs().online() {
        tasks.spawn_local(checkpoint(broker.clone(), dir.clone(), stopped.clone()));
        tasks.spawn_local(high_watermarks(broker.clone(), dir.clone(), stopped.clone()));
        tasks.spawn_local(retention::run(broker.clone(), dir.clone(), stopped.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            error!("a directory is no longer looked after: {error}");
        }
    }
}

/// Writes recovery points and log starts down, again and again.
async fn checkpoint(broker: Arc<Broker>, dir: Arc<LogDir>, mut stopped: watch::Receiver<bool>) {
    while !rests(checkpoint_interval(&broker), &mut stopped).await {
        if dir.is_offline() {
            return;
        }
        if let Err(failed) = broker.checkpoint_of(&dir).await {
            error!("recovery points could not be written; a crash would scan more: {failed}");
        }
    }
}

/// Writes high watermarks down, again and again.
async fn high_watermarks(broker: Arc<Broker>, dir: Arc<LogDir>, mut stopped: watch::Receiver<bool>) {
    let interval_ms = broker.settings.int("replica.high.watermark.checkpoint.interval.ms").unsigned_abs();
    while !rests(Duration::from_millis(interval_ms), &mut stopped).await {
        if dir.is_offline() {
            return;
        }
        if let Err(failed) = broker.note_high_watermarks(&dir).await {
            error!("high watermarks could not be written down: {failed}");
        }
    }
}

/// Forgets silent producers, again and again.
pub(crate) async fn expire_producers(broker: &Broker, mut stopped: watch::Receiver<bool>) {
    while !rests(checkpoint_interval(broker), &mut stopped).await {
        broker.expire_producers();
    }
}

fn checkpoint_interval(broker: &Broker) -> Duration {
    Duration::from_millis(broker.settings.int("log.flush.offset.checkpoint.interval.ms").unsigned_abs())
}

/// Rests for so long, or until the broker stops. Says whether it does.
pub(crate) async fn rests(interval: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => true,
        () = tokio::time::sleep(interval) => false,
    }
}
