//! Topics and their partitions.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use super::Image;
use super::configs::unclean_elections;
use super::election::Electorate;
use super::records::{NodeId, PartitionRecord, TopicRecord};
use crate::command::{Outcome, Refusal};

/// Topic of the metadata log; no client may create it.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Longest topic name Kafka accepts, in bytes: a directory name must hold it with its partition.
const TOPIC_NAME_BYTES_MAX: usize = 249;

impl Image {
    /// Kafka's rules for topic names.
    pub fn check_topic_name(name: &str) -> Result<(), Refusal> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let reason = if name.is_empty() {
            "it is empty"
        } else if name == METADATA_TOPIC {
            "it is the name of the metadata log"
        } else if matches!(name, "." | "..") {
            "`.` and `..` are directories"
        } else if name.len() > TOPIC_NAME_BYTES_MAX {
            "it is longer than 249 characters"
        } else if !name.chars().all(legal) {
            "only ASCII letters, digits, `.`, `_` and `-` are allowed"
        } else {
            return Ok(());
        };
        Err(Refusal::InvalidTopicName { name: name.to_owned(), reason: Cow::Borrowed(reason) })
    }

    pub(super) fn create_topic(
        &mut self,
        name: &str,
        topic_id: Uuid,
        assignment: &[Vec<NodeId>],
        configs: &BTreeMap<String, String>,
    ) -> Result<Outcome, Refusal> {
        Self::check_topic_name(name)?;
        if self.topics.get(name).is_some_and(|topic| topic.topic_id == topic_id) {
            return Ok(Outcome::Created);
        }
        if self.topics.contains_key(name) || self.names.contains_key(&topic_id) {
            return Err(Refusal::TopicExists(name.to_owned()));
        }
        let replicas = assignment.first().ok_or(Refusal::NoPartitions)?.len();
        let partitions = self.new_partitions(0, replicas, assignment, configs)?;
        let record = TopicRecord { name: name.to_owned(), topic_id, partitions, configs: configs.clone() };
        self.names.insert(topic_id, record.name.clone());
        self.topics.insert(record.name.clone(), Arc::new(record));
        Ok(Outcome::Created)
    }

    pub(super) fn add_partitions(
        &mut self,
        topic_id: Uuid,
        expected: usize,
        assignment: &[Vec<NodeId>],
    ) -> Result<Outcome, Refusal> {
        let topic = self.topic_by_id(topic_id).ok_or(Refusal::UnknownTopicId(topic_id))?;
        let existing = topic.partitions.len();
        if assignment.is_empty() {
            return Err(Refusal::NoPartitions);
        }
        if existing != expected {
            return Err(Refusal::PartitionsChanged { existing, expected });
        }
        let replicas = assignment.first().map_or(0, Vec::len);
        let added = self.new_partitions(existing, replicas, assignment, &topic.configs)?;
        if let Some(topic) = self.names.get(&topic_id).and_then(|name| self.topics.get_mut(name)) {
            Arc::make_mut(topic).partitions.extend(added);
        }
        Ok(Outcome::Extended { partitions: existing + assignment.len() })
    }

    pub(super) fn delete_topic(&mut self, topic_id: Uuid) -> Result<Outcome, Refusal> {
        let name = self.names.remove(&topic_id).ok_or(Refusal::UnknownTopicId(topic_id))?;
        self.topics.remove(&name);
        Ok(Outcome::Deleted { name })
    }

    fn new_partitions(
        &self,
        first: usize,
        replicas: usize,
        assignment: &[Vec<NodeId>],
        configs: &BTreeMap<String, String>,
    ) -> Result<Vec<Arc<PartitionRecord>>, Refusal> {
        let unclean = unclean_elections(configs, &self.broker_default_configs);
        let electorate = Electorate { brokers: &self.brokers, unclean };
        let numbered = (first..).zip(assignment);
        numbered
            .map(|(partition, assigned)| {
                if assigned.len() != replicas {
                    return Err(Refusal::UnevenReplicas { partition });
                }
                let invalid = || Refusal::InvalidReplicas { partition, replicas: assigned.clone() };
                new_partition(&electorate, assigned).map(Arc::new).ok_or_else(invalid)
            })
            .collect()
    }

    /// Whether a partition may have these replicas.
    pub(super) fn are_replicas(&self, replicas: &[NodeId]) -> bool {
        let distinct: BTreeSet<_> = replicas.iter().collect();
        !replicas.is_empty()
            && distinct.len() == replicas.len()
            && replicas.iter().all(|id| self.brokers.contains_key(id))
    }
}

/// A partition in its first epoch, in sync where its brokers are active; `None` if the replicas cannot be had.
fn new_partition(electorate: &Electorate<'_>, replicas: &[NodeId]) -> Option<PartitionRecord> {
    let distinct: BTreeSet<_> = replicas.iter().collect();
    let registered = replicas.iter().all(|id| electorate.brokers.contains_key(id));
    let isr: Vec<_> = replicas.iter().copied().filter(|id| electorate.is_active(*id)).collect();
    let leader = *isr.first()?;
    (registered && distinct.len() == replicas.len()).then(|| PartitionRecord {
        replicas: replicas.to_vec(),
        adding: Vec::new(),
        removing: Vec::new(),
        isr,
        offline: Vec::new(),
        leader,
        leader_epoch: 0,
        partition_epoch: 0,
    })
}
