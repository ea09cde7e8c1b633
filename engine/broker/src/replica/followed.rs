//! Which partitions this broker follows, and whom.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::partition::replication::metadata::ReplicaId;
use crate::partition::{Partition, PartitionKey};

/// All partitions that are followed, by fetcher.
#[derive(Debug)]
pub(crate) struct Followed {
    /// `num.replica.fetchers`.
    per_leader: usize,
    placed: Mutex<HashMap<PartitionKey, Arc<Lane>>>,
    /// Every fetcher that was ever needed, in the order of their first need.
    lanes: watch::Sender<Arc<Vec<Arc<Lane>>>>,
}

/// What one fetcher follows.
#[derive(Debug)]
pub(crate) struct Lane {
    leader: ReplicaId,
    number: usize,
    partitions: Mutex<Placed>,
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Placed {
    version: u64,
    /// Each with the version in which it was placed last.
    partitions: BTreeMap<PartitionKey, (u64, Arc<Partition>)>,
}

/// What changed in a lane.
#[derive(Debug, Default)]
pub(super) struct LaneChanges {
    pub(super) version: u64,
    pub(super) placed: Vec<Arc<Partition>>,
    pub(super) removed: Vec<PartitionKey>,
}

impl Followed {
    /// With so many fetchers for each leader.
    pub(crate) fn new(per_leader: usize) -> Self {
        Self { per_leader: per_leader.max(1), placed: Mutex::default(), lanes: watch::Sender::default() }
    }

    /// All fetchers there are, now and from now on.
    pub(super) fn fetchers(&self) -> watch::Receiver<Arc<Vec<Arc<Lane>>>> {
        self.lanes.subscribe()
    }

    /// `partition` follows `leader` from now on, in a new epoch.
    pub(crate) fn follow(&self, leader: ReplicaId, partition: &Arc<Partition>) {
        let key = partition.key();
        let mut placed = lock(&self.placed);
        let lane = self.lane(leader, spread(key) % self.per_leader);
        if let Some(before) = placed.insert(key, lane.clone()).filter(|before| !Arc::ptr_eq(before, &lane)) {
            before.remove(key);
        }
        lane.place(partition);
    }

    /// This partition follows nobody any more.
    pub(crate) fn forget(&self, key: PartitionKey) {
        if let Some(lane) = lock(&self.placed).remove(&key) {
            lane.remove(key);
        }
    }

    fn lane(&self, leader: ReplicaId, number: usize) -> Arc<Lane> {
        let same = |lane: &&Arc<Lane>| (lane.leader, lane.number) == (leader, number);
        if let Some(lane) = self.lanes.borrow().iter().find(same) {
            return lane.clone();
        }
        let (partitions, version) = (Mutex::default(), watch::Sender::default());
        let lane = Arc::new(Lane { leader, number, partitions, version });
        self.lanes.send_modify(|lanes| Arc::make_mut(lanes).push(lane.clone()));
        lane
    }
}

impl Lane {
    /// Whom it fetches from.
    pub(super) fn leader(&self) -> ReplicaId {
        self.leader
    }

    /// Changes whenever [`Lane::changes`] has news.
    pub(super) fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// What was placed here or removed since `seen`; `known` tells what was there then.
    pub(super) fn changes<'a>(
        &self,
        seen: u64,
        known: impl Iterator<Item = &'a PartitionKey>,
    ) -> LaneChanges {
        let placed = lock(&self.partitions);
        if placed.version == seen {
            return LaneChanges { version: seen, ..LaneChanges::default() };
        }
        let newer = placed.partitions.values().filter(|(version, _)| *version > seen);
        LaneChanges {
            version: placed.version,
            placed: newer.map(|(_, partition)| partition.clone()).collect(),
            removed: known.filter(|key| !placed.partitions.contains_key(key)).copied().collect(),
        }
    }

    fn place(&self, partition: &Arc<Partition>) {
        self.change(|placed| {
            placed.partitions.insert(partition.key(), (placed.version, partition.clone()));
        });
    }

    fn remove(&self, key: PartitionKey) {
        self.change(|placed| {
            placed.partitions.remove(&key);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Placed)) {
        let mut placed = lock(&self.partitions);
        placed.version += 1;
        change(&mut placed);
        self.version.send_replace(placed.version);
    }
}

/// Spreads the partitions of a topic evenly, and different topics differently.
fn spread(key: PartitionKey) -> usize {
    let [.., a, b, c, d] = *key.topic_id.as_bytes();
    let topic = u32::from_be_bytes([a, b, c, d]);
    topic.wrapping_add(key.index.unsigned_abs()) as usize
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partition::tests::{Trio, local};

    /// The lane of a leader, and what is news to somebody who has seen `seen` and knows `known`.
    fn news(
        followed: &Followed,
        leader: ReplicaId,
        seen: u64,
        known: &[PartitionKey],
    ) -> (u64, usize, usize) {
        let lanes = followed.fetchers().borrow().clone();
        let lane = lanes.iter().find(|lane| lane.leader() == leader).expect("a lane");
        let changes = lane.changes(seen, known.iter());
        (changes.version, changes.placed.len(), changes.removed.len())
    }

    #[test]
    fn a_partition_is_followed_in_one_place_and_each_new_epoch_is_news() {
        local(async {
            let trio = Trio::new(&[]).await;
            let (partition, key) = (trio.partition(2), trio.partition(2).key());
            let followed = Followed::new(1);
            followed.follow(1, partition);
            let (seen, placed, _) = news(&followed, 1, 0, &[]);
            assert_eq!(placed, 1);
            assert_eq!(news(&followed, 1, seen, &[key]), (seen, 0, 0));
            followed.follow(1, partition);
            let (seen, placed, removed) = news(&followed, 1, seen, &[key]);
            assert_eq!((placed, removed), (1, 0), "in another epoch");
            followed.follow(3, partition);
            let (seen, placed, removed) = news(&followed, 1, seen, &[key]);
            assert_eq!((placed, removed), (0, 1), "it follows another now");
            assert_eq!(news(&followed, 3, 0, &[]).1, 1);
            followed.forget(key);
            assert_eq!(news(&followed, 3, 0, &[key]).2, 1);
            assert_eq!(news(&followed, 1, seen, &[]), (seen, 0, 0));
        });
    }

    #[test]
    fn partitions_are_spread_over_the_fetchers_of_a_leader() {
        let key = |index| PartitionKey { topic_id: plimsoll_wire::Uuid::from_u128(5), index };
        let mut counts = [0; 4];
        (0..40).for_each(|index| counts[spread(key(index)) % 4] += 1);
        assert_eq!(counts, [10; 4]);
    }
}
