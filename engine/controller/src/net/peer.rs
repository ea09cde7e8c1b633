//! Openraft's way to other nodes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};

use super::hello::{Hello, Identity};
use super::link::{Link, LinkError};
use super::message::{Request, Response};
use crate::lead::Sessions;
use crate::raft::types::{Member, RaftId, TypeConfig, node_id};

/// How long after a failure to connect the next try comes.
const RETRY_AFTER: Duration = Duration::from_millis(200);

type Failed<E> = RPCError<RaftId, Member, RaftError<RaftId, E>>;

/// Makes [`Peer`]s.
#[derive(Clone, Debug)]
pub(crate) struct Peers {
    pub(crate) cluster_id: Arc<str>,
    pub(crate) own: Identity,
    pub(crate) sessions: Arc<Sessions>,
}

impl Peers {
    /// What this node says to `to`.
    pub(crate) fn hello(&self, to: Option<Identity>) -> Hello {
        Hello { cluster_id: self.cluster_id.to_string(), from: self.own, to }
    }

    /// Connects to a member, meaning that node with that disk.
    pub(crate) async fn connect(
        &self,
        node: crate::NodeId,
        member: &Member,
        limit: Duration,
    ) -> Result<Link, LinkError> {
        let to = Identity { node_id: node, directory_id: member.directory_id };
        let link = Link::call(member, self.hello(Some(to)), limit).await;
        match &link {
            // Nobody listens there: the process is gone, whoever else may still wait for it.
            Err(LinkError::Connect(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                self.sessions.gone(node);
            }
            Err(LinkError::Connect(_)) => {}
            _ => self.sessions.reached(node),
        }
        link
    }
}

impl RaftNetworkFactory<TypeConfig> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: RaftId, member: &Member) -> Peer {
        Peer { peers: self.clone(), target, member: member.clone(), link: None }
    }
}

/// One other node, with the connection to it while it lasts.
#[derive(Debug)]
pub(crate) struct Peer {
    peers: Peers,
    target: RaftId,
    member: Member,
    /// Taken while a question is open, so that one that was given up takes its connection with it.
    link: Option<Link>,
}

impl Peer {
    async fn ask(&mut self, request: Request, limit: Duration) -> Result<Response, LinkError> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.peers.connect(node_id(self.target), &self.member, limit).await?,
        };
        let asked = tokio::time::timeout(limit, link.ask(request)).await;
        let response = asked.unwrap_or(Err(LinkError::Timeout(limit)))?;
        self.link = Some(link);
        Ok(response)
    }

    /// Asks, and takes the answer that fits out of the response.
    async fn rpc<T, E: std::error::Error>(
        &mut self,
        request: Request,
        option: &RPCOption,
        fits: impl FnOnce(Response) -> Option<Result<T, RaftError<RaftId, E>>>,
    ) -> Result<T, Failed<E>> {
        let response = match self.ask(request, option.hard_ttl()).await {
            Ok(response) => response,
            Err(error @ (LinkError::Connect(_) | LinkError::Stranger(_))) => {
                return Err(RPCError::Unreachable(Unreachable::new(&error)));
            }
            Err(error) => return Err(RPCError::Network(NetworkError::new(&error))),
        };
        match fits(response) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(RPCError::RemoteError(RemoteError::new(self.target, error))),
            None => Err(RPCError::Network(NetworkError::new(&LinkError::Unexpected))),
        }
    }
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<RaftId>, Failed<openraft::error::Infallible>> {
        let fits = |response| match response {
            Response::AppendEntries(answer) => Some(answer),
            _ => None,
        };
        self.rpc(Request::AppendEntries(rpc), &option, fits).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<RaftId>, Failed<InstallSnapshotError>> {
        let fits = |response| match response {
            Response::InstallSnapshot(answer) => Some(answer),
            _ => None,
        };
        self.rpc(Request::InstallSnapshot(rpc), &option, fits).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<RaftId>,
        option: RPCOption,
    ) -> Result<VoteResponse<RaftId>, Failed<openraft::error::Infallible>> {
        let fits = |response| match response {
            Response::Vote(answer) => Some(answer),
            _ => None,
        };
        self.rpc(Request::Vote(rpc), &option, fits).await
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(RETRY_AFTER))
    }
}
