//! Which leaderships go back to their preferred leaders. Pure.

use crate::command::PartitionId;
use crate::image::{BrokerState, Image};

/// Partitions moved by one command, as in Kafka: the rest comes with the next turn.
pub(super) const MOVES_MAX: usize = 1000;

/// Partitions that are led by another than their preferred leader, which could lead.
pub(super) fn imbalanced(image: &Image) -> Vec<PartitionId> {
    let active = |id| image.broker(id).is_some_and(|broker| broker.state == BrokerState::Active);
    let partitions = image.topics().flat_map(|topic| {
        (0..)
            .zip(&topic.partitions)
            .map(|(partition, p)| (PartitionId { topic_id: topic.topic_id, partition }, p))
    });
    let movable = partitions.filter(|(_, p)| {
        let preferred = p.preferred_leader();
        p.leader != preferred
            && p.isr.contains(&preferred)
            && !p.offline.contains(&preferred)
            && active(preferred)
    });
    movable.map(|(id, _)| id).take(MOVES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Command, IsrChange};
    use uuid::Uuid;

    #[test]
    fn leaderships_go_back_once_the_preferred_leader_is_in_sync() {
        let mut image = Image::default();
        for node_id in [1, 2] {
            let register = Command::RegisterBroker {
                node_id,
                incarnation: Uuid::nil(),
                endpoints: Vec::new(),
                rack: None,
                log_dirs: Vec::new(),
                clean_shutdown_epoch: None,
            };
            image.apply(&register).expect("registers");
            let broker_epoch = node_id.into();
            image.apply(&Command::UnfenceBroker { node_id, broker_epoch }).expect("unfences");
        }
        let (topic_id, configs) = (Uuid::from_u128(7), Default::default());
        let assignment = vec![vec![1, 2], vec![2, 1]];
        image
            .apply(&Command::CreateTopic { name: "t".into(), topic_id, assignment, configs })
            .expect("created");
        assert_eq!(imbalanced(&image), []);
        image.apply(&Command::FenceBroker { node_id: 1, broker_epoch: 1 }).expect("fences");
        assert_eq!(imbalanced(&image), [], "it is not in service");
        image.apply(&Command::UnfenceBroker { node_id: 1, broker_epoch: 1 }).expect("unfences");
        assert_eq!(imbalanced(&image), [], "it is not in sync");
        let partition = PartitionId { topic_id, partition: 0 };
        let (leader_epoch, partition_epoch) = (1, 1);
        let new_isr = vec![(2, 2), (1, 1)];
        let changes = vec![IsrChange { partition, leader_epoch, partition_epoch, new_isr }];
        image.apply(&Command::AlterPartition { node_id: 2, broker_epoch: 2, changes }).expect("grows");
        let partitions = imbalanced(&image);
        assert_eq!(partitions, [partition]);
        image.apply(&Command::ElectPreferredLeaders { partitions }).expect("elects");
        assert_eq!(imbalanced(&image), []);
    }
}
