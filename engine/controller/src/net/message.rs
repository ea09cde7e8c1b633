//! What nodes ask each other, one question and one answer at a time on each connection.

use std::collections::BTreeSet;

use bytes::Bytes;
use openraft::error::{InstallSnapshotError, RaftError};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use super::hello::{Hello, Stranger};
use crate::command::{Command, Outcome, Refusal};
use crate::image::NodeId;
use crate::quorum::QuorumStatus;
use crate::raft::types::{Member, RaftId, TypeConfig};

/// A question.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Must be the first, and is never said again.
    Hello(Hello),
    /// Raft: entries, or a sign of life.
    AppendEntries(AppendEntriesRequest<TypeConfig>),
    /// Raft: a candidate asks for a vote.
    Vote(VoteRequest<RaftId>),
    /// Raft: a piece of a snapshot. Its bytes travel as the frame's attachment.
    InstallSnapshot(InstallSnapshotRequest<TypeConfig>),
    /// What the active controller knows of the quorum.
    Describe,
    /// A change of the metadata.
    Propose(Command),
    /// A broker is alive.
    Heartbeat(Heartbeat),
    /// A node wants to get the metadata, and to vote if it is a controller.
    Join { node_id: NodeId, member: Member, voter: bool },
    /// These nodes are to vote.
    ChangeVoters(BTreeSet<NodeId>),
    /// A node is to be forgotten.
    Leave(NodeId),
}

impl Request {
    /// Takes out what travels as attachment.
    pub(crate) fn take_attachment(&mut self) -> Vec<u8> {
        match self {
            Request::InstallSnapshot(piece) => std::mem::take(&mut piece.data),
            _ => Vec::new(),
        }
    }

    /// Puts it back in.
    pub(crate) fn with_attachment(mut self, attachment: Bytes) -> Self {
        if let Request::InstallSnapshot(piece) = &mut self {
            piece.data = attachment.into();
        }
        self
    }
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// The caller is served.
    Welcome,
    /// The caller is not served; the connection ends.
    Stranger(Stranger),
    AppendEntries(Result<AppendEntriesResponse<RaftId>, RaftError<RaftId>>),
    Vote(Result<VoteResponse<RaftId>, RaftError<RaftId>>),
    InstallSnapshot(Result<InstallSnapshotResponse<RaftId>, RaftError<RaftId, InstallSnapshotError>>),
    /// The command is committed as the entry of this index, and applied, or refused by what is.
    Proposed {
        index: u64,
        result: Result<Outcome, Refusal>,
    },
    /// What the answering node, which is the active controller, knows.
    Described(QuorumStatus),
    /// The broker's sign of life was heard.
    Heartbeat(Result<HeartbeatAnswer, Refusal>),
    /// The change of the quorum is committed, or on its way where that takes catching up.
    QuorumChanged,
    /// This node is not the active controller; nothing was done.
    NotController {
        leader: Option<(NodeId, Member)>,
    },
    /// It could not be done, or not be known to be done.
    Failed(String),
}

/// A broker's sign of life (KIP-631).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The broker.
    pub node_id: NodeId,
    /// Of its registration.
    pub broker_epoch: i64,
    /// It is not ready to serve: it has not seen its own registration in the image, or has logs to recover.
    pub want_fence: bool,
    /// It wants to stop.
    pub want_shutdown: bool,
}

/// What the active controller makes of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatAnswer {
    /// It is fenced.
    pub fenced: bool,
    /// It wanted to stop, and may: it leads nothing any more.
    pub should_shut_down: bool,
}
