//! Processes that come and go, and what the metadata makes of them.

use plimsoll_broker::replication::acks::Purgatory;
use plimsoll_broker::replication::leader::Leader;
use plimsoll_broker::replication::metadata::{PartitionState, ReplicaId};
use plimsoll_broker::replication::role::{Change, Role, decide};
use plimsoll_io::Dice;

use super::node::Process;
use super::{Cluster, Durability};

impl Cluster {
    /// A process begins, with the metadata that the last one had, and registers.
    pub(crate) fn start(&mut self, id: ReplicaId, dice: &mut Dice) {
        let clean = std::mem::take(&mut self.node_mut(id).clean);
        let may_lack = !clean && self.settings.durability == Durability::Replicated;
        let leaves = may_lack && self.settings.conduct.unclean_leaves_isr();
        let (broker_epoch, registered_at) = self.controller.register(id, leaves, dice);
        self.next_incarnation += 1;
        let incarnation = self.next_incarnation;
        let seen = usize::try_from(dice.below(registered_at as u64)).expect("few");
        let node = self.node_mut(id);
        node.damaged = false;
        node.process = Some(Process {
            incarnation,
            broker_epoch,
            registered_at,
            seen,
            role: None,
            leader: None,
            outdated: false,
            waiting: Purgatory::default(),
        });
    }

    /// The process is killed. With `lost` the machine loses power too, and of what no sync covers so many records.
    pub(crate) fn crash(&mut self, id: ReplicaId, lost: Option<i64>) {
        let reached = self.reached(&self.node(id).log);
        let node = self.node_mut(id);
        node.process = None;
        if let Some(lost) = lost {
            let end = (node.log.end() - lost).max(node.log.durable()).max(node.log.start());
            node.damaged |= end < reached;
            node.log.truncate_to(end);
        }
        node.high_watermark = node.high_watermark.min(node.log.end());
    }

    /// The process stops as it should: its leadership has moved, if there was anybody to move it to.
    pub(crate) fn stop(&mut self, id: ReplicaId, dice: &mut Dice) {
        self.controller.shut_down(id, dice);
        let node = self.node_mut(id);
        node.process = None;
        node.clean = true;
        node.log.sync(i64::MAX);
    }

    /// The broker learns of the metadata up to `version`, of which it acts on the last only.
    pub(crate) fn learn(&mut self, id: ReplicaId, version: usize) {
        let Some(process) = self.process(id) else { return };
        process.seen = version;
        process.outdated = false;
        let state = self.controller.versions()[version].state.clone();
        let local = self.node(id).local().expect("runs");
        let change = decide(&local, &state);
        match change {
            Change::Ignore | Change::Await => {}
            Change::Lead { leader_epoch } => self.lead(id, leader_epoch, &state),
            Change::LeadOn => self.lead_on(id, &state),
            Change::Follow { .. } | Change::Leaderless | Change::Leave => self.resign(id, change),
            Change::FollowOn => {}
        }
        if !matches!(change, Change::Ignore | Change::Await) {
            let PartitionState { leader, leader_epoch, partition_epoch, .. } = state;
            if let Some(process) = self.process(id) {
                process.role = Some(Role { leader, leader_epoch, partition_epoch });
            }
        }
        self.advance(id);
        self.propose(id);
    }

    fn lead(&mut self, id: ReplicaId, leader_epoch: i32, state: &PartitionState) {
        let (now, rules, conduct) = (self.now, self.rules(), self.settings.conduct);
        let by = self.process_id(id).expect("runs");
        self.history.leaders.push((leader_epoch, by));
        let node = self.node_mut(id);
        conduct.new_generation(&mut node.log);
        node.log.assign_epoch(leader_epoch);
        let epoch_start = conduct.epoch_start(node.log.end(), node.high_watermark);
        let leader = Leader::new(id, state, epoch_start, node.high_watermark, rules, now);
        if let Some(process) = self.process(id) {
            process.leader = Some(leader);
        }
        self.settle(id);
    }

    fn lead_on(&mut self, id: ReplicaId, state: &PartitionState) {
        let now = self.now;
        self.as_leader(id, |leader, _| leader.update(state, now));
    }

    fn resign(&mut self, id: ReplicaId, change: Change) {
        let conduct = self.settings.conduct;
        let node = self.node_mut(id);
        conduct.new_generation(&mut node.log);
        if matches!(change, Change::Follow { .. }) {
            conduct.before_following(&mut node.log, node.high_watermark);
        }
        if let Some(process) = self.process(id) {
            process.leader = None;
        }
        self.settle(id);
    }
}
