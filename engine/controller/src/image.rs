//! The metadata at one point of its log, and the rules by which it changes.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::command::{Command, Outcome, Refusal};

/// A node's id, as `node.id` configures it.
pub type NodeId = i32;

/// Topic of the metadata log; no client may create it.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// Longest topic name Kafka accepts, in bytes: a directory name must hold it with its partition.
const TOPIC_NAME_BYTES_MAX: usize = 249;

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRecord {
    /// Rises with each registration, over the whole cluster.
    pub broker_epoch: i64,
    /// Random per process start.
    pub incarnation: Uuid,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    /// Assigned replicas, the preferred leader first.
    pub replicas: Vec<NodeId>,
    /// Replicas in sync.
    pub isr: Vec<NodeId>,
    /// The leader.
    pub leader: NodeId,
    /// Rises at every election and at every re-registration of the leader.
    pub leader_epoch: i32,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    /// Its name.
    pub name: String,
    /// Its id, unique for ever.
    pub topic_id: Uuid,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionRecord>,
    /// Topic-level configuration.
    pub configs: BTreeMap<String, String>,
}

/// All metadata. Immutable once shared; a change makes a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    brokers: BTreeMap<NodeId, BrokerRecord>,
    topics: BTreeMap<String, TopicRecord>,
    names: BTreeMap<Uuid, String>,
    broker_epoch_last: i64,
    producer_id_next: i64,
}

impl Image {
    /// Registered brokers.
    pub fn brokers(&self) -> impl Iterator<Item = (NodeId, &BrokerRecord)> {
        self.brokers.iter().map(|(id, record)| (*id, record))
    }

    /// Topics in name order.
    pub fn topics(&self) -> impl Iterator<Item = &TopicRecord> {
        self.topics.values()
    }

    /// The topic of this name.
    pub fn topic(&self, name: &str) -> Option<&TopicRecord> {
        self.topics.get(name)
    }

    /// The topic of this id.
    pub fn topic_by_id(&self, topic_id: Uuid) -> Option<&TopicRecord> {
        self.names.get(&topic_id).and_then(|name| self.topics.get(name))
    }

