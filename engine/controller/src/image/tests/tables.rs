//! What each command does, by example.

use super::*;

#[test]
fn a_refused_command_changes_nothing() {
    let mut image = cluster(2, &[&[1]]);
    image.start(3, 3);
    let before = image.clone();
    let refused = [
        create("t", 8, vec![vec![1]]),
        create("u", 7, vec![vec![1]]),
        create("u", 8, vec![]),
        create("u", 8, vec![vec![1], vec![9]]),
        create("u", 8, vec![vec![1, 1]]),
        create("u", 8, vec![vec![]]),
        create("u", 8, vec![vec![1, 2], vec![1]]),
        create("u", 8, vec![vec![3]]),
        create("no/slash", 8, vec![vec![1]]),
        create("__cluster_metadata", 8, vec![vec![1]]),
        create(&"n".repeat(250), 8, vec![vec![1]]),
        registration(-1, 1),
        Command::DeleteTopic { topic_id: Uuid::from_u128(9) },
        Command::AddPartitions { topic_id: TOPIC, existing: 1, assignment: vec![] },
        Command::AddPartitions { topic_id: TOPIC, existing: 2, assignment: vec![vec![1]] },
        Command::AddPartitions { topic_id: TOPIC, existing: 1, assignment: vec![vec![9]] },
        Command::UnfenceBroker { node_id: 9, broker_epoch: 1 },
        Command::UnfenceBroker { node_id: 3, broker_epoch: 1 },
        Command::UnregisterBroker { node_id: 9 },
        Command::AlterPartition { node_id: 1, broker_epoch: 9, changes: vec![] },
        Command::AllocateProducerIds { node_id: 9, count: 10 },
        Command::AllocateProducerIds { node_id: 1, count: 0 },
    ];
    for command in refused {
        assert!(image.apply(&command).is_err(), "{command:?} should be refused");
        assert_eq!(image, before, "{command:?} changed the image");
    }
}

#[test]
fn a_retry_changes_nothing_and_is_no_error() {
    let mut image = cluster(1, &[&[1]]);
    let before = image.clone();
    assert_eq!(image.apply(&create("t", 7, vec![vec![1]])), Ok(Outcome::Created));
    assert_eq!(image.apply(&registration(1, 1)), Ok(Outcome::Registered { broker_epoch: 1 }));
    assert_eq!(image, before);
}

#[test]
fn every_registration_starts_a_new_leader_epoch() {
    let mut image = cluster(1, &[&[1], &[1]]);
    assert_eq!(image.start(1, 2), 2, "epochs rise");
    assert_eq!(image.at(0), (NO_LEADER, 1, 1, vec![1]), "fenced at first, and nobody else has the data");
    image.unfence(1);
    assert_eq!((image.at(0), image.at(1)), ((1, 2, 2, vec![1]), (1, 2, 2, vec![1])));
}

#[test]
fn after_an_unclean_stop_a_broker_leaves_every_isr_that_has_another_member_before_it_may_lead() {
    let mut image = cluster(3, &[&[1, 2, 3], &[2, 1, 3]]);
    image.start(1, 100);
    assert_eq!(image.at(0), (2, 1, 1, vec![2, 3]));
    assert_eq!(image.at(1), (2, 0, 1, vec![2, 3]));
    image.unfence(1);
    assert_eq!(image.at(0), (2, 1, 1, vec![2, 3]), "back in service it has to catch up first");
    let mut alone = cluster(1, &[&[1]]);
    alone.start(1, 100);
    assert_eq!(alone.at(0), (NO_LEADER, 1, 1, vec![1]), "alone it stays, and leads nothing yet");
    alone.unfence(1);
    assert_eq!(alone.at(0), (1, 2, 2, vec![1]));
}

#[test]
fn a_clean_stop_is_known_by_the_epoch_in_its_marker() {
    let mut image = cluster(1, &[&[1]]);
    for (incarnation, marker, clean) in [(2, Some(1), true), (3, Some(1), false), (4, None, false)] {
        let Command::RegisterBroker { node_id, incarnation, endpoints, rack, log_dirs, .. } =
            registration(1, incarnation)
        else {
            panic!("a registration");
        };
        let clean_shutdown_epoch = marker;
        let command =
            Command::RegisterBroker { node_id, incarnation, endpoints, rack, log_dirs, clean_shutdown_epoch };
        image.apply(&command).expect("registers");
        assert_eq!(image.broker(1).map(|b| b.stopped_cleanly), Some(clean));
    }
}

