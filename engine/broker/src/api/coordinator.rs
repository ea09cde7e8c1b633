//! FindCoordinator: there are no groups and no transactions here, and it says so.

use plimsoll_wire::ErrorCode;
use plimsoll_wire::messages::find_coordinator_response::Coordinator;
use plimsoll_wire::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::text;

/// From this version on a request asks for several coordinators at once.
const BATCHED_FROM_VERSION: i16 = 4;

/// Key types: group, transaction, share.
const KEY_TYPE_MAX: i8 = 2;

pub(super) fn handle(version: i16, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let (code, message) = match request.key_type {
        0 => (
            ErrorCode::CoordinatorNotAvailable,
            "this broker serves no consumer groups; assign partitions instead",
        ),
        1 => (ErrorCode::CoordinatorNotAvailable, "this broker serves no transactions"),
        KEY_TYPE_MAX => (ErrorCode::CoordinatorNotAvailable, "this broker serves no share groups"),
        _ => (ErrorCode::InvalidRequest, "the key type is 0 (group), 1 (transaction) or 2 (share)"),
    };
    if version < BATCHED_FROM_VERSION {
        let response = FindCoordinatorResponse::default()
            .with_error_code(code.code())
            .with_node_id(BrokerId(-1))
            .with_port(-1);
        return if version >= 1 { response.with_error_message(Some(text(message))) } else { response };
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(-1))
            .with_port(-1)
            .with_error_code(code.code())
            .with_error_message(Some(text(message)))
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
