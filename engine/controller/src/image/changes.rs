//! What differs between two images: what a broker must act upon.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{Image, NodeId};
use crate::command::PartitionId;

/// What differs between two images. It is found by comparing, not by following commands, so it is the same after a
/// snapshot, which has no commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Topics that are new, by name.
    pub created: Vec<String>,
    /// Topics that are gone, with their former names. A name that came back under another id is in both lists.
    pub deleted: Vec<(Uuid, String)>,
    /// Partitions of topics in both images that are new or not what they were.
    pub partitions: Vec<PartitionId>,
    /// Topics in both images whose configuration is another.
    pub configured: Vec<Uuid>,
    /// Brokers that are new, gone, or not what they were.
    pub brokers: BTreeSet<NodeId>,
    /// Configuration of brokers, one's or all's, is another.
    pub broker_configs: bool,
}

impl Changes {
    /// From `before` to `after`. Costs what the number of topics costs and what differs, not what all partitions do, if
    /// one image came from the other.
    pub fn between(before: &Image, after: &Image) -> Self {
        let mut changes = Self {
            broker_configs: before.broker_configs != after.broker_configs
                || before.broker_default_configs != after.broker_default_configs,
            ..Self::default()
        };
        let ids = before.brokers.keys().chain(after.brokers.keys()).copied();
        changes.brokers = ids.filter(|id| before.brokers.get(id) != after.brokers.get(id)).collect();
        for (name, old) in &before.topics {
            if after.topic_by_id(old.topic_id).is_none() {
                changes.deleted.push((old.topic_id, name.clone()));
            }
        }
        for (name, new) in &after.topics {
            match before.topics.get(name).filter(|old| old.topic_id == new.topic_id) {
                None => changes.created.push(name.clone()),
                Some(old) if Arc::ptr_eq(old, new) => {}
                Some(old) => changes.topic(old, new),
            }
        }
        changes
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn topic(&mut self, old: &super::TopicRecord, new: &super::TopicRecord) {
        let topic_id = new.topic_id;
        if old.configs != new.configs {
            self.configured.push(topic_id);
        }
        for (partition, record) in (0..).zip(&new.partitions) {
            if old.partition(partition) != Some(&**record) {
                self.partitions.push(PartitionId { topic_id, partition });
            }
        }
    }
}
