//! Whether the broker may go on: it may not without its registration, nor without its metadata log.

use tokio::sync::watch;

use crate::broker::Broker;
use crate::error::BrokerError;

/// Watches until told to stop. An error means that the broker cannot go on.
pub(crate) async fn attend(broker: &Broker, mut stopped: watch::Receiver<bool>) -> Result<(), BrokerError> {
    let mut status = broker.session.status();
    let lost = async {
        match status.wait_for(|status| status.lost.is_some()).await.map(|status| status.lost.clone()) {
            Ok(Some(reason)) => BrokerError::NotRegistered { node_id: broker.settings.node_id(), reason },
            // Its task ends with the quorum's thread, or when the broker stops.
            _ => broker.quorum.failed().await,
        }
    };
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => Ok(()),
        failed = broker.quorum.failed() => Err(failed),
        lost = lost => Err(lost),
    }
}
