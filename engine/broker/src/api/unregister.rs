//! UnregisterBroker: a broker that is gone for good is forgotten.

use plimsoll_controller::{BrokerState, Command, Controller};
use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::{UnregisterBrokerRequest, UnregisterBrokerResponse};

use super::refused::refusing;
use super::text;
use crate::broker::Broker;

/// One that is in service is not forgotten: it would stop serving at once, with what only it has.
pub(super) async fn handle(broker: &Broker, request: &UnregisterBrokerRequest) -> UnregisterBrokerResponse {
    let node_id = request.broker_id.0;
    let known = broker.quorum.controller().image().broker(node_id).map(|known| known.state);
    let outcome = match known {
        Some(BrokerState::Active | BrokerState::ControlledShutdown) => {
            Err((ErrorCode::InvalidRequest, format!("broker {node_id} is in service; stop it first")))
        }
        _ => broker.propose(Command::UnregisterBroker { node_id }).await.map(drop).map_err(refusing),
    };
    match outcome {
        Ok(()) => UnregisterBrokerResponse::default(),
        Err((code, message)) => UnregisterBrokerResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(message))),
    }
}
