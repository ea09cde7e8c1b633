//! A follower's end of an incremental fetch session (KIP-227): what the leader remembers is not said again.

use std::collections::BTreeMap;

use plimsoll_wire::fetch::{FetchPartition, FetchTopic, ForgottenTopic};
use plimsoll_wire::{StrBytes, Uuid};

use crate::partition::PartitionKey;

/// Which request of the session comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    /// 0 while the leader gave none.
    pub(super) id: i32,
    /// 0 asks for a new session, and closes the old one.
    pub(super) epoch: i32,
}

impl Session {
    /// Whether everything has to be said: nothing is remembered.
    pub(super) fn is_new(self) -> bool {
        self.epoch == 0
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        self.epoch = 0;
    }

    /// The leader answered in session `id`, 0 if it has no room for one.
    pub(super) fn answered(&mut self, id: i32) {
        self.epoch = match (id, self.epoch) {
            (0, _) => 0,
            (_, i32::MAX) => 1,
            (_, epoch) => epoch + 1,
        };
        self.id = id;
    }
}

/// What is asked of each partition, by topic.
pub(super) fn asked(partitions: Vec<(PartitionKey, FetchPartition)>) -> Vec<FetchTopic> {
    let topics = by_topic(partitions.into_iter().map(|(key, asked)| (key.topic_id, asked)));
    let topic = |(topic_id, partitions)| FetchTopic { name: StrBytes::new(), topic_id, partitions };
    topics.into_iter().map(topic).collect()
}

/// What leaves the session, by topic.
pub(super) fn forgotten(partitions: impl Iterator<Item = PartitionKey>) -> Vec<ForgottenTopic> {
    let topics = by_topic(partitions.map(|key| (key.topic_id, key.index)));
    let topic = |(topic_id, partitions)| ForgottenTopic { name: StrBytes::new(), topic_id, partitions };
    topics.into_iter().map(topic).collect()
}

fn by_topic<T>(all: impl Iterator<Item = (Uuid, T)>) -> BTreeMap<Uuid, Vec<T>> {
    let mut topics: BTreeMap<Uuid, Vec<T>> = BTreeMap::new();
    for (topic_id, one) in all {
        topics.entry(topic_id).or_default().push(one);
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e22_requests_of_a_session_are_counted_and_a_new_one_closes_the_old() {
        let mut session = Session::default();
        let mut next = |id| {
            session.answered(id);
            (session.id, session.epoch)
        };
        assert_eq!([next(7), next(7)], [(7, 1), (7, 2)]);
        assert_eq!(next(0), (0, 0), "no room: everything is said each time");
        assert_eq!(next(0), (0, 0));
        session = Session { id: 7, epoch: i32::MAX };
        session.answered(7);
        assert_eq!(session.epoch, 1, "0 would begin anew");
        session.reset();
        assert!(session.is_new() && session.id == 7);
    }
}
