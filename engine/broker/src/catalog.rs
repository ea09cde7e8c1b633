//! The topics of the cluster as this broker has applied them, by name and by id, with its own replicas.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use plimsoll_controller::PartitionRecord;
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use crate::config::TopicSettings;
use crate::partition::Partition;

/// A topic at one moment. A change makes a new one, which shares the open partitions.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) name: StrBytes,
    pub(crate) id: Uuid,
    pub(crate) settings: TopicSettings,
    /// By index.
    pub(crate) partitions: Vec<Slot>,
}

/// One partition of a topic: what the metadata says of it, and what this broker holds of it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) record: Arc<PartitionRecord>,
    pub(crate) replica: Replica,
}

/// What this broker holds of a partition.
#[derive(Clone, Debug)]
pub(crate) enum Replica {
    /// It is not assigned to this broker.
    Elsewhere,
    /// It is, but its log could not be opened.
    Offline,
    /// Its log is open; its disk may have failed since.
    Open(Arc<Partition>),
}

impl Replica {
    /// Whether this broker should hold it and cannot use it.
    pub(crate) fn is_offline(&self) -> bool {
        match self {
            Self::Elsewhere => false,
            Self::Offline => true,
            Self::Open(partition) => partition.is_offline(),
        }
    }
}

impl Topic {
    /// This broker's replica of the partition of this index, whatever it is to it, or why there is none to use.
    pub(crate) fn partition(&self, index: i32) -> Result<&Arc<Partition>, ErrorCode> {
        let slot = usize::try_from(index).ok().and_then(|index| self.partitions.get(index));
        match &slot.ok_or(ErrorCode::UnknownTopicOrPartition)?.replica {
            replica if replica.is_offline() => Err(ErrorCode::KafkaStorageError),
            Replica::Open(partition) => Ok(partition),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// The partitions whose logs were opened; their disk may have failed since.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter().filter_map(|slot| match &slot.replica {
            Replica::Open(partition) => Some(partition),
            Replica::Elsewhere | Replica::Offline => None,
        })
    }

    /// The partitions whose disk works.
    pub(crate) fn online(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.opened().filter(|partition| !partition.is_offline())
    }
}

/// Topics under their names and ids. Readers never wait for I/O.
#[derive(Debug, Default)]
pub(crate) struct Catalog(RwLock<Maps>);

#[derive(Debug, Default)]
struct Maps {
    by_name: HashMap<StrBytes, Arc<Topic>>,
    by_id: HashMap<Uuid, Arc<Topic>>,
}

impl Catalog {
    /// Takes a topic in, in the place of what it was before.
    pub(crate) fn insert(&self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        let mut maps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        maps.by_name.insert(topic.name.clone(), topic.clone());
        maps.by_id.insert(topic.id, topic.clone());
        topic
    }

    pub(crate) fn remove(&self, id: Uuid) -> Option<Arc<Topic>> {
        let mut maps = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let topic = maps.by_id.remove(&id)?;
        maps.by_name.remove(&topic.name);
        Some(topic)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.read(|maps| maps.by_name.get(name.as_bytes()).cloned())
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.read(|maps| maps.by_id.get(&id).cloned())
    }

    /// All topics in name order.
    pub(crate) fn all(&self) -> Vec<Arc<Topic>> {
        let mut topics: Vec<_> = self.read(|maps| maps.by_name.values().cloned().collect());
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        topics
    }

    fn read<T>(&self, look: impl FnOnce(&Maps) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
