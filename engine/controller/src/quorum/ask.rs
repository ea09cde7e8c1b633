//! Asking the active controller, wherever it is, until it answers or time is up.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::node::Node;
use crate::ControlError;
use crate::image::NodeId;
use crate::net::hello::Stranger;
use crate::net::link::{Link, LinkError};
use crate::net::message::{Heartbeat, HeartbeatAnswer, Request, Response};
use crate::raft::types::Member;

/// How long to wait for a leader before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Idle connections kept for the next question.
const IDLE_MAX: usize = 4;

/// Every so many tries a bootstrap server is asked.
const SERVERS_TURN: usize = 8;

/// Connections that wait for their next question.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<Vec<(NodeId, Link)>>);

impl Links {
    fn take(&self, node_id: NodeId) -> Option<Link> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = idle.iter().position(|(to, _)| *to == node_id)?;
        Some(idle.swap_remove(at).1)
    }

    fn put(&self, node_id: NodeId, link: Link) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push((node_id, link));
    }
}

impl Node {
    /// Asks the active controller. Follows hints and looks again until `propose_timeout` is over.
    ///
    /// A question whose answer got lost is asked again: commands and changes of the quorum bear that.
    pub(super) async fn ask_controller(
        &self,
        request: impl Fn() -> Request + Send + Sync,
    ) -> Result<Response, ControlError> {
        let (began, limit) = (Instant::now(), self.config.propose_timeout);
        let (mut hint, mut reason) = (None, "no controller is known".to_owned());
        for attempt in 0.. {
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            match self.ask_once(&request, hint.take(), attempt, left).await {
                Ok(Response::NotController { leader }) => {
                    reason = "no controller is active".into();
                    hint = leader.filter(|(leader, _)| *leader != self.config.node_id);
                }
                Ok(response) => return Ok(response),
                Err(LinkError::Stranger(stranger @ Stranger::OtherDirectory { .. })) => {
                    return Err(ControlError::Stranger(stranger));
                }
                Err(error) => reason = error.to_string(),
            }
            self.look_again(LOOK_AGAIN.min(left)).await;
        }
        Err(ControlError::Unavailable { waited_ms: limit.as_millis(), reason })
    }

    /// Waits before the next try, or until this node is the one to ask.
    async fn look_again(&self, wait: Duration) {
        match self.sessions().leads() {
            true => sleep(wait).await,
            false => {
                let _found = timeout(wait, self.sessions().leading()).await.is_ok();
            }
        }
    }

    /// Asks whoever leads by what this node knows, else by `hint`, else one of the bootstrap servers. A node that was
    /// forgotten knows an old leader for ever, so the servers have a turn now and then.
    async fn ask_once(
        &self,
        request: &(impl Fn() -> Request + Send + Sync),
        hint: Option<(NodeId, Member)>,
        attempt: usize,
        left: Duration,
    ) -> Result<Response, LinkError> {
        let limit = self.config.request_timeout.min(left);
        let servers = &self.config.bootstrap_servers;
        let others_turn = !servers.is_empty() && attempt % SERVERS_TURN == SERVERS_TURN - 1;
        if let Some((leader, member)) = self.leader().or(hint).filter(|_| !others_turn) {
            if leader == self.config.node_id {
                return Ok(self.answer(request(), None).await);
            }
            return self.ask_node(leader, &member, request(), limit).await;
        }
        let at = attempt.checked_rem(servers.len());
        let Some((host, port)) = at.and_then(|at| servers.get(at)) else {
            return Ok(Response::NotController { leader: None });
        };
        let server = Member { host: host.clone(), port: *port, ..Member::default() };
        let mut link = Link::call(&server, self.peers.hello(None), limit).await?;
        timeout(limit, link.ask(request())).await.unwrap_or(Err(LinkError::Timeout(limit)))
    }

    async fn ask_node(
        &self,
        node_id: NodeId,
        member: &Member,
        request: Request,
        limit: Duration,
    ) -> Result<Response, LinkError> {
        let mut link = match self.links.take(node_id) {
            Some(link) => link,
            None => self.peers.connect(node_id, member, limit).await?,
        };
        let asked = timeout(limit, link.ask(request)).await;
        let response = asked.unwrap_or(Err(LinkError::Timeout(limit)))?;
        self.links.put(node_id, link);
        Ok(response)
    }

    /// One heartbeat, over the connection that stands for this process. Tries once.
    pub(super) async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, ControlError> {
        let waited_ms = self.config.request_timeout.as_millis();
        let unavailable = |reason| ControlError::Unavailable { waited_ms, reason };
        let (leader, member) = self.leader().ok_or_else(|| unavailable("no controller is known".into()))?;
        let request = Request::Heartbeat(heartbeat);
        let response = if leader == self.config.node_id {
            Ok(self.answer(request, None).await)
        } else {
            self.ask_over_kept(leader, &member, request).await
        };
        match response {
            Ok(Response::Heartbeat(answer)) => Ok(answer?),
            Ok(Response::NotController { .. }) => Err(unavailable("no controller is active".into())),
            Ok(other) => Err(unavailable(format!("{other:?}"))),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }

    /// Asks over the connection that is kept for heartbeats, which is made anew when another leads.
    async fn ask_over_kept(
        &self,
        leader: NodeId,
        member: &Member,
        request: Request,
    ) -> Result<Response, LinkError> {
        let limit = self.config.request_timeout;
        let mut kept = self.heartbeats.lock().await;
        let mut link = match kept.take().filter(|(to, _)| *to == leader) {
            Some((_, link)) => link,
            None => self.peers.connect(leader, member, limit).await?,
        };
        let asked = timeout(limit, link.ask(request)).await;
        let response = asked.unwrap_or(Err(LinkError::Timeout(limit)))?;
        *kept = Some((leader, link));
        Ok(response)
    }
}
