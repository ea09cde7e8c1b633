//! Producer ids out of durable blocks: an id handed out before a crash is never handed out again.

use std::ops::Range;

use plimsoll_controller::{Command, ControlError, Controller, NodeId, Outcome};
use tokio::sync::Mutex;

/// Ids per block; one metadata write covers this many producers.
const BLOCK_IDS: u32 = 1000;

/// Hands out producer ids.
#[derive(Debug, Default)]
pub(crate) struct ProducerIds {
    block: Mutex<Range<i64>>,
}

impl ProducerIds {
    /// The next id. The block it comes from was committed to the metadata log first, so that the rest of it
    /// is skipped, not reused, after a crash: a reused id would make a new record look like a duplicate.
    pub(crate) async fn next(
        &self,
        controller: &impl Controller,
        node_id: NodeId,
    ) -> Result<i64, ControlError> {
        let mut block = self.block.lock().await;
        if let Some(id) = block.next() {
            return Ok(id);
        }
        let command = Command::AllocateProducerIds { node_id, count: BLOCK_IDS };
        if let Outcome::ProducerIds { first, count } = controller.propose(command).await? {
            *block = first + 1..first + i64::from(count);
            return Ok(first);
        }
        unreachable!("an allocation answers with producer ids")
    }
}