#[test]
fn fencing_moves_leaders_and_the_last_in_sync_waits_for_its_return() {
    let mut image = cluster(3, &[&[1, 2, 3]]);
    image.fence(1);
    assert_eq!(image.at(0), (2, 1, 1, vec![2, 3]));
    image.fence(3);
    assert_eq!(image.at(0), (2, 1, 2, vec![2]), "no election: the leader stays");
    image.fence(2);
    assert_eq!(image.at(0), (NO_LEADER, 2, 3, vec![2]));
    image.unfence(1);
    assert_eq!(image.at(0), (NO_LEADER, 2, 3, vec![2]), "1 may have lost acknowledged records");
    image.unfence(2);
    assert_eq!(image.at(0), (2, 3, 4, vec![2]));
    image.fence(2);
    image.fence(2);
    assert_eq!(image.at(0).1, 4, "fencing twice is once");
}

#[test]
fn an_unclean_election_happens_only_where_it_is_configured() {
    let key = "unclean.leader.election.enable";
    let lost = || {
        let mut image = cluster(2, &[&[1, 2]]);
        image.fence(2);
        image.fence(1);
        image.unfence(2);
        assert_eq!(image.at(0), (NO_LEADER, 1, 2, vec![1]));
        image
    };
    let mut by_topic = lost();
    by_topic.configure(ConfigResource::Topic(TOPIC), key, Some("true"));
    assert_eq!(by_topic.at(0), (2, 2, 3, vec![2]), "at once, for partitions that wait");
    let mut by_broker = lost();
    by_broker.configure(ConfigResource::BrokerDefault, key, Some("true"));
    assert_eq!(by_broker.at(0).0, 2);
    let mut overridden = lost();
    overridden.configure(ConfigResource::Topic(TOPIC), key, Some("false"));
    overridden.configure(ConfigResource::BrokerDefault, key, Some("true"));
    assert_eq!(overridden.at(0).0, NO_LEADER);
}

#[test]
fn a_controlled_shutdown_moves_leaders_first_and_keeps_the_broker_out_of_isrs() {
    let mut image = cluster(2, &[&[1, 2]]);
    let broker_epoch = image.epoch(1);
    image.apply(&Command::BeginControlledShutdown { node_id: 1, broker_epoch }).expect("begins");
    assert_eq!(image.at(0), (2, 1, 1, vec![2]));
    assert_eq!(image.ask_isr(0, &[2, 1]), Err(Refusal::IneligibleReplicas(vec![1])));
    let refused = image.apply(&create("u", 8, vec![vec![1]]));
    assert!(matches!(refused, Err(Refusal::InvalidReplicas { .. })), "nothing new is led by it");
}

#[test]
fn a_broker_whose_disk_failed_leads_there_no_more_until_it_registers_again() {
    let offline = |image: &mut Image, node_id, partition| {
        let broker_epoch = image.epoch(node_id);
        let partitions = vec![at(partition)];
        one(image.apply(&Command::TakeReplicasOffline { node_id, broker_epoch, partitions }))
    };
    let mut image = cluster(2, &[&[1, 2], &[1, 2]]);
    offline(&mut image, 1, 0).expect("leaves");
    assert_eq!(image.at(0), (2, 1, 1, vec![2]), "another leads");
    assert_eq!(image.at(1), (1, 0, 0, vec![1, 2]), "on another disk all is well");
    assert_eq!(
        offline(&mut image, 1, 0).map(|state| state.partition_epoch),
        Ok(1),
        "said twice is said once"
    );
    assert_eq!(image.ask_isr(0, &[2, 1]), Err(Refusal::IneligibleReplicas(vec![1])));
    image.fence(2);
    assert_eq!(image.at(0).0, NO_LEADER, "the disk is no better for that");
    image.unfence(2);
    image.start(1, 100);
    image.unfence(1);
    image.ask_isr(0, &[2, 1]).expect("it found its log again, and catches up");
    let stale = Command::TakeReplicasOffline { node_id: 1, broker_epoch: 1, partitions: vec![at(0)] };
    assert!(matches!(image.apply(&stale), Err(Refusal::StaleBrokerEpoch { .. })), "of the process before");
    let mut alone = cluster(1, &[&[1]]);
    offline(&mut alone, 1, 0).expect("leaves");
    assert_eq!(alone.at(0), (NO_LEADER, 1, 1, vec![1]), "nobody else has what it had");
    alone.start(1, 100);
    alone.unfence(1);
    assert_eq!((alone.at(0).0, alone.at(0).3), (1, vec![1]));
}

