//! What the parts of a node share, and its answers to other nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::error::{ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, ServerState};
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::ask::Links;
use super::config::QuorumConfig;
use super::controller::QuorumStatus;
use crate::command::{Command, Refusal};
use crate::image::{BrokerState, Image, NodeId};
use crate::lead::{Sessions, check_voters};
use crate::net::hello::Identity;
use crate::net::link::Link;
use crate::net::message::{Heartbeat, HeartbeatAnswer, Request, Response};
use crate::net::peer::Peers;
use crate::raft::types::{Member, Raft, RaftId, TypeConfig, node_id, raft_id};

type Written = Result<ClientWriteResponse<TypeConfig>, RaftError<RaftId, ClientWriteError<RaftId, Member>>>;

/// One node of the quorum.
pub(crate) struct Node {
    pub(super) config: QuorumConfig,
    pub(super) raft: Raft,
    pub(super) images: watch::Receiver<Arc<Image>>,
    pub(super) peers: Peers,
    /// Connections for questions to other nodes.
    pub(super) links: Links,
    /// The connection whose end is the end of this process's broker, and to whom it is.
    pub(super) heartbeats: Mutex<Option<(NodeId, Link)>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Node {
    pub(crate) fn config(&self) -> &QuorumConfig {
        &self.config
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.images.borrow().clone()
    }

    pub(crate) fn sessions(&self) -> &Arc<Sessions> {
        &self.peers.sessions
    }

    pub(crate) fn identity(&self) -> Identity {
        self.peers.own
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.peers.cluster_id
    }

    /// What is known of a node: voters and learners.
    pub(crate) fn member(&self, node_id: NodeId) -> Option<Member> {
        self.raft.metrics().borrow().membership_config.membership().get_node(&raft_id(node_id)).cloned()
    }

    /// Who leads, as far as this node knows, and where.
    pub(super) fn leader(&self) -> Option<(NodeId, Member)> {
        let leader = node_id(self.raft.metrics().borrow().current_leader?);
        Some((leader, self.member(leader)?))
    }

    /// What this node knows of the quorum now.
    pub(super) fn status(&self) -> QuorumStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let mut reached: BTreeMap<_, _> =
            metrics.last_log_index.map(|last| (self.config.node_id, last)).into_iter().collect();
        for (id, matched) in metrics.replication.iter().flatten() {
            reached.extend(matched.map(|matched| (node_id(*id), matched.index)));
        }
        QuorumStatus {
            leader: metrics.current_leader.map(node_id),
            term: metrics.current_term,
            voters: membership.voter_ids().map(node_id).collect(),
            learners: membership.learner_ids().map(node_id).collect(),
            last_index: metrics.last_log_index,
            applied_index: metrics.last_applied.map(|applied| applied.index),
            active: metrics.state == ServerState::Leader && self.sessions().leads(),
            members: membership.nodes().map(|(id, member)| (node_id(*id), member.clone())).collect(),
            reached,
        }
    }

    /// The answer to a question, which came over `connection`, or from this process itself.
    pub(crate) async fn answer(&self, request: Request, connection: Option<u64>) -> Response {
        match request {
            Request::AppendEntries(rpc) => Response::AppendEntries(self.raft.append_entries(rpc).await),
            Request::Vote(rpc) => Response::Vote(self.raft.vote(rpc).await),
            Request::InstallSnapshot(rpc) => Response::InstallSnapshot(self.raft.install_snapshot(rpc).await),
            Request::Hello(_) => Response::Failed("the caller is known already".into()),
            _ if !self.sessions().leads() => Response::NotController { leader: self.leader() },
            Request::Describe => Response::Described(self.status()),
            Request::Propose(command) => self.propose(command).await,
            Request::Heartbeat(heartbeat) => Response::Heartbeat(self.hear(heartbeat, connection)),
            Request::Join { node_id, member, voter } => self.admit(node_id, member, voter).await,
            Request::ChangeVoters(voters) => self.change_voters(voters).await,
            Request::Leave(node_id) => self.dismiss(node_id).await,
        }
    }

