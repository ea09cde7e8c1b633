//! The null target: acknowledges and discards, so that only the generator is measured.

use plimsoll_client::wire::ErrorCode;

use super::connection::Sink;

/// Takes everything, keeps nothing.
pub(super) struct Discard;

impl Sink for Discard {
    fn append(&mut self, _topic: &[u8], _partition: i32, _batch: &mut [u8]) -> Result<i64, ErrorCode> {
        Ok(0)
    }
}