    /// First producer id not handed out yet.
    pub fn producer_id_next(&self) -> i64 {
        self.producer_id_next
    }

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
        Err(Refusal::InvalidTopicName { name: name.to_owned(), reason })
    }

    /// Applies one command, or says why it cannot be applied and changes nothing.
    pub fn apply(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        match command {
            Command::RegisterBroker { node_id, incarnation } => Ok(self.register(*node_id, *incarnation)),
            Command::CreateTopic { name, topic_id, assignment, configs } => {
                self.create_topic(name, *topic_id, assignment, configs)
            }
            Command::DeleteTopic { topic_id } => self.delete_topic(*topic_id),
            Command::AllocateProducerIds { node_id, count } => self.allocate_producer_ids(*node_id, *count),
        }
    }

    fn register(&mut self, node_id: NodeId, incarnation: Uuid) -> Outcome {
        let known = self.brokers.get(&node_id).filter(|broker| broker.incarnation == incarnation);
        if let Some(broker) = known {
            return Outcome::Registered { broker_epoch: broker.broker_epoch };
        }
        self.broker_epoch_last += 1;
        let broker_epoch = self.broker_epoch_last;
        self.brokers.insert(node_id, BrokerRecord { broker_epoch, incarnation });
        let led = self.topics.values_mut().flat_map(|t| &mut t.partitions).filter(|p| p.leader == node_id);
        led.for_each(|partition| partition.leader_epoch += 1);
        Outcome::Registered { broker_epoch }
    }

    fn create_topic(
        &mut self,
        name: &str,
        topic_id: Uuid,
        assignment: &[Vec<NodeId>],
        configs: &BTreeMap<String, String>,
    ) -> Result<Outcome, Refusal> {
        Self::check_topic_name(name)?;
        if self.topics.contains_key(name) || self.names.contains_key(&topic_id) {
            return Err(Refusal::TopicExists(name.to_owned()));
        }
        if assignment.is_empty() {
            return Err(Refusal::NoPartitions);
        }
        let partitions = assignment
            .iter()
            .enumerate()
            .map(|(index, replicas)| self.new_partition(index, replicas))
            .collect::<Result<Vec<_>, _>>()?;
        let record = TopicRecord { name: name.to_owned(), topic_id, partitions, configs: configs.clone() };
        self.names.insert(topic_id, record.name.clone());
        self.topics.insert(record.name.clone(), record);
        Ok(Outcome::Created)
    }

    fn new_partition(&self, index: usize, replicas: &[NodeId]) -> Result<PartitionRecord, Refusal> {
        let distinct: HashSet<_> = replicas.iter().collect();
        let registered = replicas.iter().all(|id| self.brokers.contains_key(id));
        match replicas.first() {
            Some(leader) if registered && distinct.len() == replicas.len() => Ok(PartitionRecord {
                replicas: replicas.to_vec(),
                isr: replicas.to_vec(),
                leader: *leader,
                leader_epoch: 0,
            }),
            _ => Err(Refusal::InvalidReplicas { partition: index, replicas: replicas.to_vec() }),
        }
    }

    fn delete_topic(&mut self, topic_id: Uuid) -> Result<Outcome, Refusal> {
        let name = self.names.remove(&topic_id).ok_or(Refusal::UnknownTopicId(topic_id))?;
        self.topics.remove(&name);
        Ok(Outcome::Deleted { name })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_broker() -> Image {
        let mut image = Image::default();
        image
            .apply(&Command::RegisterBroker { node_id: 1, incarnation: Uuid::from_u128(1) })
            .expect("registers");
        image
    }

    fn create(name: &str, id: u128, assignment: Vec<Vec<NodeId>>) -> Command {
        Command::CreateTopic {
            name: name.to_owned(),
            topic_id: Uuid::from_u128(id),
            assignment,
            configs: BTreeMap::new(),
        }
    }

    #[test]
    fn a_refused_command_changes_nothing() {
        let mut image = with_broker();
        image.apply(&create("t", 7, vec![vec![1]])).expect("created");
        let before = image.clone();
        let refused = [
            create("t", 8, vec![vec![1]]),
            create("u", 7, vec![vec![1]]),
            create("u", 8, vec![]),
            create("u", 8, vec![vec![1], vec![2]]),
            create("u", 8, vec![vec![1, 1]]),
            create("u", 8, vec![vec![]]),
            create("no/slash", 8, vec![vec![1]]),
            create("__cluster_metadata", 8, vec![vec![1]]),
            create(&"n".repeat(250), 8, vec![vec![1]]),
            Command::DeleteTopic { topic_id: Uuid::from_u128(9) },
            Command::AllocateProducerIds { node_id: 2, count: 10 },
            Command::AllocateProducerIds { node_id: 1, count: 0 },
        ];
        for command in refused {
            assert!(image.apply(&command).is_err(), "{command:?} should be refused");
            assert_eq!(image, before, "{command:?} changed the image");
        }
    }

    #[test]
    fn every_registration_starts_a_new_leader_epoch() {
        let mut image = with_broker();
        image.apply(&create("t", 7, vec![vec![1], vec![1]])).expect("created");
        let again = Command::RegisterBroker { node_id: 1, incarnation: Uuid::from_u128(2) };
        assert_eq!(image.apply(&again), Ok(Outcome::Registered { broker_epoch: 2 }));
        assert_eq!(
            image.apply(&again),
            Ok(Outcome::Registered { broker_epoch: 2 }),
            "a repeat is no restart"
        );
        let epochs: Vec<_> =
            image.topic("t").expect("there").partitions.iter().map(|p| p.leader_epoch).collect();
        assert_eq!(epochs, [1, 1]);
    }

    #[test]
    fn a_deleted_name_comes_back_under_another_id() {
        let mut image = with_broker();
        image.apply(&create("t", 7, vec![vec![1]])).expect("created");
        image.apply(&Command::DeleteTopic { topic_id: Uuid::from_u128(7) }).expect("deleted");
        assert!(image.topic("t").is_none() && image.topic_by_id(Uuid::from_u128(7)).is_none());
        image.apply(&create("t", 8, vec![vec![1]])).expect("created again");
        assert_eq!(image.topic("t").map(|t| t.topic_id), Some(Uuid::from_u128(8)));
    }

    proptest! {
        #[test]
        fn producer_id_blocks_never_overlap(counts in prop::collection::vec(1_u32..5_000, 1..50)) {
            let mut image = with_broker();
            let mut expected_first = 0;
            for count in counts {
                let outcome = image.apply(&Command::AllocateProducerIds { node_id: 1, count });
                prop_assert_eq!(outcome, Ok(Outcome::ProducerIds { first: expected_first, count }));
                expected_first += i64::from(count);
            }
            prop_assert_eq!(image.producer_id_next(), expected_first);
        }

        #[test]
        fn commands_survive_their_encoding(name in "[a-z]{1,10}", id in any::<u128>(), brokers in prop::collection::vec(any::<i32>(), 0..4)) {
            let command = create(&name, id, vec![brokers]);
            let text = serde_json::to_string(&command).expect("encodes");
            prop_assert_eq!(serde_json::from_str::<Command>(&text).expect("decodes"), command);
        }
    }
}
