//! The first node of a cluster begins it, and a node that lost its disk does not begin it again.

use openraft::error::{InitializeError, RaftError};

use super::config::Role;
use super::node::Node;
use crate::ControlError;
use crate::net::link::{Link, LinkError};
use crate::net::message::{Heartbeat, Request, Response};
use crate::raft::types::{Member, raft_id};

impl Node {
    /// Makes this node the only voter of a new cluster, if that is its role and its log is empty.
    ///
    /// Asks the bootstrap servers first whether there is a cluster: this node may have been part of it on another disk.
    /// Those that cannot be reached say nothing, so whoever wipes a disk while no other node runs begins anew.
    pub(super) async fn bootstrap(&self) -> Result<(), ControlError> {
        let initialized = self.raft.is_initialized().await;
        let initialized = initialized.map_err(|error| ControlError::Stopped(error.to_string()))?;
        if self.config.role != Role::Bootstrap || initialized {
            return Ok(());
        }
        for (host, port) in &self.config.bootstrap_servers {
            if (host, *port) != (&self.config.advertised_host, self.config.advertised_port) {
                self.refuse_if_there_is_a_cluster(host, *port).await?;
            }
        }
        let members = std::collections::BTreeMap::from([(raft_id(self.config.node_id), self.own_member())]);
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(ControlError::Quorum(error.to_string())),
        }
    }

    async fn refuse_if_there_is_a_cluster(&self, host: &str, port: u16) -> Result<(), ControlError> {
        let server = Member { host: host.to_owned(), port, ..Member::default() };
        let asked = async {
            let mut link = Link::call(&server, self.peers.hello(None), self.config.request_timeout).await?;
            link.ask(Request::Heartbeat(NOBODY)).await
        };
        let answered = tokio::time::timeout(self.config.request_timeout, asked).await;
        match answered {
            Ok(Err(LinkError::Stranger(stranger))) => Err(ControlError::Stranger(stranger)),
            // Nobody is there, or somebody who waits for a cluster as well.
            Err(_) | Ok(Err(_) | Ok(Response::NotController { leader: None })) => Ok(()),
            Ok(Ok(_)) => Err(ControlError::Quorum(format!(
                "{host}:{port} is in a cluster already, which this node, whose log is empty, may only join"
            ))),
        }
    }
}

/// A sign of life that changes nothing; only who answers matters.
const NOBODY: Heartbeat = Heartbeat { node_id: -1, broker_epoch: -1, want_fence: true, want_shutdown: false };
