//! What scripts are made of.

use plimsoll_broker::replication::metadata::ReplicaId;
use plimsoll_io::Dice;

use super::settings;
use crate::cluster::network::Message;
use crate::cluster::{Cluster, REPLICAS};
use crate::conduct::Mistake;
use crate::invariants;

/// All replicas in sync, 1 leads, no records yet.
pub(super) fn led_by_1(mistake: Option<Mistake>) -> Cluster {
    let mut dice = Dice::new(1);
    let mut cluster = Cluster::new(settings(mistake));
    while !cluster.is_whole() {
        cluster.quiet_round(&mut dice, true);
    }
    elect(&mut cluster, 1, &[1, 2, 3]);
    cluster.network.clear();
    cluster
}

/// `leader` is elected, and those who are `told` know it.
pub(super) fn elect(cluster: &mut Cluster, leader: ReplicaId, told: &[ReplicaId]) {
    let mut dice = Dice::new(7);
    cluster.controller.elect(&mut dice);
    while cluster.controller.now().state.leader != Some(leader) {
        cluster.controller.elect(&mut dice);
    }
    tell(cluster, told);
}

/// 3 is fenced, which ends its membership, or no longer fenced. 1 and 2 know it.
pub(super) fn fence_3(cluster: &mut Cluster, fenced: bool) {
    fence(cluster, 3, fenced);
}

/// The same of any. All others know it.
pub(super) fn fence(cluster: &mut Cluster, id: ReplicaId, fenced: bool) {
    let mut dice = Dice::new(7);
    match fenced {
        true => cluster.controller.fence(id, &mut dice),
        false => cluster.controller.unfence(id, &mut dice),
    }
    let others: Vec<_> = REPLICAS.into_iter().filter(|&other| other != id).collect();
    tell(cluster, &others);
}

fn tell(cluster: &mut Cluster, told: &[ReplicaId]) {
    let latest = cluster.controller.versions().len() - 1;
    told.iter().for_each(|&id| cluster.learn(id, latest));
}

/// A Fetch and its answer, at once.
pub(super) fn fetch(cluster: &mut Cluster, id: ReplicaId) {
    let answer = fetch_unanswered(cluster, id);
    cluster.deliver(answer, 1);
}

/// A Fetch; the answer is on its way.
pub(super) fn fetch_unanswered(cluster: &mut Cluster, id: ReplicaId) -> Message {
    cluster.send_fetch(id);
    let request = last(cluster);
    cluster.deliver(request, 1);
    last(cluster)
}

/// Takes the message that was sent last.
pub(super) fn last(cluster: &mut Cluster) -> Message {
    cluster.network.pop().expect("sent")
}

/// Takes the proposals that are on their way.
pub(super) fn proposals(cluster: &mut Cluster) -> Vec<Message> {
    let sent = std::mem::take(&mut cluster.network);
    sent.into_iter().filter(|message| matches!(message, Message::Alter { .. })).collect()
}

/// The invariant that is broken when `messages` arrive, if any.
pub(super) fn broken_by(
    mut cluster: Cluster,
    messages: impl IntoIterator<Item = Message>,
) -> Option<&'static str> {
    let before = cluster.clone();
    messages.into_iter().for_each(|message| cluster.deliver(message, 1));
    invariants::ALL.iter().find(|(_, holds)| holds(&before, &cluster).is_err()).map(|(name, _)| *name)
}
