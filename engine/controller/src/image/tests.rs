//! Tables of what commands do, and random lives of a cluster under the image's invariants.

mod lives;
mod tables;

use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::command::{ConfigResource, IsrChange, PartitionId, Reassignment};

pub(super) const TOPIC: Uuid = Uuid::from_u128(7);

pub(super) fn registration(node_id: NodeId, incarnation: u128) -> Command {
    Command::RegisterBroker {
        node_id,
        incarnation: Uuid::from_u128(incarnation),
        endpoints: vec![Endpoint { listener: "PLAINTEXT".into(), host: "localhost".into(), port: 9092 }],
        rack: None,
        log_dirs: vec![Uuid::from_u128(node_id.unsigned_abs().into())],
        clean_shutdown_epoch: None,
    }
}

pub(super) fn create(name: &str, id: u128, assignment: Vec<Vec<NodeId>>) -> Command {
    let (topic_id, configs) = (Uuid::from_u128(id), BTreeMap::new());
    Command::CreateTopic { name: name.to_owned(), topic_id, assignment, configs }
}

impl Image {
    /// The broker starts, or starts again, as this incarnation.
    pub(super) fn start(&mut self, node_id: NodeId, incarnation: u128) -> i64 {
        match self.apply(&registration(node_id, incarnation)) {
            Ok(Outcome::Registered { broker_epoch }) => broker_epoch,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn epoch(&self, node_id: NodeId) -> i64 {
        self.broker(node_id).map_or(-1, |broker| broker.broker_epoch)
    }

    pub(super) fn unfence(&mut self, node_id: NodeId) {
        let broker_epoch = self.epoch(node_id);
        self.apply(&Command::UnfenceBroker { node_id, broker_epoch }).expect("unfences");
    }

    pub(super) fn fence(&mut self, node_id: NodeId) {
        let broker_epoch = self.epoch(node_id);
        self.apply(&Command::FenceBroker { node_id, broker_epoch }).expect("fences");
    }

    /// Leader, leader epoch, partition epoch and ISR of a partition of [`TOPIC`].
    pub(super) fn at(&self, partition: i32) -> (NodeId, i32, i32, Vec<NodeId>) {
        let p = self.partition(at(partition)).expect("there");
        (p.leader, p.leader_epoch, p.partition_epoch, p.isr.clone())
    }

    /// The leader of a partition of [`TOPIC`] asks for an ISR, with all epochs as they are.
    pub(super) fn ask_isr(&mut self, partition: i32, isr: &[NodeId]) -> Result<PartitionState, Refusal> {
        let (leader, leader_epoch, partition_epoch, _) = self.at(partition);
        let new_isr = isr.iter().map(|id| (*id, self.epoch(*id))).collect();
        let change = IsrChange { partition: at(partition), leader_epoch, partition_epoch, new_isr };
        self.alter(leader, change)
    }

    pub(super) fn alter(&mut self, node_id: NodeId, change: IsrChange) -> Result<PartitionState, Refusal> {
        let broker_epoch = self.epoch(node_id);
        one(self.apply(&Command::AlterPartition { node_id, broker_epoch, changes: vec![change] }))
    }

    pub(super) fn move_to(
        &mut self,
        partition: i32,
        to: Option<&[NodeId]>,
    ) -> Result<PartitionState, Refusal> {
        let change = Reassignment { partition: at(partition), replicas: to.map(<[_]>::to_vec) };
        one(self.apply(&Command::AlterReassignments { changes: vec![change] }))
    }

    pub(super) fn configure(&mut self, resource: ConfigResource, key: &str, value: Option<&str>) {
        let changes = [(key.to_owned(), value.map(str::to_owned))].into();
        self.apply(&Command::AlterConfigs { resource, changes }).expect("configured");
    }
}

use crate::command::PartitionState;

pub(super) fn at(partition: i32) -> PartitionId {
    PartitionId { topic_id: TOPIC, partition }
}

/// The only answer of a command on one partition.
pub(super) fn one(outcome: Result<Outcome, Refusal>) -> Result<PartitionState, Refusal> {
    match outcome? {
        Outcome::Partitions(mut answers) if answers.len() == 1 => answers.remove(0).1,
        other => panic!("{other:?}"),
    }
}

/// Active brokers `1..=brokers`, and topic `t` with these partitions.
pub(super) fn cluster(brokers: NodeId, assignment: &[&[NodeId]]) -> Image {
    let mut image = Image::default();
    for node_id in 1..=brokers {
        image.start(node_id, node_id.unsigned_abs().into());
        image.unfence(node_id);
    }
    let assignment = assignment.iter().map(|replicas| replicas.to_vec()).collect();
    image.apply(&create("t", TOPIC.as_u128(), assignment)).expect("created");
    image
}
