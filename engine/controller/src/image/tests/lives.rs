//! Random sequences of commands: whatever comes, the invariants hold.

use proptest::prelude::*;
use std::collections::BTreeSet;

use super::*;

/// A step in which brokers, topics and epochs are small numbers, so that commands meet each other.
#[derive(Clone, Debug)]
enum Step {
    Register { node: i32, incarnation: u128 },
    State { node: i32, state: u8, stale: bool },
    Unregister(i32),
    Create { topic: u128, assignment: Vec<Vec<i32>> },
    Delete(u128),
    Extend { topic: u128, assignment: Vec<Vec<i32>> },
    Isr { topic: u128, partition: i32, isr: Vec<i32>, off: i32 },
    Offline { node: i32, topic: u128, partition: i32 },
    Elect { topic: u128, partition: i32 },
    Move { topic: u128, partition: i32, to: Option<Vec<i32>> },
    Unclean { topic: u128, on: bool },
    Ids(i32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (node, topic, partition) = (|| 1..6i32, || 1..4u128, || 0..4i32);
    let replicas = || prop::collection::vec(1..6i32, 1..4);
    let assignment = move || prop::collection::vec(prop::collection::vec(1..6i32, 2), 1..3);
    prop_oneof![
        3 => (node(), 0..8u128).prop_map(|(node, incarnation)| Step::Register { node, incarnation }),
        6 => (node(), 0..5u8, prop::bool::weighted(0.1))
            .prop_map(|(node, state, stale)| Step::State { node, state, stale }),
        1 => node().prop_map(Step::Unregister),
        3 => (topic(), assignment()).prop_map(|(topic, assignment)| Step::Create { topic, assignment }),
        1 => topic().prop_map(Step::Delete),
        1 => (topic(), assignment()).prop_map(|(topic, assignment)| Step::Extend { topic, assignment }),
        8 => (topic(), partition(), replicas(), -1..2i32)
            .prop_map(|(topic, partition, isr, off)| Step::Isr { topic, partition, isr, off }),
        2 => (node(), topic(), partition())
            .prop_map(|(node, topic, partition)| Step::Offline { node, topic, partition }),
        2 => (topic(), partition()).prop_map(|(topic, partition)| Step::Elect { topic, partition }),
        4 => (topic(), partition(), prop::option::weighted(0.7, replicas()))
            .prop_map(|(topic, partition, to)| Step::Move { topic, partition, to }),
        1 => (topic(), any::<bool>()).prop_map(|(topic, on)| Step::Unclean { topic, on }),
        1 => (node(), 0..9u32).prop_map(|(node, count)| Step::Ids(node, count)),
    ]
}

impl Step {
    /// The command, with epochs as the image has them, or just beside.
    fn command(&self, image: &Image) -> Command {
        let id = |topic: &u128, partition: &i32| PartitionId {
            topic_id: Uuid::from_u128(*topic),
            partition: *partition,
        };
        match self {
            Step::Register { node, incarnation } => registration(*node, *incarnation),
            Step::State { node, state, stale } => {
                let (node_id, broker_epoch) = (*node, image.epoch(*node) - i64::from(*stale));
                match state {
                    0 => Command::FenceBroker { node_id, broker_epoch },
                    1 => Command::BeginControlledShutdown { node_id, broker_epoch },
                    _ => Command::UnfenceBroker { node_id, broker_epoch },
                }
            }
            Step::Unregister(node) => Command::UnregisterBroker { node_id: *node },
            Step::Create { topic, assignment } => create(&format!("t{topic}"), *topic, assignment.clone()),
            Step::Delete(topic) => Command::DeleteTopic { topic_id: Uuid::from_u128(*topic) },
            Step::Extend { topic, assignment } => {
                let topic_id = Uuid::from_u128(*topic);
                let existing = image.topic_by_id(topic_id).map_or(0, |topic| topic.partitions.len());
                Command::AddPartitions { topic_id, existing, assignment: assignment.clone() }
            }
            Step::Isr { topic, partition, isr, off } => isr_command(image, id(topic, partition), isr, *off),
            Step::Offline { node, topic, partition } => Command::TakeReplicasOffline {
                node_id: *node,
                broker_epoch: image.epoch(*node),
                partitions: vec![id(topic, partition)],
            },
            Step::Elect { topic, partition } => {
                Command::ElectPreferredLeaders { partitions: vec![id(topic, partition)] }
            }
            Step::Move { topic, partition, to } => {
                let change = Reassignment { partition: id(topic, partition), replicas: to.clone() };
                Command::AlterReassignments { changes: vec![change] }
            }
            Step::Unclean { topic, on } => Command::AlterConfigs {
                resource: ConfigResource::Topic(Uuid::from_u128(*topic)),
                changes: [("unclean.leader.election.enable".to_owned(), Some(on.to_string()))].into(),
            },
            Step::Ids(node, count) => Command::AllocateProducerIds { node_id: *node, count: *count },
        }
    }
}

fn isr_command(image: &Image, id: PartitionId, isr: &[i32], off: i32) -> Command {
    let (leader, leader_epoch, partition_epoch) =
        image.partition(id).map_or((1, 0, 0), |p| (p.leader, p.leader_epoch, p.partition_epoch));
    let mut members: Vec<i32> = isr.iter().copied().chain([leader]).collect();
    members.sort_unstable();
    members.dedup();
    let new_isr = members.into_iter().map(|id| (id, image.epoch(id))).collect();
    let change =
        IsrChange { partition: id, leader_epoch, partition_epoch: partition_epoch + off / 2, new_isr };
    Command::AlterPartition { node_id: leader, broker_epoch: image.epoch(leader), changes: vec![change] }
}

/// What holds of every image.
fn check(image: &Image) {
    for topic in image.topics() {
        assert_eq!(image.topic_by_id(topic.topic_id), Some(topic), "each topic is found by its id");
        for p in &topic.partitions {
            let distinct: BTreeSet<_> = p.replicas.iter().collect();
            assert!(
                !p.replicas.is_empty() && distinct.len() == p.replicas.len(),
                "replicas are distinct: {p:?}"
            );
            assert!(!p.isr.is_empty() && p.isr.iter().all(|id| p.replicas.contains(id)), "{p:?}");
            assert!(p.leader == NO_LEADER || p.isr.contains(&p.leader), "the leader is in sync: {p:?}");
            let active = |id| image.broker(id).is_some_and(|b| b.state == BrokerState::Active);
            let fit = |id| active(id) && !p.offline.contains(&id);
            assert!(
                p.leader == NO_LEADER || fit(p.leader),
                "nobody leads who is fenced or lost the disk: {p:?}"
            );
            let led = p.leader != NO_LEADER || !p.isr.iter().any(|id| fit(*id));
            assert!(led, "nobody leads though one in sync could: {p:?}");
            let unfit = p.isr.iter().filter(|id| !fit(**id)).count();
            assert!(unfit == 0 || p.isr.len() == 1, "one that may not lead is in an ISR only alone: {p:?}");
            assert!(p.offline.iter().all(|id| p.replicas.contains(id)), "{p:?}");
            assert!(p.adding.iter().chain(&p.removing).all(|id| p.replicas.contains(id)), "{p:?}");
            assert!(p.adding.iter().all(|id| !p.removing.contains(id)), "{p:?}");
        }
    }
}

/// What holds between an image and its successor.
fn check_step(before: &Image, after: &Image) {
    for (node_id, broker) in after.brokers() {
        let known = before.broker(node_id).map_or(0, |b| b.broker_epoch);
        assert!(broker.broker_epoch >= known && after.broker_epoch_last >= broker.broker_epoch);
    }
    assert!(after.producer_id_next >= before.producer_id_next);
    for new in after.topics() {
        let Some(old) = before.topic_by_id(new.topic_id) else { continue };
        assert!(new.partitions.len() >= old.partitions.len(), "partitions are never removed");
        for (old, new) in old.partitions.iter().zip(&new.partitions) {
            let elected = old.leader != new.leader;
            assert!(new.leader_epoch >= old.leader_epoch + i32::from(elected), "{old:?} -> {new:?}");
            assert!(new.partition_epoch >= old.partition_epoch + i32::from(old != new), "{old:?} -> {new:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_whatever_comes(steps in prop::collection::vec(step(), 1..120)) {
        let (mut image, mut commands) = (Image::default(), Vec::new());
        for step in &steps {
            let command = step.command(&image);
            let before = image.clone();
            match image.apply(&command) {
                Ok(_) => check_step(&before, &image),
                Err(_) => assert_eq!(image, before, "a refused command changes nothing: {command:?}"),
            }
            check(&image);
            commands.push(command);
        }
        let text = serde_json::to_vec(&image).expect("serialises");
        prop_assert_eq!(&serde_json::from_slice::<Image>(&text).expect("reads back"), &image);
        let mut replayed = Image::default();
        for command in &commands {
            let text = serde_json::to_vec(command).expect("serialises");
            let command: Command = serde_json::from_slice(&text).expect("reads back");
            let _refused = replayed.apply(&command).is_err();
        }
        prop_assert_eq!(replayed, image, "the same commands make the same image");
    }

    #[test]
    fn changes_between_two_images_are_all_that_differs(steps in prop::collection::vec(step(), 1..60), cut in 0usize..60) {
        let (mut image, mut before) = (Image::default(), Image::default());
        for (i, step) in steps.iter().enumerate() {
            let command = step.command(&image);
            let _refused = image.apply(&command).is_err();
            if i == cut {
                before = image.clone();
            }
        }
        let changes = Changes::between(&before, &image);
        let copied: Image = serde_json::from_value(serde_json::to_value(&image).expect("writes")).expect("reads");
        prop_assert_eq!(&changes, &Changes::between(&before, &copied), "shared or not");
        let gone: BTreeSet<_> = changes.deleted.iter().map(|(id, _)| *id).collect();
        let kept = before.topics().filter(|topic| !gone.contains(&topic.topic_id));
        for topic in kept {
            let after = image.topic_by_id(topic.topic_id).expect("kept");
            for (partition, record) in (0..).zip(&after.partitions) {
                let named = changes.partitions.contains(&PartitionId { topic_id: topic.topic_id, partition });
                prop_assert_eq!(named, topic.partition(partition) != Some(&**record));
            }
        }
    }

    #[test]
    fn producer_id_blocks_never_overlap(counts in prop::collection::vec(1_u32..5_000, 1..50)) {
        let mut image = cluster(1, &[&[1]]);
        let mut expected_first = 0;
        for count in counts {
            let outcome = image.apply(&Command::AllocateProducerIds { node_id: 1, count });
            prop_assert_eq!(outcome, Ok(Outcome::ProducerIds { first: expected_first, count }));
            expected_first += i64::from(count);
        }
        prop_assert_eq!(image.producer_id_next(), expected_first);
    }
}
