//! Who may talk to whom. Nodes are known by id and disk: a node that lost its disk has forgotten what it promised, and
//! must not be taken for the one that promised it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::image::NodeId;
use crate::raft::types::Member;

/// A node and the disk it has its metadata log on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) node_id: NodeId,
    pub(crate) directory_id: Uuid,
}

/// The first message on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    pub(crate) cluster_id: String,
    pub(crate) from: Identity,
    /// Whom the caller means to reach, if it knows.
    pub(crate) to: Option<Identity>,
}

/// Why a connection is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Stranger {
    /// The caller belongs to another cluster.
    #[error("this node belongs to cluster `{ours}`, the caller to `{theirs}`")]
    OtherCluster {
        /// The answering node's.
        ours: String,
        /// The caller's.
        theirs: String,
    },
    /// The caller wanted another node than the one at this address, or that node with the disk it had.
    #[error("node {node_id} with directory {directory_id} is not here any more")]
    OtherNode {
        /// Who was wanted.
        node_id: NodeId,
        /// With which directory.
        directory_id: Uuid,
    },
    /// The caller's id is known with another disk.
    #[error(
        "node {node_id} is known with directory {known}, not {given}: a node whose disk was replaced joins under a new node.id"
    )]
    OtherDirectory {
        /// The caller's.
        node_id: NodeId,
        /// The cluster's.
        known: Uuid,
        /// The caller's.
        given: Uuid,
    },
}

/// Whether `own` serves who says `hello`. `member` is what the cluster knows of the caller's id.
pub(crate) fn check(
    hello: &Hello,
    own: Identity,
    cluster_id: &str,
    member: Option<&Member>,
) -> Result<(), Stranger> {
    if hello.cluster_id != cluster_id {
        let (ours, theirs) = (cluster_id.to_owned(), hello.cluster_id.clone());
        return Err(Stranger::OtherCluster { ours, theirs });
    }
    if let Some(Identity { node_id, directory_id }) = hello.to.filter(|to| *to != own) {
        return Err(Stranger::OtherNode { node_id, directory_id });
    }
    let Identity { node_id, directory_id: given } = hello.from;
    match member.map(|member| member.directory_id).filter(|known| *known != given) {
        Some(known) => Err(Stranger::OtherDirectory { node_id, known, given }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_its_id_and_its_disk() {
        let node = |node_id, disk| Identity { node_id, directory_id: Uuid::from_u128(disk) };
        let member = |disk| Member { host: "h".into(), port: 1, directory_id: Uuid::from_u128(disk) };
        let hello = |to| Hello { cluster_id: "c".into(), from: node(2, 20), to };
        let (own, known, wiped) = (node(1, 10), member(20), member(21));
        assert_eq!(check(&hello(Some(own)), own, "c", Some(&known)), Ok(()));
        assert_eq!(check(&hello(None), own, "c", None), Ok(()), "one that wants to join is known to nobody");
        assert!(matches!(check(&hello(None), own, "d", None), Err(Stranger::OtherCluster { .. })));
        for other in [node(1, 11), node(3, 10)] {
            assert!(matches!(check(&hello(Some(other)), own, "c", None), Err(Stranger::OtherNode { .. })));
        }
        let refused = check(&hello(None), own, "c", Some(&wiped));
        assert!(matches!(refused, Err(Stranger::OtherDirectory { node_id: 2, .. })));
    }
}
