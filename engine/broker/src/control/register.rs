//! The broker's registration: asked for until it is there, and seen in this node's own image before anything is opened.

use std::sync::Arc;

use plimsoll_controller::{BrokerSession, Endpoint as Registered, Image, Registration};
use tracing::info;
use uuid::Uuid;

use super::Quorum;
use crate::config::{Endpoint, Settings};
use crate::error::BrokerError;
use crate::log_dirs::LogDirs;

/// A broker that is registered and still fenced.
pub(crate) struct Registry {
    pub(crate) session: BrokerSession,
    pub(crate) broker_epoch: i64,
    /// The first image that holds the registration: an older one may speak of the process before this one.
    pub(crate) image: Arc<Image>,
}

/// Registers the broker, which takes as long as there is no active controller. Fails if the cluster does not take it.
pub(crate) async fn register(
    quorum: &Quorum,
    settings: &Settings,
    log_dirs: &LogDirs,
    told: &Endpoint,
) -> Result<Registry, BrokerError> {
    let node_id = settings.node_id();
    let rack = Some(settings.text("broker.rack")).filter(|rack| !rack.is_empty());
    let endpoint = Registered {
        listener: settings.cluster.listener_name.clone(),
        host: told.host.clone(),
        port: told.port,
    };
    let registration = Registration {
        incarnation: Uuid::new_v4(),
        endpoints: vec![endpoint],
        rack: rack.map(str::to_owned),
        log_dirs: log_dirs.opened().map(|dir| dir.directory_id()).collect(),
        clean_shutdown_epoch: log_dirs.first().clean_shutdown_epoch()?,
    };
    let session = BrokerSession::start(quorum.controller(), registration);
    let mut status = session.status();
    let answered = status.wait_for(|status| status.broker_epoch.is_some() || status.lost.is_some());
    let answer = tokio::select! {
        biased;
        failed = quorum.failed() => return Err(failed),
        answer = answered => answer.map(|status| (status.broker_epoch, status.lost.clone())),
    };
    let broker_epoch = match answer {
        Ok((Some(broker_epoch), None)) => broker_epoch,
        Ok((_, Some(reason))) => return Err(BrokerError::NotRegistered { node_id, reason }),
        // The session's task is gone, and with it the quorum's thread.
        _ => return Err(quorum.failed().await),
    };
    let mut images = quorum.images();
    let seen = images.wait_for(|image| image.broker(node_id).is_some_and(|b| b.broker_epoch >= broker_epoch));
    let image = match seen.await {
        Ok(image) => image.clone(),
        Err(_) => return Err(quorum.failed().await),
    };
    info!("registered as broker {node_id} in epoch {broker_epoch}");
    Ok(Registry { session, broker_epoch, image })
}
