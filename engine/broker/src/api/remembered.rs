//! What a fetch session remembers of its partitions.

use std::collections::{BTreeMap, HashMap};

use plimsoll_wire::fetch::{FetchPartition, PartitionFetchResponse};
use plimsoll_wire::{ErrorCode, StrBytes, Uuid};

use crate::net::StoredSlice;

/// A partition as a session knows it: by name or, from version 13 on, by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) name: StrBytes,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
}

/// The longest name a topic can have, in bytes. Partitions of longer ones are answered, never remembered.
const TOPIC_NAME_BYTES_MAX: usize = 249;

impl Key {
    /// Whether there can be such a partition, so that remembering it takes bounded memory.
    pub(super) fn can_exist(&self) -> bool {
        self.name.len() <= TOPIC_NAME_BYTES_MAX
    }
}

/// Copies names out of the request they came in: a slice of it would keep the whole of it in memory for as
/// long as the session lives. Partitions of one topic in a row share one copy.
#[derive(Debug, Default)]
pub(super) struct NameCopies {
    last: StrBytes,
}

impl NameCopies {
    /// `key` with a name of its own.
    pub(super) fn own(&mut self, key: &Key) -> Key {
        if self.last != key.name {
            self.last = StrBytes::from_string(key.name.to_string());
        }
        Key { name: self.last.clone(), topic_id: key.topic_id, partition: key.partition }
    }
}

/// What a session remembers of one partition's last answer.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) key: Key,
    pub(super) wanted: FetchPartition,
    high_watermark: i64,
    log_start_offset: i64,
}

/// A session's partitions in the order in which they are read. Every step costs O(log n).
#[derive(Debug, Default)]
pub(super) struct Remembered {
    in_order: BTreeMap<u64, Cached>,
    places: HashMap<Key, u64>,
    next_place: u64,
}

impl Remembered {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn in_order(&self) -> impl Iterator<Item = &Cached> {
        self.in_order.values()
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Cached> {
        self.in_order.get_mut(self.places.get(key)?)
    }

    pub(super) fn put(&mut self, cached: Cached) {
        self.forget(&cached.key);
        self.places.insert(cached.key.clone(), self.next_place);
        self.in_order.insert(self.next_place, cached);
        self.next_place += 1;
    }

    pub(super) fn forget(&mut self, key: &Key) -> Option<Cached> {
        self.in_order.remove(&self.places.remove(key)?)
    }

    pub(super) fn move_back(&mut self, key: &Key) {
        if let Some(cached) = self.forget(key) {
            self.put(cached);
        }
    }
}

impl Cached {
    pub(super) fn new(key: Key, wanted: FetchPartition) -> Self {
        Self { key, wanted, high_watermark: -1, log_start_offset: -1 }
    }

    pub(super) fn after(mut self, answer: &PartitionFetchResponse<StoredSlice>) -> Self {
        self.remember(answer);
        self
    }

    pub(super) fn is_changed_by(&self, answer: &PartitionFetchResponse<StoredSlice>) -> bool {
        answer.error != ErrorCode::None
            || answer.records_len_bytes() > 0
            || answer.diverging_epoch.is_some()
            || answer.preferred_read_replica != -1
            || answer.high_watermark != self.high_watermark
            || answer.log_start_offset != self.log_start_offset
    }

    /// After an error the watermark is forgotten, so that the partition is sent again once it is well.
    pub(super) fn remember(&mut self, answer: &PartitionFetchResponse<StoredSlice>) {
        let well = answer.error == ErrorCode::None;
        self.high_watermark = if well { answer.high_watermark } else { -1 };
        self.log_start_offset = answer.log_start_offset;
    }
}
