//! Takes directories whose disk failed out of service.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::error;

use super::LogDir;
use crate::broker::Broker;
use crate::error::BrokerError;

/// Watches over the log directories until told to stop. An error means that the broker cannot go on.
pub(crate) async fn supervise(
    broker: &Arc<Broker>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), BrokerError> {
    let dirs = broker.log_dirs();
    let mut known: Vec<Arc<LogDir>> = Vec::new();
    loop {
        for dir in dirs.opened().filter(|dir| dir.is_offline()) {
            if !known.iter().any(|known| Arc::ptr_eq(known, dir)) {
                take_offline(broker, dir)?;
                known.push(dir.clone());
            }
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
            () = dirs.failed.notified() => {}
        }
    }
}

/// Fails every log of the directory, so that nobody waits for what cannot come.
fn take_offline(broker: &Broker, dir: &Arc<LogDir>) -> Result<(), BrokerError> {
    let Some(fault) = dir.fault() else { return Ok(()) };
    let mut offline = 0;
    for topic in broker.catalog.all() {
        for partition in topic.opened().filter(|partition| Arc::ptr_eq(partition.directory(), dir)) {
            partition.log().fail(fault.clone());
            partition.wake_watchers();
            offline += 1;
        }
    }
    if Arc::ptr_eq(dir, broker.log_dirs().first()) {
        let (path, fault) = (dir.path().to_path_buf(), fault.clone());
        return Err(BrokerError::FirstDirectoryFailed { path, fault });
    }
    broker.log_dirs().lost.notify_one();
    error!(
        "{} is offline with its {offline} partitions until its disk is mended and the broker started again: {fault}",
        dir.path().display()
    );
    Ok(())
}
