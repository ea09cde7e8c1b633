//! The metadata at one point of its log, and the rules by which it changes.
//!
//! [`Image`] is here with what may be asked of it and the table of commands; what each does is in a file of its own:
//! [`brokers`], [`topics`], [`partitions`] (ISRs, preferred leaders, moves), [`reassignment`], [`configs`]. All of them end in
//! [`election`]. [`changes`] compares two images.

mod brokers;
mod changes;
mod configs;
mod election;
mod partitions;
mod reassignment;
mod records;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::command::{Command, Outcome, Refusal};
use brokers::Registration;

pub use changes::Changes;
pub use records::{BrokerRecord, BrokerState, Endpoint, NO_LEADER, NodeId, PartitionRecord, TopicRecord};

/// All metadata. Immutable once shared; a change makes a new one, which shares the topics that did not change. Two images
/// that the same commands made are equal, and one that was serialised reads back as itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    brokers: BTreeMap<NodeId, BrokerRecord>,
    topics: BTreeMap<String, Arc<TopicRecord>>,
    names: BTreeMap<Uuid, String>,
    broker_configs: BTreeMap<NodeId, BTreeMap<String, String>>,
    broker_default_configs: BTreeMap<String, String>,
    broker_epoch_last: i64,
    producer_id_next: i64,
}

impl Image {
    /// Registered brokers.
    pub fn brokers(&self) -> impl Iterator<Item = (NodeId, &BrokerRecord)> {
        self.brokers.iter().map(|(id, record)| (*id, record))
    }

    /// The broker of this id.
    pub fn broker(&self, node_id: NodeId) -> Option<&BrokerRecord> {
        self.brokers.get(&node_id)
    }

    /// Topics in name order.
    pub fn topics(&self) -> impl Iterator<Item = &TopicRecord> {
        self.topics.values().map(|topic| &**topic)
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&TopicRecord> {
        self.topics.get(name).map(|topic| &**topic)
    }

    /// The topic of this id.
    pub fn topic_by_id(&self, topic_id: Uuid) -> Option<&TopicRecord> {
        self.names.get(&topic_id).and_then(|name| self.topic(name))
    }

    /// First producer id not handed out yet.
    pub fn producer_id_next(&self) -> i64 {
        self.producer_id_next
    }

    /// Applies one command, or says why it cannot be applied and changes nothing. The same command on the same image does
    /// the same everywhere: nothing here looks at a clock or at chance.
    pub fn apply(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        use BrokerState::{Active, ControlledShutdown, Fenced};
        match command {
            Command::RegisterBroker {
                node_id,
                incarnation,
                endpoints,
                rack,
                log_dirs,
                clean_shutdown_epoch,
            } => self.register(&Registration {
                node_id: *node_id,
                incarnation: *incarnation,
                endpoints,
                rack: rack.as_deref(),
                log_dirs,
                clean_shutdown_epoch: *clean_shutdown_epoch,
            }),
            Command::UnfenceBroker { node_id, broker_epoch } => {
                self.set_broker_state(*node_id, *broker_epoch, Active)
            }
            Command::FenceBroker { node_id, broker_epoch } => {
                self.set_broker_state(*node_id, *broker_epoch, Fenced)
            }
            Command::BeginControlledShutdown { node_id, broker_epoch } => {
                self.set_broker_state(*node_id, *broker_epoch, ControlledShutdown)
            }
            Command::UnregisterBroker { node_id } => self.unregister(*node_id),
            Command::CreateTopic { name, topic_id, assignment, configs } => {
                self.create_topic(name, *topic_id, assignment, configs)
            }
            Command::DeleteTopic { topic_id } => self.delete_topic(*topic_id),
            Command::AddPartitions { topic_id, existing, assignment } => {
                self.add_partitions(*topic_id, *existing, assignment)
            }
            Command::AlterPartition { node_id, broker_epoch, changes } => {
                self.alter_partitions(*node_id, *broker_epoch, changes)
            }
            Command::TakeReplicasOffline { node_id, broker_epoch, partitions } => {
                self.take_offline(*node_id, *broker_epoch, partitions)
            }
            Command::ElectPreferredLeaders { partitions } => Ok(self.elect_preferred(partitions)),
            Command::AlterReassignments { changes } => Ok(self.reassign(changes)),
            Command::AlterConfigs { resource, changes } => self.alter_configs(*resource, changes),
            Command::AllocateProducerIds { node_id, count } => self.allocate_producer_ids(*node_id, *count),
        }
    }

    fn allocate_producer_ids(&mut self, node_id: NodeId, count: u32) -> Result<Outcome, Refusal> {
        if !self.brokers.contains_key(&node_id) {
            return Err(Refusal::UnknownBroker(node_id));
        }
        let first = self.producer_id_next;
        let next = first.checked_add(i64::from(count)).filter(|next| *next > first);
        self.producer_id_next = next.ok_or(Refusal::ProducerIdsExhausted(count))?;
        Ok(Outcome::ProducerIds { first, count })
    }
}
