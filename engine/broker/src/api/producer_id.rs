//! InitProducerId for idempotent producers.

use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::broker::Broker;

/// A fresh id with epoch 0, whatever id the client had: an idempotent producer that asks again starts anew.
pub(super) async fn handle(broker: &Broker, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let failed = |code: ErrorCode| {
        InitProducerIdResponse::default()
            .with_error_code(code.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1)
    };
    match request.transactional_id {
        Some(id) if id.is_empty() => return failed(ErrorCode::InvalidRequest),
        Some(_) => return failed(ErrorCode::CoordinatorNotAvailable),
        None => {}
    }
    match broker.producer_ids.next(broker.quorum.controller(), broker.settings.node_id()).await {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => {
            tracing::error!("no producer id can be handed out: {error}");
            failed(ErrorCode::CoordinatorNotAvailable)
        }
    }
}
