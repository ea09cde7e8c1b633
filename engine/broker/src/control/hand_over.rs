//! Before a stop: leaderships go to others, so that clients find them before this broker is gone.

use std::time::Duration;

use plimsoll_controller::BrokerState;
use tracing::{info, warn};

use crate::broker::Broker;

/// How long that may take. Afterwards others take over once they miss this broker.
const LIMIT: Duration = Duration::from_secs(3);

/// Gives away what this broker leads, if there is somebody to give it to.
pub(crate) async fn hand_over(broker: &Broker) {
    let (image, own) = (broker.applied(), broker.settings.node_id());
    let others = image.brokers().any(|(id, other)| id != own && other.state == BrokerState::Active);
    if !others || !broker.settings.flag("controlled.shutdown.enable") {
        return;
    }
    match broker.session.shut_down(LIMIT).await {
        true => info!("others lead what this broker led"),
        false => warn!(
            "no controller confirmed within {} s that others lead what this broker leads",
            LIMIT.as_secs()
        ),
    }
}