    async fn propose(&self, command: Command) -> Response {
        if let Some(node_id) = self.duplicate(&command) {
            return Response::Proposed { index: 0, result: Err(Refusal::DuplicateBroker(node_id)) };
        }
        match timeout(self.config.propose_timeout, self.raft.client_write(command)).await {
            Ok(Ok(ClientWriteResponse { log_id, data: Some(result), .. })) => {
                Response::Proposed { index: log_id.index, result }
            }
            Ok(Ok(_)) => Response::Failed("the entry was no command".into()),
            Ok(Err(error)) => self.not_written(error),
            Err(_) => Response::Failed("no majority confirmed it in time; it may still take effect".into()),
        }
    }

    /// The id under which another process, which may be alive, is registered.
    fn duplicate(&self, command: &Command) -> Option<NodeId> {
        let Command::RegisterBroker { node_id, incarnation, .. } = command else { return None };
        let image = self.image();
        let broker = image.broker(*node_id).filter(|broker| broker.incarnation != *incarnation)?;
        let session_ms = u64::try_from(self.config.session_timeout.as_millis()).unwrap_or(u64::MAX);
        self.sessions().may_live(*node_id, broker.broker_epoch, session_ms).then_some(*node_id)
    }

    fn hear(&self, heartbeat: Heartbeat, connection: Option<u64>) -> Result<HeartbeatAnswer, Refusal> {
        let Heartbeat { node_id, broker_epoch: given, want_shutdown, .. } = heartbeat;
        let image = self.image();
        let broker = image.broker(node_id).ok_or(Refusal::UnknownBroker(node_id))?;
        let current = broker.broker_epoch;
        if current != given {
            return Err(Refusal::StaleBrokerEpoch { node_id, given, current });
        }
        self.sessions().heard(heartbeat, connection);
        let fenced = broker.state == BrokerState::Fenced;
        Ok(HeartbeatAnswer { fenced, should_shut_down: fenced && want_shutdown })
    }

    /// Makes a node a learner, at the place it says it is. Known ones with another disk were turned away before.
    async fn admit(&self, node_id: NodeId, member: Member, voter: bool) -> Response {
        let id = raft_id(node_id);
        if node_id < 0 {
            return Response::Failed(format!("{node_id} is no node id"));
        }
        let known = self.member(node_id);
        if known.as_ref().is_some_and(|known| known.directory_id != member.directory_id) {
            return Response::Failed(format!("node {node_id} is known with another directory"));
        }
        let response = match known {
            Some(known) if known == member => Response::QuorumChanged,
            Some(_) => self.change(ChangeMembers::SetNodes([(id, member)].into())).await,
            None => self.written(self.raft.add_learner(id, member, false)).await,
        };
        if voter && matches!(response, Response::QuorumChanged) {
            self.sessions().candidate(node_id);
        }
        response
    }

    async fn change_voters(&self, voters: BTreeSet<NodeId>) -> Response {
        let voters: BTreeSet<RaftId> = voters.into_iter().map(raft_id).collect();
        let members = self.raft.metrics().borrow().membership_config.nodes().map(|(id, _)| *id).collect();
        match check_voters(&voters, &members) {
            Ok(()) => self.change(ChangeMembers::ReplaceAllVoters(voters)).await,
            Err(reason) => Response::Failed(reason),
        }
    }

    async fn dismiss(&self, node_id: NodeId) -> Response {
        let id = raft_id(node_id);
        let votes = self.raft.metrics().borrow().membership_config.voter_ids().any(|voter| voter == id);
        if votes {
            return Response::Failed(format!("node {node_id} votes; change the voters first"));
        }
        if self.member(node_id).is_none() {
            return Response::QuorumChanged;
        }
        self.change(ChangeMembers::RemoveNodes([id].into())).await
    }

    async fn change(&self, change: ChangeMembers<RaftId, Member>) -> Response {
        self.written(self.raft.change_membership(change, true)).await
    }

    async fn written(&self, write: impl Future<Output = Written>) -> Response {
        match timeout(self.config.propose_timeout, write).await {
            Ok(Ok(_)) => Response::QuorumChanged,
            Ok(Err(error)) => self.not_written(error),
            Err(_) => Response::Failed("no majority confirmed it in time; it may still take effect".into()),
        }
    }

    fn not_written(&self, error: RaftError<RaftId, ClientWriteError<RaftId, Member>>) -> Response {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => {
                Response::NotController { leader: self.leader() }
            }
            other => Response::Failed(other.to_string()),
        }
    }
}
