//! Configuration of topics and brokers, and the one entry that the metadata itself obeys.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Image;
use crate::command::{ConfigResource, Outcome, Refusal};

/// Kafka's name for "elect a replica that is not in sync rather than none".
const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";

/// A set of entries.
pub(super) type Configs = BTreeMap<String, String>;

/// Whether a topic allows unclean elections: by its own entry, else by the brokers' common one; else not.
pub(super) fn unclean_elections(topic: &Configs, broker_default: &Configs) -> bool {
    topic
        .get(UNCLEAN_ELECTION)
        .or_else(|| broker_default.get(UNCLEAN_ELECTION))
        .is_some_and(|on| on == "true")
}

impl Image {
    /// Entries of one broker that differ from those of all.
    pub fn broker_configs(&self, node_id: crate::NodeId) -> Option<&BTreeMap<String, String>> {
        self.broker_configs.get(&node_id)
    }

    /// Entries of every broker that has none of its own.
    pub fn broker_default_configs(&self) -> &BTreeMap<String, String> {
        &self.broker_default_configs
    }

    pub(super) fn alter_configs(
        &mut self,
        resource: ConfigResource,
        changes: &BTreeMap<String, Option<String>>,
    ) -> Result<Outcome, Refusal> {
        match resource {
            ConfigResource::Topic(topic_id) => {
                let name = self.names.get(&topic_id).ok_or(Refusal::UnknownTopicId(topic_id))?;
                let topic = self.topics.get_mut(name).ok_or(Refusal::UnknownTopicId(topic_id))?;
                merge(&mut Arc::make_mut(topic).configs, changes);
            }
            ConfigResource::Broker(node_id) => {
                let configs = self.broker_configs.entry(node_id).or_default();
                merge(configs, changes);
                if configs.is_empty() {
                    self.broker_configs.remove(&node_id);
                }
            }
            ConfigResource::BrokerDefault => merge(&mut self.broker_default_configs, changes),
        }
        if changes.contains_key(UNCLEAN_ELECTION) {
            // Partitions that wait for a leader may have one now.
            self.revise(|partition| partition.clone());
        }
        Ok(Outcome::Configured)
    }
}

fn merge(configs: &mut Configs, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => configs.insert(key.clone(), value.clone()),
            None => configs.remove(key),
        };
    }
}