#[test]
fn an_unregistered_broker_leads_nothing_and_may_be_reassigned_away() {
    let mut image = cluster(3, &[&[1, 2]]);
    image.apply(&Command::UnregisterBroker { node_id: 1 }).expect("leaves");
    assert_eq!(image.at(0), (2, 1, 1, vec![2]));
    assert!(image.move_to(0, Some(&[1, 2])).is_err(), "it cannot be moved to");
    image.move_to(0, Some(&[2, 3])).expect("moves");
    image.ask_isr(0, &[2, 3]).expect("catches up");
    assert_eq!(image.partition(at(0)).expect("there").replicas, [2, 3]);
}

#[test]
fn e25_alter_partition_is_checked_as_kafka_checks_it() {
    let mut image = cluster(4, &[&[1, 2, 3]]);
    image.fence(3);
    let stale = image.epoch(2);
    image.start(2, 200);
    image.unfence(2);
    let (leader, leader_epoch, partition_epoch, _) = image.at(0);
    assert_eq!(leader, 1);
    let epoch = image.epoch(2);
    let good =
        IsrChange { partition: at(0), leader_epoch, partition_epoch, new_isr: vec![(1, 1), (2, epoch)] };
    let with = |isr: &[(NodeId, i64)]| IsrChange { new_isr: isr.to_vec(), ..good.clone() };
    let cases = [
        (1, IsrChange { leader_epoch: 9, ..good.clone() }, Refusal::ControllerBehind),
        (1, IsrChange { partition_epoch: 9, ..good.clone() }, Refusal::ControllerBehind),
        (
            1,
            IsrChange { leader_epoch: -1, ..good.clone() },
            Refusal::FencedLeaderEpoch { given: -1, current: 0 },
        ),
        (
            1,
            IsrChange { partition_epoch: 0, ..good.clone() },
            Refusal::InvalidPartitionEpoch { given: 0, current: partition_epoch },
        ),
        (4, good.clone(), Refusal::InvalidIsr(vec![1, 2])),
        (1, with(&[(2, epoch)]), Refusal::InvalidIsr(vec![2])),
        (1, with(&[(1, 1), (1, 1)]), Refusal::InvalidIsr(vec![1, 1])),
        (1, with(&[(1, 1), (4, 4)]), Refusal::InvalidIsr(vec![1, 4])),
        (1, with(&[]), Refusal::InvalidIsr(vec![])),
        (1, with(&[(1, 1), (3, -1)]), Refusal::IneligibleReplicas(vec![3])),
        (1, with(&[(1, 1), (2, stale)]), Refusal::IneligibleReplicas(vec![2])),
        (
            1,
            IsrChange { partition: PartitionId { partition: 1, ..at(0) }, ..good.clone() },
            Refusal::UnknownPartition(PartitionId { partition: 1, ..at(0) }),
        ),
        (
            1,
            IsrChange { partition: PartitionId { topic_id: Uuid::nil(), partition: 0 }, ..good.clone() },
            Refusal::UnknownTopicId(Uuid::nil()),
        ),
    ];
    for (by, change, refusal) in cases {
        let before = image.clone();
        assert_eq!(image.alter(by, change.clone()), Err(refusal), "{by} {change:?}");
        assert_eq!(image, before);
    }
    let state = image.alter(1, good.clone()).expect("all is well");
    assert_eq!((state.isr, state.partition_epoch, state.leader_epoch), (vec![1, 2], partition_epoch + 1, 0));
    assert!(image.alter(1, good).is_err(), "the partition epoch is over");
}

