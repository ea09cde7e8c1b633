//! The topics this broker serves, by name and by id.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use crate::config::TopicSettings;
use crate::partition::Partition;

/// A topic with its open partitions.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: StrBytes,
    pub(crate) id: Uuid,
    pub(crate) settings: TopicSettings,
    /// By index; `None` where the log directory could not be opened.
    pub(crate) partitions: Vec<Option<Arc<Partition>>>,
}

impl Topic {
    /// The partition of this index, or why nobody can use it.
    pub(crate) fn partition(&self, index: i32) -> Result<&Arc<Partition>, ErrorCode> {
        let known = usize::try_from(index).ok().and_then(|index| self.partitions.get(index));
        match known.ok_or(ErrorCode::UnknownTopicOrPartition)? {
            Some(partition) if !partition.is_offline() => Ok(partition),
            _ => Err(ErrorCode::KafkaStorageError),
        }
    }

    /// The partitions whose logs were opened; their disk may have failed since.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.partitions.iter().flatten()
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
