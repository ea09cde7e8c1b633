//! Becoming a member: asked for until it is so, and again when this node is found at another place than it was.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::config::Role;
use super::node::Node;
use crate::ControlError;
use crate::net::message::{Request, Response};
use crate::raft::types::{Member, raft_id};

/// How long after a failure the next try comes.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How often a node that asked, or need not, looks whether it is what it wants to be.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Node {
    pub(super) fn own_member(&self) -> Member {
        let config = &self.config;
        Member {
            host: config.advertised_host.clone(),
            port: config.advertised_port,
            directory_id: config.directory_id,
        }
    }

    /// Whether this node is known where it is, and votes if it wants to.
    fn has_joined(&self) -> bool {
        let votes = || {
            let metrics = self.raft.metrics();
            let id = raft_id(self.config.node_id);
            let metrics = metrics.borrow();
            metrics.membership_config.voter_ids().any(|voter| voter == id)
        };
        let known = self.member(self.config.node_id) == Some(self.own_member());
        known && (self.config.role != Role::Voter || votes())
    }

    /// Asks once to be a member.
    pub(super) async fn join(&self) -> Result<(), ControlError> {
        let (node_id, voter) = (self.config.node_id, self.config.role != Role::Learner);
        let join = || Request::Join { node_id, member: self.own_member(), voter };
        match self.ask_controller(join).await? {
            Response::QuorumChanged => Ok(()),
            Response::Failed(reason) => Err(ControlError::Quorum(reason)),
            other => Err(ControlError::Quorum(format!("{other:?}"))),
        }
    }
}

/// Keeps asking until this node is what it wants to be: one that wants to vote waits until there are enough to make the
/// next size of a quorum. Runs until it is dropped, or until the cluster knows this node with another disk.
pub(super) async fn run(node: Arc<Node>) {
    loop {
        let wait = match node.has_joined() {
            true => LOOK_EVERY,
            false => match node.join().await {
                Ok(()) => LOOK_EVERY,
                Err(error @ ControlError::Stranger(_)) => {
                    warn!(%error, "this node cannot join");
                    return;
                }
                Err(error) => {
                    warn!(%error, "this node could not join yet");
                    RETRY_AFTER
                }
            },
        };
        tokio::time::sleep(wait).await;
    }
}