#[test]
fn every_answered_proposal_makes_earlier_ones_void() {
    let mut image = cluster(2, &[&[1, 2]]);
    let (leader_epoch, partition_epoch) = (0, 0);
    let late = IsrChange { partition: at(0), leader_epoch, partition_epoch, new_isr: vec![(1, 1)] };
    let same = IsrChange { new_isr: vec![(1, 1), (2, 2)], ..late.clone() };
    let state = image.alter(1, same).expect("it is the leader's");
    assert_eq!((&state.isr[..], state.leader_epoch, state.partition_epoch), (&[1, 2][..], 0, 1));
    assert_eq!(image.alter(1, late), Err(Refusal::InvalidPartitionEpoch { given: 0, current: 1 }));
}

#[test]
fn a_preferred_leader_is_elected_where_it_may_lead() {
    let mut image = cluster(2, &[&[1, 2], &[2, 1], &[1, 2]]);
    image.fence(1);
    image.unfence(1);
    image.ask_isr(0, &[2, 1]).expect("1 has caught up");
    let partitions = vec![at(0), at(1), at(2), at(3)];
    let outcome = image.apply(&Command::ElectPreferredLeaders { partitions }).expect("elects");
    let Outcome::Partitions(answers) = outcome else { panic!("{outcome:?}") };
    let answers: Vec<_> = answers.into_iter().map(|(_, answer)| answer.map(|state| state.leader)).collect();
    let expected = [
        Ok(1),
        Err(Refusal::ElectionNotNeeded),
        Err(Refusal::PreferredLeaderNotAvailable(1)),
        Err(Refusal::UnknownPartition(at(3))),
    ];
    assert_eq!(answers, expected);
    assert_eq!(image.at(0), (1, 2, 3, vec![2, 1]));
}

#[test]
fn a_reassignment_adds_first_and_removes_when_the_new_are_in_sync() {
    let mut image = cluster(4, &[&[1, 2]]);
    image.move_to(0, Some(&[3, 4])).expect("begins");
    let p = image.partition(at(0)).expect("there").clone();
    assert_eq!((p.replicas, p.adding, p.removing), (vec![3, 4, 1, 2], vec![3, 4], vec![1, 2]));
    assert_eq!((p.leader, p.leader_epoch), (1, 0), "the old leader goes on");
    image.ask_isr(0, &[1, 2, 3]).expect("one has caught up");
    assert!(image.partition(at(0)).expect("there").is_reassigning());
    let done = image.ask_isr(0, &[1, 2, 3, 4]);
    assert_eq!(done, Err(Refusal::NewLeaderElected(3)), "the leader learns that it is none any more");
    let p = image.partition(at(0)).expect("there").clone();
    assert_eq!((&p.replicas[..], &p.isr[..], p.leader, p.leader_epoch), (&[3, 4][..], &[3, 4][..], 3, 1));
    assert!(!p.is_reassigning());
}

#[test]
fn a_reassignment_is_cancelled_or_replaced() {
    let mut image = cluster(5, &[&[1, 2]]);
    assert_eq!(image.move_to(0, None), Err(Refusal::NoReassignment));
    image.move_to(0, Some(&[3, 4])).expect("begins");
    image.ask_isr(0, &[1, 2, 3]).expect("one has caught up");
    image.move_to(0, Some(&[2, 5])).expect("is replaced");
    let p = image.partition(at(0)).expect("there").clone();
    assert_eq!((p.replicas, p.adding, p.removing), (vec![2, 5, 1], vec![5], vec![1]));
    assert_eq!((p.isr, p.leader, p.leader_epoch), (vec![1, 2], 1, 1), "3 and 4 are fenced off");
    image.move_to(0, None).expect("is cancelled");
    let p = image.partition(at(0)).expect("there").clone();
    assert_eq!((p.replicas.clone(), p.is_reassigning()), (vec![2, 1], false));
    image.move_to(0, Some(&[3])).expect("begins");
    image.fence(2);
    image.ask_isr(0, &[1, 3]).expect_err("that completes it");
    assert_eq!(image.at(0).3, [3]);
}

