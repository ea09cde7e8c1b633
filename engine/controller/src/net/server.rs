//! The listener `CONTROLLER`: bounded connections, each served in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::hello;
use super::link::{Link, LinkError};
use super::message::{Request, Response};
use crate::quorum::Node;

/// Connections at once. A node has one for Raft to each other one, one for its heartbeats and a few for proposals.
const CONNECTIONS_MAX: usize = 1024;

/// How long a caller may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// How long a caller may say nothing, or take to say something. One that vanished must not hold its place for ever.
const ASK_WITHIN: Duration = Duration::from_secs(600);

/// How long an answer may take to leave.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait when the system cannot accept, for instance for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is dropped, and its connections with it.
pub(crate) async fn serve(listener: TcpListener, node: Arc<Node>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = Arc::clone(&node);
                connections.spawn(async move {
                    let _place = place;
                    if let Err(error) = converse(stream, &node).await {
                        debug!(%error, "a connection of the quorum ended");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "the controller listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, node: &Arc<Node>) -> Result<(), LinkError> {
    let mut link = Link::accepted(stream)?;
    let greeted = timeout(HELLO_WITHIN, greet(&mut link, node)).await;
    greeted.unwrap_or(Err(LinkError::Timeout(HELLO_WITHIN)))?;
    link.trust();
    let connection = node.sessions().connection();
    loop {
        let asked = timeout(ASK_WITHIN, link.receive::<Request>()).await;
        let Some((request, attachment)) = asked.unwrap_or(Err(LinkError::Timeout(ASK_WITHIN)))? else {
            return Ok(());
        };
        let request = request.with_attachment(attachment);
        let response = node.answer(request, Some(connection.id())).await;
        let sent = timeout(SEND_WITHIN, link.send(&response, &[])).await;
        sent.unwrap_or(Err(LinkError::Timeout(SEND_WITHIN)))?;
    }
}

async fn greet(link: &mut Link, node: &Node) -> Result<(), LinkError> {
    let Some((Request::Hello(hello), _)) = link.receive().await? else { return Err(LinkError::Unexpected) };
    let member = node.member(hello.from.node_id);
    match hello::check(&hello, node.identity(), node.cluster_id(), member.as_ref()) {
        Ok(()) => link.send(&Response::Welcome, &[]).await,
        Err(stranger) => {
            warn!(%stranger, "a node is not served");
            link.send(&Response::Stranger(stranger.clone()), &[]).await?;
            Err(stranger.into())
        }
    }
}
