//! Having a command committed, from any node.

use super::node::Node;
use crate::ControlError;
use crate::command::{Command, Outcome};
use crate::net::link::COMMAND_MAX_BYTES;
use crate::net::message::{Request, Response};

impl Node {
    /// Has the active controller commit a command, and waits until this node's image has it too.
    pub(super) async fn propose_anywhere(&self, command: Command) -> Result<Outcome, ControlError> {
        let unwritable = |reason: String| Err(ControlError::Unwritable(reason));
        match serde_json::to_vec(&command) {
            Ok(json) if json.len() <= COMMAND_MAX_BYTES => {}
            Ok(json) => return unwritable(format!("{} bytes are more than {COMMAND_MAX_BYTES}", json.len())),
            Err(error) => return unwritable(error.to_string()),
        }
        match self.ask_controller(|| Request::Propose(command.clone())).await? {
            Response::Proposed { index, result } => {
                self.wait_applied(index).await?;
                Ok(result?)
            }
            Response::Failed(reason) => Err(self.unavailable(reason)),
            other => Err(self.unavailable(format!("{other:?}"))),
        }
    }

    async fn wait_applied(&self, index: u64) -> Result<(), ControlError> {
        let wait = self.raft.wait(Some(self.config.propose_timeout));
        let applied = wait.applied_index_at_least(Some(index), "a proposal").await;
        let behind = |_| self.unavailable("it is committed, but has not reached this node".into());
        applied.map(|_| ()).map_err(behind)
    }

    fn unavailable(&self, reason: String) -> ControlError {
        ControlError::Unavailable { waited_ms: self.config.propose_timeout.as_millis(), reason }
    }
}