#[test]
fn a_reassignment_never_gives_up_the_last_replica_in_sync() {
    let mut image = cluster(3, &[&[1]]);
    image.move_to(0, Some(&[2])).expect("begins");
    image.ask_isr(0, &[1]).expect("as it is");
    image.fence(1);
    assert_eq!(image.at(0), (NO_LEADER, 1, 3, vec![1]), "2 has not caught up, so it does not lead");
    image.unfence(1);
    image.move_to(0, Some(&[3, 1])).expect("is replaced");
    image.ask_isr(0, &[1, 3]).expect("completes");
    image.move_to(0, Some(&[1, 2])).expect("begins");
    image.fence(3);
    image.fence(1);
    assert_eq!(image.at(0).3, [1]);
    assert!(image.move_to(0, Some(&[3, 2])).is_ok(), "1 is kept until another is in sync");
}

#[test]
fn partitions_are_added_and_never_removed() {
    let mut image = cluster(2, &[&[1]]);
    let more = Command::AddPartitions { topic_id: TOPIC, existing: 1, assignment: vec![vec![2], vec![1]] };
    assert_eq!(image.apply(&more), Ok(Outcome::Extended { partitions: 3 }));
    assert_eq!((image.at(1).0, image.at(2).0), (2, 1));
    assert_eq!(image.apply(&more), Err(Refusal::PartitionsChanged { existing: 3, expected: 1 }));
}

#[test]
fn configs_are_set_and_removed_one_by_one() {
    let mut image = cluster(1, &[&[1]]);
    for resource in [ConfigResource::Topic(TOPIC), ConfigResource::Broker(1), ConfigResource::BrokerDefault] {
        let before = image.clone();
        image.configure(resource, "a", Some("1"));
        image.configure(resource, "b", Some("2"));
        image.configure(resource, "a", None);
        let found = match resource {
            ConfigResource::Topic(id) => image.topic_by_id(id).map(|topic| topic.configs.clone()),
            ConfigResource::Broker(id) => image.broker_configs(id).cloned(),
            ConfigResource::BrokerDefault => Some(image.broker_default_configs().clone()),
        };
        assert_eq!(found, Some(BTreeMap::from([("b".to_owned(), "2".to_owned())])));
        image.configure(resource, "b", None);
        assert_eq!(image, before, "nothing is left");
    }
}

#[test]
fn a_deleted_name_comes_back_under_another_id() {
    let mut image = cluster(1, &[&[1]]);
    let before = image.clone();
    image.apply(&Command::DeleteTopic { topic_id: TOPIC }).expect("deleted");
    assert!(image.topic("t").is_none() && image.topic_by_id(TOPIC).is_none());
    image.apply(&create("t", 8, vec![vec![1]])).expect("created again");
    assert_eq!(image.topic("t").map(|t| t.topic_id), Some(Uuid::from_u128(8)));
    let changes = Changes::between(&before, &image);
    assert_eq!(changes.deleted, [(TOPIC, "t".to_owned())]);
    assert_eq!(changes.created, ["t"]);
}

#[test]
fn changes_name_what_differs_and_nothing_else() {
    let before = cluster(3, &[&[1, 2], &[2, 1], &[2, 3]]);
    assert!(Changes::between(&before, &before.clone()).is_empty());
    let mut after = before.clone();
    after.fence(1);
    let more = Command::AddPartitions { topic_id: TOPIC, existing: 3, assignment: vec![vec![2, 3]] };
    after.apply(&more).expect("added");
    let expected =
        Changes { partitions: vec![at(0), at(1), at(3)], brokers: [1].into(), ..Changes::default() };
    assert_eq!(Changes::between(&before, &after), expected);
    after.configure(ConfigResource::Topic(TOPIC), "a", Some("1"));
    after.configure(ConfigResource::Broker(2), "a", Some("1"));
    let found = Changes::between(&before, &after);
    assert_eq!((found.configured, found.broker_configs), (vec![TOPIC], true));
}
